"""Erasing a person from the rows of a hot ledger, the one in use or a copy, and what vouches for the rest.

What is erased of which row says `ib_kernel.values.erasure`; here it is found and written. Times, figures and
numbers of rows stay, so that sums and watermarks do.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import apsw

from ib_duckdb.links import in_units
from ib_duckdb.proof import row_names
from ib_duckdb.writing import keep_history, write_event
from ib_kernel.values import LedgerEvent, chain, erasure

_SESSION = (
    *("session_key", "session_id", "candidate", "external_id", "meta", "accommodation", "keep_until", "role"),
    *("level", "challenge", "persona", "client", "model", "prompt_version"),
)


@dataclass(slots=True)
class Erased:
    """What was erased: rows by table, and by session the seals of rows by their place in its chain.

    `seen` are the rows that were looked at, by table and number.
    """

    rows: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[str, int]] = field(default_factory=set)
    seals: dict[int, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))

    def note(
        self, table: str, key: int, row: Mapping[str, Any], changed: Mapping[str, Any], *, moved: bool
    ) -> None:
        """Count a row, and seal it where its link no longer follows from what is left of it.

        Args:
            table: Its table.
            key: Its session's key.
            row: The row as it was.
            changed: The columns that change.
            moved: Whether its times are in microseconds, as they are read from the record.
        """
        self.rows[table] += 1
        if row.get("link") is None or not erasure.is_sealed(table, changed):
            return
        self.seal(table, key, {**row, **changed}, moved=moved)

    def seal(self, table: str, key: int, row: Mapping[str, Any], *, moved: bool) -> None:
        """Vouch for a row as it is now."""
        from ib_duckdb.proof import TIMES

        committed = None
        if texts := chain.TEXTS[table]:
            committed = row["commitment"]
            if row["salt"] is not None:
                committed = chain.commitment(row["salt"], [row[name] for name in texts])
        values = in_units(table, dict(row), whole=TIMES if moved else frozenset())
        made = erasure.seal(row["link"], chain.canonical(table, values, committed))
        self.seals[key][row["link_n"]] = made


def sessions_of(db: apsw.Connection, keys: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the rows of sessions by key, with the columns that an erasure may change."""
    names = [name for name in _SESSION if name in columns(db, "sessions")]
    marks = ", ".join(map(str, keys))
    sql = f"SELECT {', '.join(names)} FROM sessions WHERE session_key IN ({marks})"  # noqa: S608 (numbers)
    rows = (dict(zip(names, row, strict=True)) for row in db.execute(sql))
    return {row["session_key"]: row for row in rows}


def names_of(sessions: Iterable[Mapping[str, Any]]) -> erasure.Names:
    """Return what the person of some sessions is called; one about another session names nobody."""
    rows = [row for row in sessions if not about(row.get("meta"))]
    return erasure.Names.of(
        [str(row["candidate"]) for row in rows], [str(row.get("external_id") or "") for row in rows]
    )


def about(meta: Any) -> str:
    """Return the session that a session is about, by its `meta`; "" for none."""
    with suppress(ValueError, TypeError, AttributeError):
        return str(json.loads(meta).get("about") or "")
    return ""


def erase_rows(db: apsw.Connection, keys: Iterable[int], names: erasure.Names) -> Erased:
    """Erase the person from every row of some sessions but the sessions' own. Call it in a transaction."""
    done = Erased()
    for table in chain.FIELDS:
        known = columns(db, table)
        wanted = [name for name in row_names(table) if name in known]
        for key in keys:
            if not wanted:
                continue
            sql = f"SELECT {', '.join(wanted)} FROM {table} WHERE session_key = ?"  # noqa: S608 (our names)
            for values in db.execute(sql, (key,)).fetchall():
                row: dict[str, Any] = dict(zip(wanted, values, strict=True))
                done.seen.add((table, row["seq"]))
                changed = erasure.erased_row(table, row, names)
                if changed:
                    done.note(table, key, row, changed, moved=False)
                    _update(db, table, "seq", row["seq"], changed)
    for key in keys:
        _erase_beside(db, key)
    return done


def _erase_beside(db: apsw.Connection, key: int) -> None:
    """Erase what stands in tables that have no link; codes and tokens of the session go altogether."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table, sql in (
        ("reservations", "UPDATE reservations SET owner = '', doubt_reason = '' WHERE session_key = :key"),
        (
            "requests",
            "UPDATE requests SET text = '', result = '{}', body_sha = '',"
            " request_id = 'erased-' || revision WHERE session_key = :key",
        ),
        ("invitations", "DELETE FROM invitations WHERE session_key = :key"),
        (
            "grants",
            "DELETE FROM grants WHERE kind IN ('candidate', 'gateway') AND subject ="
            " (SELECT session_id FROM sessions WHERE session_key = :key)",
        ),
        ("quarantine", "UPDATE quarantine SET reason = 'erased' WHERE session_key = :key"),
    ):
        if table in tables:
            db.execute(sql, {"key": key})


def erase_sessions(
    db: apsw.Connection, sessions: Mapping[int, Mapping[str, Any]], names: erasure.Names, pseudonym: str
) -> None:
    """Erase the person from sessions' own rows."""
    for key, row in sessions.items():
        changed = erasure.erased_session(row, names, pseudonym)
        if changed:
            _update(db, "sessions", "session_key", key, changed)


def record_erasure(
    db: apsw.Connection, keys: Iterable[int], done: Erased, who: str, now: float, renamed: Iterable[int] = ()
) -> None:
    """Record, in each session, that it was erased, with what vouches for the rows that are left.

    Args:
        db: The hot ledger, in a transaction.
        keys: The sessions.
        done: What was erased of them.
        who: Who did it.
        now: When.
        renamed: Sessions whose id has changed: their first link no longer follows from it.
    """
    for key in renamed:
        _seal_first(db, key, done)
    for key in keys:
        seals = {str(number): seal for number, seal in sorted(done.seals.get(key, {}).items())}
        write_event(db, key, LedgerEvent("", erasure.EVENT, now, who, {"seals": seals}))
        keep_history(db, key, now)


def _seal_first(db: apsw.Connection, key: int, done: Erased) -> None:
    if 1 in done.seals.get(key, {}):
        return
    for table in chain.FIELDS:
        names = row_names(table)
        sql = f"SELECT {', '.join(names)} FROM {table} WHERE session_key = ? AND link_n = 1"  # noqa: S608
        for values in db.execute(sql, (key,)).fetchall():
            done.seal(table, key, dict(zip(names, values, strict=True)), moved=False)


def columns(db: apsw.Connection, table: str) -> set[str]:
    """Return the columns that a table has in this version of the file."""
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _update(db: apsw.Connection, table: str, by: str, value: int, changed: Mapping[str, Any]) -> None:
    sets = ", ".join(f"{name} = ?" for name in changed)
    db.execute(f"UPDATE {table} SET {sets} WHERE {by} = ?", (*changed.values(), value))  # noqa: S608
