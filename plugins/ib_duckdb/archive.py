"""A ``usage.duckdb`` of another store's rows: for files to take along, and for connections of other tools."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb import record_file
from ib_duckdb.columns import SESSION_ROWS, TABLES, Table
from ib_kernel.errors import StoreError
from ib_kernel.values.moving import LedgerRows, LedgerSource

if TYPE_CHECKING:
    import duckdb

_BY_NAME = {table.name: table for table in TABLES} | {"sessions": SESSION_ROWS}


class DuckDBFormat:
    """DuckDB files of a whole ledger (`ib_kernel.values.moving.UsageFormat`)."""

    def write(self, target: Path, tables: Iterable[LedgerRows]) -> None:
        """Write the documented tables and their views into a new file, which appears when it is whole."""
        if target.exists():
            raise StoreError(f"{target} is there already; name a new file")
        try:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as name:  # its owner's alone
                new = Path(name) / target.name
                _fill(new, tables)
                os.chmod(new, 0o600)
                os.link(new, target)  # never over a file that came meanwhile
        except OSError as error:
            raise StoreError(f"{target} cannot be written: {error.strerror}") from None

    def connect(self, tables: Iterable[LedgerRows]) -> duckdb.DuckDBPyConnection:
        """Return a read-only connection to a private copy of such a file, gone with its last reference."""
        from ib_duckdb.snapshot import open_private

        with tempfile.TemporaryDirectory(prefix="ib-usage-") as folder:
            target = Path(folder) / "usage.duckdb"
            _fill(target, tables)
            return open_private(target, Path(folder))

    def connect_tables(self, tables: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        """Return a connection in memory with *tables*, Arrow tables by name, such as those of a host."""
        from ib_duckdb.snapshot import connect_tables

        return connect_tables(tables)

    def source(self, folder: Path) -> AbstractContextManager[LedgerSource]:
        """Open the ledger in *folder* to be moved. `StoreError` when there is none."""
        from ib_duckdb.moving import opened

        return opened(folder)


def _fill(target: Path, tables: Iterable[LedgerRows]) -> None:
    import duckdb

    with duckdb.connect(str(target), config={"temp_directory": ""}) as db:
        record_file.create(db)
        sessions = 0
        for piece in tables:
            if piece.rows:
                sessions = _insert(db, _BY_NAME[piece.table], piece, sessions)
        db.execute("CHECKPOINT")


def _insert(db: Any, table: Table, piece: LedgerRows, sessions: int) -> int:
    """Insert a piece of rows; return how many sessions there are by then, which number their rows."""
    types = {column.name: column.type for column in table.columns}
    values = dict(zip(piece.columns, (list(column) for column in zip(*piece.rows, strict=True)), strict=True))
    if table is SESSION_ROWS:
        values["seq"] = list(range(sessions + 1, sessions + len(piece.rows) + 1))
        sessions += len(piece.rows)
    names = ", ".join(values)
    bound = ", ".join(f"unnest(?::{types[name]}[]) AS {name}" for name in values)
    rows = f"SELECT {names} FROM (SELECT {bound})"  # noqa: S608 (our own names)
    db.execute(f"INSERT INTO {table.schema}.{table.name} ({names}) {rows}", list(values.values()))
    return sessions
