"""A connection for other tools: a private, read-only copy of everything settled so far.

It has no part in the ledger's files. Nothing done on it can reach them, rows go on moving while it is open,
and one that nobody closes keeps nothing but itself: its file has no name any more (POSIX).
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb import foreign, quarantine, readers, views
from ib_duckdb.columns import TABLES
from ib_duckdb.faults import Damaged
from ib_duckdb.record import WAIT_S, Record
from ib_duckdb.record_file import watermark
from ib_duckdb.sources import attach, hot_rows

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot
    from ib_kernel.values import Reader

_number = itertools.count(1)


def connect(record: Record, hot: Hot, now: float, reader: Reader | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to a copy of the record with the hot rows in it; the caller closes it, or not.

    With a *reader*, what closed sessions keep to themselves is taken out of the copy.

    `StoreBusy` when the file is open elsewhere for writing.
    """
    target = record.path.with_name(f".usage-{os.getpid()}-{next(_number)}.duckdb")
    try:
        try:
            _copy(record, target)
        except Damaged as damage:
            record.rebuild(str(damage))
            _copy(record, target)
        _complete(record, hot, target, now, reader)
        return open_private(target, record.path)
    finally:
        for name in (target, Path(f"{target}.wal")):
            with suppress(OSError):  # Windows keeps the name of an open file
                name.unlink()


def open_private(target: Path, ledger: Path) -> duckdb.DuckDBPyConnection:
    """Return a read-only connection to the file *target*, with no way to what is at *ledger*."""
    import duckdb

    db = duckdb.connect(
        str(target),
        read_only=True,
        config={
            "autoinstall_known_extensions": "false",
            "temp_directory": str(_private_folder(os.getpid()) / target.stem),
        },
    )
    db.execute("SET TimeZone = 'UTC'")
    _keep_from_the_ledger(db, ledger)
    return db


@functools.cache
def _private_folder(pid: int) -> Path:
    """Return where this process's connections put what does not fit into memory; gone when it ends.

    DuckDB's own folders and files can be read by every user of the machine, under names that can be guessed.
    """
    folder = tempfile.mkdtemp(prefix="ib-usage-")  # 0700

    def remove() -> None:
        if os.getpid() == pid:  # a forked child's end is not ours
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)


def _keep_from_the_ledger(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Let the connection use files of the working directory only, and none when the ledger is in it.

    With `ATTACH … (READ_WRITE)` it could open the ledger's own file otherwise.
    """
    here = Path.cwd().resolve()
    if not path.resolve().is_relative_to(here):
        db.execute("SET allowed_directories = ['{}']".format(str(here).replace("'", "''")))
    db.execute("SET enable_external_access = false")


def connect_tables(tables: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory with *tables*, Arrow tables by name; the caller closes it, or not."""
    import duckdb

    db = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    for name, table in tables.items():
        db.register("arriving", table)
        quoted = name.replace('"', '""')
        db.execute(f'CREATE TABLE "{quoted}" AS FROM arriving')
        db.unregister("arriving")
    db.execute("SET TimeZone = 'UTC'")
    return db


def _copy(record: Record, target: Path) -> None:
    """Copy the record while nobody writes to it: our own attached handle sees to that."""
    import duckdb

    with record.turn(), record.exclusive(WAIT_S):
        remove_left_behind(target.parent)
        fd = os.open(target, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        db = duckdb.connect(":memory:")
        try:
            if attach(record, db) is None:
                os.close(fd)
                fd = -1
                target.unlink()
                return
            foreign.copy(record.path, fd)
            log = Path(f"{record.path}.wal")
            if log.exists():
                Path(f"{target}.wal").write_bytes(log.read_bytes())
        finally:
            if fd >= 0:
                os.close(fd)
            record.keep_lock()
            db.close()


def remove_left_behind(folder: Path) -> list[str]:
    """Remove the copies of processes that were killed before they could; return their names."""
    gone = [old for old in sorted(folder.glob(".usage-*.duckdb*")) if not _alive(old.name)]
    for old in gone:
        old.unlink(missing_ok=True)
    return [old.name for old in gone]


def _alive(name: str) -> bool:
    try:
        os.kill(int(name.split("-")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except OSError:
        return True
    return True


def _complete(record: Record, hot: Hot, target: Path, now: float, reader: Reader | None) -> None:
    """Put the rows that are still in the hot ledger into the copy."""
    import duckdb

    with duckdb.connect(str(target), config={"temp_directory": ""}) as db:
        with hot.snapshot() as rows:
            record.prepare(db, rows)
            marks = {table.name: watermark(db, hot.ledger_id, table, "") for table in TABLES}
            for table, found in hot_rows(rows, marks, now):
                if found:
                    quarantine.insert(db, table, table.schema, found)
        db.execute(views.text())
        if reader is not None and reader.hides_locked:
            readers.close_in(db, reader)
