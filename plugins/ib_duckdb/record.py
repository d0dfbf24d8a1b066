"""The record, ``usage.duckdb``: who may open it when, and how final rows get there exactly once.

Whoever opens the file has asked here: one lock for this process (two handles of one file in one process would
drop each other's POSIX locks), one lock file among processes, and every way DuckDB has to say "in use" turned
into `InUse`. The file (`record_file`) is never opened by anything but DuckDB, but for `foreign.copy`.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb import engine, foreign, migrate, private, quarantine, record_file
from ib_duckdb.columns import TABLES, VERSION, Table
from ib_duckdb.faults import Damaged, InUse, held_here
from ib_duckdb.hot import Hot
from ib_duckdb.locks import OsLock, new_process_lock, process_lock
from ib_duckdb.undo_log import UndoLog
from ib_kernel.errors import StoreBusy, StoreError

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

CHUNK = 20_000
"""Rows, of all tables together, that are moved in one transaction."""

WAIT_S = 10.0
"""Seconds to wait while another thread or kernel uses the record, which takes some 25 ms."""

_SIMPLE = "SELECT 1 FROM {} WHERE seq > ? LIMIT 1"


class Record:
    """``usage.duckdb`` in *folder*. `marks`: up to where each table had been moved, when last seen."""

    def __init__(self, folder: Path, hot: Hot) -> None:
        self.path = folder / "usage.duckdb"
        self._hot = hot
        self.marks: dict[str, int] = {}
        self._left: str | None = None
        self._lock_path = folder / "usage.lock"
        self._prepared = False
        self._engine = engine.Engine()
        self._undo = UndoLog(self.path)

    @property
    def is_warm(self) -> bool:
        """Whether the next move needs to load and make no DuckDB."""
        return self._engine.is_made

    def rest(self) -> None:
        """Give back what is kept between two moves; the next one takes longer. Idempotent."""
        self._engine.close()
        engine.give_back()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread of this process uses the record. `StoreBusy` when that takes long."""
        lock = process_lock(self.path)
        if not lock.acquire(timeout=WAIT_S):
            raise StoreBusy(
                f"another query of this kernel still uses {self.path.name}; try again in a moment"
            )
        try:
            yield
        finally:
            lock.release()

    def abandon_turn(self) -> None:
        """Let others go on although a query that cannot be stopped keeps its turn; it ends in `last_turn`."""
        new_process_lock(self.path)

    @contextmanager
    def last_turn(self) -> Iterator[None]:
        """Be alone with the record once more, to close it: one's turn may have been abandoned meanwhile."""
        while True:
            lock = process_lock(self.path)
            with lock:
                if lock is process_lock(self.path):
                    yield
                    return

    def writable_here(self) -> bool:
        """Return True if somebody in this process has the file open for writing."""
        return True in (foreign.handles(self.path) or ())

    def keep_lock(self) -> None:
        """Before a handle of ours is closed: keep the file locked for others here who have it open."""
        foreign.keep_lock(self.path, ours=1)

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[bool]:
        """Take the record's locks among threads and our own processes; yields False when they are taken."""
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
                self.recover(str(damage))
                return self._move()

    def bring(self) -> None:
        """Move what is final; for who is `exclusive` already."""
        self._move()

    def rebuild(self, why: str) -> None:
        """Recover a damaged file, and move what is final. `StoreBusy` while others use it."""
        with self.exclusive(WAIT_S) as free:
            if not free:
                raise StoreBusy(f"{self.path.name} is damaged and in use; calls go on, try again in a moment")
            self.recover(why)
            self._move()

    def recover(self, why: str) -> bool:
        """Undo what a killed process has begun in a file that cannot be read, or else set the file aside.

        Call it with the locks held. Returns True if the file has been put right.
        """
        if self._undo.put_back():
            try:
                record_file.verify(self.path)
            except Damaged:
                log.info("the undo log of %s did not help", self.path.name)
            else:
                log.info("%s was cut short by a killed process, and has been put right", self.path.name)
                return True
        self.set_aside(why)
        return False

    def set_aside(self, why: str) -> None:
        """Rename a file that cannot be read; the next move builds a new one. Call it with the locks held."""
        for count in itertools.count(1):
            kept = self.path.with_name(f"usage.damaged-{count}.duckdb")
            if not kept.exists():
                break
        log_of = self.path.with_name(self.path.name + ".wal")
        try:
            os.rename(self.path, kept)
            if log_of.exists():
                os.rename(log_of, kept.with_name(kept.name + ".wal"))
            self._undo.forget()
        except OSError as error:
            raise StoreError(
                f"{self.path} is damaged ({why}) and cannot be renamed: {error.strerror}"
            ) from None
        log.warning(
            "usage.duckdb was damaged (%s): kept as %s and rebuilt from the last 30 days", why, kept.name
        )

    def _move(self) -> int:
        with self._hot.snapshot() as hot:  # with the locks held: nobody moves rows that are not in it
            if self._nothing_new(hot):
                return 0
            (noted,) = hot.execute("SELECT max(file) FROM moved").fetchone() or (None,)
            foreign.let_go(self.path)
            if held_here(self.path):
                raise InUse("this very process")
            if record_file.look(self.path) not in (None, noted):
                record_file.verify(self.path)
            moved = self._append(hot)
            if moved is None:
                moved = self._prepare_and_take(hot)
        self._note_marks()
        return moved

    def _append(self, hot: apsw.Connection) -> int | None:
        """Move rows into a file that has all its tables and views; None where they are to be made first."""
        if not self.path.exists():
            return None
        with self._engine.attached(self.path, self._undo) as db:
            return self._take(hot, db) if record_file.is_current(db) else None

    def _prepare_and_take(self, hot: apsw.Connection) -> int:
        with self._begun_whole(), record_file.opened(self.path, self._undo) as db:
            older = private.is_older(record_file.schema_version(db))
            moved = 0 if older else self._prepared_and_taken(hot, db)
        if older:
            private.clean_record(self.path)
            with record_file.opened(self.path, self._undo) as db:
                moved = self._prepared_and_taken(hot, db)
        return moved

    @contextmanager
    def _begun_whole(self) -> Iterator[None]:
        """Leave no file that was only begun: on a full disk it would be one that nobody can read."""
        if self.path.exists():
            yield
            return
        self._prepared = False
        try:
            yield
        except BaseException:
            if not self._prepared:
                for name in (self.path, self.path.with_name(f"{self.path.name}.wal")):
                    name.unlink(missing_ok=True)
            raise

    def _prepared_and_taken(self, hot: apsw.Connection, db: duckdb.DuckDBPyConnection) -> int:
        self.prepare(db, hot)
        self._prepared = True
        os.chmod(self.path, 0o600)
        return self._take(hot, db)

    def _take(self, hot: apsw.Connection, db: duckdb.DuckDBPyConnection) -> int:
        """Move rows above the watermarks and the watermarks, in one transaction per chunk: exactly once."""
        found = record_file.watermarks(db, self._hot.ledger_id)
        self.marks = {table.name: found.get(table.name, 0) for table in TABLES}
        if behind := self._behind(hot):  # new rows would have numbers that others had
            raise StoreError(behind)
        moved, more = 0, True
        while more:
            batch = self._next(hot)
            more = sum(map(len, batch.values())) == CHUNK
            if not batch:
                break
            marks = {table.name: rows[-1][-1] for table, rows in batch.items()}
            moved += quarantine.insert_all(
                db,
                batch,
                also=partial(record_file.set_watermarks, db, self._hot.ledger_id, marks),
                apart=partial(quarantine.note, self._hot),
            )
            self.marks.update(marks)
            if more:
                self._undo.checkpoint(db)
        return moved

    def _next(self, hot: apsw.Connection) -> dict[Table, list[Any]]:
        """Return the next rows to move, by table: `CHUNK`, or all there are."""
        batch: dict[Table, list[Any]] = {}
        room = CHUNK
        for table in TABLES:
            rows: list[Any] = hot.execute(table.select(), (self.marks[table.name], room)).fetchall()
            room -= len(rows)
            if rows:
                batch[table] = rows
            if not room:
                break
        return batch

    def _nothing_new(self, hot: apsw.Connection) -> bool:
        """Return True if every final row is in the file as it is: then nothing is opened or disturbed.

        Up to where rows are in the file is noted in the hot ledger, for all processes, with the file's
        look: a file that was replaced or removed is looked into.
        """
        seen = record_file.look(self.path)
        noted = {name: (seq, file) for name, seq, file in hot.execute("SELECT name, seq, file FROM moved")}
        known = seen is not None and all(noted.get(table.name, (0, ""))[1] == seen for table in TABLES)
        if known:
            self.marks, self._left = {table.name: noted[table.name][0] for table in TABLES}, seen
        elif seen is not None:
            return False
        marks = self.marks if known else dict.fromkeys((table.name for table in TABLES), 0)
        return not any(hot.execute(_SIMPLE.format(name), (mark,)).fetchone() for name, mark in marks.items())

    def is_as_left(self) -> bool:
        """Return True if the file looks as it did when rows were last moved, or there was nothing to move."""
        return self._left is not None and record_file.look(self.path) == self._left

    def behind(self) -> str:
        """Return a line when the hot ledger lacks rows that were moved from it, else ""."""
        marks = dict(self.marks)
        with self._hot.snapshot() as hot:  # read after the marks: rows are moved from it only
            return self._behind(hot, marks)

    def _behind(self, hot: apsw.Connection, marks: Mapping[str, int] | None = None) -> str:
        for name, mark in (self.marks if marks is None else marks).items():
            ((newest,),) = hot.execute(f"SELECT coalesce(max(seq), 0) FROM {name}").fetchall()  # noqa: S608
            if isinstance(newest, int) and newest < mark:
                return (
                    f"{self.path.name} has {mark - newest:,} rows of {name} that {self._hot.path.name} "
                    "no longer has: an older copy of it was put back, or its -wal file deleted; totals "
                    "and budgets do not count them, and nothing is moved. Put the newest copy back"
                )
        return ""

    def _note_marks(self) -> None:
        seen = record_file.look(self.path) or ""
        with suppress(StoreError), self._hot.write() as db:  # without the note, somebody looks once more
            db.executemany(
                "INSERT OR REPLACE INTO moved VALUES (?, ?, ?)",
                [(name, mark, seen) for name, mark in self.marks.items()],
            )

    def prepare(self, db: duckdb.DuckDBPyConnection, hot: apsw.Connection) -> None:
        """Create what is missing in *db*, in one transaction. `StoreError` when it is a newer version's."""
        known = record_file.schema_version(db)
        if known is not None:
            migrate.check(self.path, known[0], VERSION, migrate.RECORD_STEPS)
        if record_file.is_current(db):
            return
        older = known is not None and known[0] < VERSION
        if known is not None and older:
            migrate.back_up_record(db, self.path, known[0])
        db.execute("BEGIN")
        if known is not None and older:
            migrate.record(db, hot, known[0], VERSION)
        record_file.create(db)
        db.execute("COMMIT")
