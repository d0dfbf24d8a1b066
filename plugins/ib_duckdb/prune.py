"""Removing hot rows that have been in the record for 30 days; until then they can rebuild it.

Requests, which no record has, go after the same time: nobody comes back for a reply of last month, and what
was asked and answered stands in the transcript.
"""

from __future__ import annotations

from collections.abc import Mapping

import apsw

from ib_duckdb.hot import Hot

KEEP_S = 30 * 86_400.0
"""Seconds that a moved row stays in the hot ledger."""

CHUNK = 500
"""Rows removed in one transaction, so that no call waits for long."""

_AGE = {
    **dict.fromkeys(("calls", "cells", "checks"), "ended_at"),
    **dict.fromkeys(("messages", "events", "scores"), "created_at"),
    "session_rows": "changed_at",
}
"""By table, what a row's age is told by; rows of other tables stay."""
_COUNTED = {"calls": "pruned_calls", "messages": "pruned_messages"}


def prune(hot: Hot, marks: Mapping[str, int], now: float) -> int:
    """Remove moved rows (up to *marks*, by table) older than 30 days; return how many."""
    gone = _prune_requests(hot, now - KEEP_S)  # before their calls, which tell how they ended
    for name, mark in ((name, marks[name]) for name in _AGE if name in marks):
        while True:
            removed = _chunk(hot, name, mark, now - KEEP_S)
            gone += removed
            if removed < CHUNK:
                break
    with hot.read() as db:
        old = db.execute("SELECT 1 FROM released WHERE released_at < ? LIMIT 1", (now - KEEP_S,)).fetchone()
    if old:
        with hot.write() as db:
            db.execute("DELETE FROM released WHERE released_at < ?", (now - KEEP_S,))
    return gone


_OLD_REQUESTS = """
SELECT revision FROM requests WHERE updated_at < ? AND revision < (SELECT max(revision) FROM requests)
ORDER BY revision LIMIT ?"""
"""Never the newest one, whose number must not be given again: cursors of changes go by it."""


def _prune_requests(hot: Hot, before: float) -> int:
    gone = 0
    while True:
        with hot.read() as db:
            if not db.execute(_OLD_REQUESTS, (before, 1)).fetchone():
                return gone
        with hot.write() as db:
            db.execute(f"DELETE FROM requests WHERE revision IN ({_OLD_REQUESTS})", (before, CHUNK))  # noqa: S608
            gone += db.changes()


def _chunk(hot: Hot, name: str, mark: int, before: float) -> int:
    with hot.read() as db:
        if not _old(db, name, mark, before):
            return 0
    with hot.write() as db:
        rows = _old(db, name, mark, before)
        for seq, key in rows:
            db.execute(f"DELETE FROM {name} WHERE seq = ?", (seq,))  # noqa: S608 (our own names)
            if name in _COUNTED:
                column = _COUNTED[name]
                sql = f"UPDATE sessions SET {column} = {column} + 1 WHERE session_key = ?"  # noqa: S608
                db.execute(sql, (key,))
        return len(rows)


def _old(db: apsw.Connection, name: str, mark: int, before: float) -> list[tuple[int, int]]:
    """Return the oldest rows that may go, in order; never the newest one, whose number must not be reused."""
    sql = (
        f"SELECT seq, session_key, {_AGE[name]} < ? FROM {name} t"  # noqa: S608 (our own names)
        f" WHERE seq <= ? AND seq < (SELECT max(seq) FROM {name})"
        f" AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.name = '{name}' AND q.seq = t.seq)"
        " ORDER BY seq LIMIT ?"
    )
    rows: list[tuple[int, int]] = []
    for seq, key, old in db.execute(sql, (before, mark, CHUNK)):
        if not old:
            break
        rows.append((seq, key))
    return rows
