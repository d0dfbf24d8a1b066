"""What is written inside one transaction: events, a session's history, messages, expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.bound import insertion
from ib_duckdb.links import Chain
from ib_duckdb.rows import Row, elapsed, select_reservations
from ib_kernel.values import LedgerEvent, Message, Status
from ib_kernel.values.domain import MOST_SMALL, clean, moment, to_json, whole

ACTIVE_NOW = "active_s + coalesce(min(max(0.0, :now - tick_at), (SELECT most FROM clock)), 0.0)"
"""A session's active seconds by now. What one tick adds is limited: a machine that slept, or a clock that was
set, is no work."""

TICKED = f"""
    active_s = {ACTIVE_NOW},
    tick_at = CASE WHEN :now < tick_at - (SELECT most FROM clock) THEN :now ELSE max(tick_at, :now) END"""  # noqa: S608
"""Brings active_s up to date. A clock that jitters counts nothing until it is past its latest tick, and one
that was set back goes on from there: no second is counted twice."""


def tick(db: apsw.Connection, key: int, now: float) -> None:
    """Bring the session's active seconds up to date."""
    db.execute(f"UPDATE sessions SET {TICKED} WHERE session_key = :key", {"now": now, "key": key})  # noqa: S608


def tick_all(db: apsw.Connection, now: float, before: float) -> None:
    """Bring every active session that was last seen before a moment up to date."""
    sql = f"UPDATE sessions SET {TICKED} WHERE status = 'active' AND tick_at < :before"  # noqa: S608
    db.execute(sql, {"now": now, "before": before})


STALE = "SELECT 1 FROM reservations WHERE session_key = ? AND state = 'held' AND lease_until <= ? LIMIT 1"
"""Finds a session's lease that is over and not in doubt yet."""

_LINKED = ("salt", "link_n", "link")
_EVENT = insertion("events", ("session_key", "kind", "created_at", "who", "detail", *_LINKED))
_MESSAGE = insertion(
    "messages",
    ("session_key", "turn", "role", "content", "created_at", "partial", "asked_at", *_LINKED),
)


def write_event(db: apsw.Connection, key: int, event: LedgerEvent) -> None:
    """Append an event of the session *key*."""
    created_at = moment("an event's time", event.created_at)
    row = {"session_key": key, "kind": clean(event.kind), "created_at": created_at, "who": clean(event.who)}
    links = Chain.of(db, key)
    _EVENT.run(db, [links.add("events", row | {"detail": to_json(event.detail)})])
    links.save(events=1)


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


def message_rows(links: Chain, messages: Sequence[Message], now: float, turn: int = 0) -> list[Row]:
    """Return the rows of a transcript's new messages, appended to *links*.

    They get the number of their *turn* (0: their own). Whoever calls it adds their number to the session's
    sum and saves *links*.
    """
    return [
        links.add(
            "messages",
            {
                "session_key": links.key,
                "turn": turn or whole("turn", m.turn, high=MOST_SMALL),
                "role": clean(m.role),
                "content": clean(m.content),
                "created_at": moment("a message's time", m.created_at or now),
                "partial": int(m.partial),
                "asked_at": None if m.asked_at is None else moment("a question's time", m.asked_at),
            },
        )
        for m in messages
    ]


def insert_messages(db: apsw.Connection, rows: list[Row]) -> None:
    """Append what `message_rows` has made to the transcript."""
    _MESSAGE.run(db, rows)


def write_messages(
    db: apsw.Connection, key: int, messages: Sequence[Message], now: float, turn: int = 0
) -> None:
    """Append to the session's transcript and count it."""
    if messages:
        links = Chain.of(db, key)
        insert_messages(db, message_rows(links, messages, now, turn))
        links.save(messages=len(messages))


def has_messages(db: apsw.Connection, key: int, turn: int) -> bool:
    """Return True if the session's transcript has anything of a turn."""
    sql = "SELECT 1 FROM messages WHERE session_key = ? AND turn = ? LIMIT 1"
    return db.execute(sql, (key, turn)).fetchone() is not None


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
