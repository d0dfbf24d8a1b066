"""Rows that the hot ledger took and DuckDB does not: set apart, shown by the doctor, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb.columns import Rows, Table, columns_of
from ib_duckdb.faults import in_use_by, is_damage
from ib_duckdb.statements import one_line

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot

PIECE = 2_000
"""Rows inserted by one statement: no other thread runs while their values are converted."""

Apart = list[tuple[Any, ...]]


def insert(db: duckdb.DuckDBPyConnection, table: Table, schema: str, rows: Rows) -> None:
    """Insert those of a table's *rows* that DuckDB can take."""
    insert_all(db, {table: rows}, schema)


def insert_all(
    db: duckdb.DuckDBPyConnection,
    batch: Mapping[Table, Rows],
    schema: str = "",
    *,
    also: Callable[[], object] = lambda: None,
    apart: Callable[[Table, Apart], object] = lambda table, bad: None,
) -> int:
    """Insert the rows that DuckDB can take, and do what is *also* in that transaction; return how many.

    They go to each table's own schema, or to *schema*. Those that it cannot take go to *apart* before.
    Converting the values is most of the work: rows are looked at only when the whole is refused.
    """
    try:
        _insert(db, batch, schema, also)
    except Exception:
        found = {table: separate(db, table, rows) for table, rows in batch.items()}
        if not any(bad for _, bad in found.values()):  # so it was something else
            raise
        for table, (_, bad) in found.items():
            apart(table, bad)
        batch = {table: good for table, (good, _) in found.items()}
        _insert(db, batch, schema, also)
    return sum(map(len, batch.values()))


def _insert(
    db: duckdb.DuckDBPyConnection, batch: Mapping[Table, Rows], schema: str, also: Callable[[], object]
) -> None:
    db.execute("BEGIN")
    try:
        for table, rows in batch.items():
            for start in range(0, len(rows), PIECE):
                db.execute(*table.insert(schema or table.schema, rows[start : start + PIECE]))
        also()
        db.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # the error may have ended it, or the connection
            db.execute("ROLLBACK")
        raise


def separate(db: duckdb.DuckDBPyConnection, table: Table, rows: Rows) -> tuple[Rows, Apart]:
    """Return the rows that DuckDB can take, and for each other one (its key, its number, why not).

    Nothing is looked at one by one while all are well. Call it outside a transaction.
    """
    reason = _refused(db, table, rows) if rows else ""
    if not reason:
        return rows, []
    if len(rows) == 1:
        return [], [(*rows[0][-2:], reason)]
    half = len(rows) // 2
    good, bad = separate(db, table, rows[:half])
    more, worse = separate(db, table, rows[half:])
    return [*good, *more], [*bad, *worse]


def _refused(db: duckdb.DuckDBPyConnection, table: Table, rows: Rows) -> str:
    import duckdb

    try:
        db.execute(table.tried(), columns_of(rows)).fetchall()
    except (duckdb.Error, ValueError, TypeError, OverflowError, RuntimeError) as error:
        if isinstance(error, duckdb.Error) and (is_damage(error) or in_use_by(error) is not None):
            raise
        elsewhere = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.IOException)
        if isinstance(error, (*elsewhere, duckdb.FatalException)):
            raise
        return one_line(error)
    return ""


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
