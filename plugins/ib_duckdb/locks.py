"""Locks between processes: one small class over ``flock`` (POSIX) or `filelock` (Windows).

A lock is held by an open file of its own, never by a data file: closing any handle of a file drops the
POSIX locks that SQLite and DuckDB hold on it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

FIRST_WAIT_S = 0.000_2
LONGEST_WAIT_S = 0.004
"""Waiting is polling, so that it can end: a stopped process must not stop the others for ever."""

_all: weakref.WeakSet[OsLock] = weakref.WeakSet()


class OsLock:
    """An exclusive lock among processes and among instances in one process. Not reentrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._other: Any = None
        _all.add(self)

    def acquire(self, timeout_s: float) -> bool:
        """Take the lock; False when it is still taken after *timeout_s* seconds (0: do not wait)."""
        if self._try():
            return True
        deadline = time.monotonic() + timeout_s
        wait = FIRST_WAIT_S
        while time.monotonic() < deadline:
            time.sleep(wait)
            if self._try():
                return True
            wait = min(wait * 1.5, LONGEST_WAIT_S)
        return False

    if sys.platform == "win32":

        def _try(self) -> bool:
            import filelock

            if self._other is None:
                self._other = filelock.FileLock(str(self._path), thread_local=False)
            try:
                self._other.acquire(timeout=0)
            except filelock.Timeout:
                return False
            return True

        def release(self) -> None:
            """Let go of the lock."""
            self._other.release()

    else:

        def _try(self) -> bool:
            import fcntl

            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def release(self) -> None:
            """Let go of the lock."""
            import fcntl

            if self._fd is not None:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock and its file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._other is not None:
            self._other.release(force=True)
            self._other = None


_in_process: dict[str, threading.RLock] = {}
_registry = threading.Lock()


def process_lock(path: Path) -> threading.RLock:
    """Return the one lock of this process for *path*, whichever store asks."""
    with _registry:
        return _in_process.setdefault(str(path), threading.RLock())


def _after_fork() -> None:
    """Forget inherited locks: a child that kept the file open would keep its parent's lock alive."""
    global _registry
    _registry = threading.Lock()
    _in_process.clear()
    for lock in list(_all):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
