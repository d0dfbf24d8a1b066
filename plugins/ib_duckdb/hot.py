"""The hot ledger's connection: one SQLite file, one connection per process, one lock around every write.

SQLite comes from `apsw`, which bundles a version without the WAL-reset bug (3.7.0 to 3.51.2) that the
standard library's SQLite may have. Writes are durable when they return (WAL, synchronous=FULL).
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from ib_duckdb import migrate
from ib_duckdb.locks import OsLock
from ib_kernel.errors import StoreError

VERSION = 1
"""Version of the hot ledger's schema (``hot.sql``)."""

BUSY_S = 30.0
"""Seconds to wait for another process's write; one takes well under a millisecond."""

_SCHEMA = Path(__file__).with_name("hot.sql")
_inherited: list[apsw.Connection] = []  # a forked child must never close its parent's connection


def _undo(db: apsw.Connection) -> None:
    """End a transaction that is still open: an interrupt can come between any two statements."""
    if db.in_transaction:
        db.execute("ROLLBACK")


def make_folder(folder: Path) -> None:
    """Create the ledger's folder, readable by its owner only. `StoreError` when that is impossible."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the ledger's folder {folder}: {error.strerror}; choose another with IB_DATA_DIR"
        ) from None


class Hot:
    """The hot ledger in *folder*; created when it is not there. Safe from several threads."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.path = folder / "hot.sqlite3"
        self.ledger_id = ""
        self._folder = folder
        self._closed = False
        self._db: apsw.Connection | None = None
        self._pid = 0
        self._mutex = threading.RLock()
        self._lock = OsLock(folder / "hot.lock")
        with self._faults_explained():
            self._open()

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """Yield the connection inside one durable transaction, alone among all processes."""
        with self._mine(), self._faults_explained():
            db = self._connection()
            try:
                if not self._lock.acquire(BUSY_S):
                    raise apsw.BusyError("locked")
                try:
                    _undo(db)
                    db.execute("BEGIN IMMEDIATE")
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    _undo(db)
                    raise
            finally:
                self._lock.release()

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Yield the connection for a short read; several statements see one state of the ledger."""
        with self._mine(), self._faults_explained():
            db = self._connection()
            try:
                _undo(db)
                db.execute("BEGIN")
                yield db
            finally:
                _undo(db)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Yield a read-only connection of its own: a long read that keeps no call waiting."""
        with self._faults_explained():
            db = apsw.Connection(f"{self.path.as_uri()}?mode=ro", flags=_READ | apsw.SQLITE_OPEN_URI)
            try:
                db.set_busy_timeout(int(BUSY_S * 1000))
                db.execute("BEGIN")
                yield db
                db.execute("ROLLBACK")
            finally:
                db.close()

    def close(self) -> None:
        """Close the connection, under the lock. Idempotent."""
        with self._mine(closing=True):
            if self._db is None:
                return
            try:
                self._lock.acquire(1.0)
                self._db.close()
            finally:
                self._db = None
                self._closed = True
                self._lock.close()

    @contextmanager
    def _mine(self, *, closing: bool = False) -> Iterator[None]:
        """Hold the in-process lock; in a forked child, start over with locks and a connection of its own."""
        if self._pid != os.getpid():
            self._mutex = threading.RLock()
            self._lock = OsLock(self._folder / "hot.lock")
            if self._db is not None:
                _inherited.append(self._db)
            self._db = None
            if not (closing or self._closed):
                with self._faults_explained():
                    self._open()
        with self._mutex:
            yield

    def _connection(self) -> apsw.Connection:
        if self._closed or self._db is None:
            raise StoreError("this ledger has been closed; build a new store")
        return self._db

    def _open(self) -> None:
        self._pid = os.getpid()
        try:
            if not self._lock.acquire(BUSY_S):
                raise apsw.BusyError("locked")
            if not self.path.exists():  # only then: opening it once more would drop SQLite's own locks
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            db = apsw.Connection(str(self.path), flags=_READ_WRITE)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        finally:
            self._lock.release()

    def _prepare(self, db: apsw.Connection) -> None:
        db.set_busy_timeout(int(BUSY_S * 1000))
        db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'ledger'").fetchone():
            now = time.time()
            db.execute("BEGIN IMMEDIATE")
            db.execute(_SCHEMA.read_text(encoding="utf-8"))
            # A new hot ledger beside an old usage.duckdb must not give its session keys again.
            values = (VERSION, uuid.uuid4().hex, int(now * 1000), now)
            db.execute("INSERT INTO ledger VALUES (?, ?, ?, ?)", values)
            db.execute("COMMIT")
        version, self.ledger_id = _one(db, "SELECT version, ledger_id FROM ledger")
        migrate.hot(db, self.path, version, VERSION)

    @contextmanager
    def _faults_explained(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into one line that says what to do."""
        try:
            yield
        except (apsw.BusyError, apsw.LockedError):
            raise StoreError(
                f"the ledger {self.path} has been locked by another process for {BUSY_S:.0f} s; "
                "is one of them stopped?"
            ) from None
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise StoreError(
                f"the ledger {self.path} is damaged ({error}); move it (and its -wal file) away to start "
                "a new one: usage.duckdb beside it keeps what was moved there"
            ) from None
        except apsw.FullError:
            raise StoreError(
                f"the disk of {self.path} is full: nothing was recorded; free some space"
            ) from None
        except (
            apsw.ReadOnlyError,
            apsw.CantOpenError,
            apsw.PermissionsError,
            apsw.AuthError,
            PermissionError,
        ):
            raise StoreError(
                f"the ledger {self.path} cannot be written; check the folder's permissions, "
                "or choose another with IB_DATA_DIR"
            ) from None
        except (apsw.IOError, OSError) as error:
            raise StoreError(
                f"the ledger {self.path} cannot be used: {error}; is its disk in order?"
            ) from None


_READ = apsw.SQLITE_OPEN_READONLY
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE


def _one(db: apsw.Connection, sql: str) -> Any:
    return db.execute(sql).fetchone()
