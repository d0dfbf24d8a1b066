"""`%interview key`: an API key read with getpass, kept in memory or by the operating system's keyring.

Never in a cell, an output or the history; and a key that was typed into a cell is not sent anywhere.
"""

from __future__ import annotations

import getpass
import importlib
import re
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import Secret, scrub_keys

if TYPE_CHECKING:
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine

SERVICE, USER = "interview-buddy", "api_key"
"""Under which names the keyring keeps the key."""

IN_A_CELL = (
    "nothing was sent: the cell contains what looks like an API key, and a notebook keeps its cells. Take it "
    "out, type %interview key instead, and replace the key at your provider if the notebook was saved or "
    "shared."
)


def refuse_keys(text: str) -> None:
    """Raise `ConfigError` when *text* contains a key that is in use here, or one of a provider's shape."""
    if scrub_keys(text) != text:
        raise ConfigError(IN_A_CELL)


def refuse_argument(rest: str) -> None:
    """Raise `ConfigError` when something other than an option follows ``%interview key``."""
    if any(not word.startswith("--") for word in rest.split()):
        raise ConfigError(
            "the key is not typed into a cell, which is saved with it; type %interview key alone and you are "
            "asked for it. If that was a real key, replace it at your provider"
        )


def run(engine: Engine, parsed: Parsed) -> str:
    """Do what the options of `%interview key` ask; return the line to show."""
    keep, new, forget = (bool(parsed.get(name)) for name in ("keep", "new", "forget"))
    if forget:
        return _forget(engine)
    ring = _keyring(needed=keep)
    kept = ring.get_password(SERVICE, USER) if ring is not None and not new else None
    key = _checked(kept or _ask())
    if keep and not kept:
        ring.set_password(SERVICE, USER, key.reveal())
    engine.key = key
    where = (
        "from the system's keyring"
        if kept
        else "for this kernel"
        + (", and kept in the system's keyring" if keep else " only: nothing was written")
    )
    return f"Key set {where}. The next session can use it: %interview start --client openai"


def _forget(engine: Engine) -> str:
    engine.key = None
    ring = _keyring(needed=False)
    if ring is not None and ring.get_password(SERVICE, USER) is not None:
        ring.delete_password(SERVICE, USER)
        return "Key forgotten, in the system's keyring too."
    return "Key forgotten."


def _keyring(*, needed: bool) -> Any:
    try:
        return importlib.import_module("keyring")
    except ImportError:
        if needed:
            raise ConfigError(
                "--keep needs the package keyring (pip install keyring); without --keep the key is in memory"
            ) from None
        return None


def _checked(text: str) -> Secret:
    key = text.strip()
    if not re.fullmatch(r"[!-~]{8,}", key):
        raise ConfigError("that is no API key: it is too short, or contains a space or an unusual letter")
    return Secret(key)


def _ask() -> str:
    from IPython.core.error import StdinNotImplementedError

    try:
        return getpass.getpass("API key (not shown, not saved): ")
    except (StdinNotImplementedError, EOFError):
        raise ConfigError(
            "this front end cannot ask for a key; set OPENAI_API_KEY before Jupyter starts"
        ) from None
