"""What a ledger must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ib_kernel.values.ledger import CallEnd, CallStart, LedgerEvent, Message, Refusal, Reservation, Totals
from ib_kernel.values.reader import Reader
from ib_kernel.values.results import QueryResult
from ib_kernel.values.session import NewSession, Session, Status


@runtime_checkable
class BudgetStore(Protocol):
    """The ledger. Synchronous; safe from several threads and, if it says so, several processes.

    Invariants, proven by `ib_kernel.testing.BudgetStoreContract`:

    - At admission ``used + held + in doubt + new ≤ budget``, checked and reserved in one conditional durable
      write; nothing acknowledged is lost. All of it is in charged tokens: what is billed under
      ``charge = "billed"``, what the caller says (at most what is billed) under ``"new"``.
    - ``(session, turn, attempt)`` is unique for turns ≥ 1. Numbers are given in the reserve's own write.
    - A reservation ends exactly once, and only by its owner: `renew`, `settle`, `release` and
      `mark_unresolved` need the value that `reserve` returned, with its `Reservation.owner_token`. The ledger
      keeps that token where nobody lists it (a hash is enough). Without it they raise `ReservationError`.
    - Everybody else decides about an *unresolved* one by `resolve` or `write_off`, with a name, recorded as
      an event. Who may do that is not the ledger's business: `TokenService` asks for the passphrase.
    - Expired leases become unresolved (`in_doubt`), never free.

    Three more methods are optional. ``spent(session_id) -> list[Spent]`` returns the session's settled
    attempts in order, cheap enough to be read after every turn; without it, widgets ask `sql`.
    ``connect()`` returns an open DuckDB connection on which the ledger's tables and views can be read, for
    `ib_kernel.connect_usage`, and ``connect_tables(tables)`` one with given Arrow tables, for its ``host=``.
    For callers on an event loop, ``areserve``, ``arenew``, ``asettle``, ``arelease``, ``amark_unresolved``
    and ``acharge`` are optional coroutines with the arguments, answers and errors of their namesakes,
    answered only when durable; a caller that is cancelled while waiting leaves nothing reserved.
    """

    name: str

    def location(self) -> str:
        """Return where the ledger lives, for people: a full path or an address without secrets."""
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
        billed_tokens: int | None = None,
    ) -> Reservation | Refusal:
        """Reserve *tokens* for one attempt, durably, or say why not. One conditional write.

        Args:
            session_id: The session that pays. An unknown one is a `Refusal`, not an error.
            tokens: Tokens to reserve of the budget (what may be charged), 0 or more.
            lease_s: Seconds until the reservation becomes unresolved unless it is renewed.
            nano_usd: Nano-dollars to reserve beside the tokens.
            owner: How the owner signs, for people; a store has a default.
            call: What is known about the attempt. ``turn=None`` allocates the session's next turn. Its
                `request_id`, if it has one, is admitted once. Its `most_running` is part of the condition.
            billed_tokens: What the service may bill for it (None: *tokens*); `Session.billed_ceiling` limits
                that.

        Returns:
            The reservation with its turn and its owner token, or a `Refusal`, which uses up no number.

        Raises:
            ConfigError: For figures that are no whole numbers of at least 0, or a time that is none.
            ReservationError: When the turn already has an attempt of that number.
            RepeatedRequest: When the session has admitted a request of that id before (`HostStore`).
        """
        ...

    def renew(self, reservations: Sequence[Reservation], *, lease_s: float) -> set[str]:
        """Extend leases to *lease_s* seconds from now.

        Returns:
            The ids that are still held by their owner. An unresolved one is not revived, and one without its
            owner token is left alone.
        """
        ...

    def settle(self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a reservation, unresolved ones included, with its real usage, and store *messages* with it.

        Messages of a turn are stored under the reservation's turn. A repeated settle never changes a figure;
        its messages are stored if the turn has none yet. When its figures differ from those recorded it is
        recorded as an event "settled_again".

        Args:
            reservation: The value that `reserve` returned.
            end: What was used; never clipped.
            messages: What goes into the transcript in the same write.

        Returns:
            True if the reservation is settled by these figures (tokens of all four kinds and cost), by this
            call or an earlier one, so that a lost answer can be repeated; False if it is settled by others.

        Raises:
            ReservationError: When it is unknown, released, written off, or not the caller's.
        """
        ...

    def release(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing. With *end*, a row of status *failed* is kept.

        Allowed while only the lease has expired. One that was marked unresolved may have been billed.

        Returns:
            True if this call ended it, False if it had ended before.

        Raises:
            ReservationError: When it is unknown, marked unresolved, or not the caller's.
            ConfigError: When *end* has used tokens.
        """
        ...

    def mark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Say that nobody knows what the attempt has cost: it stays charged until settled or written off.

        Returns:
            True if this call made it unresolved, False if it was so, or had ended, before.

        Raises:
            ReservationError: When it is unknown or not the caller's.
        """
        ...

    def resolve(self, reservation_id: str, end: CallEnd, *, who: str, reason: str = "") -> bool:
        """Settle an unresolved reservation by decision of *who*, recorded as an event "resolved".

        Returns:
            As `settle`; an event "resolved" is recorded only by the call that ended it.

        Raises:
            ReservationError: When it is unknown, still held, released or written off.
            ConfigError: When *who* is empty.
        """
        ...

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an unresolved reservation by decision of *who*; a row of status *written_off* is kept.

        Returns:
            True if this call wrote it off, False if that was done before.

        Raises:
            ReservationError: When it is unknown, still held, settled or released.
            ConfigError: When *who* is empty.
        """
        ...

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was reserved for. Never clipped, even beyond the budget.

        Args:
            session_id: The session that pays. `UnknownSession`.
            end: What was used.
            call: What is known about the attempt; its turn is allocated or checked as in `reserve`.
            messages: What goes into the transcript in the same write.

        Returns:
            The session's sums with it.
        """
        ...

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and unresolved reservations, oldest first, without their owner tokens."""
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

    def sql(self, query: str, *, reader: Reader | None = None) -> QueryResult:
        """Answer one read-only SQL query over all rows, every settled call included.

        Args:
            query: One statement that reads.
            reader: Over whose rows: what this person may see; None: all.

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


@runtime_checkable
class StoreTools(Protocol):
    """What ``ib store`` does with a ledger that has to be set up before it is opened, such as a database.

    Each returns lines for the person who asked, and raises `StoreError` with one line that says what to do.
    """

    def init(self) -> list[str]:
        """Make the ledger where there is none; the whole schema."""
        ...

    def migrate(self) -> list[str]:
        """Bring an older ledger forward; nothing recorded is lost. Refuses one that a newer version wrote."""
        ...

    def check(self) -> tuple[list[str], list[str]]:
        """Return what was looked at, and what is wrong with it (empty: nothing)."""
        ...
