"""What interviewers do to a session: limits, state, a line to the candidate, notes, what is in doubt.

Everything is recorded under the name of who did it. Rules and locks are the budget service's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ib_kernel.budget import unresolved
from ib_kernel.budget.access import acting_as
from ib_kernel.errors import ConfigError
from ib_kernel.host.answers import Refused, text_of
from ib_kernel.host.openapi import NUMBER, Schema, choice, fields, text, whole
from ib_kernel.text import plain
from ib_kernel.values import LedgerEvent, Message, Status

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session

MOST_TOKENS = 10**9
"""Tokens that may be added at once."""

MOST_MINUTES = 24 * 60
"""Minutes that may be added at once."""

MOST_LINE = 4_000
"""Characters of a line to the candidate."""

MOST_NOTE = 20_000
"""Characters of a note."""

_KEY = {"passphrase": text(1_000)}

BODIES: Mapping[str, Schema] = {
    "extend": fields({}, {"tokens": whole(1, MOST_TOKENS), "minutes": NUMBER, **_KEY}),
    "pause": fields({}),
    "resume": fields({}, _KEY),
    "end": fields({}),
    "line": fields({"text": text(MOST_LINE, least=1)}),
    "note": fields({"text": text(MOST_NOTE, least=1)}),
    "phase": fields({"phase": text(40, least=1)}, _KEY),
    "resolve": fields({"reservation_id": text(200), "decision": choice("charge", "free")}, _KEY),
}
"""What each action takes."""


def act(host: Host, who: str, session_id: str, action: str, value: Mapping[str, Any]) -> None:
    """Do *action*, one of `BODIES`, recorded under *who*.

    Raises:
        Refused: The request says something that cannot be done; nothing was changed.
        BuddyError: What the budget service refuses.
    """
    with acting_as(who):
        _ACTIONS[action](host, who, host.service.get_session(session_id), value)


def _extend(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    tokens, minutes = value.get("tokens"), value.get("minutes")
    if tokens is None and minutes is None:
        raise Refused(400, "bad_field", "give tokens or minutes to add")
    if tokens is not None and not (_is_whole(tokens) and 0 < tokens <= MOST_TOKENS):
        raise Refused(400, "bad_field", f"tokens to add: a whole number from 1 to {MOST_TOKENS:,}")
    if minutes is not None:
        if not _is_number(minutes) or not 0 < minutes <= MOST_MINUTES:
            raise Refused(400, "bad_field", f"minutes to add: above 0, at most {MOST_MINUTES:,}")
        if session.time_limit_s is None:
            raise Refused(409, "no_limit", "this session has no time limit, so there is nothing to add to")
    key = _passphrase(value)
    if tokens is not None:
        host.service.extend_budget(session.session_id, tokens, passphrase=key)
    if minutes is not None and session.time_limit_s is not None:
        limit = session.time_limit_s + 60 * minutes
        given = host.service.set_time_limit(session.session_id, limit, passphrase=key)
        if given.status is Status.EXPIRED:  # whoever gives more time means it to go on
            host.service.resume(session.session_id, passphrase=key)


def _pause(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    host.service.pause(session.session_id)


def _resume(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    if session.status is Status.CREATED:
        line = "this interview has not begun; its clock starts with the candidate's first question"
        raise Refused(409, "not_begun", line)
    host.service.resume(session.session_id, passphrase=_passphrase(value))


def _end(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    if session.status is Status.CREATED:
        host.service.cancel(session.session_id)
    else:
        host.service.complete(session.session_id)


def _line(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    words = _words(value, MOST_LINE)
    if session.status in (Status.COMPLETED, Status.CANCELLED):
        raise Refused(409, "session_inactive", "this interview has ended; the candidate reads no more lines")
    at = time.time()
    host.store.add_message(session.session_id, Message(0, "interviewer", words, created_at=at))
    host.store.add_event(LedgerEvent(session.session_id, "line", at, who, {"characters": len(words)}))


def _note(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    words = _words(value, MOST_NOTE)
    host.store.add_event(LedgerEvent(session.session_id, "note", time.time(), who, {"text": words}))


def _phase(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    name = text_of(value, "phase", longest=40)
    host.interview(session.session_id).enter_phase(name, passphrase=_passphrase(value))


def _resolve(host: Host, who: str, session: Session, value: Mapping[str, Any]) -> None:
    wanted = text_of(value, "reservation_id", longest=200)
    found = next(
        (r for r in host.store.reservations(session.session_id) if r.reservation_id == wanted and r.in_doubt),
        None,
    )
    if found is None:
        raise Refused(409, "not_in_doubt", "that is not in doubt any more")
    key, reason = _passphrase(value), "decided on the interviewers' page"
    if value.get("decision") == "free":
        host.service.write_off(wanted, reason=reason, passphrase=key)
    elif value.get("decision") == "charge":
        prompt = min(found.call.counted_tokens or 0, found.tokens)
        unresolved.settle(host.service, found, prompt, found.tokens - prompt, reason=reason, passphrase=key)
    else:
        raise Refused(400, "bad_field", 'decision is "charge" or "free"')


_ACTIONS: Mapping[str, Callable[[Host, str, Session, Mapping[str, Any]], None]] = {
    "extend": _extend,
    "pause": _pause,
    "resume": _resume,
    "end": _end,
    "line": _line,
    "note": _note,
    "phase": _phase,
    "resolve": _resolve,
}


def _words(value: Mapping[str, Any], longest: int) -> str:
    words = plain(text_of(value, "text", longest=longest)).strip()
    if not words:
        raise Refused(400, "bad_field", "there is nothing to send; type some words first")
    return words


def _passphrase(value: Mapping[str, Any]) -> str | None:
    given = value.get("passphrase")
    if given is not None and not isinstance(given, str):
        raise ConfigError("a passphrase is a text")
    return given or None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
