"""Reservations: holding tokens for one attempt, keeping them, and charging what nothing was held for."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from ib_kernel.errors import RepeatedRequest, ReservationError
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation, Totals
from ib_kernel.values.domain import checked_seconds, clean, whole
from ib_kernel.values.ownership import new_token, owner_hash
from ib_kernel.values.taken import call_row, checked_usage
from ib_postgres.base import Part, bytea
from ib_postgres.endings import figures_row
from ib_postgres.faults import Conflict
from ib_postgres.host_requests import to_request
from ib_postgres.keys import key_of, new_rid, session_key
from ib_postgres.rows import Row, to_reservation, to_totals, unknown
from ib_postgres.text import given, stored
from ib_postgres.writer import Write

_OPEN = """
SELECT r.*, s.session_id FROM ib.reservations AS r JOIN ib.sessions AS s USING (session_key)
WHERE %(key)s::bigint IS NULL OR r.session_key = %(key)s
ORDER BY r.created_at, r.turn, r.attempt, r.rid"""

_STALE = """
SELECT 1 FROM ib.reservations AS r
WHERE (%(key)s::bigint IS NULL OR r.session_key = %(key)s) AND r.state = 'held'
    AND r.lease_until <= coalesce(%(now)s, extract(epoch FROM statement_timestamp())) LIMIT 1"""

Asking = tuple[Write, Callable[[Any], Any]]
"""A write, and what makes its answer of what the database says."""

_TRIES = 3
"""How often a reservation is asked for when somebody else was first with the same request or id."""


class Reservations(Part):
    """What reserves tokens, and what charges them."""

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
        """Reserve *tokens* for one attempt, durably, or say why not (see `BudgetStore.reserve`)."""
        held = (tokens, billed_tokens, nano_usd)
        write, answer = self._reserving(session_id, held, lease_s, owner, call)
        for _ in range(_TRIES - 1):
            try:
                reserved: Reservation | Refusal = answer(self._write(write))
                return reserved
            except Conflict as conflict:
                _once_more(conflict, write)
        last: Reservation | Refusal = answer(self._write(write))
        return last

    async def areserve(
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
        """Do the same for a caller on an event loop; one that is cancelled while waiting leaves nothing."""
        held = (tokens, billed_tokens, nano_usd)
        write, answer = self._reserving(session_id, held, lease_s, owner, call)
        for _ in range(_TRIES - 1):
            try:
                reserved: Reservation | Refusal = answer(await self._awrite(write))
                return reserved
            except Conflict as conflict:
                _once_more(conflict, write)
        last: Reservation | Refusal = answer(await self._awrite(write))
        return last

    def renew(self, reservations: Sequence[Reservation], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held by their owner (see `BudgetStore.renew`)."""
        return set(self._write(self._renewing(reservations, lease_s)))

    async def arenew(self, reservations: Sequence[Reservation], *, lease_s: float) -> set[str]:
        """Do the same for a caller on an event loop."""
        return set(await self._awrite(self._renewing(reservations, lease_s)))

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for (see `BudgetStore.charge`)."""
        write = self._charging(session_id, end, call, messages)
        try:
            return _charged(session_id, self._write(write))
        except Conflict as conflict:
            _once_more(conflict, write)
        return _charged(session_id, self._write(write))

    async def acharge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Do the same for a caller on an event loop."""
        write = self._charging(session_id, end, call, messages)
        try:
            return _charged(session_id, await self._awrite(write))
        except Conflict as conflict:
            _once_more(conflict, write)
        return _charged(session_id, await self._awrite(write))

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and unresolved reservations, oldest first, without their owner tokens."""
        key = None if session_id is None else self._row(session_id)["session_key"]
        values = {"key": key, "now": self._moment()}
        if self._database.read(_STALE, values):
            self._call("refresh", self._asked(session_key=key))
        rows = self._database.read(_OPEN, values)
        return [to_reservation(row, given(row["session_id"])) for row in rows]

    def _reserving(
        self,
        session_id: str,
        held: tuple[int, int | None, int],
        lease_s: float,
        owner: str,
        call: CallStart | None,
    ) -> Asking:
        tokens, billed, nano_usd = held
        token, hashed = new_token()
        started = call_columns(call or CallStart())
        started |= {"rid": new_rid(session_key(clean(session_id))), "owner_hash": bytea(hashed)}
        started |= {"tokens": whole("tokens", tokens), "nano_usd": whole("nano_usd", nano_usd)}
        started["billed_tokens"] = whole("billed_tokens", tokens if billed is None else billed)
        started["owner"] = stored(clean(owner)) or f"{_host()}:{os.getpid()}"
        lease = checked_seconds("lease_s", lease_s)
        asked = self._of(session_id, lease_s=lease, **started)
        if call is not None and call.most_running is not None:
            asked["most_running"] = whole("most_running", call.most_running)
        if call is not None and call.request_id:
            asked |= {"request_id": stored(clean(call.request_id)), "request_sha": clean(call.request_sha)}
        undo = Write("release", self._asked(**{name: asked[name] for name in _OWNED}))

        def answer(said: Any) -> Reservation | Refusal:
            if "refused" in said:
                return Refusal(**said["refused"])
            if "repeated" in said:
                raise _repeated(said["repeated"])
            at = {"created_at": said["created_at"], "lease_until": said["created_at"] + lease}
            rest = {"state": "held", "doubt_reason": "", "turn": said["turn"]}
            return to_reservation({**asked, **at, **rest}, session_id, token)

        return Write("reserve", asked, undo), answer

    def _renewing(self, reservations: Sequence[Reservation], lease_s: float) -> Write:
        mine = [
            owned(reservation, key)
            for reservation in reservations
            if (key := key_of(reservation.reservation_id)) is not None
        ]
        return Write("renew", self._asked(lease_s=checked_seconds("lease_s", lease_s), reservations=mine))

    def _charging(
        self, session_id: str, end: CallEnd, call: CallStart | None, messages: Sequence[Message]
    ) -> Write:
        started = call_columns(call or CallStart())
        started["rid"] = new_rid(session_key(clean(session_id)))
        asked = self._of(session_id, end=figures_row(checked_usage(end)), **started)
        return Write("charge", asked | {"messages": self._texts(messages)})


_OWNED = ("session_key", "rid", "owner_hash")


def owned(reservation: Reservation, key: int) -> Row:
    """Return by what the database knows that *reservation* is its owner's."""
    hashed = bytea(owner_hash(reservation.owner_token))
    return {"session_key": key, "rid": reservation.reservation_id, "owner_hash": hashed}


def call_columns(call: CallStart) -> Row:
    """Return the columns of an attempt that begins, as the database takes them."""
    row = call_row(call)
    exact = row["counted_exact"]
    row["counted_exact"] = None if exact is None else bool(exact)
    return {name: stored(value) if isinstance(value, str) else value for name, value in row.items()}


def _once_more(conflict: Conflict, write: Write) -> None:
    """Prepare *write* to be asked again after somebody was first; `ReservationError` for a turn's attempt."""
    if conflict.state == "IB001" or conflict.constraint.endswith("_by_turn"):
        raise ReservationError(
            f"turn {write.asked['turn']} has an attempt {write.asked['attempt']} already; a retry needs the "
            "next number, a new turn none (turn=None)"
        ) from None
    if conflict.constraint:  # an earlier attempt of this very write has happened
        write.asked["again"] = True


def _repeated(found: Row) -> RepeatedRequest:
    request = to_request(found)
    return RepeatedRequest(
        f"request {request.request_id!r} was admitted before, as turn {request.turn}, and is "
        f"{request.state}; a new one needs an id of its own",
        request,
    )


def _charged(session_id: str, said: Any) -> Totals:
    if "error" in said:
        raise unknown(session_id)
    return to_totals(said)


_host = functools.cache(socket.gethostname)
