"""The DuckDB that moves rows: made once, because making one takes longer than moving some hundred rows.

It has no file of its own. The record is attached for the time of one move only, so that others can open it.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ib_duckdb import foreign, forks
from ib_duckdb.faults import explained
from ib_duckdb.undo_log import BY_ITSELF, UndoLog

if TYPE_CHECKING:
    import duckdb

_NAME = "moved_to"

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "wal_autocheckpoint": BY_ITSELF,
}
"""One thread: rows of some seconds are too few to be shared out."""


_all: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """One DuckDB of this process. Use it with the record's locks held; `close` needs none."""

    def __init__(self) -> None:
        self._db: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.RLock()
        _all.add(self)

    @contextmanager
    def attached(self, path: Path, undo: UndoLog) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection on which the file at *path* is open for writing, as if it was opened by itself.

        *undo* keeps what is written over. Raises `InUse` or `Damaged`. Whatever goes wrong ends this DuckDB,
        so that nothing keeps the file.
        """
        quoted = str(path).replace("'", "''")
        with self._lock, explained(path):
            try:
                with undo.beside():
                    try:
                        db = self._made()
                        db.execute(f"ATTACH '{quoted}' AS {_NAME}; USE {_NAME}")
                        undo.save(db)
                        yield db
                        db.execute(f"USE memory; DETACH {_NAME}")
                    except BaseException:
                        self.close()
                        raise
                undo.end()
            finally:
                foreign.keep_lock(path, ours=0)

    @property
    def is_made(self) -> bool:
        """Whether there is one."""
        return self._db is not None

    def close(self) -> None:
        """End it once nobody uses it; the next use makes another. Idempotent."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def _made(self) -> duckdb.DuckDBPyConnection:
        if self._db is None:
            import duckdb

            self._db = duckdb.connect(":memory:", config=_CONFIG)
        return self._db

    def forget(self) -> None:
        """In a forked child: ending the parent's would wait for threads that the child does not have."""
        forks.keep(self._db)
        self._db, self._lock = None, threading.RLock()


def give_back() -> None:
    """Return memory that nobody uses to the system, where its C library is told to (glibc)."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _in_child() -> None:
    for engine in list(_all):
        engine.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
