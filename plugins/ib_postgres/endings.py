"""Each of the ways a reservation can end: by its owner, or by somebody's decision when nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.values import CallEnd, Message, Reservation
from ib_kernel.values.domain import clean
from ib_kernel.values.ownership import not_the_owner, owner_hash
from ib_kernel.values.taken import checked_usage, figures, require_name
from ib_postgres.base import Part, bytea
from ib_postgres.keys import key_of
from ib_postgres.rows import Row
from ib_postgres.text import stored
from ib_postgres.writer import Write

_WHERE = """
SELECT session_key FROM ib.reservations WHERE rid = %(rid)s
UNION ALL SELECT session_key FROM ib.calls WHERE rid = %(rid)s
UNION ALL SELECT session_key FROM ib.released WHERE rid = %(rid)s LIMIT 1"""


class Endings(Part):
    """The ends of reservations."""

    def settle(self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a reservation with its real usage (see `BudgetStore.settle`)."""
        return _same(reservation.reservation_id, self._write(self._settling(reservation, end, messages)))

    async def asettle(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Do the same for a caller on an event loop."""
        write = self._settling(reservation, end, messages)
        return _same(reservation.reservation_id, await self._awrite(write))

    def release(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing (see `BudgetStore.release`)."""
        said = self._write(self._releasing(reservation, end))
        return _done(reservation.reservation_id, said, "released")

    async def arelease(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """Do the same for a caller on an event loop."""
        said = await self._awrite(self._releasing(reservation, end))
        return _done(reservation.reservation_id, said, "released")

    def mark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Say that nobody knows what the attempt has cost (see `BudgetStore.mark_unresolved`)."""
        said = self._write(self._marking(reservation, reason, messages))
        return _done(reservation.reservation_id, said, "in doubt")

    async def amark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Do the same for a caller on an event loop."""
        said = await self._awrite(self._marking(reservation, reason, messages))
        return _done(reservation.reservation_id, said, "in doubt")

    def resolve(self, reservation_id: str, end: CallEnd, *, who: str, reason: str = "") -> bool:
        """Settle an unresolved reservation by decision of *who* (see `BudgetStore.resolve`)."""
        end = checked_usage(end)
        require_name("settling what is in doubt", who)
        said = self._call("resolve", self._deciding(reservation_id, who, reason, end=figures_row(end)))
        return _same(reservation_id, said)

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an unresolved reservation by decision of *who* (see `BudgetStore.write_off`)."""
        require_name("a write-off", who)
        said = self._call("write_off", self._deciding(reservation_id, who, reason))
        return _done(reservation_id, said, "written off")

    def _settling(self, reservation: Reservation, end: CallEnd, messages: Sequence[Message]) -> Write:
        asked = self._ending(reservation, end=figures_row(checked_usage(end)))
        return Write("settle", asked | {"messages": self._texts(messages)})

    def _releasing(self, reservation: Reservation, end: CallEnd | None) -> Write:
        if end is None:
            return Write("release", self._ending(reservation))
        end = checked_usage(end)
        if end.input_tokens or end.output_tokens:
            raise ConfigError("release() is for attempts that cost nothing; settle() this one")
        return Write("release", self._ending(reservation, end=figures_row(end)))

    def _marking(self, reservation: Reservation, reason: str, messages: Sequence[Message]) -> Write:
        texts = self._texts(messages)
        return Write(
            "mark_unresolved", self._ending(reservation, reason=stored(clean(reason)), messages=texts)
        )

    def _ending(self, reservation: Reservation, **values: Any) -> Row:
        rid = reservation.reservation_id
        hashed = bytea(owner_hash(reservation.owner_token))
        return self._asked(session_key=self._key_of(rid), rid=stored(clean(rid)), owner_hash=hashed, **values)

    def _deciding(self, rid: str, who: str, reason: str, **values: Any) -> Row:
        told = {"who": stored(clean(who)), "reason": stored(clean(reason))}
        return self._asked(session_key=self._key_of(rid), rid=stored(clean(rid)), **told, **values)

    def _key_of(self, rid: str) -> int:
        """Return the session's key of a reservation; it is looked for when another ledger made the id."""
        key = key_of(rid)
        if key is not None:
            return key
        rows = self._database.read(_WHERE, {"rid": stored(clean(rid))})
        if not rows:
            raise _ended_otherwise(rid, None, "")
        return int(rows[0]["session_key"])


def figures_row(end: CallEnd) -> Row:
    """Return the columns of an attempt's end, as the database takes them."""
    row = {name: stored(v) if isinstance(v, str) else v for name, v in figures(end).items()}
    return row | {"charged_tokens": end.charged_tokens}


def _same(rid: str, said: Any) -> bool:
    _refuse(rid, said, "settled")
    return bool(said["same"])


def _done(rid: str, said: Any, wanted: str) -> bool:
    _refuse(rid, said, wanted)
    return bool(said["done"])


def _refuse(rid: str, said: Any, wanted: str) -> None:
    """Raise what is wrong with ending a reservation this way, if something is."""
    problem = said.get("error")
    if problem == "not_owner":
        raise not_the_owner(rid)
    if problem == "held":
        raise ReservationError(
            f"reservation {rid} is still held by {said['owner']}; only one in doubt can be {wanted}"
        )
    if problem == "in_doubt":
        raise ReservationError(f"reservation {rid} is in doubt ({said['reason']}); settle it or write it off")
    if problem == "ended":
        raise _ended_otherwise(rid, said["how"], wanted)


def _ended_otherwise(rid: str, how: str | None, wanted: str) -> ReservationError:
    if not how:
        return ReservationError(f"no reservation {rid!r} in this ledger")
    return ReservationError(f"reservation {rid} was {how}, so it cannot be {wanted}")
