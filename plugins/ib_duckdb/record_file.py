"""The file of the record, ``usage.duckdb``: how it is opened and read whole, and what it says about itself.

Whoever opens it here has its locks already: `record.Record` takes them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ib_duckdb import foreign, views
from ib_duckdb.columns import TABLES, VERSION, Table
from ib_duckdb.faults import Damaged, explained
from ib_duckdb.statements import one_line
from ib_duckdb.undo_log import BY_ITSELF, UndoLog

if TYPE_CHECKING:
    import duckdb


@functools.cache
def digest() -> str:
    """Return what tells this program's views from those of another version."""
    return hashlib.sha256(views.text().encode()).hexdigest()


def look(path: Path) -> str | None:
    """Return what tells one state of the file from another, without opening it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def schema_version(db: duckdb.DuckDBPyConnection, catalog: str = "") -> tuple[int, str] | None:
    """Return the record's schema version and the digest of its views; None for a new file."""
    import duckdb

    prefix = f"{catalog}." if catalog else ""
    try:
        row = db.execute(f"SELECT version, views FROM {prefix}internal.version").fetchone()  # noqa: S608
    except (duckdb.CatalogException, duckdb.InvalidInputException):
        return None
    return (int(row[0]), str(row[1])) if row else None


def is_current(db: duckdb.DuckDBPyConnection) -> bool:
    """Return True if the record has all tables and views, as this program makes them."""
    return schema_version(db) == (VERSION, digest())


def create(db: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that are missing and all views, and note their version."""
    db.execute("CREATE SCHEMA IF NOT EXISTS internal")
    for table in TABLES:
        db.execute(table.create(table.schema))
    db.execute("CREATE TABLE IF NOT EXISTS internal.moved (ledger VARCHAR, name VARCHAR, seq BIGINT)")
    noted = "CREATE OR REPLACE TABLE internal.version AS SELECT ? AS version, ? AS views"
    db.execute(noted, [VERSION, digest()])
    db.execute(views.text())


def watermark(db: duckdb.DuckDBPyConnection, ledger: str, table: Table, catalog: str) -> int:
    """Return the sequence number up to which *table*'s rows of *ledger* are in the record."""
    sql = f"SELECT max(seq) FROM {catalog}internal.moved WHERE ledger = ? AND name = ?"  # noqa: S608
    row = db.execute(sql, [ledger, table.name]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def verify(path: Path) -> None:
    """Read all of a file that somebody else has changed. Raises `Damaged`, also where DuckDB sees nothing.

    A block's checksum does not say where the block belongs, and a write makes a new one: so all of it is read
    before anything is written.
    """
    import duckdb

    with explained(path):
        db = duckdb.connect(str(path), read_only=True)
        try:
            tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
            for schema, name in db.execute(tables).fetchall():
                db.execute(f'SELECT bit_xor(hash(t)) FROM "{schema}"."{name}" t').fetchall()  # noqa: S608
        except duckdb.Error as error:
            raise Damaged(one_line(error)) from None
        finally:
            db.close()
            foreign.keep_lock(path, ours=0)


@contextmanager
def opened(path: Path, undo: UndoLog) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the record for writing and close it, whatever happens; *undo* keeps what is written over.

    Raises `InUse` or `Damaged`.
    """
    import duckdb

    with explained(path):
        try:
            with undo.beside():
                db = duckdb.connect(str(path))
                try:
                    db.execute(f"SET wal_autocheckpoint = '{BY_ITSELF}'")
                    undo.save(db)
                    yield db
                finally:
                    db.close()
            undo.end()
        finally:
            foreign.keep_lock(path, ours=0)


def watermarks(db: duckdb.DuckDBPyConnection, ledger: str, catalog: str = "") -> dict[str, int]:
    """Return, by table, up to where *ledger*'s rows are in the record, attached as *catalog* if given."""
    sql = f"SELECT name, seq FROM {catalog and catalog + '.'}internal.moved WHERE ledger = ?"  # noqa: S608
    return {str(name): int(seq) for name, seq in sorted(db.execute(sql, [ledger]).fetchall())}


def set_watermarks(db: duckdb.DuckDBPyConnection, ledger: str, marks: Mapping[str, int]) -> None:
    """Note up to where *ledger*'s rows are in the record; call it in the transaction that moves them."""
    names = list(marks)
    db.execute("DELETE FROM internal.moved WHERE ledger = ? AND name IN (SELECT unnest(?))", [ledger, names])
    sql = "INSERT INTO internal.moved SELECT ?, unnest(?::VARCHAR[]), unnest(?::BIGINT[])"
    db.execute(sql, [ledger, names, list(marks.values())])
