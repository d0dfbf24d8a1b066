"""The record, ``usage.duckdb``: who may open it when, and how final rows get there exactly once.

Every open goes through `Record.reading` or `Record.writing`: one lock for this process (two handles of one
file in one process would drop each other's POSIX locks), one lock file among processes, and every way
DuckDB has to say "in use" turned into `InUse`. The file is never opened by anything but DuckDB.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from ib_duckdb import migrate, views
from ib_duckdb.columns import TABLES, VERSION, Table
from ib_duckdb.faults import Damaged, InUse, explained, held_here
from ib_duckdb.hot import Hot
from ib_duckdb.locks import OsLock, process_lock
from ib_duckdb.repair import repair_checksum
from ib_kernel.errors import StoreError

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

CHUNK = 20_000
"""Rows that are moved in one transaction."""

_lent: dict[str, list[duckdb.DuckDBPyConnection]] = {}  # by path; closed by whoever asked for it
_parked: dict[str, duckdb.DuckDBPyConnection] = {}  # by path; at most one per process


class Record:
    """``usage.duckdb`` in *folder*. `marks`: up to where each table had been moved, when last seen."""

    def __init__(self, folder: Path, hot: Hot) -> None:
        self.path = folder / "usage.duckdb"
        self._hot = hot
        self.marks: dict[str, int] = {}
        self._seen: tuple[int, int, int] | None = None
        self._lock_path = folder / "usage.lock"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread of this process uses the record."""
        with process_lock(self.path):
            yield

    def parked(self) -> duckdb.DuckDBPyConnection | None:
        """Return the connection that `park` kept, or close it when the user's own is gone."""
        kept = _parked.get(str(self.path))
        if kept is not None and not held_here(self.path, ours=1):
            _parked.pop(str(self.path)).close()
            return None
        return kept

    def keep_open(self, db: duckdb.DuckDBPyConnection) -> bool:
        """Keep *db* open if the user has the file open in this process too; False when it may be closed.

        Closing any handle drops the whole process's lock on the file (POSIX), so that another kernel
        would write under the user's own read-only connection.
        """
        if not held_here(self.path, ours=1):
            return False
        _parked[str(self.path)] = db
        return True

    def hand_out(self, db: duckdb.DuckDBPyConnection) -> None:
        """Note that the user has *db*, on which the file is attached: nothing moves until it is closed."""
        _lent.setdefault(str(self.path), []).append(db)

    def lent(self) -> bool:
        """Return True if a connection of `hand_out` is still open."""
        kept = [db for db in _lent.pop(str(self.path), []) if _is_open(db)]
        if kept:
            _lent[str(self.path)] = kept
        return bool(kept)

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[bool]:
        """Hold the record's locks among threads and our own processes; yields False when they are taken."""
        in_process = process_lock(self.path)
        if not in_process.acquire(timeout=max(wait_s, 0.001)):
            yield False
            return
        lock = OsLock(self._lock_path)
        try:
            yield lock.acquire(wait_s)
        finally:
            lock.close()
            in_process.release()

    def move(self) -> int | None:
        """Move what is final; return how many rows, or None when that must wait. Raises `StoreError`."""
        with self.exclusive(0) as free:
            if not free:
                return None
            try:
                return self._move()
            except InUse as busy:
                log.debug("rows stay in the hot ledger: the record is in use by %s", busy.holder)
                return None
            except Damaged as damage:
                self.restore(str(damage))
                return self._move()

    def restore(self, why: str) -> None:
        """Mend a file that cannot be opened, or rename it so that the next move builds a new one.

        Called with the record's locks held.
        """
        if repair_checksum(self.path, why):
            log.warning(
                "usage.duckdb was cut short by a crash during a checkpoint; its checksum was corrected"
            )
        else:
            self.set_aside(why)

    def set_aside(self, why: str) -> None:
        """Rename a file that cannot be opened; the next move builds a new one from the hot rows."""
        for count in itertools.count(1):
            kept = self.path.with_name(f"usage.damaged-{count}.duckdb")
            if not kept.exists():
                break
        wal = self.path.with_name(self.path.name + ".wal")
        try:
            os.rename(self.path, kept)
            if wal.exists():
                os.rename(wal, kept.with_name(kept.name + ".wal"))
        except OSError as error:
            raise StoreError(
                f"{self.path} is damaged ({why}) and cannot be renamed: {error.strerror}"
            ) from None
        log.warning(
            "usage.duckdb was damaged (%s): kept as %s and rebuilt from the last 30 days", why, kept.name
        )

    def _move(self) -> int:
        with self._hot.snapshot() as hot:
            if self._nothing_new(hot):
                return 0
        if self.parked() is not None or self.lent() or held_here(self.path):
            raise InUse("this very process")
        with self._hot.snapshot() as hot, opened(self.path) as db:
            self._prepare(db)
            moved = sum(self._move_table(hot, db, table) for table in TABLES)
        self._seen = _look(self.path)
        return moved

    def _nothing_new(self, hot: apsw.Connection) -> bool:
        """Return True if every final row is in the file we last saw: then no connection is disturbed."""
        if self._seen is None or self._seen != _look(self.path):  # never opened, replaced, or moved by others
            return False
        return all(
            not hot.execute(table.select(), (self.marks[table.name], 1)).fetchall() for table in TABLES
        )

    def _prepare(self, db: duckdb.DuckDBPyConnection) -> None:
        """Create what is missing, in one transaction. `StoreError` when the file is a newer version's."""
        text = views.text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        known = schema_version(db)
        if known is not None:
            migrate.check(self.path, known[0], VERSION, migrate.RECORD_STEPS)
        if known == (VERSION, digest):
            return
        older = known is not None and known[0] < VERSION
        if known is not None and older:
            migrate.back_up_record(db, self.path, known[0])
        db.execute("BEGIN")
        if known is not None and older:
            migrate.record(db, self.path, known[0], VERSION)
        db.execute("CREATE SCHEMA IF NOT EXISTS internal")
        for table in TABLES:
            db.execute(table.create(table.schema))
        db.execute("CREATE TABLE IF NOT EXISTS internal.moved (ledger VARCHAR, name VARCHAR, seq BIGINT)")
        db.execute(
            "CREATE OR REPLACE TABLE internal.version AS SELECT ? AS version, ? AS views", [VERSION, digest]
        )
        db.execute(text)
        db.execute("COMMIT")
        os.chmod(self.path, 0o600)

    def _move_table(self, hot: apsw.Connection, db: duckdb.DuckDBPyConnection, table: Table) -> int:
        """Move rows above the watermark and the watermark, in one transaction per chunk: exactly once."""
        moved = 0
        while True:
            mark = watermark(db, self._hot.ledger_id, table, "")
            rows = hot.execute(table.select(), (mark, CHUNK)).fetchall()
            self.marks[table.name] = mark
            if not rows:
                return moved
            db.execute("BEGIN")
            db.execute(table.insert(table.schema), [list(column) for column in zip(*rows, strict=True)])
            key = [self._hot.ledger_id, table.name]
            db.execute("DELETE FROM internal.moved WHERE ledger = ? AND name = ?", key)
            db.execute("INSERT INTO internal.moved VALUES (?, ?, ?)", [*key, rows[-1][-1]])
            db.execute("COMMIT")
            moved += len(rows)


def _is_open(db: duckdb.DuckDBPyConnection) -> bool:
    import duckdb

    try:
        db.cursor().close()  # asks nothing: a result that the user is reading stays as it is
    except duckdb.ConnectionException:
        return False
    return True


def _look(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one state of the file from another, without opening it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def schema_version(db: duckdb.DuckDBPyConnection, catalog: str = "") -> tuple[int, str] | None:
    """Return the record's schema version and the digest of its views; None for a new file."""
    import duckdb

    prefix = f"{catalog}." if catalog else ""
    try:
        row = db.execute(f"SELECT version, views FROM {prefix}internal.version").fetchone()  # noqa: S608
    except (duckdb.CatalogException, duckdb.InvalidInputException):
        return None
    return (int(row[0]), str(row[1])) if row else None


def watermark(db: duckdb.DuckDBPyConnection, ledger: str, table: Table, catalog: str) -> int:
    """Return the sequence number up to which *table*'s rows of *ledger* are in the record."""
    sql = f"SELECT max(seq) FROM {catalog}internal.moved WHERE ledger = ? AND name = ?"  # noqa: S608
    row = db.execute(sql, [ledger, table.name]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the record for writing and close it, whatever happens. Raises `InUse` or `Damaged`."""
    import duckdb

    with explained(path):
        db = duckdb.connect(str(path))
        try:
            yield db
        finally:
            db.close()


def watermarks(db: duckdb.DuckDBPyConnection, ledger: str, catalog: str) -> dict[str, int]:
    """Return, by table, up to where *ledger*'s rows are in the record attached as *catalog*."""
    sql = f"SELECT name, max(seq) FROM {catalog}.internal.moved WHERE ledger = ? GROUP BY name"  # noqa: S608
    return {str(name): int(seq) for name, seq in db.execute(sql, [ledger]).fetchall()}
