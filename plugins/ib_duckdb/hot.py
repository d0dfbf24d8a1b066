"""The hot ledger's connection: one SQLite file, one connection per process, one lock around every write.

SQLite comes from `apsw`, which bundles a version without the WAL-reset bug (3.7.0 to 3.51.2) that the
standard library's SQLite may have. Writes are durable when they return (WAL, synchronous=FULL), and only
when the files they went to are still the ones on disk (see ``files.py``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import apsw

from ib_duckdb import forks, private
from ib_duckdb.faults import HotExplained
from ib_duckdb.files import Readers
from ib_duckdb.locks import FairLock
from ib_duckdb.opened import BUSY_S, Opened, undo
from ib_kernel.errors import StoreError

T = TypeVar("T")


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
        self.path = folder / "hot.sqlite3"
        self._explained = HotExplained(self.path, BUSY_S)
        self._opened = Opened(self.path, tick_s, clock)
        self._readers = Readers(folder / "hot.lock")
        self._lock = FairLock(folder / "hot.lock")
        self.fork = forks.Forked(self._opened.forget)
        self.in_use = False
        """Whether somebody of this process reads or writes now; to be looked at, not relied on."""
        with self.alone():
            self._opened.open()

    @property
    def ledger_id(self) -> str:
        """The id of the ledger that is open."""
        return self._opened.ledger_id

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """Yield the connection inside one durable transaction, alone among all processes.

        `StoreError` when the files are no longer the ones on disk: nothing is acknowledged then.
        """
        with self.alone(), self.transaction() as db:
            yield db

    def do(self, work: Callable[[apsw.Connection], T], wait_s: float = BUSY_S) -> tuple[bool, T | None]:
        """Run *work* as `write` does; return whether it was run, and its answer.

        With *wait_s* 0 it is not run when another process has the ledger at this moment. This is the way of a
        lone caller: no generator, which costs as much as a statement.
        """
        self.fork.refuse(self.path)
        with self.fork.writing, self._explained:  # a lock's `with` leaves no moment for an interrupt
            try:
                try:
                    return self._done(work) if self._taken(wait_s) else (False, None)
                finally:
                    self._release()
            except BaseException:  # perhaps an interrupt on the way out
                self._open_up()
                raise

    def _done(self, work: Callable[[apsw.Connection], T]) -> tuple[bool, T]:
        well = False
        try:
            answer = work(self._begin())
            well = True
        finally:
            self._end(well)
        return True, answer

    @contextmanager
    def alone(self, wait_s: float = BUSY_S) -> Iterator[bool]:
        """Be alone among all threads and processes; `StoreError` when that takes long.

        With *wait_s* 0, yields False when another process has the ledger at this moment.
        """
        self.fork.refuse(self.path)
        with self.fork.writing, self._explained:
            try:
                try:
                    yield self._taken(wait_s)
                finally:
                    self._release()
            except BaseException:
                self._open_up()
                raise

    def _taken(self, wait_s: float) -> bool:
        self.in_use = True
        free = self._lock.acquire(wait_s)
        if not free and wait_s > 0:
            raise apsw.BusyError("locked")
        return free

    def _release(self) -> None:
        self.in_use = False
        self._lock.release()

    def _open_up(self) -> None:
        """Leave nothing taken or begun, wherever an interrupt has come."""
        self.in_use = False
        self._opened.undo()
        self._lock.open_up()

    def wanted(self) -> bool:
        """Return True if another process waits until this one, which is `alone`, is done."""
        return self._lock.wanted()

    def transaction(self) -> _Transaction:
        """Return the block of one durable transaction, for who is `alone`; it yields the connection.

        See `write`.
        """
        return _Transaction(self)

    def _begin(self) -> apsw.Connection:
        opened = self._opened
        try:
            folder, self._lock.folder = self._lock.folder, None  # one look serves both
            db = opened.in_place(folder)
            if db.in_transaction:
                undo(db)
            db.execute("BEGIN IMMEDIATE")
        except BaseException:
            opened.undo()
            raise
        return db

    def _end(self, well: bool) -> None:
        """Make a transaction durable, or undo it; raise where its files are no longer the ones on disk."""
        opened = self._opened
        try:
            if not well:
                return
            opened.connection().execute("COMMIT")
        finally:
            opened.undo()
        if not opened.guard.in_place():
            opened.in_place()  # raises when the ledger is gone
            raise opened.moved(in_a_write=True)
        opened.checkpoint(self._readers, self.wanted)

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Yield the connection for a short read; several statements see one state of the ledger."""
        with self._mine(), self._explained:
            db = self._opened.connection()
            if not self._opened.guard.in_place():
                with self.alone():
                    db = self._opened.in_place()
            with self._readers.reading():
                try:
                    undo(db)
                    db.execute("BEGIN")
                    yield db
                finally:
                    undo(db)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Yield a read-only connection of its own: a long read that keeps no call waiting."""
        with self._mine():
            guard = self._opened.guard
        with self.fork.reading, self._explained, guard.also(), self._readers.reading():
            db = self._opened.read_only()
            try:
                yield db
                db.execute("ROLLBACK")
            finally:
                db.close()

    def replace_by(self, source: apsw.Connection) -> None:
        """Make this ledger a copy of the one that *source* has open, in one step, and bring it forward.

        Its files stay the same ones, so that nobody who has it open writes into files that are gone.
        """
        with self.alone():
            self._opened.replace_by(source)

    def write_anew(self) -> bool:
        """Leave nothing in the files but the rows that are there; False when that must wait for readers."""
        with self.alone():
            return private.write_anew(self._opened.in_place(), self.path)

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
            if not self._opened.is_open:
                self._opened.close()
                return
            try:
                with suppress(OSError):
                    self._lock.acquire(1.0)
                self._opened.close()
            finally:
                self._lock.close()
                self._readers.close()

    @contextmanager
    def _mine(self) -> Iterator[None]:
        """Take the in-process lock. `StoreError` in a child that was forked from its opener."""
        self.fork.refuse(self.path)
        with self.fork.writing:
            before, self.in_use = self.in_use, True
            try:
                yield
            finally:
                self.in_use = before


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
