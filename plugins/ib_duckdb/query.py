"""Answering SQL: the record, read-only, and the hot rows beside it, in a DuckDB that can do nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ib_duckdb import migrate, views
from ib_duckdb.columns import CALLS, IN_DOUBT, TABLES, VERSION, Table
from ib_duckdb.faults import Damaged, InUse, explained, is_damage
from ib_duckdb.record import Record, schema_version, watermarks
from ib_kernel.errors import QueryError, StoreBusy, StoreError
from ib_kernel.values.results import QueryResult

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot

WAIT_S = 10.0
"""Seconds to wait while another kernel moves rows, which takes some 25 ms."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # or SELECT … FROM name would read our Python variables
    "temp_directory": "",
}
_CATALOG = "record"
_ALLOWED = "SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, PIVOT or EXPLAIN"


def run(record: Record, hot: Hot, query: str, now: float, parameters: Sequence[Any] = ()) -> QueryResult:
    """Answer one read-only query. `QueryError`, `StoreBusy` or `StoreError`, each in one line."""
    import duckdb

    _check(query)
    with connected(record, hot, now, views.needed(query)) as db:
        try:
            db.execute(query, list(parameters))
            names = tuple(column[0] for column in db.description or ())
            return QueryResult(names, db.fetchall())
        except duckdb.Error as error:
            if isinstance(error, duckdb.CatalogException):
                error = _said_with_all_views(db, query, error)
            if is_damage(error):
                raise StoreError(
                    f"{record.path} is damaged ({one_line(error)}); calls go on. Move the file away to have "
                    "the last 30 days rebuilt"
                ) from None
            raise QueryError(one_line(error)) from None


def _said_with_all_views(
    db: duckdb.DuckDBPyConnection, query: str, error: duckdb.CatalogException
) -> duckdb.Error:
    """Return what DuckDB says when every view is there: its did-you-mean knows their names then."""
    import duckdb

    try:
        db.execute("ROLLBACK")
        db.execute(views.text())
        db.execute("BEGIN TRANSACTION READ ONLY")
        db.execute(query)
    except duckdb.Error as said:
        return said
    return error


@contextmanager
def connected(record: Record, hot: Hot, now: float, wanted: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a locked-down connection on which the record's names cover the hot rows too.

    *wanted* are the statements that create the views to have.
    """
    import duckdb

    with record.turn():  # one thread at a time: two handles of one file in a process share no lock
        db = record.parked()
        catalog: str | None = _CATALOG
        fresh = db is None
        if db is None:
            db = duckdb.connect(":memory:", config=_CONFIG)
        try:
            if fresh:
                with record.exclusive(WAIT_S) as free:  # another kernel's mover finishes before we attach
                    catalog = _attach(record, db, repair_checksum=free)
            with hot.snapshot() as rows:  # read after attaching: from here on nobody can move rows
                _fill(db, rows, hot.ledger_id, catalog, now)
            _views(db, catalog, wanted)
            if fresh:
                db.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
                db.execute("SET lock_configuration = true")
            db.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield db
            finally:
                with suppress(duckdb.Error):  # a damaged file can end the connection
                    db.execute("ROLLBACK")
        finally:
            if not (catalog and record.keep_open(db)):
                db.close()


def hand_out(record: Record, hot: Hot, now: float) -> duckdb.DuckDBPyConnection:
    """Return a connection for the user to keep: the file attached read-only, the hot rows beside it.

    It shows what had been settled when it was made, can write files (``COPY … TO``), and keeps rows from
    being moved until it is closed. `StoreBusy` when the file is open elsewhere for writing.
    """
    import duckdb

    with record.turn():
        db = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
        try:
            with record.exclusive(WAIT_S) as free:
                catalog = _attach(record, db, repair_checksum=free)
                record.hand_out(db)
            with hot.snapshot() as rows:
                _fill(db, rows, hot.ledger_id, catalog, now)
            _views(db, catalog, views.text())
            db.execute("SET TimeZone = 'UTC'")
        except BaseException:
            db.close()
            raise
        return db


def _attach(record: Record, db: duckdb.DuckDBPyConnection, *, repair_checksum: bool) -> str | None:
    if not record.path.exists():
        return None
    path = str(record.path).replace("'", "''")
    try:
        with explained(record.path):
            db.execute(f"ATTACH '{path}' AS {_CATALOG} (READ_ONLY)")
    except InUse as busy:
        raise StoreBusy(
            f"{record.path.name} is open for writing in {busy.holder}; calls go on, and %%usage works again "
            "when that is closed"
        ) from None
    except Damaged as damage:
        if not repair_checksum:
            raise StoreBusy(f"{record.path.name} is being repaired; calls go on, try again") from None
        record.restore(str(damage))
        return _attach(record, db, repair_checksum=False) if record.path.exists() else None
    known = schema_version(db, _CATALOG)
    if known is None:
        db.execute("DETACH record")
        return None
    migrate.check(record.path, known[0], VERSION, migrate.RECORD_STEPS)
    if known[0] < VERSION:
        raise StoreBusy(
            f"{record.path.name} has an older schema and is in use, so that it could not be brought forward "
            "yet; calls go on, close the tool that has it open"
        )
    return _CATALOG


def _fill(db: duckdb.DuckDBPyConnection, hot: Any, ledger: str, catalog: str | None, now: float) -> None:
    statements = ["CREATE SCHEMA IF NOT EXISTS hot"]
    for table in TABLES:  # a parked connection has rows of an earlier query
        statements += [table.create("hot"), f"TRUNCATE hot.{table.name}"]
    db.execute("; ".join(statements))
    marks = watermarks(db, ledger, catalog) if catalog else {}
    for table in TABLES:
        rows = list(hot.execute(table.select(), (marks.get(table.name, 0), -1)))
        if table is CALLS:
            rows += list(hot.execute(IN_DOUBT, (now,)))
        _insert(db, table, rows)


def _insert(db: duckdb.DuckDBPyConnection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        db.execute(table.insert("hot"), [list(column) for column in zip(*rows, strict=True)])


def _views(db: duckdb.DuckDBPyConnection, catalog: str | None, wanted: str) -> None:
    statements = ["CREATE SCHEMA IF NOT EXISTS internal"]
    for table in TABLES:
        moved = f"FROM {catalog}.{table.schema}.{table.name} UNION ALL BY NAME " if catalog else ""
        name = f"{table.schema}.{table.name}"
        statements.append(f"CREATE OR REPLACE VIEW {name} AS {moved}FROM hot.{table.name}")
    db.execute("; ".join((*statements, wanted)))


def _check(query: str) -> None:
    import duckdb

    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(one_line(error)) from None
    if not statements:
        raise QueryError("no query was given; try: SELECT * FROM calls LIMIT 10")
    if len(statements) > 1:
        raise QueryError(f"one query at a time, please; these are {len(statements)}")
    kind = statements[0].type
    types = duckdb.StatementType
    pivot = kind == types.MULTI and re.match(
        r"(?is)\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*(pivot|with|from)\b", query
    )
    if kind not in (types.SELECT, types.EXPLAIN) and not pivot:
        raise QueryError(
            f"usage can only be read, and this is a statement of kind {kind.name}; allowed: {_ALLOWED}"
        )


def one_line(error: BaseException) -> str:
    """Condense DuckDB's message: what it says before the marked line, did-you-mean included."""
    text = str(error).strip()
    if "pytz" in text:
        return "a time with a zone cannot be shown here; cast it, as in now()::TIMESTAMP (all times are UTC)"
    lines = re.split(r"\n\s*\nLINE \d+:|\nLINE \d+:|\n\s*\nStack Trace", text)[0].splitlines()
    line = " ".join(part.strip() for part in lines if part.strip())
    return line.replace("record.main.", "").replace("hot.", "") or type(error).__name__
