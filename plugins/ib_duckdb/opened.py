"""The hot ledger's open connection, and what becomes of it when its files are replaced or deleted."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

from ib_duckdb import forks, migrate, schema
from ib_duckdb.files import Guard, Readers, State, identity
from ib_kernel.errors import StoreError

VERSION = 5
"""Version of the hot ledger's schema (``hot.sql`` and the files it names)."""

BUSY_S = 30.0
"""Seconds to wait for another process's write; one takes well under a millisecond."""

CHECKPOINT_PAGES = 1_000
"""Pages of the write-ahead log after which it is copied into the database, by whoever writes then."""

WAITED_PAGES = 4_000
"""The same while another process waits for its turn: copying takes as long as many writes."""

_READ = apsw.SQLITE_OPEN_READONLY
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE


class Opened:
    """The ledger in *path*, once `open` was called; one thread uses it at a time, and changes it `alone`.

    Args:
        path: The database.
        tick_s: Seconds that one look at a running session's clock may add (``clock`` in SQL).
        clock: Gives the day that spending counts for (``ledger_day()``).

    Attributes:
        ledger_id: The ledger that was opened first; no other may take its place.
        guard: Knows whether the files are still the ones that were opened.
    """

    def __init__(self, path: Path, tick_s: float, clock: Callable[[], float]) -> None:
        self.path = path
        self.ledger_id = ""
        self.guard = Guard(path)
        self._tick_s, self._clock = tick_s, clock
        self._db: apsw.Connection | None = None
        self._closed = False
        self._pages = 0

    def open(self) -> None:
        """Open what is on disk; `StoreError` when it is not the ledger we had."""
        self._db, self.guard = self._open()

    def connection(self) -> apsw.Connection:
        """Return the connection; `StoreError` once it is closed."""
        if self._closed or self._db is None:
            raise StoreError(
                "this ledger was closed here; type %reload_ext ib_kernel (in Python: build a new store)"
            )
        return self._db

    def in_place(self, folder: State | None = None) -> apsw.Connection:
        """Return the connection, opened again when the log was replaced; raise when the ledger is gone."""
        db = self.connection()
        if self.guard.in_place(folder):
            return db
        if identity(self.path) is None:
            raise self.moved(self._save(db))
        if self.guard.same_database() and self.guard.log_is_gone():
            with suppress(apsw.Error):  # what only the removed log has is written to the database
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if self.guard.same_database():  # connections of a process share memory: let go of the old one
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.close()  # our lock stays, so that SQLite does not take itself for the last user
        new, guard = self._open()
        self._leave(db, self.guard, stale=True)
        self._db, self.guard = new, guard
        return new

    def undo(self) -> None:
        """End a transaction that is still open: an interrupt can come between any two statements."""
        undo(self._db)

    def read_only(self) -> apsw.Connection:
        """Return a connection of its own that sees the ledger as it is now; the caller closes it."""
        if not self.path.exists():
            raise self.moved()
        db = apsw.Connection(f"{self.path.as_uri()}?mode=ro", flags=_READ | apsw.SQLITE_OPEN_URI)
        try:
            db.set_busy_timeout(int(BUSY_S * 1000))
            self._add_functions(db)
            db.execute("BEGIN")
            if _one(db, "SELECT ledger_id FROM ledger") != (self.ledger_id,):
                raise self.moved()
        except BaseException:
            db.close()
            raise
        return db

    def replace_by(self, source: apsw.Connection) -> None:
        """Make this ledger a copy of the one that *source* has open, in one step, and bring it forward."""
        db = self.in_place()
        undo(db)
        with db.backup("main", source, "main") as running:
            while not running.done:
                running.step(10_000)
        schema.prepare(db, self.path, VERSION)
        self.ledger_id = _one(db, "SELECT ledger_id FROM ledger")[0]

    def checkpoint(self, readers: Readers, wanted: Callable[[], bool]) -> None:
        """Copy a long log into the database, only while nobody reads, nor waits to write (*wanted*).

        A reader's own lock may have been dropped by another library in its process; ours cannot be.
        """
        if self._pages < CHECKPOINT_PAGES or (self._pages < WAITED_PAGES and wanted()):
            return
        with readers.nobody(0.0 if self._pages < 5 * WAITED_PAGES else 0.1) as free:
            if free:
                with suppress(apsw.Error):  # the write itself is durable already
                    self.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    self._pages = 0

    def moved(self, saved: str = "", *, in_a_write: bool = False) -> StoreError:
        """Return the line about files that are not the ones we had; *saved* names where they are kept."""
        outcome = "and this write may be lost" if in_a_write else "so nothing was recorded"
        return StoreError(
            f"the ledger {self.path} was moved, replaced or deleted while this process used it, {outcome}; "
            f"{saved}put it back, or restart the kernel"
        )

    def forget(self) -> None:
        """In a forked child: never touch what the parent has open."""
        forks.keep(self._db)
        self._db = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._db is not None

    def close(self) -> None:
        """Close the connection, if there is one, for good."""
        self._closed = True
        try:
            if self._db is not None:
                self._leave(self._db, self.guard, stale=not self.guard.in_place())
        finally:
            self._db = None

    def _open(self) -> tuple[apsw.Connection, Guard]:
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
                raise self.moved()
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
        self._leave(db, self.guard, stale=True)
        self._db, self._closed = None, True
        return f"what was recorded before is kept in {kept.name}, which may take its place; "


def undo(db: apsw.Connection | None) -> None:
    """End a transaction of *db* that is still open."""
    if db is not None and db.in_transaction:
        db.execute("ROLLBACK")


def _one(db: apsw.Connection, sql: str) -> Any:
    return db.execute(sql).fetchone()
