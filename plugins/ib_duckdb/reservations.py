"""Reservations: holding tokens for one attempt, keeping them, and charging what nothing was held for."""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.admission import billed, left
from ib_duckdb.base import Part
from ib_duckdb.batch import Batch, is_answered
from ib_duckdb.calls import new_rid
from ib_duckdb.endings import row_of
from ib_duckdb.host_requests import keep_request, refuse_repeated
from ib_duckdb.rows import (
    Row,
    get,
    select_reservations,
    to_reservation,
    to_totals,
)
from ib_duckdb.writer import Joint, Operation
from ib_duckdb.writing import (
    expire_if_elapsed,
    make_unresolved,
    sweep,
)
from ib_kernel.errors import ReservationError
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation, Totals
from ib_kernel.values.domain import checked_seconds, clean, whole
from ib_kernel.values.ledger import Reason
from ib_kernel.values.ownership import new_token, owns
from ib_kernel.values.taken import call_row, checked_usage

_TAKEN = """
SELECT 1 FROM calls WHERE session_key = :key AND turn = :turn AND attempt = :attempt
UNION ALL SELECT 1 FROM reservations WHERE session_key = :key AND turn = :turn AND attempt = :attempt
LIMIT 1"""

_NO_CALL = CallStart()


class Reservations(Part):
    """What reserves tokens, and what charges them; each an operation that may share a transaction."""

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
        return self._writer.run(self._reserving(session_id, held, lease_s, owner, call))

    def renew(self, reservations: Sequence[Reservation], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held by their owner (see `BudgetStore.renew`)."""
        return self._writer.run(self._renewing(reservations, lease_s))

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for (see `BudgetStore.charge`)."""
        totals = self._writer.run(self._charging(session_id, end, call, messages))
        self._moved_soon()
        return totals

    def _reserving(
        self,
        session_id: str,
        held: tuple[int, int | None, int],
        lease_s: float,
        owner: str,
        call: CallStart | None,
    ) -> Operation[Reservation | Refusal]:
        tokens, billed, nano_usd = held
        token, owner_hash = new_token()
        asked: Row = {
            **call_row(call or _NO_CALL),
            "state": "held",
            "doubt_reason": "",
            "rid": new_rid(),
            "owner_hash": owner_hash,
            "tokens": whole("tokens", tokens),
            "nano_usd": whole("nano_usd", nano_usd),
            "billed_tokens": whole("billed_tokens", tokens if billed is None else billed),
            "owner": clean(owner) or f"{_host()}:{os.getpid()}",
            "most_running": call.most_running if call is not None else None,
        }
        lease, name = checked_seconds("lease_s", lease_s), clean(session_id)
        request = call if call is not None and call.request_id else None

        def hold(batch: Batch) -> Reservation | Refusal | None:
            session = batch.session(name)
            if session is None:
                return None
            reason = batch.refused(session, asked)
            if reason is not None:
                return None if batch.is_due(session) else _refusal(reason, session)
            row = {**asked, "session_key": session["session_key"], "created_at": batch.now}
            row["lease_until"] = batch.now + lease
            batch.hold(session, row)
            return to_reservation(row, session_id, token)

        def work(db: apsw.Connection) -> Reservation | Refusal:
            now = self._now()
            if request is not None:
                refuse_repeated(db, session_id, request, now)
            batch = Batch(db, now)
            batch.read([name])
            held = hold(batch)
            if held is None:
                return _refused_when_due(db, batch, name, asked)
            if held:
                row = batch.reserved[0]
                _refuse_taken(db, row)
                batch.write()
                if request is not None:
                    keep_request(db, row, request, now)
            return held

        plain = request is None and not asked["turn"] and lease > 0
        return Operation(work, self._unreserving, Joint(hold, session_id=name) if plain else None)

    def _unreserving(self, answer: Reservation | Refusal) -> Operation[Any] | None:
        """Return what releases a reservation that its asker does not wait for any more."""
        return self._releasing(answer, None) if isinstance(answer, Reservation) else None

    def _renewing(self, reservations: Sequence[Reservation], lease_s: float) -> Operation[set[str]]:
        lease = checked_seconds("lease_s", lease_s)
        named = {reservation.reservation_id: reservation for reservation in reservations}

        def work(db: apsw.Connection) -> set[str]:
            now, kept = self._now(), set()
            for row in _named(db, list(named)):
                if row["state"] != "held" or not owns(named[row["rid"]], row):
                    continue
                if row["lease_until"] <= now:
                    make_unresolved(db, row, "expired", "lease expired", now)
                else:
                    values = (now + lease, row["rid"])
                    db.execute("UPDATE reservations SET lease_until = ? WHERE rid = ?", values)
                    kept.add(row["rid"])
            return kept

        return Operation(work)

    def _charging(
        self, session_id: str, end: CallEnd, call: CallStart | None, messages: Sequence[Message]
    ) -> Operation[Totals]:
        end = checked_usage(end)
        started: Row = {**call_row(call or _NO_CALL), "rid": new_rid(), "owner_hash": None}
        started |= {"state": "held", "tokens": 0, "billed_tokens": 0, "nano_usd": 0}
        texts = self._texts(messages)

        def work(db: apsw.Connection) -> Totals:
            now, key = self._now(), get(db, session_id)["session_key"]
            charged = {**started, "created_at": now, "session_key": key}
            _refuse_taken(db, charged)
            charged["answered"] = is_answered(db, key, charged["turn"])
            batch = Batch(db, now)
            batch.read([clean(session_id)], ending=True)
            batch.end(charged, end, "settled", texts)
            batch.write()
            return to_totals(get(db, session_id))

        return Operation(work)

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and unresolved reservations, oldest first, without their owner tokens."""
        now = self._now()
        with self._hot.read() as db:
            key = get(db, session_id)["session_key"] if session_id is not None else None
            stale = select_reservations(db, "state = 'held' AND lease_until <= ?", (now,))
        if any(key in (None, row["session_key"]) for row in stale):
            with self._hot.write() as db:
                sweep(db, key, now)
            self._moved_soon()
        with self._hot.read() as db:
            where, values = ("session_key = ?", (key,)) if key is not None else ("true", ())
            rows = select_reservations(db, where, values)
            return [to_reservation(row, row_of(db, row)["session_id"]) for row in rows]


def _refuse_taken(db: apsw.Connection, row: Row) -> None:
    """Raise `ReservationError` when *row*'s turn has an attempt of that number already."""
    if row["turn"]:
        values = {"key": row["session_key"], "turn": row["turn"], "attempt": row["attempt"]}
        if db.execute(_TAKEN, values).fetchone():
            raise ReservationError(
                f"turn {row['turn']} has an attempt {row['attempt']} already; a retry needs the next number, "
                "a new turn none (turn=None)"
            )


def _refused_when_due(db: apsw.Connection, batch: Batch, name: str, asked: Row) -> Refusal:
    """Say why nothing was held in a session that there is not, or where a lease or the time limit is over.

    Both are applied on the way; who had them held still counts as running.
    """
    session = batch.session(name)
    if session is None:
        return Refusal("unknown_session")
    reason = batch.refused(session, asked)
    sweep(db, session["session_key"], batch.now)
    expire_if_elapsed(db, session, batch.now)
    assert reason is not None  # noqa: S101 (for the type checker)
    return _refusal(reason, get(db, name))


def _refusal(reason: Reason, session: Row) -> Refusal:
    could = left(session)
    if reason == "billed":
        could = max(0, session["billed_ceiling"] - billed(session))
    return Refusal(reason, could, session["status"])


_host = functools.cache(socket.gethostname)


def _named(db: apsw.Connection, rids: Sequence[str]) -> list[Row]:
    names = json.dumps([str(rid) for rid in rids])
    return select_reservations(db, "rid IN (SELECT value FROM json_each(?))", (names,))
