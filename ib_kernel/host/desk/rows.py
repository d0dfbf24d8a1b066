"""A session as one line of the interviewers' list: state, budget, time, and what needs somebody.

Figures are plain numbers (tokens, seconds, seconds since 1970); the page puts them into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.budget.lock import is_locked
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, choice, fields, maybe
from ib_kernel.text import one_line
from ib_kernel.values import Status

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import Reservation, Session, Totals

GROUPS = {
    Status.ACTIVE: "open",
    Status.PAUSED: "open",
    Status.CREATED: "invited",
    Status.EXPIRED: "ended",
    Status.COMPLETED: "ended",
    Status.CANCELLED: "ended",
}
"""Under which heading a session of a state stands."""

DOUBT = fields({"reservation_id": TEXT, "turn": COUNT, "tokens": COUNT, "reason": TEXT})
CHECKS = fields({"passed": COUNT, "total": COUNT})

ROW = fields(
    {
        "id": TEXT,
        "candidate": TEXT,
        "candidate_id": TEXT,
        "role": TEXT,
        "level": TEXT,
        "challenge": TEXT,
        "model": TEXT,
        "status": choice(*map(str, Status)),
        "group": choice("open", "invited", "ended"),
        "locked": FLAG,
        "budget": COUNT,
        "used": COUNT,
        "held": COUNT,
        "in_doubt": COUNT,
        "left": COUNT,
        "turns": COUNT,
        "turns_left": maybe(COUNT),
        "asking": maybe(COUNT),
        "time_limit_s": maybe(NUMBER),
        "time_left_s": maybe(NUMBER),
        "active_s": NUMBER,
        "created_at": NUMBER,
        "started_at": maybe(NUMBER),
        "ended_at": maybe(NUMBER),
        "last_at": NUMBER,
        "last": fields({"kind": TEXT, "who": TEXT}),
        "given_tokens": {"type": "integer"},
        "given_s": NUMBER,
        "checks": maybe(CHECKS),
        "doubts": array(DOUBT),
    }
)


def session_row(
    service: TokenService,
    session: Session,
    open_: Sequence[Reservation] = (),
    totals: Totals | None = None,
) -> dict[str, Any]:
    """Return the line of *session*.

    Args:
        service: The service of its ledger.
        session: The session, as it was just read.
        open_: Its reservations, unresolved ones included.
        totals: Its sums where they were just read.
    """
    totals = service.totals(session.session_id) if totals is None else totals
    live = GROUPS[session.status] == "open"
    asking = max((r.turn for r in open_ if not r.in_doubt), default=None)
    return {
        "id": session.session_id,
        "candidate": one_line(session.candidate),
        "candidate_id": one_line(session.external_id),
        "role": one_line(session.role),
        "level": one_line(session.level),
        "challenge": one_line(session.challenge),
        "model": one_line(session.model),
        "status": str(session.status),
        "group": GROUPS[session.status],
        "locked": is_locked(session),
        **_tokens(totals),
        "turns_left": service.turns_left(session, totals) if live else None,
        "asking": asking,
        "time_limit_s": session.time_limit_s,
        "time_left_s": session.time_left_s,
        "active_s": session.active_s,
        "created_at": session.created_at,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        **_last(service, session, live),
        **_given(session, totals),
        "checks": _checks(service.store, session.session_id),
        "doubts": [
            {
                "reservation_id": r.reservation_id,
                "turn": r.turn,
                "tokens": r.tokens,
                "reason": one_line(r.doubt_reason),
            }
            for r in open_
            if r.in_doubt
        ],
    }


def clock_of(session: Session) -> dict[str, Any]:
    """Return what of a line goes on by itself while a session is active."""
    return {"time_left_s": session.time_left_s, "active_s": session.active_s}


def by_session(reservations: Iterable[Reservation]) -> Mapping[str, list[Reservation]]:
    """Return open reservations by their session."""
    found: dict[str, list[Reservation]] = {}
    for reservation in reservations:
        found.setdefault(reservation.session_id, []).append(reservation)
    return found


def matches(session: Session, query: str) -> bool:
    """Return True if every word of *query* is somewhere in what names the session."""
    s = session
    text = " ".join(
        (s.candidate, s.external_id, s.role, s.level, s.challenge, s.model, s.session_id)
    ).casefold()
    return all(word in text for word in query.casefold().split())


def _tokens(totals: Totals) -> dict[str, int]:
    return {
        "budget": totals.token_budget,
        "used": totals.used,
        "held": totals.held,
        "in_doubt": totals.in_doubt,
        "left": totals.left,
        "turns": totals.turns,
    }


def _last(service: TokenService, session: Session, live: bool) -> dict[str, Any]:
    """Return when something happened last, and what; cheap for sessions that nobody uses now."""
    if not live:
        return {
            "last_at": session.ended_at or session.created_at,
            "last": {"kind": str(session.status), "who": ""},
        }
    events = service.store.events(session.session_id)
    last = events[-1] if events else None
    at = last.created_at if last else session.created_at
    kind, who = (last.kind, last.who) if last else ("opened", "")
    spent = getattr(service.store, "spent", None)
    calls = spent(session.session_id) if spent else ()
    if calls and calls[-1].ended_at >= at:
        at, kind, who = calls[-1].ended_at, "turn", ""
    elif last is not None and kind == "status":
        kind = str(session.status)
    return {"last_at": at, "last": {"kind": kind, "who": one_line(who)}}


def _given(session: Session, totals: Totals) -> dict[str, Any]:
    """Return what was added to the limits since the session began."""
    tokens = seconds = 0.0
    if session.token_budget_at_start is not None:
        tokens = totals.token_budget - session.token_budget_at_start
    if session.time_limit_at_start_s is not None and session.time_limit_s is not None:
        seconds = session.time_limit_s - session.time_limit_at_start_s
    return {"given_tokens": int(tokens), "given_s": seconds}


def _checks(store: Any, session_id: str) -> dict[str, int] | None:
    """Return the newest run of the tests that the candidate sees; None where there was none."""
    read = getattr(store, "checks", None)
    runs = [check for check in read(session_id) if check.suite == "visible"] if read else []
    return {"passed": runs[-1].passed, "total": runs[-1].total} if runs else None
