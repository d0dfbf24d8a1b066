"""Which session to go on with: found by its id, or named where there is none in use."""

from __future__ import annotations

from ib_kernel.budget.service import TokenService
from ib_kernel.budget.unresolved import left_behind
from ib_kernel.errors import UnknownSession, did_you_mean
from ib_kernel.values import BudgetStore, Session, Status
from ib_kernel.values.judging import is_judges


def find_session(service: TokenService, session_id: str) -> Session:
    """Return the session of that id. `UnknownSession` says which is meant."""
    try:
        return service.get_session(session_id)
    except UnknownSession:
        known = [s.session_id for s in service.store.sessions(limit=200)]
        hint = did_you_mean(session_id, known) or ". %interview sessions lists them."
        raise UnknownSession(f"no session {session_id!r} in this ledger{hint}") from None


def no_session_line(store: BudgetStore) -> str:
    """Return what to type when no session is in use, the last one that could go on by its name."""
    open_ = (Status.ACTIVE, Status.PAUSED)
    active = [s for s in store.sessions(limit=20) if s.status in open_ and not is_judges(s)]
    line = 'no session yet. Type %interview start "Backend engineer" to begin'
    if not active:
        return f"{line}, or %interview use ID to go on with an earlier one."
    last = active[0]
    line = f"{line}, or %interview use {last.session_id} to go on with {last.candidate}'s ({last.status})."
    doubts = left_behind(store.reservations(last.session_id), own=last.session_id)
    return f"{line} There {doubts}" if doubts else line
