"""`DuckDBStore`: the ledger's parts put together, and what is read from it."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb import kept, spare
from ib_duckdb.async_calls import AsyncCalls
from ib_duckdb.evidence import Evidence
from ib_duckdb.host_async import AsyncHost
from ib_duckdb.hot import Hot
from ib_duckdb.limits import Limits
from ib_duckdb.mounts import refuse_network
from ib_duckdb.mover import Mover
from ib_duckdb.privacy import Privacy
from ib_duckdb.reading import Reading
from ib_duckdb.record import Record
from ib_duckdb.writer import Writer
from ib_kernel.errors import StoreBusy
from ib_kernel.values.results import QueryResult
from ib_kernel.values.verified import Verification

if TYPE_CHECKING:
    import duckdb

    from ib_kernel.values import Reader


class DuckDBStore(AsyncHost, AsyncCalls, Evidence, Privacy, Reading):
    """The embedded ledger (`ib_kernel.values.BudgetStore`) in *data_dir*; several processes may share it.

    *clock* gives seconds since 1970. With *store_transcript* false, messages are dropped and everything
    else is recorded. *background* false starts no mover: rows move with `flush` and `close` only. A network
    file system is refused (`StoreError`) unless *allow_network* is true. *limits* are what one query takes.
    *tick_s*: seconds that a running session's clock gains at most between two looks at it; while a ledger is
    open with *background*, they are 20 seconds apart, so that what is more was sleep, or a clock being set.
    """

    name = "duckdb"

    def __init__(
        self,
        data_dir: Path,
        *,
        store_transcript: bool = True,
        clock: Callable[[], float] = time.time,
        background: bool = True,
        allow_network: bool = False,
        limits: Limits | None = None,
        tick_s: float = 120.0,
    ) -> None:
        folder = Path(data_dir).absolute()
        if not allow_network:
            refuse_network(folder)
        self._clock, self._keep_text, self._background = clock, store_transcript, background
        self._hot = Hot(folder, tick_s, clock)
        self._writer = Writer(self._hot, clock)
        self._record = Record(folder, self._hot)
        self._mover = Mover(self._hot, self._record, clock)
        self._limits = limits or Limits()
        self._news = threading.Condition()
        self._closed = False
        if background:
            self._mover.start()
        self._at_exit = _close_at_exit(self)

    def location(self) -> str:
        """Where the ledger lives: the full path of the file people query; the hot ledger is beside it."""
        return str(self._record.path)

    def sql(self, query: str, *, reader: Reader | None = None) -> QueryResult:
        """Answer one read-only SQL query over all rows, every settled call included.

        With a *reader*, over what that person may see. `QueryError` for the user's mistakes, `StoreBusy` when
        the file is open elsewhere for writing.
        """
        from ib_duckdb.query import run

        self._mover.catch_up()  # before, so that nobody is in the way of a connection the user opens next
        return run(self._record, self._hot, query, self._now(), limits=self._limits, reader=reader)

    def connect(self, *, reader: Reader | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection to a private, read-only copy of everything settled so far.

        With a *reader* who owns the files, without what closed sessions keep to themselves.

        Rows go on moving while it is open, and nothing done on it reaches the ledger. `StoreBusy` when
        another process has the file open for writing.
        """
        from ib_duckdb.snapshot import connect

        self._mover.flush()
        return connect(self._record, self._hot, self._now(), reader)

    def connect_tables(self, tables: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection in memory that has *tables* (Arrow), such as those of a host."""
        from ib_duckdb.snapshot import connect_tables

        return connect_tables(tables)

    def check(self) -> list[str]:
        """Rebuild totals from rows; return one line per disagreement (empty: the ledger adds up)."""
        from ib_duckdb.audit import check

        return check(self._record, self._hot, self._now())

    def verify(self, session_id: str | None = None) -> list[str]:
        """Recompute the hash chain of a session, or of all; return one line for each that differs.

        `UnknownSession`; `StoreBusy` while the record is open elsewhere for writing.
        """
        return list(self.verification(session_id).differences)

    def verification(self, session_id: str | None = None) -> Verification:
        """Do the same, and say how many sessions, rows and erased texts there are."""
        from ib_duckdb.proof import verify

        try:
            return verify(self._record, self._hot, self._now(), session_id)
        except StoreBusy:  # perhaps only because it has an older schema: moving brings it forward
            if not self._mover.flush():
                raise
            return verify(self._record, self._hot, self._now(), session_id)

    def backup(self, target: Path) -> dict[str, str]:
        """Write a copy of the whole ledger into a new folder while it is used (see `backups.back_up`)."""
        from ib_duckdb.backups import back_up

        self._mover.flush()
        return back_up(self._hot, self._record, Path(target))

    def restore(self, source: Path) -> list[str]:
        """Bring a backup back into this ledger, which must be a new one (see `backups.restore`).

        Returns:
            What `check` finds in it: nothing, if it adds up.
        """
        from ib_duckdb.backups import restore

        restore(self._hot, self._record, Path(source))
        self._secret = None
        self._moved_soon()
        return self.check()

    def flush(self) -> None:
        """Move what is final to ``usage.duckdb``, unless another tool has it open: then it moves later."""
        self._mover.flush()

    def close(self) -> None:
        """Flush and release files and threads. The store is not used afterwards. Idempotent."""
        if self._closed or self._hot.fork.inherited:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        self._mover.stop()
        if self._touched:
            self._mover.flush()
        self._mover.close()
        self._record.rest()
        self._writer.close()
        self._hot.close()
        kept.end(self._record.path)
        spare.wait()

    _touched = False

    def _moved_soon(self, *, now: bool = False) -> None:
        self._touched = True
        self._changed()
        if self._background and not (now and self._mover.flush()):
            self._mover.wake()


def _close_at_exit(store: DuckDBStore) -> Callable[[], None]:
    reference = weakref.ref(store)

    def close() -> None:
        alive = reference()
        if alive is not None:
            alive.close()

    atexit.register(close)
    return close
