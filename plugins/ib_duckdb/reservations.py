"""Reservations: holding tokens for one attempt, keeping them, and charging what nothing was held for."""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.bound import Bound
from ib_duckdb.calls import NEXT_TURN, end_attempt, new_rid
from ib_duckdb.columns import BILLED_CEILING
from ib_duckdb.endings import row_of
from ib_duckdb.host_money import FITS
from ib_duckdb.host_requests import keep_request, refuse_repeated
from ib_duckdb.rows import (
    Row,
    find,
    get,
    select_reservations,
    to_reservation,
    to_totals,
)
from ib_duckdb.writer import Operation
from ib_duckdb.writing import (
    ACTIVE_NOW,
    TICKED,
    expire_if_elapsed,
    make_unresolved,
    sweep,
)
from ib_kernel.errors import ReservationError
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation, Status, Totals
from ib_kernel.values.domain import checked_seconds, clean, whole
from ib_kernel.values.ownership import new_token, owns
from ib_kernel.values.taken import call_row, checked_usage

RUNNING = """
(SELECT count(*) FROM reservations r WHERE r.session_key = sessions.session_key AND r.state = 'held')"""
"""How many attempts of a session are held."""

_ADMIT = Bound(f"""
UPDATE sessions SET held = held + :t, held_billed = held_billed + :b, held_nano_usd = held_nano_usd + :n,
    last_turn = {NEXT_TURN},
    {TICKED}
WHERE session_id = :s AND status = 'active'
    AND (time_limit_s IS NULL OR {ACTIVE_NOW} < time_limit_s)
    AND charged_tokens + held + in_doubt + :t <= token_budget
    AND coalesce(input_tokens + output_tokens + held_billed + :b <= {BILLED_CEILING}, true)
    AND (budget_nano_usd IS NULL OR cost_nano_usd + held_nano_usd + :n <= budget_nano_usd)
    AND {FITS}
    AND (:most IS NULL OR {RUNNING} < :most)
RETURNING session_key, last_turn""")  # noqa: S608 (built from our own names)
"""Check and reservation in one statement: `used + held + in doubt + new ≤ budget`, in each currency."""

_INSERT = Bound("""
INSERT INTO reservations (rid, session_key, tokens, nano_usd, lease_until, owner, created_at, state,
    doubt_reason, turn, attempt, client, model, counted_tokens, counted_exact, prompt_version, owner_hash,
    sent_hmac, history_from_turn, billed_tokens)
VALUES (:rid, :session_key, :tokens, :nano_usd, :lease_until, :owner, :created_at,
    :state, :doubt_reason, :turn, :attempt, :client, :model, :counted_tokens, :counted_exact, :prompt_version,
    :owner_hash, :sent_hmac, :history_from_turn, :billed_tokens)""")

_TAKEN = """
SELECT 1 FROM calls WHERE session_key = :key AND turn = :turn AND attempt = :attempt
UNION ALL SELECT 1 FROM reservations WHERE session_key = :key AND turn = :turn AND attempt = :attempt
LIMIT 1"""


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
        started: Row = {**call_row(call or CallStart()), "state": "held", "doubt_reason": ""}
        started |= {"rid": new_rid(), "owner_hash": owner_hash}
        started |= {"tokens": whole("tokens", tokens), "nano_usd": whole("nano_usd", nano_usd)}
        started["billed_tokens"] = whole("billed_tokens", tokens if billed is None else billed)
        started["owner"] = clean(owner) or f"{_host()}:{os.getpid()}"
        lease = checked_seconds("lease_s", lease_s)
        asked = {"t": started["tokens"], "n": started["nano_usd"], "s": clean(session_id)}
        most = call.most_running if call is not None else None
        asked |= {"turn": started["turn"], "b": started["billed_tokens"], "most": most}

        def work(db: apsw.Connection) -> Reservation | Refusal:
            now = self._now()
            if call is not None and call.request_id:
                refuse_repeated(db, session_id, call, now)
            row = {**started, "created_at": now, "lease_until": now + lease}
            admitted: list[Any] = _ADMIT.run(db, {**asked, "now": now}).fetchall()
            if not admitted:
                return _refusal(db, asked, now)
            row["session_key"], last_turn = admitted[0]
            if row["turn"] is None:
                row["turn"] = last_turn
            else:
                _refuse_taken(db, row)
            _INSERT.run(db, row)
            if call is not None and call.request_id:
                keep_request(db, row, call, now)
            return to_reservation(row, session_id, token)

        return Operation(work, self._unreserving)

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
        started: Row = {**call_row(call or CallStart()), "rid": new_rid(), "owner_hash": None}
        started |= {"state": "held", "tokens": 0, "billed_tokens": 0, "nano_usd": 0}
        texts = self._texts(messages)

        def work(db: apsw.Connection) -> Totals:
            now, key = self._now(), get(db, session_id)["session_key"]
            charged = {**started, "created_at": now, "session_key": key}
            _refuse_taken(db, charged)
            end_attempt(db, charged, end, "settled", now, texts)
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


def _refusal(db: apsw.Connection, asked: Row, now: float) -> Refusal:
    """Say why nothing was held; leases and time limits that are over are applied on the way."""
    row = find(db, asked["s"])
    if row is None:
        return Refusal("unknown_session")
    running = _running(db, row["session_key"])
    sweep(db, row["session_key"], now)
    expire_if_elapsed(db, row, now)
    row = get(db, asked["s"])
    totals = to_totals(row)
    left = totals.left
    if row["status"] == Status.EXPIRED:
        return Refusal("expired", left, row["status"])
    if row["status"] != Status.ACTIVE:
        return Refusal("inactive", left, row["status"])
    if totals.used + totals.held + totals.in_doubt + asked["t"] > totals.token_budget:
        return Refusal("budget", left, row["status"])
    billed, most = totals.billed + totals.held_billed, totals.billed_ceiling
    if most is not None and billed + asked["b"] > most:
        return Refusal("billed", max(0, most - billed), row["status"])
    if asked["most"] is not None and running >= asked["most"]:
        return Refusal("running", left, row["status"])
    money = row["cost_nano_usd"] + row["held_nano_usd"] + asked["n"]
    own = row["budget_nano_usd"] is not None and money > row["budget_nano_usd"]
    return Refusal("money" if own else "ceiling", left, row["status"])


def _running(db: apsw.Connection, key: int) -> int:
    sql = f"SELECT {RUNNING} FROM sessions WHERE session_key = ?"  # noqa: S608 (our own names)
    return next(int(count) for (count,) in db.execute(sql, (key,)))


_host = functools.cache(socket.gethostname)


def _named(db: apsw.Connection, rids: Sequence[str]) -> list[Row]:
    names = json.dumps([str(rid) for rid in rids])
    return select_reservations(db, "rid IN (SELECT value FROM json_each(?))", (names,))
