"""Frozen `Settings`: what the user chose, and where each value came from.

A value that is not given is looked up in this order: ``%config InterviewMagics`` (passed in by the
notebook layer), the environment (``IB_<NAME>``; also ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``), the file
``config.toml`` in the user's configuration directory (``IB_CONFIG`` names another), the default.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import Secret

APP = "interview-buddy"
"""Name of the folders in the user's data and configuration directories."""


def _int(low: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        text = str(value).replace("_", "").replace(",", "").strip()
        number = int(text)
        if isinstance(value, bool) or number < low:
            raise ValueError(f"a whole number of at least {low}")
        return number

    parse.__doc__ = f"a whole number of at least {low}"
    return parse


def _seconds(value: Any) -> float:
    """a number of seconds, 0 or more"""
    number = float(value)
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError
    return number


def _temperature(value: Any) -> float:
    """a number from 0 to 2"""
    number = float(value)
    if not 0 <= number <= 2:
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    """true or false"""
    if isinstance(value, bool):
        return value
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }[str(value).strip().lower()]


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    parse.__doc__ = "one of " + ", ".join(allowed)
    return parse


def _text(value: Any) -> str:
    """some text"""
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise ValueError
    return str(value).strip()


def _path(value: Any) -> Path:
    """a folder's path"""
    return Path(_text(value)).expanduser().absolute()


def _levels(value: Any) -> tuple[float, ...]:
    """fractions between 0 and 1 separated by commas, such as 0.75,0.9"""
    parts = value.split(",") if isinstance(value, str) else value
    levels = tuple(sorted(float(part) for part in parts))
    if not all(0 < level < 1 for level in levels):
        raise ValueError
    return levels


def _table(value: Any) -> Mapping[str, Any]:
    """a table, in config.toml or as a dict"""
    if not isinstance(value, Mapping):
        raise ValueError
    return dict(value)


def _secret(value: Any) -> Secret:
    """some text"""
    return value if isinstance(value, Secret) else Secret(_text(value))


def _setting(parse: Callable[[Any], Any], default: Any, doc: str) -> Any:
    return field(default=None, metadata={"parse": parse, "default": default, "doc": doc})


def _default_data_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user chose. Every field may be given; the rest is looked up (see the module's docstring).

    `origins` maps each field to where its value came from ("given", "IB_MODEL", "config.toml", "default").
    Raises `ConfigError` with one line that names the field, its source and what is allowed.
    """

    data_dir: Path = _setting(_path, _default_data_dir, "folder of the ledger")
    client: str | None = _setting(
        _text, None, "model client by plugin name; unset: openai with a key, else demo"
    )
    counter: str = _setting(_text, "tiktoken", "token counter by plugin name")
    store: str = _setting(_text, "duckdb", "ledger by plugin name")
    model: str = _setting(_text, "gpt-5.4-mini", "model asked for when none is named")
    api_key: Secret | None = _setting(_secret, None, "API key of the model service")
    base_url: str | None = _setting(_text, None, "address of an OpenAI-compatible service")
    candidate: str | None = _setting(_text, None, "who is interviewed; unset: the system's user name")
    token_budget: int = _setting(_int(0), 20_000, "tokens of a new session, input and output together")
    time_limit_s: float | None = _setting(_seconds, None, "seconds of a new session; unset: no limit")
    reply_tokens: int = _setting(_int(1), 1_200, "tokens asked for a reply when none are named")
    min_reply_tokens: int = _setting(_int(1), 256, "a turn that leaves fewer tokens for its reply is refused")
    temperature: float | None = _setting(
        _temperature, None, "sampling temperature; unset: the model's default"
    )
    persona: str = _setting(_one_of("interviewer", "assistant"), "interviewer", "what the AI is")
    stream: str = _setting(
        _one_of("live", "final"), "live", "show a reply while it arrives, or once at its end"
    )
    store_transcript: bool = _setting(_flag, True, "keep the text of messages in the ledger")
    warn_at: tuple[float, ...] = _setting(
        _levels, (0.75, 0.9), "fractions of the budget that are warned about"
    )
    lease_s: float = _setting(_seconds, 60.0, "seconds after which a dead kernel's hold becomes in doubt")
    hold_s: float = _setting(
        _seconds, 600.0, "seconds that a hold made by reserve_tokens lives unless renewed"
    )
    attempts: int = _setting(_int(1), 4, "attempts per turn at most")
    backoff_s: float = _setting(
        _seconds, 0.5, "seconds of the first wait before a retry at most (full jitter)"
    )
    backoff_cap_s: float = _setting(
        _seconds, 20.0, "seconds of any wait at most, unless the server asks for more"
    )
    retry_after_max_s: float = _setting(_seconds, 60.0, "fail at once when the server asks for a longer wait")
    deadline_s: float = _setting(_seconds, 300.0, "seconds for a whole turn, retries included")
    first_piece_s: float = _setting(_seconds, 60.0, "seconds to wait for the first piece of a reply")
    gap_s: float = _setting(_seconds, 30.0, "seconds to wait for each further piece")
    models: Mapping[str, Any] = _setting(_table, {}, "limits of further models, by name")
    model_aliases: Mapping[str, Any] = _setting(_table, {}, "deployment names and the model each stands for")
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        origins = dict(self.origins)
        file = _config_file()
        for spec in settings_fields():
            value, origin = _look_up(spec, getattr(self, spec.name), file)
            object.__setattr__(self, spec.name, value)
            origins[spec.name] = origins.get(spec.name, origin) if origin == "given" else origin
        object.__setattr__(self, "origins", origins)

    @property
    def client_name(self) -> str:
        """The client that is used: the chosen one, else ``openai`` with a key or base URL, else ``demo``."""
        return self.client or ("openai" if self.api_key or self.base_url else "demo")

    def but(self, origin: str = "given", /, **changes: Any) -> Settings:
        """Return a copy with *changes*, noting *origin* for them. None leaves a field as it is."""
        given = {name: value for name, value in changes.items() if value is not None}
        for name in given:
            if name not in FIELD_NAMES:
                unknown_setting(name, origin)
        kept = {spec.name: getattr(self, spec.name) for spec in settings_fields()}
        origins = {**self.origins, **dict.fromkeys(given, origin)}
        return Settings(**{**kept, **given}, origins=origins)


def settings_fields() -> list[dataclasses.Field[Any]]:
    """Return the fields a user can set, in order; ``metadata["doc"]`` explains each."""
    return [spec for spec in dataclasses.fields(Settings) if "parse" in spec.metadata]


FIELD_NAMES = tuple(spec.name for spec in settings_fields())


def config_path() -> Path:
    """Return where the user's ``config.toml`` is looked for; ``IB_CONFIG`` names another file."""
    named = os.environ.get("IB_CONFIG")
    if named:
        return Path(named).expanduser()
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
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    for name in table:
        if name not in FIELD_NAMES:
            unknown_setting(name, str(path))
    return table


_ENV_ALIASES = {"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"}


def _look_up(spec: dataclasses.Field[Any], given: Any, file: Mapping[str, Any]) -> tuple[Any, str]:
    name = spec.name
    candidates = [("given", given)]
    for variable in (f"IB_{name.upper()}", _ENV_ALIASES.get(name)):
        if variable and os.environ.get(variable, "").strip():
            candidates.append((variable, os.environ[variable]))
    candidates.append(("config.toml", file.get(name)))
    for origin, raw in candidates:
        if raw is not None:
            return _parse(spec, raw, origin), origin
    default = spec.metadata["default"]
    return (default() if callable(default) else default), "default"


def _parse(spec: dataclasses.Field[Any], raw: Any, origin: str) -> Any:
    parse = spec.metadata["parse"]
    try:
        return parse(raw)
    except (ValueError, TypeError, KeyError, OverflowError):
        shown = "that value" if spec.name == "api_key" else repr(raw)
        raise ConfigError(f"{spec.name} ({origin}) cannot be {shown}; allowed: {parse.__doc__}") from None
