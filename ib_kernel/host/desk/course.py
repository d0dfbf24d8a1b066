"""The course of an interview on one axis: active seconds since its start, as the candidate's clock ran.

Questions, cells, checks, hints and changes are moments on it; the burn-down says how many tokens were left
after each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, choice, fields, maybe
from ib_kernel.show.spending import burn_down, spent
from ib_kernel.text import one_line

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import LedgerEvent, Message, Reservation, Session, Spent

MOST = 2_000
"""Moments of one kind that a page gets, the newest ones."""

SHOWN_EVENTS = frozenset(
    [
        *("status", "budget", "time_limit", "joined", "invited", "revoked", "clock_stopped", "refused"),
        *("warned", "withheld", "hint", "in_doubt", "resolved", "written_off", "notice"),
    ]
)
"""Kinds of events that stand in the conversation; the rest is bookkeeping."""

_DETAILS = ("from", "to", "unit", "seconds", "reason", "tokens", "needed", "left", "turn", "n", "of")

MOMENT = fields(
    {"key": TEXT, "kind": TEXT, "at": NUMBER, "at_s": NUMBER, "who": TEXT},
    {"detail": {"type": "object"}},
)
COURSE = fields(
    {
        "questions": array(
            fields(
                {
                    "turn": COUNT,
                    "at_s": NUMBER,
                    "state": choice("answered", "asking", "in_doubt", "unanswered"),
                }
            )
        ),
        "cells": array(fields({"at_s": NUMBER, "ok": FLAG})),
        "checks": array(fields({"at_s": NUMBER, "passed": COUNT, "total": COUNT, "suite": TEXT})),
        "hints": array(fields({"at_s": NUMBER, "n": COUNT})),
        "left": array({"type": "array", "items": {"type": "number"}}),
        "now_s": NUMBER,
        "limit_s": maybe(NUMBER),
    }
)


def course(
    service: TokenService,
    session: Session,
    messages: Sequence[Message],
    events: Sequence[LedgerEvent],
    open_: Sequence[Reservation],
    clock: ActiveClock,
) -> dict[str, Any]:
    """Return the course of *session* for the timeline."""
    calls = spent(service, session.session_id)
    cells, checks = _of(service.store, "cells", session), _of(service.store, "checks", session)
    hints = [event for event in events if event.kind == "hint"]
    return {
        "questions": _questions(messages, calls, open_, clock)[-MOST:],
        "cells": [{"at_s": clock.seconds(c.ended_at), "ok": c.ok} for c in cells[-MOST:]],
        "checks": [
            {"at_s": clock.seconds(c.ended_at), "passed": c.passed, "total": c.total, "suite": c.suite}
            for c in checks[-MOST:]
        ],
        "hints": [{"at_s": clock.seconds(h.created_at), "n": i} for i, h in enumerate(hints[-MOST:], 1)],
        "left": _left(session, calls, events, clock),
        "now_s": round(session.active_s, 1),
        "limit_s": session.time_limit_s,
    }


def moments(
    service: TokenService, session: Session, events: Sequence[LedgerEvent], clock: ActiveClock
) -> list[dict[str, Any]]:
    """Return what stands between the messages: changes, cells, checks, hints, in the order of time."""
    found = [
        _moment(f"e{i}", event.kind, event.created_at, clock, event.who, _detail(event, clock.factor))
        for i, event in enumerate(events)
        if event.kind in SHOWN_EVENTS
    ]
    for cell in _of(service.store, "cells", session):
        detail = {"ok": cell.ok, "error": one_line(cell.error), "n": cell.n}
        found.append(_moment(f"c{cell.n}", "cell", cell.ended_at, clock, "", detail))
    for check in _of(service.store, "checks", session):
        missing = [one_line(str(t.get("name", ""))) for t in check.tests if not t.get("ok")]
        detail = {"passed": check.passed, "total": check.total, "suite": check.suite, "missing": missing[:5]}
        found.append(_moment(f"k{check.n}", "check", check.ended_at, clock, "", detail))
    found.sort(key=lambda moment: float(moment["at"]))
    return found[-MOST:]


def _moment(
    key: str, kind: str, at: float, clock: ActiveClock, who: str, detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "key": key,
        "kind": kind,
        "at": at,
        "at_s": clock.seconds(at),
        "who": one_line(who),
        "detail": detail,
    }


def _detail(event: LedgerEvent, factor: float) -> dict[str, Any]:
    """Return the details that the page puts into words, as numbers and one-line texts."""
    kept = {name: event.detail[name] for name in _DETAILS if name in event.detail}
    if event.kind == "time_limit":
        kept |= {
            k: v / factor for k, v in kept.items() if k in ("from", "to") and isinstance(v, (int, float))
        }
    return {
        name: one_line(value)[:200] if isinstance(value, str) else value
        for name, value in kept.items()
        if value is None or isinstance(value, (str, int, float))
    }


def _questions(
    messages: Sequence[Message], calls: Sequence[Spent], open_: Sequence[Reservation], clock: ActiveClock
) -> list[dict[str, Any]]:
    asked: dict[int, tuple[float, str]] = {}
    answered = {call.turn for call in calls}
    for message in messages:
        if message.role == "user" and message.turn > 0:
            at = message.asked_at if message.asked_at is not None else message.created_at
            asked[message.turn] = at, "answered" if message.turn in answered else "unanswered"
    for reservation in open_:
        if reservation.turn > 0:
            at = asked.get(reservation.turn, (reservation.created_at, ""))[0]
            asked[reservation.turn] = at, "in_doubt" if reservation.in_doubt else "asking"
    return [
        {"turn": turn, "at_s": clock.seconds(at), "state": state}
        for turn, (at, state) in sorted(asked.items())
    ]


def _left(
    session: Session, calls: Sequence[Spent], events: Sequence[LedgerEvent], clock: ActiveClock
) -> list[list[float]]:
    """Return ``[active seconds, tokens left, budget then]`` after every call and change of budget."""
    began = session.started_at if session.started_at is not None else session.created_at
    return [
        [clock.seconds(began + at), left, budget] for at, left, budget in burn_down(session, calls, events)
    ]


def _of(store: Any, kind: str, session: Session) -> list[Any]:
    """Return the session's cells or checks; none where the ledger keeps none."""
    read = getattr(store, kind, None)
    return list(read(session.session_id)) if read else []
