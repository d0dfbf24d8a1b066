"""One empty DuckDB in reserve, for questions that have one of their own (`kept` says which have not).

Making one takes longer than answering a query about a million rows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

Config = Mapping[str, Any]

HOT = "hot"
"""The schema that every one of them has for the ledger's hot rows."""

_READY = f"SET GLOBAL TimeZone = 'UTC'; CREATE SCHEMA {HOT}; CREATE SCHEMA internal"

_guard = threading.Lock()
_asked = 0
_making: _Making | None = None
_leaving: set[threading.Thread] = set()


class _Making:
    """A DuckDB that a thread makes; no daemon, whoever asks: the interpreter must not end inside DuckDB."""

    def __init__(self, config: Config) -> None:
        self.config, self.process = config, os.getpid()
        self._made: list[duckdb.DuckDBPyConnection] = []
        self._thread = threading.Thread(target=self._make, name="ib-spare", daemon=False)
        self._thread.start()

    def _make(self) -> None:
        with suppress(Exception):  # whoever asks makes one, and is told why not
            self._made.append(made(self.config))

    def wait(self) -> None:
        """Wait until it is made, or could not be."""
        self._thread.join()

    def get(self) -> duckdb.DuckDBPyConnection | None:
        """Return it once it is made; None when that failed."""
        self.wait()
        return self._made[0] if self._made else None


def take(config: Config) -> duckdb.DuckDBPyConnection:
    """Return an empty DuckDB of that configuration for one query, and have another one made meanwhile.

    A process that asks once has none made for nothing.
    """
    global _making, _asked
    with _guard:
        mine, _making = _making, None
        _asked += 1
        if _asked > 1:
            with suppress(RuntimeError):  # the interpreter is shutting down
                _making = _Making(config)
    if mine is not None and mine.config == config and mine.process == os.getpid():
        db = mine.get()
        if db is not None:
            return db
    return made(config)


def leave(db: duckdb.DuckDBPyConnection) -> None:
    """Close a DuckDB that has no file open any more; only the end of a ledger waits for it."""
    thread = threading.Thread(target=_close, args=(db,), name="ib-close", daemon=False)
    try:
        with _guard:
            thread.start()
            _leaving.add(thread)
    except RuntimeError:  # the interpreter is shutting down
        db.close()


def _close(db: duckdb.DuckDBPyConnection) -> None:
    try:
        db.close()
    finally:
        with _guard:
            _leaving.discard(threading.current_thread())


def wait() -> None:
    """Wait for what is made and closed beside queries, so that a ledger that is closed leaves no thread."""
    with _guard:
        making, leaving = _making, list(_leaving)
    if making is not None and making.process == os.getpid():
        making.wait()
    for thread in leaving:
        thread.join()


def made(config: Config) -> duckdb.DuckDBPyConnection:
    """Return a new DuckDB of that configuration."""
    import duckdb

    db = duckdb.connect(":memory:", config=dict(config))
    db.execute(_READY)
    return db


def _in_child() -> None:
    """Forget the parent's, without an end: closing it waits for threads that this process does not have."""
    import ctypes

    global _guard, _making
    if _making is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_making))
    _guard, _making = threading.Lock(), None
    _leaving.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
