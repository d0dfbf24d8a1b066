"""Passphrases of locked sessions, asked for with getpass: never in a cell, an output or the history."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService


def new_passphrase() -> str:
    """Ask for a new passphrase, twice. `ConfigError` when the two differ or nobody can be asked."""
    first = _ask("Passphrase that locks this session: ")
    if first != _ask("The same again: "):
        raise ConfigError("the two passphrases differ, so no session was started; type the line again")
    return first


def passphrase_for(service: TokenService, session_id: str) -> str | None:
    """Ask for the passphrase if the session is locked, else return None without asking."""
    return ask_passphrase() if service.is_locked(session_id) else None


def ask_passphrase() -> str:
    """Ask for the passphrase of a locked session."""
    return _ask("Passphrase of this locked session: ")


def _ask(prompt: str) -> str:
    from IPython.core.error import StdinNotImplementedError

    try:
        return getpass.getpass(prompt)
    except (StdinNotImplementedError, EOFError):
        raise ConfigError(
            "this front end cannot ask for a passphrase; in Python pass it as passphrase=…, "
            "such as current_interview().start(…, passphrase=…)"
        ) from None
