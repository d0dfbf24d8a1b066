"""Reservations: holding tokens for one attempt, and each of the ways a hold can end."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.rows import (
    Row,
    checked_seconds,
    clean,
    find,
    get,
    select_holds,
    select_sessions,
    to_reservation,
    to_totals,
    whole,
)
from ib_duckdb.writing import (
    ended_how,
    expire_if_elapsed,
    free_hold,
    note,
    put_in_doubt,
    sweep,
    write_call,
    write_messages,
)
from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation, Status, Totals

_ADMIT = """
UPDATE sessions SET held = held + :t, held_nano_usd = held_nano_usd + :n,
    active_s = active_s + max(0.0, :now - tick_at), tick_at = :now
WHERE session_id = :s AND status = 'active'
    AND (time_limit_s IS NULL OR active_s + max(0.0, :now - tick_at) < time_limit_s)
    AND input_tokens + output_tokens + held + in_doubt + :t <= token_budget
    AND (budget_nano_usd IS NULL OR cost_nano_usd + held_nano_usd + :n <= budget_nano_usd)
RETURNING session_key"""
"""Admission, check and hold in one statement: `used + held + in doubt + new ≤ budget`, in both currencies."""

_INSERT = """
INSERT INTO holds VALUES (:rid, :key, :t, :n, :lease_until, :owner, :now, 'held', '',
    :turn, :attempt, :client, :model, :counted_tokens, :counted_exact, :prompt_version)"""


class Reservations(Part):
    """The reservation half of the store."""

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
        now = self._now()
        values: dict[str, Any] = _started(call or CallStart())
        values |= {"t": whole("tokens", tokens), "n": whole("nano_usd", nano_usd), "s": clean(session_id)}
        values |= {
            "now": now,
            "lease_until": now + checked_seconds("lease_s", lease_s),
            "rid": uuid.uuid4().hex,
        }
        values["owner"] = clean(owner) or f"{socket.gethostname()}:{os.getpid()}"
        with self._hot.write() as db:
            admitted = db.execute(_ADMIT, values).fetchall()
            if not admitted:
                return _refusal(db, session_id, values["t"], now)
            values["key"] = admitted[0][0]
            db.execute(_INSERT, values)
            hold = select_holds(db, "rid = ?", (values["rid"],))[0]
        return to_reservation(hold, session_id)

    def renew(self, reservation_ids: Sequence[str], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held (an in-doubt one is not revived)."""
        now, held = self._now(), set()
        until = now + checked_seconds("lease_s", lease_s)
        with self._hot.write() as db:
            for hold in _named(db, reservation_ids):
                if hold["state"] == "held" and hold["lease_until"] <= now:
                    put_in_doubt(db, hold, "expired", "lease expired", now)
                elif hold["state"] == "held":
                    db.execute("UPDATE holds SET lease_until = ? WHERE rid = ?", (until, hold["rid"]))
                    held.add(hold["rid"])
        return held

    def settle(self, reservation_id: str, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a hold or an in-doubt one with its real usage, and store *messages* in the same write.

        True when this call ended it, False when it had been settled already (nothing changes).
        `ReservationError` when unknown, released or written off.
        """
        _check(end)
        now = self._now()
        with self._hot.write() as db:
            hold = _open_hold(db, reservation_id)
            if hold is None:
                if ended_how(db, reservation_id) == "settled":
                    return False
                raise _ended(db, reservation_id, "settled")
            free_hold(db, hold)
            row = _row_of(db, hold)
            write_call(db, row, hold, end, "settled", now)
            write_messages(db, row["session_key"], self._texts(messages), now)
        self._moved_soon()
        return True

    def release(self, reservation_id: str, end: CallEnd | None = None) -> bool:
        """End a hold that has cost nothing. With *end*, a row of status *failed* is kept. Idempotent.

        An owner that comes back after its lease expired may still release; a hold that was put in doubt
        because its outcome is unknown may not (`ReservationError`): settle it or write it off.
        """
        if end is not None:
            _check(end)
            if end.input_tokens or end.output_tokens:
                raise ConfigError("release() is for attempts that cost nothing; settle() this one")
        now = self._now()
        with self._hot.write() as db:
            hold = _open_hold(db, reservation_id)
            if hold is None:
                if ended_how(db, reservation_id):
                    return False
                raise _ended(db, reservation_id, "released")
            if hold["state"] == "doubt":
                raise ReservationError(
                    f"reservation {reservation_id} is in doubt ({hold['doubt_reason']}); "
                    "settle it or write it off"
                )
            free_hold(db, hold)
            if end is None:
                db.execute("INSERT INTO released VALUES (?, ?)", (hold["rid"], now))
            else:
                write_call(db, _row_of(db, hold), hold, end, "failed", now)
        self._moved_soon()
        return True

    def doubt(self, reservation_id: str, reason: str, *, messages: Sequence[Message] = ()) -> bool:
        """Mark a hold as in doubt: it stays charged until settled or written off. Idempotent."""
        now = self._now()
        with self._hot.write() as db:
            hold = _open_hold(db, reservation_id)
            if hold is None:
                if ended_how(db, reservation_id):
                    return False
                raise _ended(db, reservation_id, "in doubt")
            if hold["state"] == "held":
                put_in_doubt(db, hold, "doubt", reason, now)
            elif hold["state"] == "expired":  # its owner knows more than the lease did
                values = (clean(reason), hold["rid"])
                db.execute("UPDATE holds SET state = 'doubt', doubt_reason = ? WHERE rid = ?", values)
            if hold["state"] == "doubt":
                return False
            write_messages(db, hold["session_key"], self._texts(messages), now)
        self._moved_soon()
        return bool(hold["state"] == "held")

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an in-doubt hold by decision of *who*; a row of status *written_off* is kept."""
        if not who.strip():
            raise ConfigError("a write-off needs the name of who decided it")
        now = self._now()
        with self._hot.write() as db:
            hold = _open_hold(db, reservation_id)
            if hold is not None:
                sweep(db, hold["session_key"], now)
                hold = _open_hold(db, reservation_id)
            if hold is None:
                if ended_how(db, reservation_id) == "written off":
                    return False
                raise _ended(db, reservation_id, "written off")
            if hold["state"] == "held":
                raise ReservationError(
                    f"reservation {reservation_id} is still held by {hold['owner']}; only one in doubt "
                    "can be written off"
                )
            free_hold(db, hold)
            row = _row_of(db, hold)
            write_call(db, row, hold, None, "written_off", now)
            detail = {"reservation_id": hold["rid"], "tokens": hold["tokens"], "reason": reason}
            note(db, row, "written_off", now, who, **detail)
        self._moved_soon()
        return True

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for. Never clipped, even beyond the budget."""
        _check(end)
        now = self._now()
        with self._hot.write() as db:
            row = get(db, session_id)
            hold = {**_started(call or CallStart()), "rid": "", "session_key": row["session_key"]}
            write_call(db, row, {**hold, "tokens": 0, "created_at": now}, end, "settled", now)
            write_messages(db, row["session_key"], self._texts(messages), now)
            row = get(db, session_id)
        self._moved_soon()
        return to_totals(row)

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and in-doubt reservations, oldest first."""
        now = self._now()
        with self._hot.read() as db:
            key = get(db, session_id)["session_key"] if session_id is not None else None
            stale = select_holds(db, "state = 'held' AND lease_until <= ?", (now,))
        if any(key in (None, hold["session_key"]) for hold in stale):
            with self._hot.write() as db:
                sweep(db, key, now)
            self._moved_soon()
        with self._hot.read() as db:
            where, values = ("session_key = ?", (key,)) if key is not None else ("true", ())
            holds = select_holds(db, where, values)
            return [to_reservation(hold, _row_of(db, hold)["session_id"]) for hold in holds]


def _check(end: CallEnd) -> None:
    for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        whole(name, getattr(end, name))
    if end.cost_nano_usd is not None:
        whole("cost_nano_usd", end.cost_nano_usd)


def _started(call: CallStart) -> dict[str, Any]:
    exact = call.counted_exact
    return {
        "turn": whole("turn", call.turn),
        "attempt": whole("attempt", call.attempt),
        "client": clean(call.client),
        "model": clean(call.model),
        "counted_tokens": call.counted_tokens,
        "counted_exact": None if exact is None else int(exact),
        "prompt_version": clean(call.prompt_version),
    }


def _refusal(db: apsw.Connection, session_id: str, tokens: int, now: float) -> Refusal:
    """Say why nothing was held; leases and time limits that are over are applied on the way."""
    row = find(db, session_id)
    if row is None:
        return Refusal("unknown_session")
    sweep(db, row["session_key"], now)
    expire_if_elapsed(db, row, now)
    row = get(db, session_id)
    left = to_totals(row).left
    if row["status"] == Status.EXPIRED:
        return Refusal("expired", left, row["status"])
    if row["status"] != Status.ACTIVE:
        return Refusal("inactive", left, row["status"])
    charged = row["input_tokens"] + row["output_tokens"] + row["held"] + row["in_doubt"]
    return Refusal("budget" if charged + tokens > row["token_budget"] else "money", left, row["status"])


def _open_hold(db: apsw.Connection, rid: str) -> Row | None:
    holds = select_holds(db, "rid = ?", (rid,))
    return holds[0] if holds else None


def _named(db: apsw.Connection, rids: Sequence[str]) -> list[Row]:
    names = json.dumps([str(rid) for rid in rids])
    return select_holds(db, "rid IN (SELECT value FROM json_each(?))", (names,))


def _row_of(db: apsw.Connection, hold: Row) -> Row:
    return select_sessions(db, "WHERE session_key = ?", (hold["session_key"],))[0]


def _ended(db: apsw.Connection, rid: str, wanted: str) -> ReservationError:
    how = ended_how(db, rid)
    if not how:
        return ReservationError(f"no reservation {rid!r} in this ledger")
    return ReservationError(f"reservation {rid} was {how}, so it cannot be {wanted}")
