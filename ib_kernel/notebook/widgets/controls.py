"""The interviewer's controls: what a button of a widget asks for becomes one call of `TokenService`.

Rules, locks and records are the service's; here a message from the front end is checked and answered with one
line. Nothing of a message is logged or kept: it may contain a passphrase.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import BuddyError, ConfigError, Locked
from ib_kernel.text import one_line

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService

log = logging.getLogger(__name__)

MOST_TOKENS = 10**9
"""Tokens that one click may add."""

MOST_MINUTES = 24 * 60
"""Minutes that one click may add."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of a click: one line, and whether it was done."""

    ok: bool
    text: str


def act(service: TokenService, session_id: str, message: Mapping[str, Any]) -> ActionResult:
    """Do what *message* asks for. Never raises: what refuses it becomes the line.

    ``message["do"]`` is "add_tokens" (with ``tokens``), "add_minutes" (``minutes``), "pause", "resume", "end"
    or "write_off" (``reservation_id``); ``passphrase`` is needed where the session is locked.
    """
    try:
        action = _ACTIONS.get(str(message.get("do")))
        if action is None:
            raise ConfigError(f"unknown control; known: {', '.join(_ACTIONS)}")
        return ActionResult(True, action(service, session_id, message, _passphrase(message)))
    except Locked as error:
        missing = "this session is locked; type its passphrase first"
        return ActionResult(False, "wrong passphrase, nothing was changed" if error.wrong else missing)
    except BuddyError as error:
        return ActionResult(False, one_line(str(error)))
    except Exception as error:
        log.exception("a control of session %s failed", session_id)
        return ActionResult(False, f"this failed unexpectedly ({type(error).__name__}); the log says more")


def _add_tokens(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    tokens = message.get("tokens")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 < tokens <= MOST_TOKENS:
        raise ConfigError(f"tokens to add: give a whole number from 1 to {MOST_TOKENS:,}")
    session = service.extend_budget(sid, tokens, passphrase=key)
    return f"{tokens:,} tokens added; the budget is {session.token_budget:,} now"


def _add_minutes(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    minutes = message.get("minutes")
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 < minutes <= MOST_MINUTES:
        raise ConfigError(f"minutes to add: give a number above 0, at most {MOST_MINUTES:,}")
    limit = service.get_session(sid).time_limit_s
    if limit is None:
        raise ConfigError("this session has no time limit, so there is nothing to add to")
    session = service.set_time_limit(sid, limit + 60 * minutes, passphrase=key)
    more = "; Resume lets it go on" if session.status == "expired" else ""
    return f"{minutes:g} min added{more}"


def _pause(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    service.pause(sid)
    return "paused: the clock stands still and turns are refused"


def _resume(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    service.resume(sid, passphrase=key)
    return "resumed"


def _end(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    service.complete(sid)
    return "ended for good"


def _write_off(service: TokenService, sid: str, message: Mapping[str, Any], key: str | None) -> str:
    wanted = str(message.get("reservation_id"))
    found = next((r for r in service.store.reservations(sid) if r.reservation_id == wanted), None)
    if found is None:
        raise ConfigError("this is not in doubt any more")
    service.write_off(wanted, reason="by the interviewer's controls", passphrase=key)
    return f"{found.tokens:,} tokens of turn {found.call.turn} written off"


_ACTIONS: dict[str, Callable[[TokenService, str, Mapping[str, Any], str | None], str]] = {
    "add_tokens": _add_tokens,
    "add_minutes": _add_minutes,
    "pause": _pause,
    "resume": _resume,
    "end": _end,
    "write_off": _write_off,
}


def _passphrase(message: Mapping[str, Any]) -> str | None:
    given = message.get("passphrase")
    return given if isinstance(given, str) and given else None
