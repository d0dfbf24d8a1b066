"""What is written inside one transaction: events, a session's history, rows of calls, expiry."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from ib_duckdb.domain import MOST_SMALL, clean, moment, to_json, whole
from ib_duckdb.rows import Row, elapsed, select_reservations
from ib_kernel.values import CallEnd, LedgerEvent, Message, Status

ACTIVE_NOW = "active_s + coalesce(min(max(0.0, :now - tick_at), most_per_tick()), 0.0)"
"""A session's active seconds by now. What one tick adds is limited: a machine that slept, or a clock that was
set, is no work."""

TICKED = f"""
    active_s = {ACTIVE_NOW},
    tick_at = CASE WHEN :now < tick_at - most_per_tick() THEN :now ELSE max(tick_at, :now) END"""
"""Brings active_s up to date. A clock that jitters counts nothing until it is past its latest tick, and one
that was set back goes on from there: no second is counted twice."""


def tick(db: apsw.Connection, key: int, now: float) -> None:
    """Bring the session's active seconds up to date."""
    db.execute(f"UPDATE sessions SET {TICKED} WHERE session_key = :key", {"now": now, "key": key})  # noqa: S608


def tick_all(db: apsw.Connection, now: float, before: float) -> None:
    """Bring every active session that was last seen before a moment up to date."""
    sql = f"UPDATE sessions SET {TICKED} WHERE status = 'active' AND tick_at < :before"  # noqa: S608
    db.execute(sql, {"now": now, "before": before})


def write_event(db: apsw.Connection, key: int, event: LedgerEvent) -> None:
    """Append an event of the session *key*."""
    created_at = moment("an event's time", event.created_at)
    values = (key, clean(event.kind), created_at, clean(event.who), to_json(event.detail))
    db.execute(
        "INSERT INTO events (session_key, kind, created_at, who, detail) VALUES (?, ?, ?, ?, ?)", values
    )
    db.execute("UPDATE sessions SET events = events + 1 WHERE session_key = ?", (key,))


def note(db: apsw.Connection, row: Row, kind: str, now: float, who: str, **detail: Any) -> None:
    """Append an event of our own about *row*'s session."""
    write_event(db, row["session_key"], LedgerEvent(row["session_id"], kind, now, who, detail))


def keep_history(db: apsw.Connection, key: int, now: float) -> None:
    """Append the session as it is now; `sessions` in usage.duckdb shows the newest such row."""
    db.execute(
        "INSERT INTO session_rows (session_key, status, token_budget, budget_nano_usd, time_limit_s,"
        " started_at, ended_at, active_s, changed_at, chain_n, chain_head)"
        " SELECT session_key, status, token_budget, budget_nano_usd, time_limit_s,"
        " started_at, ended_at, active_s, ?, chain_n, chain_head FROM sessions WHERE session_key = ?",
        (now, key),
    )


def write_messages(
    db: apsw.Connection, key: int, messages: Sequence[Message], now: float, turn: int = 0
) -> None:
    """Append to the session's transcript, under the number of their *turn* (0: their own)."""
    if not messages:
        return
    db.executemany(
        "INSERT INTO messages (session_key, turn, role, content, created_at, partial, asked_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                key,
                turn or whole("turn", m.turn, high=MOST_SMALL),
                clean(m.role),
                clean(m.content),
                moment("a message's time", m.created_at or now),
                int(m.partial),
                None if m.asked_at is None else moment("a question's time", m.asked_at),
            )
            for m in messages
        ],
    )
    db.execute("UPDATE sessions SET messages = messages + ? WHERE session_key = ?", (len(messages), key))


def sweep(db: apsw.Connection, key: int | None, now: float) -> None:
    """Turn leases that are over into unresolved: still charged, never freed. *key* None: of all sessions."""
    where, values = ("session_key = ? AND ", (key,)) if key is not None else ("", ())
    for row in select_reservations(db, f"{where}state = 'held' AND lease_until <= ?", (*values, now)):
        make_unresolved(db, row, "expired", "lease expired", now)


def make_unresolved(db: apsw.Connection, reserved: Row, state: str, reason: str, now: float) -> None:
    """Move one reservation from held to in doubt and record an event."""
    db.execute(
        "UPDATE reservations SET state = ?, doubt_reason = ? WHERE rid = ?",
        (state, clean(reason), reserved["rid"]),
    )
    db.execute(
        "UPDATE sessions SET held = held - :t, in_doubt = in_doubt + :t WHERE session_key = :key",
        {"t": reserved["tokens"], "key": reserved["session_key"]},
    )
    detail = {"reservation_id": reserved["rid"], "tokens": reserved["tokens"], "reason": reason}
    event = LedgerEvent("", "in_doubt", now, reserved["owner"], detail)
    write_event(db, reserved["session_key"], event)


def expire_if_elapsed(db: apsw.Connection, row: Row, now: float) -> bool:
    """End an active session whose time limit is used up; return True if that was so."""
    if not elapsed(row, now):
        return False
    db.execute(
        "UPDATE sessions SET status = ?, active_s = max(active_s, time_limit_s), tick_at = NULL,"
        " ended_at = max(created_at, ?) WHERE session_key = ?",
        (Status.EXPIRED, now, row["session_key"]),
    )
    note(db, row, "status", now, "", **{"from": row["status"], "to": "expired", "reason": "time limit"})
    keep_history(db, row["session_key"], now)
    return True


def free(db: apsw.Connection, reserved: Row) -> None:
    """Delete a reservation and take its tokens off the session's sums."""
    sums = "held = held - :t" if reserved["state"] == "held" else "in_doubt = in_doubt - :t"
    db.execute("DELETE FROM reservations WHERE rid = ?", (reserved["rid"],))
    db.execute(
        f"UPDATE sessions SET {sums}, held_nano_usd = held_nano_usd - :n WHERE session_key = :key",  # noqa: S608
        {"t": reserved["tokens"], "n": reserved["nano_usd"], "key": reserved["session_key"]},
    )


_ADD_USAGE = f"""
UPDATE sessions SET {TICKED},
    input_tokens = input_tokens + :input_tokens,
    output_tokens = output_tokens + :output_tokens,
    cached_tokens = cached_tokens + :cached_tokens,
    reasoning_tokens = reasoning_tokens + :reasoning_tokens,
    cost_nano_usd = cost_nano_usd + coalesce(:cost_nano_usd, 0),
    calls = calls + :used,
    turns = turns + :new_turn,
    priced_calls = priced_calls + (:cost_nano_usd IS NOT NULL),
    unpriced_calls = unpriced_calls + (:used AND :cost_nano_usd IS NULL)
WHERE session_key = :session_key"""  # noqa: S608 (no user text in it)

_CALL_NAMES = [
    "rid",
    "session_key",
    "turn",
    "attempt",
    "client",
    "model",
    "model_returned",
    "counted_tokens",
    "counted_exact",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "source",
    "cost_nano_usd",
    "price_source",
    "latency_ms",
    "first_piece_ms",
    "finish_reason",
    "status",
    "error",
    "held_tokens",
    "overdraft",
    "token_budget",
    "prompt_version",
    "history_from_turn",
    "sent_hmac",
    "response_id",
    "raw_usage",
    "started_at",
    "ended_at",
    "owner_hash",
]
_INSERT_CALL = (
    f"INSERT INTO calls ({', '.join(_CALL_NAMES)}) VALUES ({', '.join(':' + name for name in _CALL_NAMES)})"  # noqa: S608
)
_TEXTS = ("model_returned", "finish_reason", "response_id")
_TEXTS_OR_NONE = ("price_source", "error", "raw_usage", "source")
_NUMBERS = ("latency_ms", "first_piece_ms", "cost_nano_usd")
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def write_call(
    db: apsw.Connection, row: Row, reserved: Row, end: CallEnd | None, status: str, now: float
) -> None:
    """Append the row of an attempt that has ended, and add settled usage to the session *row*'s sums.

    *end* is None when nobody knows what the attempt has cost (written off): its numbers are NULL.
    """
    call = {**reserved, "rid": reserved["rid"] or uuid.uuid4().hex, "status": status}
    call |= {"token_budget": row["token_budget"], "held_tokens": reserved["tokens"], "source": None}
    call |= dict.fromkeys((*_TOKENS, *_NUMBERS, *_TEXTS_OR_NONE)) | dict.fromkeys(_TEXTS, "")
    used = 0
    if end is not None:
        call |= {name: getattr(end, name) for name in (*_TOKENS, *_NUMBERS)}
        call |= {name: _text(getattr(end, name)) for name in (*_TEXTS, *_TEXTS_OR_NONE)}
        used = end.input_tokens + end.output_tokens
    call["overdraft"] = max(0, used - reserved["tokens"]) if end is not None else 0
    call["started_at"], call["ended_at"] = reserved["created_at"], max(reserved["created_at"], now)
    if status == "settled":
        new_turn = bool(
            used and reserved["turn"] > 0 and not _turn_known(db, row["session_key"], reserved["turn"])
        )
        db.execute(_ADD_USAGE, {**call, "used": int(used > 0), "new_turn": int(new_turn), "now": now})
    db.execute(_INSERT_CALL, {name: call[name] for name in _CALL_NAMES})


def _turn_known(db: apsw.Connection, key: int, turn: int) -> bool:
    sql = (
        "SELECT 1 FROM calls WHERE session_key = ? AND turn = ? AND status = 'settled'"
        " AND input_tokens + output_tokens > 0 LIMIT 1"
    )
    return db.execute(sql, (key, turn)).fetchone() is not None


def _text(value: str | None) -> str | None:
    return None if value is None else clean(value)


def facts(row: Row) -> Mapping[str, Any]:
    """Return what an "opened" event tells about a session."""
    names = ("token_budget", "budget_nano_usd", "time_limit_s", "model", "persona")
    return {name: row[name] for name in names if row[name] is not None}
