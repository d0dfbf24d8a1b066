"""Frozen `Settings`: what the user chose, and where each value came from.

A value that is not given is looked up in this order: ``%config InterviewMagics`` (passed in by the
notebook layer), the environment (``IB_<NAME>``; also ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``), the file
``config.toml`` in the user's configuration directory (``IB_CONFIG`` names another), the default.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import Secret, learn_environment, scrub
from ib_kernel.settings import parsing

if TYPE_CHECKING:
    from decimal import Decimal

APP = "interview-buddy"
"""Name of the folders in the user's data and configuration directories."""


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
    with a key in it, settings cannot be pickled.
    """

    data_dir: Path = _setting(parsing.path, _default_data_dir, "folder of the ledger")
    client: str | None = _setting(
        parsing.text, None, "model client by plugin name; unset: openai with a key, else demo"
    )
    counter: str = _setting(parsing.text, "tiktoken", "token counter by plugin name")
    store: str = _setting(parsing.text, "duckdb", "ledger by plugin name")
    model: str = _setting(parsing.text, "gpt-5.4-mini", "model asked for when none is named")
    api_key: Secret | None = _setting(parsing.secret, None, "API key of the model service")
    base_url: str | None = _setting(parsing.url, None, "address of an OpenAI-compatible service")
    api: str = _setting(
        parsing.one_of("chat", "responses"), "chat", "OpenAI API to speak: Chat Completions or Responses"
    )
    dialect: str | None = _setting(
        parsing.text, None, "what an OpenAI-compatible service understands; unset: judged by its address"
    )
    candidate: str | None = _setting(parsing.text, None, "who is interviewed; unset: the system's user name")
    token_budget: int = _setting(
        parsing.whole(0), 20_000, "tokens of a new session, input and output together"
    )
    budget_usd: Decimal | None = _setting(
        parsing.dollars, None, "US dollars of a new session, beside its tokens; unset: no budget in money"
    )
    time_limit_s: float | None = _setting(parsing.duration, None, "seconds of a new session; unset: no limit")
    reply_tokens: int = _setting(parsing.whole(1), 1_200, "tokens asked for a reply when none are named")
    min_reply_tokens: int = _setting(
        parsing.whole(1), 256, "a turn that leaves fewer tokens for its reply is refused"
    )
    temperature: float | None = _setting(
        parsing.temperature, None, "sampling temperature; unset: the model's default"
    )
    persona: str = _setting(parsing.one_of("interviewer", "assistant"), "interviewer", "what the AI is")
    stream: str = _setting(
        parsing.one_of("live", "final"), "live", "show a reply while it arrives, or once at its end"
    )
    allow_network_fs: bool = _setting(
        parsing.flag, False, "keep the ledger on a network file system, where its locks cannot be trusted"
    )
    store_transcript: bool = _setting(parsing.flag, True, "keep the text of messages in the ledger")
    warn_at: tuple[float, ...] = _setting(
        parsing.levels, (0.75, 0.9), "fractions of the budget that are warned about"
    )
    lease_s: float = _setting(
        parsing.duration, 60.0, "seconds after which a dead kernel's hold becomes in doubt"
    )
    hold_s: float = _setting(
        parsing.duration, 600.0, "seconds that a hold made by reserve_tokens lives unless renewed"
    )
    attempts: int = _setting(parsing.whole(1), 4, "attempts per turn at most")
    backoff_s: float = _setting(
        parsing.seconds, 0.5, "seconds of the first wait before a retry at most (full jitter)"
    )
    backoff_cap_s: float = _setting(
        parsing.seconds, 20.0, "seconds of any wait at most, unless the server asks for more"
    )
    retry_after_max_s: float = _setting(
        parsing.seconds, 60.0, "fail at once when the server asks for a longer wait"
    )
    deadline_s: float = _setting(parsing.duration, 300.0, "seconds for a whole turn, retries included")
    first_piece_s: float = _setting(parsing.duration, 60.0, "seconds to wait for the first piece of a reply")
    gap_s: float = _setting(parsing.duration, 30.0, "seconds to wait for each further piece")
    retry_budget: int = _setting(
        parsing.whole(0), 20, "retries an interview has in reserve; five answers earn one back"
    )
    rate_limit_wait_s: float = _setting(
        parsing.seconds, 20.0, "wait up to so many seconds for a known rate limit instead of being refused"
    )
    cancel: str = _setting(
        parsing.one_of("close", "drain"), "close", "a stop ends the stream, or reads on for the real usage"
    )
    drain_s: float = _setting(parsing.duration, 30.0, "seconds that drain reads on at most")
    models: Mapping[str, Any] = _setting(parsing.table, dict, "limits of further models, by name")
    model_aliases: Mapping[str, Any] = _setting(
        parsing.table, dict, "deployment names and the model each stands for"
    )
    origins: Mapping[str, str] = field(default_factory=Origins, repr=False, compare=False)

    def __post_init__(self) -> None:
        learn_environment()
        kept = getattr(self.origins, "values_then", {})
        origins = dict(self.origins)
        file = functools.cache(_config_file)
        for spec in settings_fields():
            value = getattr(self, spec.name)
            if spec.name not in kept or value is not kept[spec.name]:
                value, origins[spec.name] = _look_up(spec, value, file)
                object.__setattr__(self, spec.name, value)
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
        """Return a copy with *changes*, noting *origin* for them. None leaves a field as it is."""
        new = copy.copy(self)
        origins = dict(self.origins)
        specs = {spec.name: spec for spec in settings_fields()}
        for name, value in changes.items():
            if name not in specs:
                unknown_setting(name, origin)
            if value is not None:
                object.__setattr__(new, name, _parse(specs[name], value, origin))
                origins[name] = origin
        new._note(origins)
        return new


def settings_fields() -> list[dataclasses.Field[Any]]:
    """Return the fields a user can set, in order; ``metadata["doc"]`` explains each."""
    return [spec for spec in dataclasses.fields(Settings) if "parse" in spec.metadata]


FIELD_NAMES = tuple(spec.name for spec in settings_fields())


def config_path() -> Path:
    """Return where the user's ``config.toml`` is looked for; ``IB_CONFIG`` names another file."""
    named = os.environ.get("IB_CONFIG", "").strip()
    if named:
        return Path(os.path.expanduser(named))
    import platformdirs

    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml"


def unknown_setting(name: str, origin: str) -> NoReturn:
    """Raise the one line for a setting that does not exist."""
    import difflib

    close = difflib.get_close_matches(name, FIELD_NAMES, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(FIELD_NAMES)}"
    raise ConfigError(f"unknown setting {name!r} ({origin}){hint}")


def _config_file() -> Mapping[str, Any]:
    path = config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    import tomllib  # most users have no such file, and need not pay for its parser

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    for name in table:
        if name not in FIELD_NAMES:
            unknown_setting(name, str(path))
    return table


_ENV_ALIASES = {"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"}


def _look_up(
    spec: dataclasses.Field[Any], given: Any, file: Callable[[], Mapping[str, Any]]
) -> tuple[Any, str]:
    name = spec.name
    if given is not None:
        return _parse(spec, given, "given"), "given"
    for variable in (f"IB_{name.upper()}", _ENV_ALIASES.get(name)):
        if variable and os.environ.get(variable, "").strip():
            return _parse(spec, os.environ[variable], variable), variable
    if name in file():
        return _parse(spec, file()[name], "config.toml"), "config.toml"
    default = spec.metadata["default"]
    return (default() if callable(default) else default), "default"


def _parse(spec: dataclasses.Field[Any], raw: Any, origin: str) -> Any:
    parse = spec.metadata["parse"]
    try:
        return parse(raw)
    except parsing.REFUSED:
        shown = "that value" if spec.name == "api_key" else scrub(repr(raw))
        if spec.name == "base_url":
            shown = re.sub(r"[?#].*", "?…", shown)  # what follows may be a key of any shape
        shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
        raise ConfigError(f"{spec.name} ({origin}) cannot be {shown}; allowed: {parse.__doc__}") from None
