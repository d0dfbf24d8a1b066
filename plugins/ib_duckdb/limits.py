"""Running one query with limits: it can be stopped, and it takes only so much time, memory and rows."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ib_kernel.errors import QueryError
from ib_kernel.values.results import QueryResult

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

MOST_ABANDONED = 3
"""Queries that were stopped and are still at work, at most: DuckDB cannot be stopped inside one function."""

STOP_S = 1.0
"""Seconds to wait for a query that was told to stop; it then ends by itself."""

LOOK_S = 0.1
"""Seconds between two looks for an interrupt and for the end of the query's time."""

BATCH = 5_000
"""Rows fetched at once; between two batches a query can be stopped."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take: seconds, bytes of memory (0: by the machine), rows of its result."""

    seconds: float = 60.0
    memory: int = 0
    rows: int = 1_000_000

    @property
    def bytes(self) -> int:
        """The memory limit: what was chosen, else 1 GB or a quarter of the machine, whichever is less."""
        return self.memory or min(1_000_000_000, _machine() // 4)


def _machine() -> int:
    """Return the machine's memory in bytes; 4 GB where it cannot be told."""
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4_000_000_000


class Running(Generic[T]):
    """Work in a thread of its own, so that an interrupt ends the waiting within a second."""

    def __init__(self, limits: Limits, abandoned: Callable[[], None] = lambda: None) -> None:
        """*abandoned* is called when the work goes on although it was stopped, and is not waited for."""
        still = len(_abandoned)
        if still >= MOST_ABANDONED:
            raise QueryError(
                f"{still} stopped queries are still at work inside DuckDB; wait, or restart the kernel"
            )
        self.limits = replace(limits, memory=limits.bytes // (still + 1)) if still else limits
        self._on_abandoned = abandoned
        self._db: duckdb.DuckDBPyConnection | None = None
        self._stopped = False
        self._done = threading.Event()
        self._answer: list[T] = []
        self._error: BaseException | None = None

    def begin(self, db: duckdb.DuckDBPyConnection) -> None:
        """Note the connection to interrupt. `QueryError` when it is too late."""
        self._db = db
        self.go_on()

    def go_on(self) -> None:
        """Raise `QueryError` once the query has been stopped."""
        if self._stopped:
            raise QueryError("the query was stopped")

    def result(self, work: Callable[[Running[T]], T]) -> T:
        """Run *work* and return its answer or raise its error; one line when it is stopped or takes long."""
        threading.Thread(target=self._run, args=(work,), name="ib-query", daemon=True).start()
        deadline = time.monotonic() + self.limits.seconds
        try:
            while not (in_time := self._done.wait(LOOK_S)) and time.monotonic() < deadline:
                pass  # in slices: not everywhere does an interrupt end a wait
        except KeyboardInterrupt:
            self._stop()
            raise QueryError("the query was stopped; nothing was changed") from None
        if not in_time:
            self._stop()
            raise QueryError(
                f"the query took longer than {self.limits.seconds:g} s and was stopped; ask for less, or "
                "raise query_s in [plugins.duckdb]"
            )
        if self._error is not None:
            raise self._error
        return self._answer[0]

    def _run(self, work: Callable[[Running[T]], T]) -> None:
        try:
            self._answer.append(work(self))
        except BaseException as error:  # noqa: BLE001 (raised where the answer is awaited)
            self._error = error
        finally:
            self._db = None
            self._done.set()
            _abandoned.discard(self)

    def _stop(self) -> None:
        self._stopped = True
        db = self._db
        if db is not None:
            with suppress(Exception):  # it may have been closed since
                db.interrupt()
        if not self._done.wait(STOP_S) and self._db is not None:
            _abandoned.add(self)
            self._on_abandoned()
            if self._done.is_set():
                _abandoned.discard(self)


_abandoned: set[Running[Any]] = set()


def fetched(db: duckdb.DuckDBPyConnection, running: Running[Any]) -> QueryResult:
    """Return the rows of the query just executed, up to the limits; the result says what was left out."""
    names = tuple(column[0] for column in db.description or ())
    rows: list[tuple[Any, ...]] = []
    limits, size = running.limits, 0
    while True:
        running.go_on()
        batch = db.fetchmany(BATCH)
        rows += batch
        if len(batch) < BATCH:
            break
        size += sum(map(_size, batch[:: BATCH // 50])) * (BATCH // 50)
        if len(rows) > limits.rows or size > limits.bytes:
            break
    note = ""
    if len(rows) > limits.rows:
        del rows[limits.rows :]
        note = (
            f"only the first {limits.rows:,} rows are here: there are more than query_rows ([plugins.duckdb])"
        )
    elif size > limits.bytes:
        note = (
            f"only the first {len(rows):,} rows are here: query_memory_mb ([plugins.duckdb]) allows no more"
        )
    return QueryResult(names, rows, note)


def _size(row: tuple[Any, ...]) -> int:
    return sys.getsizeof(row) + sum(map(sys.getsizeof, row))
