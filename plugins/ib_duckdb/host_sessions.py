"""What a host writes about a session beside its calls, and how it hears of changes by anybody."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.rows import get, to_session
from ib_duckdb.writer import Operation
from ib_duckdb.writing import keep_history, note, tick, write_messages
from ib_kernel.errors import SessionInactive
from ib_kernel.values import Change, Message, Session, Status
from ib_kernel.values.domain import checked_seconds, clean

POLL_S = 0.1
"""Seconds between two looks for changes by other processes."""

_KINDS = {
    "session_rows": "session",
    "calls": "call",
    "messages": "message",
    "events": "event",
    "requests": "reply",
    "cells": "cell",
    "checks": "check",
    "scores": "score",
}
"""By table, what has changed when it has a new row."""

_ENDED = (Status.COMPLETED, Status.CANCELLED)


class HostSessions(Part):
    """The sessions of `ib_kernel.values.HostStore`."""

    def add_message(self, session_id: str, message: Message) -> None:
        """Store a message of the transcript outside any turn (see `HostStore.add_message`)."""
        self._writer.run(self._adding_message(session_id, message))
        self._moved_soon()

    def _adding_message(self, session_id: str, message: Message) -> Operation[None]:
        texts = self._texts([message])

        def work(db: apsw.Connection) -> None:
            write_messages(db, get(db, session_id)["session_key"], texts, self._now())

        return Operation(work)

    def credit_time(
        self, session_id: str, seconds: float, reason: str, who: str = "", *, ending_now: bool = False
    ) -> Session:
        """Give back time that the clock should not have run (see `HostStore.credit_time`)."""
        session = self._writer.run(self._crediting(session_id, seconds, reason, who, ending_now))
        self._moved_soon()
        return session

    def _crediting(
        self, session_id: str, seconds: float, reason: str, who: str, ending_now: bool
    ) -> Operation[Session]:
        given = checked_seconds("the time given back", seconds)

        def work(db: apsw.Connection) -> Session:
            now, row = self._now(), get(db, session_id)
            if row["status"] in _ENDED:
                raise SessionInactive(
                    f"session {session_id!r} is {row['status']}: its clock does not run", row["status"]
                )
            tick(db, row["session_key"], now)
            row = get(db, session_id)
            back = min(given, row["active_s"])
            if ending_now:
                back = min(back, now - _given_until(db, row["session_key"]))
                if back <= 0:
                    return to_session(row, now)
            db.execute(
                "UPDATE sessions SET active_s = active_s - ? WHERE session_key = ?",
                (back, row["session_key"]),
            )
            note(db, row, "clock_stopped", now, who, seconds=round(back, 3), reason=clean(reason))
            limit = row["time_limit_s"]
            if row["status"] == Status.EXPIRED and (limit is None or row["active_s"] - back < limit):
                values = (Status.ACTIVE.value, now, row["session_key"])
                db.execute(
                    "UPDATE sessions SET status = ?, tick_at = ?, ended_at = NULL WHERE session_key = ?",
                    values,
                )
                note(db, row, "status", now, who, **{"from": row["status"], "to": Status.ACTIVE.value})
            keep_history(db, row["session_key"], now)
            return to_session(get(db, session_id), now)

        return Operation(work)

    def changes(self, cursor: str = "", wait_s: float = 0.0) -> tuple[list[Change], str]:
        """Return what has changed since *cursor*, and the cursor to go on with (see `HostStore.changes`)."""
        deadline = time.monotonic() + wait_s
        while True:
            seen = self._news_count
            found, cursor = self._changes_now(cursor)
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found, cursor
            with self._news:
                if self._news_count == seen:
                    self._news.wait(min(POLL_S, left))

    async def achanges(self, cursor: str = "", wait_s: float = 0.0) -> tuple[list[Change], str]:
        """Do the same for a caller on an event loop, who may be cancelled at any time."""
        deadline = time.monotonic() + wait_s
        while True:
            found, cursor = await asyncio.to_thread(self._changes_now, cursor)
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found, cursor
            await asyncio.sleep(min(POLL_S, left))

    def _changes_now(self, cursor: str) -> tuple[list[Change], str]:
        with self._hot.read() as db:
            last = _last(db)
            since = _parse(cursor, self._hot.ledger_id)
            found = [] if since is None or since == last else _since(db, since, last)
        return found, f"{self._hot.ledger_id[:8]}:{'.'.join(map(str, last))}"

    def _changed(self) -> None:
        """Wake who waits for changes in this process."""
        with self._news:
            self._news_count += 1
            self._news.notify_all()

    _news = threading.Condition()
    _news_count = 0


def _given_until(db: apsw.Connection, key: int) -> float:
    """Return until when time was given back last; a moment long ago for never."""
    sql = "SELECT coalesce(max(created_at), 0.0) FROM events WHERE session_key = ? AND kind = 'clock_stopped'"
    return next(float(at) for (at,) in db.execute(sql, (key,)))


def _last(db: apsw.Connection) -> list[int]:
    numbers = (f"(SELECT coalesce(max({_number(t)}), 0) FROM {t})" for t in _KINDS)  # noqa: S608
    return list(next(iter(db.execute(f"SELECT {', '.join(numbers)}"))))


def _since(db: apsw.Connection, since: list[int], last: list[int]) -> list[Change]:
    found: dict[Change, None] = {}
    for (table, kind), before, now in zip(_KINDS.items(), since, last, strict=True):
        if now > before:
            sql = (
                f"SELECT DISTINCT s.session_id FROM {table} t JOIN sessions s USING (session_key)"  # noqa: S608
                f" WHERE t.{_number(table)} > ? ORDER BY t.{_number(table)}"
            )
            found |= {Change(session_id, kind): None for (session_id,) in db.execute(sql, (before,))}
    return list(found)


def _number(table: str) -> str:
    return "revision" if table == "requests" else "seq"


def _parse(cursor: str, ledger_id: str) -> list[int] | None:
    """Return the numbers in a cursor; None for no cursor of this ledger: then there is no before."""
    of, _, numbers = cursor.partition(":")
    parts: list[Any] = numbers.split(".")
    if of != ledger_id[:8] or len(parts) != len(_KINDS) or not all(part.isdigit() for part in parts):
        return None
    return [int(part) for part in parts]
