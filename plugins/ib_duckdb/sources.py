"""What a question is answered from: the record, attached read-only, and the rows that are not in it yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ib_duckdb import migrate, quarantine, spare
from ib_duckdb.columns import CALLS, IN_DOUBT, RUNNING, SESSION_ROWS, TABLES, VERSION, Table
from ib_duckdb.faults import InUse, explained
from ib_duckdb.record import Record
from ib_duckdb.record_file import schema_version, watermarks
from ib_kernel.errors import StoreBusy

if TYPE_CHECKING:
    import apsw
    import duckdb

CATALOG = "record"
"""The record's name where it is attached."""


def attach(record: Record, db: duckdb.DuckDBPyConnection, name: str = CATALOG) -> str | None:
    """Attach the record read-only as *name*; return that, None when there is none yet. Raises `Damaged`."""
    if not record.path.exists():
        return None
    path = str(record.path).replace("'", "''")
    try:
        if record.writable_here():
            raise InUse("this very process")
        with explained(record.path):
            db.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
            known = schema_version(db, name)
    except InUse as busy:
        raise StoreBusy(
            f"{record.path.name} is open for writing in {busy.holder}; calls go on, and %%usage works again "
            "when that is closed"
        ) from None
    if known is None:
        db.execute(f"DETACH {name}")
        return None
    migrate.check(record.path, known[0], VERSION, migrate.RECORD_STEPS)
    if known[0] < VERSION:
        raise StoreBusy(
            f"{record.path.name} has an older schema and is in use, so that it could not be brought forward "
            "yet; calls go on, close the tool that has it open"
        )
    return name


def hot_rows(
    hot: apsw.Connection, marks: dict[str, int], now: float, tables: Sequence[Table] = TABLES
) -> Iterator[tuple[Any, Any]]:
    """Yield each table and its rows that are not in the record yet, sessions that run now among them."""
    for table in tables:
        rows: list[Any] = list(hot.execute(table.select(), (marks.get(table.name, 0), -1)))
        if table is CALLS:
            rows += hot.execute(IN_DOUBT, (now,))
        elif table is SESSION_ROWS:
            rows += hot.execute(RUNNING, {"now": now})
        yield table, rows


def fill(
    db: duckdb.DuckDBPyConnection,
    hot: apsw.Connection,
    ledger: str,
    catalog: str | None,
    now: float,
    tables: Sequence[Table],
    schema: str = spare.HOT,
) -> set[str]:
    """Put the rows that are not in the record into tables of the same names in *schema*.

    Returns the names of the tables made there: without a record all, else those that have any such rows.
    """
    made = [table.name for table in tables if not catalog]
    first = [] if schema == spare.HOT else [f"CREATE SCHEMA {schema}"]
    if first or made:
        db.execute("; ".join((*first, *(table.create(schema) for table in tables if table.name in made))))
    marks = watermarks(db, ledger, catalog) if catalog else {}
    for table, rows in hot_rows(hot, marks, now, tables):
        if rows:
            if table.name not in made:
                made.append(table.name)
                db.execute(table.create(schema))
            quarantine.insert(db, table, schema, rows)
    return set(made)


def sources(tables: Sequence[Table], filled: set[str], catalog: str | None, schema: str) -> dict[Table, str]:
    """Return for each of *tables* the query of all its rows: a union takes longer than most answers."""
    found = {}
    for table in tables:
        moved = [f"FROM {catalog}.{table.schema}.{table.name}"] if catalog else []
        new = [f"FROM {schema}.{table.name}"] if table.name in filled else []
        found[table] = " UNION ALL BY NAME ".join(moved + new)
    return found
