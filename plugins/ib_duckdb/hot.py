"""The hot ledger's connection: one SQLite file, one connection per process, one lock around every write.

SQLite comes from `apsw`, which bundles a version without the WAL-reset bug (3.7.0 to 3.51.2) that the
standard library's SQLite may have. Writes are durable when they return (WAL, synchronous=FULL), and only
when the files they went to are still the ones on disk (see ``files.py``).
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from ib_duckdb import forks, migrate, private, schema
from ib_duckdb.faults import HotExplained
from ib_duckdb.files import Guard, Readers, State, identity
from ib_duckdb.locks import FairLock
from ib_kernel.errors import StoreError

VERSION = 5
"""Version of the hot ledger's schema (``hot.sql`` and the files it names)."""

BUSY_S = 30.0
"""Seconds to wait for another process's write; one takes well under a millisecond."""

CHECKPOINT_PAGES = 1_000
"""Pages of the write-ahead log after which it is copied into the database, by whoever writes then."""

WAITED_PAGES = 4_000
"""The same while another process waits for its turn: copying takes as long as many writes."""


def _undo(db: apsw.Connection | None) -> None:
    """End a transaction that is still open: an interrupt can come between any two statements."""
    if db is not None and db.in_transaction:
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
    """The hot ledger in *folder*; created when it is not there. Safe from several threads.

    *tick_s* are the seconds that one look at a running session's clock may add (``clock`` in SQL),
    *clock* gives the day that spending counts for (``ledger_day()``).
    A forked child cannot use the one of its parent: every call is one line there. It may open its own.
    """

    def __init__(self, folder: Path, tick_s: float = 120.0, clock: Callable[[], float] = time.time) -> None:
        make_folder(folder)
        self._tick_s, self._clock = tick_s, clock
        self.path = folder / "hot.sqlite3"
        self._explained = HotExplained(self.path, BUSY_S)
        self.ledger_id = ""
        self._closed = False
        self._db: apsw.Connection | None = None
        self._pages = 0
        self._guard = Guard(self.path)
        self._readers = Readers(folder / "hot.lock")
        self._lock = FairLock(folder / "hot.lock")
        self.fork = forks.Forked(self._forget)
        with self.alone():
            self._db, self._guard = self._open()

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """Yield the connection inside one durable transaction, alone among all processes.

        `StoreError` when the files are no longer the ones on disk: nothing is acknowledged then.
        """
        with self.alone(), self.transaction() as db:
            yield db

    @contextmanager
    def alone(self, wait_s: float = BUSY_S) -> Iterator[bool]:
        """Be alone among all threads and processes; `StoreError` when that takes long.

        With *wait_s* 0, yields False when another process has the ledger at this moment.
        """
        self.fork.refuse(self.path)
        with self.fork.writing, self._explained:
            try:
                free = self._lock.acquire(wait_s)
                if not free and wait_s > 0:
                    raise apsw.BusyError("locked")
                yield free
            finally:
                self._lock.release()

    def wanted(self) -> bool:
        """Return True if another process waits until this one, which is `alone`, is done."""
        return self._lock.wanted()

    def transaction(self) -> _Transaction:
        """Return the block of one durable transaction, for who is `alone`; it yields the connection.

        See `write`.
        """
        return _Transaction(self)

    def _begin(self) -> apsw.Connection:
        try:
            folder, self._lock.folder = self._lock.folder, None  # one look serves both
            db = self._in_place(folder)
            if db.in_transaction:
                _undo(db)
            db.execute("BEGIN IMMEDIATE")
        except BaseException:
            _undo(self._db)
            raise
        return db

    def _end(self, well: bool) -> None:
        """Make a transaction durable, or undo it; raise where its files are no longer the ones on disk."""
        db = self._connection()
        try:
            if not well:
                return
            db.execute("COMMIT")
        finally:
            _undo(db)
        if not self._guard.in_place():
            self._in_place()  # raises when the ledger is gone
            raise self._moved(in_a_write=True)
        self._checkpoint(db)

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Yield the connection for a short read; several statements see one state of the ledger."""
        with self._mine(), self._faults_explained():
            db = self._connection()
            if not self._guard.in_place():
                with self.alone():
                    db = self._in_place()
            with self._readers.reading():
                try:
                    _undo(db)
                    db.execute("BEGIN")
                    yield db
                finally:
                    _undo(db)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Yield a read-only connection of its own: a long read that keeps no call waiting."""
        with self._mine():
            guard = self._guard
        with self.fork.reading, self._faults_explained(), guard.also(), self._readers.reading():
            if not self.path.exists():
                raise self._moved()
            db = apsw.Connection(f"{self.path.as_uri()}?mode=ro", flags=_READ | apsw.SQLITE_OPEN_URI)
            try:
                db.set_busy_timeout(int(BUSY_S * 1000))
                self._add_functions(db)
                db.execute("BEGIN")
                if _one(db, "SELECT ledger_id FROM ledger") != (self.ledger_id,):
                    raise self._moved()
                yield db
                db.execute("ROLLBACK")
            finally:
                db.close()

    def replace_by(self, source: apsw.Connection) -> None:
        """Make this ledger a copy of the one that *source* has open, in one step, and bring it forward.

        Its files stay the same ones, so that nobody who has it open writes into files that are gone.
        """
        with self.alone():
            db = self._in_place()
            _undo(db)
            with db.backup("main", source, "main") as running:
                while not running.done:
                    running.step(10_000)
            schema.prepare(db, self.path, VERSION)
            self.ledger_id = _one(db, "SELECT ledger_id FROM ledger")[0]

    def write_anew(self) -> bool:
        """Leave nothing in the files but the rows that are there; False when that must wait for readers."""
        with self.alone():
            return private.write_anew(self._in_place(), self.path)

    def changed(self) -> tuple[int, ...]:
        """Return what tells one state of the ledger from another, without opening anything."""
        found = []
        for name in (self.path, f"{self.path}-wal"):
            with suppress(OSError):
                stat = os.stat(name)
                found += [stat.st_ino, stat.st_size, stat.st_mtime_ns]
        return tuple(found)

    def close(self) -> None:
        """Close the connection, under the lock. Idempotent; in a forked child it only forgets."""
        if self.fork.inherited:
            return
        with self.fork.writing:
            self._closed = True
            if self._db is None:
                return
            try:
                with suppress(OSError):
                    self._lock.acquire(1.0)
                self._leave(self._db, self._guard, stale=not self._guard.in_place())
            finally:
                self._db = None
                self._lock.close()
                self._readers.close()

    @contextmanager
    def _mine(self) -> Iterator[None]:
        """Take the in-process lock. `StoreError` in a child that was forked from its opener."""
        self.fork.refuse(self.path)
        with self.fork.writing:
            yield

    def _forget(self) -> None:
        """In a forked child: never touch what the parent has open."""
        forks.keep(self._db)
        self._db = None

    def _connection(self) -> apsw.Connection:
        if self._closed or self._db is None:
            raise StoreError(
                "this ledger was closed here; type %reload_ext ib_kernel (in Python: build a new store)"
            )
        return self._db

    def _in_place(self, folder: State | None = None) -> apsw.Connection:
        """Return the connection, opened again when the log was replaced; raise when the ledger is gone."""
        db = self._connection()
        if self._guard.in_place(folder):
            return db
        if identity(self.path) is None:
            raise self._moved(self._save(db))
        if self._guard.same_database() and self._guard.log_is_gone():
            with suppress(apsw.Error):  # what only the removed log has is written to the database
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if self._guard.same_database():  # the process's connections share their memory: let go of the old one
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.close()  # our lock stays, so that SQLite does not take itself for the last user
        new, guard = self._open()
        self._leave(db, self._guard, stale=True)
        self._db, self._guard = new, guard
        return new

    def _open(self) -> tuple[apsw.Connection, Guard]:
        """Open what is on disk, under the lock; `StoreError` when it is not the ledger we had."""
        if self.ledger_id == "" and not self.path.exists():  # once: opening it again drops SQLite's own locks
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        guard = Guard(self.path)
        if not guard.enter():
            new = self._connect()
            new.close()
            guard.enter()
        db = None
        try:
            db = self._connect()
            found = _one(db, "SELECT ledger_id FROM ledger")[0]
            if not guard.seen():
                raise apsw.CantOpenError("its log is missing")
            if self.ledger_id not in ("", found):
                raise self._moved()
            self.ledger_id = found
        except BaseException:
            self._leave(db, guard, stale=True)
            raise
        return db, guard

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path), flags=_READ_WRITE)
        try:
            db.set_busy_timeout(int(BUSY_S * 1000))
            db.set_wal_hook(self._note_pages)
            self._add_functions(db)
            schema.prepare(db, self.path, VERSION)
        except BaseException:
            db.close()
            raise
        return db

    @staticmethod
    def _leave(db: apsw.Connection | None, guard: Guard, *, stale: bool) -> None:
        """Close a connection; a *stale* one leaves alone what stands in its files' places."""
        with guard.leaving():
            if db is not None:
                if stale:
                    with suppress(apsw.ConnectionClosedError):
                        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                db.close()

    def _add_functions(self, db: apsw.Connection) -> None:
        """Let SQL see our clock; a function that each call's statements use would run Python inside them."""
        clock = self._clock
        db.execute(f"CREATE TEMP VIEW clock AS SELECT {min(self._tick_s, 1e9):f} AS most")
        db.create_scalar_function("ledger_day", lambda *_: int(clock() // 86_400), 0)

    def _note_pages(self, db: apsw.Connection, name: str, pages: int) -> int:
        self._pages = pages
        return 0

    def _checkpoint(self, db: apsw.Connection) -> None:
        """Copy a long log into the database, under the lock and only while nobody reads, nor waits to write.

        A reader's own lock may have been dropped by another library in its process; ours cannot be.
        """
        if self._pages < CHECKPOINT_PAGES or (self._pages < WAITED_PAGES and self.wanted()):
            return
        with self._readers.nobody(0.0 if self._pages < 5 * WAITED_PAGES else 0.1) as free:
            if free:
                with suppress(apsw.Error):  # the write itself is durable already
                    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    self._pages = 0

    def _save(self, db: apsw.Connection) -> str:
        """Write what is open to a file of its own when the ledger was deleted; return words that name it."""
        for count in itertools.count(1):
            kept = self.path.with_name(f"hot.saved-{count}.sqlite3")
            if not kept.exists():
                break
        try:
            os.close(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            migrate.copy_hot(db, kept)
        except (OSError, apsw.Error):
            return ""
        self._leave(db, self._guard, stale=True)
        self._db, self._closed = None, True
        return f"what was recorded before is kept in {kept.name}, which may take its place; "

    def _moved(self, saved: str = "", *, in_a_write: bool = False) -> StoreError:
        outcome = "and this write may be lost" if in_a_write else "so nothing was recorded"
        return StoreError(
            f"the ledger {self.path} was moved, replaced or deleted while this process used it, {outcome}; "
            f"{saved}put it back, or restart the kernel"
        )

    def _faults_explained(self) -> HotExplained:
        return self._explained


class _Transaction:
    """The block of `Hot.transaction`: it ends durable, or as if it had not begun.

    No generator, which costs four times as much. An interrupt can come between any two statements.
    """

    __slots__ = ("_hot",)

    def __init__(self, hot: Hot) -> None:
        self._hot = hot

    def __enter__(self) -> apsw.Connection:
        with self._hot._explained:
            return self._hot._begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._hot._explained:
            self._hot._end(error is None)
        self._hot._explained.__exit__(kind, error, trace)


_READ = apsw.SQLITE_OPEN_READONLY
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE


def _one(db: apsw.Connection, sql: str) -> Any:
    return db.execute(sql).fetchone()
