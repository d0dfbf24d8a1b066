"""Rows that the hot ledger took and DuckDB does not: set apart, shown by the doctor, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb.columns import Table
from ib_duckdb.faults import in_use_by, is_damage
from ib_duckdb.statements import one_line

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot

Rows = Sequence[tuple[Any, ...]]
Apart = list[tuple[Any, ...]]


def insert(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    schema: str,
    rows: Rows,
    *,
    also: Callable[[], object] = lambda: None,
    apart: Callable[[Apart], object] = lambda bad: None,
) -> int:
    """Insert the rows that DuckDB can take, and do what is *also* in that transaction; return how many.

    Those that it cannot take go to *apart* before. Converting the values is most of the work: rows are looked
    at only when the whole is refused.
    """
    try:
        _insert(db, table, schema, rows, also)
    except Exception:
        good, bad = sorted_out(db, table, rows) if rows else (rows, [])
        if not bad:  # so it was something else
            raise
        apart(bad)
        _insert(db, table, schema, good, also)
        return len(good)
    return len(rows)


def _insert(
    db: duckdb.DuckDBPyConnection, table: Table, schema: str, rows: Rows, also: Callable[[], object]
) -> None:
    db.execute("BEGIN")
    try:
        if rows:
            db.execute(table.insert(schema), values(rows))
        also()
        db.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # the error may have ended it, or the connection
            db.execute("ROLLBACK")
        raise


def sorted_out(db: duckdb.DuckDBPyConnection, table: Table, rows: Rows) -> tuple[Rows, Apart]:
    """Return the rows that DuckDB can take, and for each other one (its key, its number, why not).

    Nothing is looked at one by one while all are well. Call it outside a transaction.
    """
    reason = _refused(db, table, rows)
    if not reason:
        return rows, []
    if len(rows) == 1:
        return [], [(*rows[0][-2:], reason)]
    half = len(rows) // 2
    good, bad = sorted_out(db, table, rows[:half])
    more, worse = sorted_out(db, table, rows[half:])
    return [*good, *more], [*bad, *worse]


def _refused(db: duckdb.DuckDBPyConnection, table: Table, rows: Rows) -> str:
    import duckdb

    try:
        db.execute(table.tried(), values(rows)).fetchall()
    except (duckdb.Error, ValueError, TypeError, OverflowError, RuntimeError) as error:
        if isinstance(error, duckdb.Error) and (is_damage(error) or in_use_by(error) is not None):
            raise
        if isinstance(error, (duckdb.OutOfMemoryException, duckdb.InterruptException)):
            raise
        return one_line(error)
    return ""


def values(rows: Rows) -> list[list[Any]]:
    """Return *rows* as bound lists, one per column."""
    return [list(column) for column in zip(*rows, strict=True)]


def note(hot: Hot, table: Table, bad: Apart) -> None:
    """Record rows that were sorted out."""
    if bad:
        with hot.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?)",
                [(table.name, seq, key, reason) for key, seq, reason in bad],
            )


def listed(db: apsw.Connection) -> list[str]:
    """Return one line per row in quarantine."""
    sql = (
        "SELECT q.name, q.seq, coalesce(s.session_id, ''), q.reason FROM quarantine q"
        " LEFT JOIN sessions s USING (session_key) ORDER BY q.name, q.seq"
    )
    with suppress(apsw.SQLError):
        return [
            f"session {session}: row {seq} of {name} is in quarantine: usage.duckdb cannot take it ({why})"
            for name, seq, session, why in db.execute(sql)
        ]
    return []
