"""The course of an interview on one axis: active seconds since its start, as the candidate's clock ran.

Questions, cells, checks and hints are points on it; the burn-down says how many tokens were left after each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.show.spending import burn_down, spent

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import LedgerEvent, Message, Reservation, Session, Spent

MOST = 2_000
"""Points of one kind, the newest ones."""


def course(
    service: TokenService,
    session: Session,
    messages: Sequence[Message],
    events: Sequence[LedgerEvent],
    open_: Sequence[Reservation],
    clock: ActiveClock,
) -> dict[str, Any]:
    """Return the course of a session for its timeline, as JSON-able values.

    Args:
        service: Of its ledger.
        session: The session, its times as they are to be read.
        messages: Its transcript.
        events: All of its events.
        open_: What it has reserved.
        clock: Its clock.
    """
    calls = spent(service, session.session_id)
    cells, checks = rows_of(service.store, "cells", session), rows_of(service.store, "checks", session)
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


def rows_of(store: Any, kind: str, session: Session) -> list[Any]:
    """Return the session's cells or checks; none where the ledger keeps none.

    Args:
        store: The ledger.
        kind: "cells" or "checks".
        session: The session.
    """
    read = getattr(store, kind, None)
    return list(read(session.session_id)) if read else []


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
