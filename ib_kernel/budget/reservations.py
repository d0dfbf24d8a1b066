"""Reservations: keep tokens free before something is spent, and end each reservation exactly once.

Everything that reserves, settles, releases or decides goes through here, `ib_kernel.turn` included.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ib_kernel.budget.access import LedgerAccess, actor
from ib_kernel.budget.parsing import parse_id, parse_tokens, require_active
from ib_kernel.budget.refused import RefusedEvents
from ib_kernel.budget.sessions import SessionManager
from ib_kernel.errors import ReservationError, StoreError
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, Refusal, Reservation

OWNER = f"{os.getpid()}@{os.uname().nodename if hasattr(os, 'uname') else 'local'}"
"""How this process signs its reservations."""


class ReservationManager:
    """The reservations of one ledger. Safe from several threads."""

    def __init__(self, access: LedgerAccess, sessions: SessionManager) -> None:
        self._access, self._sessions = access, sessions
        self._lock = threading.Lock()
        self._own: dict[str, deque[Reservation]] = defaultdict(deque)
        self._refused = RefusedEvents(lambda: access.store)

    # --- by their owner

    def reserve_tokens(self, session_id: str, estimated: int) -> Reservation | None:
        """Reserve *estimated* tokens for `Settings.hold_s` seconds (renewable).

        The check and the reservation are one durable write, so processes never reserve more than there is.

        Args:
            session_id: The session that pays.
            estimated: Tokens to reserve, input and output together.

        Returns:
            The reservation, which only its holder can settle or release; None when it is refused: too little
            is left, the session is not active, or there is no such session.

        Raises:
            ConfigError: When *estimated* is no whole number of at least 0.
        """
        reserved = self.reserve(session_id, estimated)
        return reserved if isinstance(reserved, Reservation) else None

    def reserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float | None = None,
        nano_usd: int = 0,
        call: CallStart | None = None,
        billed_tokens: int | None = None,
    ) -> Reservation | Refusal:
        """Reserve like `reserve_tokens`, but return a `Refusal` that says why not.

        Args:
            session_id: The session that pays.
            tokens: Tokens to reserve.
            lease_s: Seconds until the reservation becomes unresolved unless renewed. None: `Settings.hold_s`,
                and `update_consumption` may settle it.
            nano_usd: Nano-dollars to reserve beside the tokens.
            call: What is known about the attempt; ``turn=None`` begins a turn with the next number.
            billed_tokens: What the service may bill for it, where that is more than what is charged; None:
                *tokens*.
        """
        tokens = parse_tokens("estimated", tokens)
        lease = self._access.settings.hold_s if lease_s is None else lease_s
        beside: dict[str, int] = {}
        if billed_tokens is not None and billed_tokens != tokens:  # else not named: older stores
            beside = {"billed_tokens": billed_tokens}
        reserved = self._access.store.reserve(
            parse_id(session_id), tokens, lease_s=lease, nano_usd=nano_usd, owner=OWNER, call=call, **beside
        )
        if isinstance(reserved, Reservation) and lease_s is None:
            with self._lock:
                self._own[session_id].append(reserved)
        return reserved

    def renew(self, reservation: Reservation, lease_s: float | None = None) -> bool:
        """Extend a reservation's lease.

        Args:
            reservation: What `reserve` or `reserve_tokens` returned.
            lease_s: Seconds from now on; None: `Settings.hold_s`.

        Returns:
            False when it is no longer held, or not the caller's.
        """
        lease = self._access.settings.hold_s if lease_s is None else lease_s
        return bool(self._access.store.renew([reservation], lease_s=lease))

    def settle_call(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> bool:
        """End a reservation with what was used, and store *messages* (see `BudgetStore.settle`).

        Args:
            reservation: What `reserve` or `reserve_tokens` returned.
            end: What the attempt has cost.
            messages: What was asked and answered, for the transcript.

        Returns:
            False when it had been settled with other figures; these are then an event.

        Raises:
            ReservationError: It was released or written off, or is not the caller's.
        """
        with self.forgotten_after(reservation):
            return self._access.store.settle(reservation, end, messages=messages)

    def release(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing.

        Args:
            reservation: What `reserve` or `reserve_tokens` returned.
            end: How the attempt failed, to be kept as a row.

        Returns:
            False when it had ended already.

        Raises:
            ReservationError: When it was marked unresolved, or is not the caller's.
        """
        with self.forgotten_after(reservation):
            return self._access.store.release(reservation, end)

    def mark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Leave a reservation charged because nobody knows what it has cost.

        Args:
            reservation: What `reserve` or `reserve_tokens` returned.
            reason: Why, in a few words.
            messages: What had arrived, for the transcript.

        Returns:
            True if this call made it unresolved (*in doubt*).
        """
        with self.forgotten_after(reservation):
            return self._access.store.mark_unresolved(reservation, reason, messages=messages)

    def settle_oldest(self, session_id: str, end: CallEnd) -> None:
        """Settle this service's oldest open reservation of the session, or charge directly without one.

        `SessionInactive` when there is none and the session is not active.
        """
        session = self._sessions.get_session(session_id)
        while (reservation := self._oldest(session_id)) is not None:
            try:
                self._access.store.settle(reservation, end)
                return
            except ReservationError:  # ended elsewhere: try the next one
                continue
            except StoreError:  # nothing was written: it is still there to be settled
                with self._lock:
                    self._own[session_id].appendleft(reservation)
                raise
        require_active(session)
        self._access.store.charge(session_id, end)

    def record(self, event: LedgerEvent) -> None:
        """Record an event about a session.

        Args:
            event: What happened, to which session, and who did it. Of refusals, a session's first
                `refused.MOST` are kept.

        Raises:
            UnknownSession: There is no such session.
        """
        if self._refused.take(event):
            self._access.store.add_event(event)

    # --- by somebody's decision

    def resolve(
        self, reservation_id: str, end: CallEnd, *, reason: str = "", passphrase: str | None = None
    ) -> bool:
        """Settle an unresolved reservation with figures that somebody knows.

        It is recorded who did it, in an event "resolved".

        Args:
            reservation_id: The whole id.
            end: The figures.
            reason: Why, for the event.
            passphrase: The session's, if it is locked.

        Returns:
            True if the reservation is settled by these figures; False if it is settled by others.

        Raises:
            Locked: In a locked session without its passphrase.
            ReservationError: When it is unknown, still held, released or written off.
        """
        found = self._unlock(reservation_id, passphrase, "settling")
        end = _charged(found, end)
        done = self._access.store.resolve(reservation_id, end, who=actor(), reason=reason)
        if done and found is not None:
            self._access.changed(self._sessions.get_session(found.session_id), "resolved")
        return done

    def write_off(self, reservation_id: str, *, reason: str = "", passphrase: str | None = None) -> bool:
        """Free what a reservation in doubt still charges. It is recorded who did it.

        Args:
            reservation_id: The whole id.
            reason: Why, for the event.
            passphrase: The session's, if it is locked.

        Returns:
            False when that was done before.

        Raises:
            Locked: In a locked session without its passphrase.
            ReservationError: When it is unknown, still held or settled.
        """
        found = self._unlock(reservation_id, passphrase, "writing off")
        done = self._access.store.write_off(reservation_id, who=actor(), reason=reason)
        if done and found is not None:
            self._access.changed(self._sessions.get_session(found.session_id), "written off")
        return done

    def _unlock(self, reservation_id: str, passphrase: str | None, what: str) -> Reservation | None:
        listed = self._access.store.reservations()
        found = next((r for r in listed if r.reservation_id == reservation_id), None)
        if found is not None:
            self._sessions.unlock(found.session_id, passphrase, what)
        return found

    def _oldest(self, session_id: str) -> Reservation | None:
        with self._lock:
            own = self._own.get(session_id)
            return own.popleft() if own else None

    @contextmanager
    def forgotten_after(self, reservation: Reservation) -> Iterator[None]:
        """Forget a reservation once its end is written; one whose end could not be written is kept."""
        try:
            yield
        except StoreError:
            raise
        except BaseException:
            self._forget(reservation)
            raise
        self._forget(reservation)

    def _forget(self, reservation: Reservation) -> None:
        with self._lock:
            own = self._own.get(reservation.session_id)
            if own and reservation in own:
                own.remove(reservation)


def _charged(reservation: Reservation | None, end: CallEnd) -> CallEnd:
    """Return *end* with what is charged of it: what was to be free of the prompt stays free."""
    if reservation is None or end.charged_tokens is not None:
        return end
    free = reservation.billed_tokens - reservation.tokens
    if free <= 0:
        return end
    return dataclasses.replace(end, charged_tokens=max(0, end.input_tokens - free) + end.output_tokens)
