"""Where a setting's value comes from: what was given, the environment, config.toml, the default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import Secret, scrub
from ib_kernel.settings import parsing
from ib_kernel.settings.files import parse_toml, read_text

APP = "interview-buddy"
"""Name of the folders in the user's data and configuration directories."""

ENV_ALIASES = {"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"}
"""Variables of the official SDK that are read where ours is not set."""

FILE = "config.toml"
"""How the configuration file is named as an origin, whatever its path."""

_SHOWN_CHARS = 80


def config_path() -> Path:
    """Return where the user's ``config.toml`` is looked for; ``IB_CONFIG`` names another file."""
    named = os.environ.get("IB_CONFIG", "").strip()
    if named:
        return Path(os.path.expanduser(named))
    import platformdirs

    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml"


def read_config() -> dict[str, Any]:
    """Return the tables of the user's config.toml, empty where there is none.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    path = config_path()
    if os.fspath(path) == os.devnull:  # how people say that there is none
        return {}
    try:
        text = read_text(path)
    except FileNotFoundError:
        return {}
    return parse_toml(text, str(path))


def env_name(*parts: str) -> str:
    """Return the environment variable of a setting, such as ``IB_MODEL`` or ``IB_ACME_URL``."""
    return "_".join(["IB", *(part.upper().replace("-", "_").replace(".", "_") for part in parts)])


def look_up(
    name: str, parse: Callable[[Any], Any], default: Any, file: Callable[[], Mapping[str, Any]]
) -> tuple[Any, str]:
    """Return the value of the setting *name* that nobody gave, and where it came from."""
    for variable in (env_name(name), ENV_ALIASES.get(name)):
        if variable and os.environ.get(variable, "").strip():
            return parse_value(name, parse, os.environ[variable], variable), variable
    if name in file():
        return parse_value(name, parse, file()[name], FILE), FILE
    return (default() if callable(default) else default), "default"


def parse_value(name: str, parse: Callable[[Any], Any], raw: Any, origin: str) -> Any:
    """Return *raw* as the setting *name* keeps it.

    Args:
        name: The setting, as the message calls it.
        parse: Its parser (`ib_kernel.settings.parsing`); its docstring says what is allowed.
        raw: What was given.
        origin: Where it was given, for the message.

    Raises:
        ConfigError: One line that names the setting, its source and what is allowed. A secret's value, and
            what looks like one, is not repeated.
    """
    try:
        return parse(raw)
    except parsing.REFUSED:
        shown = _shown(raw) if parse is not parsing.parse_secret else "that value"
        if parse is parsing.parse_url:
            shown = re.sub(r"[?#].*", "?…", shown)  # what follows may be a key of any shape
        raise ConfigError(f"{name} ({origin}) cannot be {shown}; allowed: {parse.__doc__}") from None


def _shown(raw: Any) -> str:
    if isinstance(raw, Secret):
        return "that value"
    try:
        text = scrub(repr(raw))
    except (ValueError, RecursionError):  # a number of thousands of digits has no text
        return "that value"
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
