"""What the record of one interview holds, read from the ledger once for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.flags import Finding, flags
from ib_kernel.assessment.judge.together import Look
from ib_kernel.assessment.judging import MADE
from ib_kernel.assessment.looks import looks_of
from ib_kernel.assessment.passages import passages_of
from ib_kernel.assessment.plan import BEGAN
from ib_kernel.errors import BuddyError
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.evidence.course import course, rows_of
from ib_kernel.interview.challenges import Challenge
from ib_kernel.show.spending import spent
from ib_kernel.values import Cell, Check, LedgerEvent, Message, Session, Spent, Totals
from ib_kernel.values.accommodation import time_factor

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview


@dataclass(frozen=True)
class Judged:
    """One asking of a judge: who, by which model and prompt, its looks, and whether it is complete."""

    judge: str
    model: str
    version: str
    looks: Sequence[Look]
    complete: bool
    tokens: int = 0

    @property
    def is_demo(self) -> bool:
        """Whether a script answered."""
        return self.judge == "demo" or self.model == "demo"


@dataclass(frozen=True)
class RecordOf:
    """Everything that a report is made from. Times are relative to the usual limit."""

    session: Session
    totals: Totals
    messages: Sequence[Message]
    events: Sequence[LedgerEvent]
    cells: Sequence[Cell]
    checks: Sequence[Check]
    calls: Sequence[Spent]
    challenge: Challenge | None
    clock: ActiveClock
    factor: float
    course: dict[str, Any]
    judged: Judged | None
    flagged: Sequence[Finding]


def read_record(interview: Interview, session: Session) -> RecordOf:
    """Return what the ledger has of a session.

    Args:
        interview: Of its ledger, on the interviewers' side.
        session: The session.
    """
    service, store = interview.service, interview.service.store
    session_id, factor = session.session_id, time_factor(session)
    messages, events = store.history(session_id), store.events(session_id)
    cells: list[Cell] = rows_of(store, "cells", session)
    clock = ActiveClock(session, events, factor)
    drawn = course(service, session, messages, events, store.reservations(session_id), clock)
    for name in ("now_s", "limit_s"):
        drawn[name] = None if drawn[name] is None else drawn[name] / factor
    return RecordOf(
        session,
        service.totals(session_id),
        messages,
        events,
        cells,
        rows_of(store, "checks", session),
        spent(service, session_id),
        interview.whole_challenge(session),
        clock,
        factor,
        drawn,
        _judged(service, events),
        flags(passages_of(messages, cells, session.candidate)),
    )


def _judged(service: Any, events: Sequence[LedgerEvent]) -> Judged | None:
    """Return the newest asking of a judge that was answered in full, else the newest."""
    made = {str(event.detail.get("judge_session")) for event in events if event.kind == MADE}
    began = [event for event in events if event.kind == BEGAN]
    chosen = next((e for e in reversed(began) if str(e.detail.get("judge_session")) in made), None)
    chosen = chosen or (began[-1] if began else None)
    if chosen is None:
        return None
    session_id = str(chosen.detail.get("judge_session"))
    try:
        looks, tokens = looks_of(service.store, session_id), service.totals(session_id).used
    except BuddyError:  # it was erased on its own, or is on another ledger
        looks, tokens = [], 0
    names = (str(chosen.detail.get(name, "")) for name in ("judge", "model", "version"))
    judge, model, version = names
    return Judged(judge, model, version, looks, session_id in made, tokens)
