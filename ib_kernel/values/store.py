"""What a ledger must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ib_kernel.values.ledger import (
    CallEnd,
    CallStart,
    LedgerEvent,
    Message,
    NewSession,
    Refusal,
    Reservation,
    Session,
    Status,
    Totals,
)
from ib_kernel.values.results import QueryResult


@runtime_checkable
class BudgetStore(Protocol):
    """The ledger. Synchronous; safe from several threads and, if it says so, several processes.

    Invariants, proven by `ib_kernel.testing.BudgetStoreContract`: at admission ``used + held + in_doubt +
    new ≤ budget``, checked and held in one conditional durable write; a reservation ends exactly once and
    a repeated end with the same id is a no-op; nothing acknowledged is lost; expired leases become in
    doubt, never free.

    Two more methods are optional. ``spent(session_id) -> list[Spent]`` returns the session's settled
    attempts in order, cheap enough to be read after every turn; without it, widgets ask `sql`.
    ``connect()`` returns an open DuckDB connection on which the ledger's tables and views can be read, for
    `ib_kernel.connect_usage`.
    """

    name: str

    def location(self) -> str:
        """Where the ledger lives, for people: a full path or an address without secrets."""
        ...

    # sessions
    def open_session(self, new: NewSession) -> Session:
        """Record a new session in state *created*. `SessionError` when the id is taken."""
        ...

    def session(self, session_id: str) -> Session:
        """Return the session as it is now (an elapsed time limit has been applied). `UnknownSession`."""
        ...

    def sessions(self, *, status: Status | None = None, limit: int | None = None) -> list[Session]:
        """Return sessions, newest first."""
        ...

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move the session to *status* and record an event. `SessionInactive` for a wrong transition."""
        ...

    def set_budget(
        self, session_id: str, *, tokens: int | None = None, nano_usd: int | None = None, who: str = ""
    ) -> Session:
        """Set the total budget and record an event. `BudgetRefused` below used + held + in doubt."""
        ...

    def extend_budget(self, session_id: str, tokens: int, *, who: str = "") -> Session:
        """Add *tokens* (may be negative) to the total in one write, with the same refusal."""
        ...

    def set_time_limit(self, session_id: str, seconds: float | None, *, who: str = "") -> Session:
        """Set the time limit in active seconds (None: none) and record an event."""
        ...

    # reservations
    def reserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float,
        nano_usd: int = 0,
        owner: str = "",
        call: CallStart | None = None,
    ) -> Reservation | Refusal:
        """Hold *tokens* (≥ 0) for one attempt, durably, or say why not. One conditional write."""
        ...

    def renew(self, reservation_ids: Sequence[str], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held (an in-doubt one is not revived)."""
        ...

    def settle(self, reservation_id: str, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a hold or an in-doubt one with its real usage, and store *messages* in the same write.

        True when this call ended it, False when it had been settled already (nothing changes).
        `ReservationError` when unknown, released or written off.
        """
        ...

    def release(self, reservation_id: str, end: CallEnd | None = None) -> bool:
        """End a hold that has cost nothing. With *end*, a row of status *failed* is kept. Idempotent."""
        ...

    def doubt(self, reservation_id: str, reason: str, *, messages: Sequence[Message] = ()) -> bool:
        """Mark a hold as in doubt: it stays charged until settled or written off. Idempotent."""
        ...

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an in-doubt hold by decision of *who*; a row of status *written_off* is kept."""
        ...

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for. Never clipped, even beyond the budget."""
        ...

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and in-doubt reservations, oldest first."""
        ...

    # reading
    def totals(self, session_id: str) -> Totals:
        """Return the session's sums from the hot ledger, in about a millisecond. `UnknownSession`."""
        ...

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript in order; empty when transcripts are not stored."""
        ...

    def add_event(self, event: LedgerEvent) -> None:
        """Record an event about a session."""
        ...

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return the session's events in order."""
        ...

    def sql(self, query: str) -> QueryResult:
        """Answer one read-only SQL query over all rows, every settled call included.

        `QueryError` for the user's mistakes, `StoreBusy` when the file is open elsewhere for writing.
        """
        ...

    def check(self) -> list[str]:
        """Rebuild totals from rows; return one line per disagreement (empty: the ledger adds up)."""
        ...

    def flush(self) -> None:
        """Move what is final to where it is analysed, if that is possible right now."""
        ...

    def close(self) -> None:
        """Flush and release files and threads. The store is not used afterwards. Idempotent."""
        ...
