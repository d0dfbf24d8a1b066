"""The core's own settings: one frozen value, each field with its parser, default and explanation."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.secrets import Secret, learn_environment
from ib_kernel.settings.parsing import (
    parse_duration,
    parse_flag,
    parse_folders,
    parse_levels,
    parse_one_of,
    parse_path,
    parse_persona,
    parse_seconds,
    parse_secret,
    parse_table,
    parse_temperature,
    parse_text,
    parse_url,
    parse_usd,
    parse_whole,
)
from ib_kernel.settings.plugins import PluginTables, read_plugin
from ib_kernel.settings.sources import APP, config_path, env_name, look_up, parse_value, read_config

if TYPE_CHECKING:
    from decimal import Decimal

S = TypeVar("S")


def _setting(parse: Callable[[Any], Any], default: Any, doc: str) -> Any:
    return field(default=None, metadata={"parse": parse, "default": default, "doc": doc})


def _default_data_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


class Origins(dict[str, str]):
    """Where each setting came from, and the value it had then.

    `dataclasses.replace` hands it to the copy, which so tells what was changed from what was kept.
    """

    def __init__(self, origins: Any = (), values: Mapping[str, Any] | None = None) -> None:
        super().__init__(origins)
        self.values_then = values or {}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user chose. Every field may be given; the rest is looked up (see the module's docstring).

    `origins` maps each field to where its value came from ("given", "IB_MODEL", "config.toml", "default").
    Raises `ConfigError` with one line that names the field, its source and what is allowed. A copy
    (`replace`, `dataclasses.replace`, `copy`) keeps what it does not change and looks nothing up again;
    with a key or a plugin's table in it, settings cannot be pickled. `plugins` is what was given to
    plugins' own settings, by plugin and key; `plugin` reads them.
    """

    data_dir: Path = _setting(parse_path, _default_data_dir, "folder of the ledger")
    client: str | None = _setting(
        parse_text, None, "model client by plugin name; unset: openai with a key, else demo"
    )
    counter: str = _setting(parse_text, "tiktoken", "token counter by plugin name")
    store: str = _setting(parse_text, "duckdb", "ledger by plugin name")
    judge: str | None = _setting(
        parse_text, None, "judge by plugin name; unset: the model's, or the demo's where the demo answers"
    )
    model: str = _setting(parse_text, "gpt-5.4-mini", "model asked for when none is named")
    api_key: Secret | None = _setting(parse_secret, None, "API key of the model service")
    base_url: str | None = _setting(parse_url, None, "address of an OpenAI-compatible service")
    api: str = _setting(
        parse_one_of("chat", "responses"),
        "chat",
        "OpenAI API to speak: Chat Completions or Responses",
    )
    dialect: str | None = _setting(
        parse_text,
        None,
        "what an OpenAI-compatible service understands; unset: judged by its address",
    )
    usage_in_stream: bool | None = _setting(
        parse_flag, None, "ask a stream for its usage (stream_options); unset: judged by the dialect"
    )
    system_role: str | None = _setting(
        parse_one_of("system", "developer", "user"),
        None,
        "role that system messages are sent in; user: before the first question; unset: by the dialect",
    )
    candidate: str | None = _setting(parse_text, None, "who is interviewed; unset: the system's user name")
    token_budget: int = _setting(parse_whole(0), 50_000, "tokens of a new session, input and output together")
    charge: Literal["billed", "new"] = _setting(
        parse_one_of("billed", "new"),
        "billed",
        "what a new session charges: all that the service bills, or what each turn adds",
    )
    budget_usd: Decimal | None = _setting(
        parse_usd, None, "US dollars of a new session, beside its tokens; unset: no budget in money"
    )
    time_limit_s: float | None = _setting(parse_duration, None, "seconds of a new session; unset: no limit")
    reply_tokens: int = _setting(parse_whole(1), 1_200, "tokens asked for a reply when none are named")
    min_reply_tokens: int = _setting(
        parse_whole(1), 256, "a turn that leaves fewer tokens for its reply is refused"
    )
    temperature: float | None = _setting(
        parse_temperature, None, "sampling temperature; unset: the model's default"
    )
    persona: str = _setting(
        parse_persona,
        "interviewer",
        "what the AI is: interviewer, assistant, a plugin's persona or a .md file",
    )
    stream: str = _setting(
        parse_one_of("live", "final"), "live", "show a reply while it arrives, or once at its end"
    )
    allow_network_fs: bool = _setting(
        parse_flag,
        False,
        "keep the ledger on a network file system, where its locks cannot be trusted",
    )
    store_transcript: bool = _setting(parse_flag, True, "keep the text of messages in the ledger")
    warn_at: tuple[float, ...] = _setting(
        parse_levels, (0.75, 0.9), "fractions of the budget that are warned about"
    )
    lease_s: float = _setting(
        parse_duration, 60.0, "seconds after which a dead kernel's reservation becomes in doubt"
    )
    hold_s: float = _setting(
        parse_duration, 600.0, "seconds that what reserve_tokens has reserved lives unless renewed"
    )
    attempts: int = _setting(parse_whole(1), 4, "attempts per turn at most")
    backoff_s: float = _setting(
        parse_seconds, 0.5, "seconds of the first wait before a retry at most (full jitter)"
    )
    backoff_cap_s: float = _setting(
        parse_seconds, 20.0, "seconds of any wait at most, unless the server asks for more"
    )
    retry_after_max_s: float = _setting(
        parse_seconds, 60.0, "fail at once when the server asks for a longer wait"
    )
    deadline_s: float = _setting(parse_duration, 300.0, "seconds for a whole turn, retries included")
    first_piece_s: float = _setting(parse_duration, 60.0, "seconds to wait for the first piece of a reply")
    gap_s: float = _setting(parse_duration, 30.0, "seconds to wait for each further piece")
    retry_budget: int = _setting(
        parse_whole(0), 20, "retries an interview has in reserve; five answers earn one back"
    )
    rate_limit_wait_s: float = _setting(
        parse_seconds,
        20.0,
        "wait up to so many seconds for a known rate limit instead of being refused",
    )
    cancel: str = _setting(
        parse_one_of("close", "drain"),
        "close",
        "a stop ends the stream, or reads on for the real usage",
    )
    drain_s: float = _setting(parse_duration, 30.0, "seconds that drain reads on at most")
    notice: str | None = _setting(
        parse_text, None, "what a hosted session's candidate reads first; unset: our own text"
    )
    keep_days: int | None = _setting(
        parse_whole(1),
        None,
        "days after which a session is due to be erased; unset: until somebody erases it",
    )
    ca_file: Path | None = _setting(
        parse_path, None, "certificates of the authorities that a host may be signed by (PEM)"
    )
    challenges: tuple[Path, ...] = _setting(
        parse_folders, (), "folders whose challenges are known by name, beside those of plugins"
    )
    presets: Mapping[str, Any] = _setting(
        parse_table, dict, "what sessions are opened with, by a name for ``--preset``"
    )
    models: Mapping[str, Any] = _setting(parse_table, dict, "limits of further models, by name")
    model_aliases: Mapping[str, Any] = _setting(
        parse_table, dict, "deployment names and the model each stands for"
    )
    plugins: Any = field(default=None, repr=False)
    origins: Mapping[str, str] = field(default_factory=Origins, repr=False, compare=False)

    def __post_init__(self) -> None:
        learn_environment()
        kept = getattr(self.origins, "values_then", {})
        origins = dict(self.origins)
        file = functools.cache(_config_file)
        for spec in settings_fields():
            value = getattr(self, spec.name)
            if spec.name not in kept or value is not kept[spec.name]:
                value, origins[spec.name] = _value(spec, value, file)
                object.__setattr__(self, spec.name, value)
        if not isinstance(self.plugins, PluginTables):
            found = PluginTables.found(file().get("plugins"), CORE_VARIABLES)
            object.__setattr__(self, "plugins", found.over(self.plugins, "given"))
        self._note(origins)

    def _note(self, origins: Mapping[str, str]) -> None:
        values = {name: getattr(self, name) for name in FIELD_NAMES}
        object.__setattr__(self, "origins", Origins(origins, values))

    def __hash__(self) -> int:
        return hash((self.data_dir, self.client, self.model, self.api_key, self.base_url))

    @property
    def client_name(self) -> str:
        """The client that is used: the chosen one, else ``openai`` with a key or base URL, else ``demo``."""
        return self.client or ("openai" if self.api_key or self.base_url else "demo")

    def replace(self, origin: str = "given", /, **changes: Any) -> Settings:
        """Return a copy with other values.

        Args:
            origin: Where the new values come from, as the doctor and error messages name it.
            changes: Values by field; None leaves a field as it is. Of ``plugins``, the keys that are named
                change, and the others stay.

        Raises:
            ConfigError: An unknown field, or a value that cannot be used.
        """
        new = copy.copy(self)
        origins = dict(self.origins)
        specs = {spec.name: spec for spec in settings_fields()}
        for name, value in changes.items():
            if name != "plugins" and name not in specs:
                unknown_setting(name, origin)
            if name == "plugins":
                object.__setattr__(new, name, self.plugins.over(value, origin))
            elif value is not None:
                parsed = parse_value(name, specs[name].metadata["parse"], value, origin)
                object.__setattr__(new, name, parsed)
                origins[name] = origin
        new._note(origins)
        return new

    def plugin(self, name: str, kind: type[S]) -> S:
        """Return the settings of the plugin *name*, looked up and parsed as *kind* declares them.

        Args:
            name: The plugin's table in config.toml: ``[plugins.NAME]``.
            kind: A frozen dataclass whose fields are made by `ib_kernel.settings.setting`.

        Raises:
            ConfigError: A value that cannot be used, or a key that *kind* does not declare.
        """
        return read_plugin(self.plugins, name, kind)


def settings_fields() -> list[dataclasses.Field[Any]]:
    """Return the fields a user can set, in order; ``metadata["doc"]`` explains each."""
    return [spec for spec in dataclasses.fields(Settings) if "parse" in spec.metadata]


FIELD_NAMES = tuple(spec.name for spec in settings_fields())

CORE_VARIABLES = frozenset(
    {"IB_CONFIG", "IB_HOST", "IB_HOST_TOKEN", *(env_name(name) for name in FIELD_NAMES)}
)
"""The environment variables that are ours, so that no plugin's setting may be called by them."""


def unknown_setting(name: str, origin: str) -> NoReturn:
    """Raise the one line for a setting that does not exist.

    Args:
        name: What was given.
        origin: Where.
    """
    hint = did_you_mean(name, (*FIELD_NAMES, "plugins")) or f"; known: {', '.join(FIELD_NAMES)}, plugins"
    raise ConfigError(f"unknown setting {name!r} ({origin}){hint}")


def _config_file() -> Mapping[str, Any]:
    table = read_config()
    for name in table:
        if name not in FIELD_NAMES and name != "plugins":
            unknown_setting(name, str(config_path()))
    return table


def _value(
    spec: dataclasses.Field[Any], given: Any, file: Callable[[], Mapping[str, Any]]
) -> tuple[Any, str]:
    parse = spec.metadata["parse"]
    if given is not None:
        return parse_value(spec.name, parse, given, "given"), "given"
    return look_up(spec.name, parse, spec.metadata["default"], file)
