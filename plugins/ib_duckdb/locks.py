"""Locks between processes: one small class over ``flock`` (POSIX) or `filelock` (Windows).

A lock is held by an open file of its own, never by a data file: closing any handle of a file drops the
POSIX locks that SQLite and DuckDB have on it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ib_duckdb.files import State, folder_state, settled

if sys.platform != "win32":
    import fcntl

POLL_S = 0.002
"""Seconds between two looks where the system offers no queue to wait in (Windows)."""

IDLE_S = 10.0
"""Seconds without work after which a thread that waits for locks ends."""

_all: weakref.WeakSet[OsLock] = weakref.WeakSet()
_helpers: list[queue.SimpleQueue[Callable[[], None]]] = []
_helpers_guard = threading.Lock()


def _helped(work: Callable[[], None]) -> None:
    """Run *work* in a thread that may wait without end; one that is idle is taken before another starts.

    Under contention every transaction waits, and starting a thread costs as much as the transaction.
    """
    with _helpers_guard:
        jobs = _helpers.pop() if _helpers else None
    if jobs is None:
        jobs = queue.SimpleQueue()
        threading.Thread(target=_help, args=(jobs,), name="ib-lock", daemon=True).start()
    jobs.put(work)


def _help(jobs: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        try:
            work = jobs.get(timeout=IDLE_S)
        except queue.Empty:
            with _helpers_guard:
                if jobs in _helpers:
                    _helpers.remove(jobs)
                    return
            continue  # somebody has just taken this thread
        work()
        del work
        with _helpers_guard:
            _helpers.append(jobs)


class OsLock:
    """An exclusive lock among processes and among instances in one process. Not reentrant."""

    def __init__(self, path: Path, *, checked: bool = True) -> None:
        self._path = os.fspath(path)
        self._checked = checked  # if not, its owner asks whether it is `in_place`
        self._fd: int | None = None
        self._identity: os.stat_result | None = None
        self._other: Any = None
        _all.add(self)

    def acquire(self, timeout_s: float) -> bool:
        """Take the lock; False when it is still taken after *timeout_s* seconds (0: do not wait).

        Waiting can end, so that a stopped process does not stop the others without end.
        """
        return self._try() or (timeout_s > 0 and self._wait(timeout_s))

    def _poll(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            time.sleep(POLL_S)
            if self._try():
                return True
        return False

    if sys.platform == "win32":

        def _try(self) -> bool:
            import filelock

            if self._other is None:
                self._other = filelock.FileLock(self._path, thread_local=False)
            try:
                self._other.acquire(timeout=0)
            except filelock.Timeout:
                return False
            return True

        def _wait(self, timeout_s: float) -> bool:
            return self._poll(timeout_s)

        def in_place(self) -> bool:
            """Return True: no file that is open can be removed here."""
            return True

        def release(self) -> None:
            """Let go of the lock."""
            if self._other is not None:
                self._other.release()

    else:

        def _try(self) -> bool:
            try:
                fcntl.flock(self.opened(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return not self._checked or self.in_place() or self._anew()

        def opened(self) -> int:
            """Return the lock's open file."""
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._identity = os.fstat(self._fd)
            return self._fd

        def in_place(self) -> bool:
            """Return True if the file that is locked is the one at the path: somebody may have removed it."""
            assert self._identity is not None  # noqa: S101 (for the type checker)
            try:
                return os.path.samestat(self._identity, os.stat(self._path))
            except FileNotFoundError:
                return False

        def _anew(self) -> bool:
            self.close()
            return self._try()

        def _wait(self, timeout_s: float) -> bool:
            try:
                if not _wait_for([self], timeout_s):
                    return False
            except RuntimeError:  # the interpreter is shutting down
                return self._poll(timeout_s)
            return not self._checked or self.in_place() or self._anew()

        def release(self) -> None:
            """Let go of the lock."""
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


def _wait_for(locks: Sequence[OsLock], timeout_s: float) -> bool:
    """Queue for *locks* in the kernel, first come, first served: polling starves somebody.

    Each but the last is let go once the next one is there. A blocking ``flock`` has no time limit, so that a
    thread does it; when the time is up, the thread keeps the files and closes them whenever its turn comes.
    `RuntimeError` while the interpreter is shutting down.
    """
    fds = [lock.opened() for lock in locks]
    turn, guard = threading.Lock(), threading.Lock()
    given_up = over = False
    turn.acquire()

    def waits() -> None:
        nonlocal over
        before = None
        with contextlib.suppress(OSError):
            for fd in fds:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if before is not None:
                    fcntl.flock(before, fcntl.LOCK_UN)
                before = fd
        with guard:
            if given_up:
                for fd in fds:
                    os.close(fd)
            else:
                over = True
                turn.release()

    def give_up() -> bool:
        nonlocal given_up
        with guard:
            if over:
                return False
            given_up = True
            for lock in locks:
                lock._fd = None
            return True

    _helped(waits)
    try:
        turn.acquire(timeout=timeout_s)
    except BaseException:
        give_up()
        raise
    return not give_up()


class FairLock:
    """A lock that passes from process to process: whoever wants it again waits until another had its turn.

    The system wakes those who wait for a lock once it is free; before they run, its last holder could have it
    again. So there is a second lock, the gate: who waits for the first one holds the gate, and nobody else
    comes near the lock meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._folder = str(path.parent)
        self._gate = OsLock(path.with_name(f"{path.name}.gate"), checked=False)
        self._lock = OsLock(path, checked=False)
        self._quiet: State | None = None
        self.folder: State | None = None
        """The state of the lock's folder after it was acquired."""

    def acquire(self, timeout_s: float) -> bool:
        """Take the lock (see `OsLock.acquire`)."""
        until = time.monotonic() + timeout_s
        while True:
            try:  # an interrupt can come anywhere, and a gate that stays shut stops everybody
                if not (self._gate.acquire(0) and self._lock.acquire(0)) and not self._wait(until):
                    return False
                if self._in_place():
                    return True
                self.close()
            finally:
                self._gate.release()

    def _wait(self, until: float) -> bool:
        left = until - time.monotonic()
        if left <= 0:
            return False
        if sys.platform != "win32":
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                return _wait_for((self._gate, self._lock), left)
        return self._gate.acquire(left) and self._lock.acquire(until - time.monotonic())

    def _in_place(self) -> bool:
        """Return True if the files that are locked are the ones on disk (see `files.Guard.in_place`)."""
        self.folder = folder_state(self._folder)
        if self.folder is not None and self.folder == self._quiet:
            return True
        if not (self._gate.in_place() and self._lock.in_place()):
            return False
        self._quiet = settled(self.folder)
        return True

    def wanted(self) -> bool:
        """Return True if another process waits for the lock that is held here."""
        try:
            return not self._gate.acquire(0)
        finally:
            self._gate.release()

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def open_up(self) -> None:
        """Let go of the lock and the gate, wherever an interrupt has left them."""
        self._lock.release()
        self._gate.release()

    def close(self) -> None:
        """Release the lock and its files."""
        self._lock.close()
        self._gate.close()


_in_process: dict[str, threading.RLock] = {}
_registry = threading.Lock()


def process_lock(path: Path) -> threading.RLock:
    """Return the one lock of this process for *path*, whichever store asks."""
    with _registry:
        return _in_process.setdefault(str(path), threading.RLock())


def new_process_lock(path: Path) -> None:
    """Have whoever comes next take a new lock for *path*: the holder of the old one cannot be waited for."""
    with _registry:
        _in_process[str(path)] = threading.RLock()


def _after_fork() -> None:
    """Forget inherited locks: a child that kept the file open would keep its parent's lock alive."""
    global _registry, _helpers_guard
    _registry, _helpers_guard = threading.Lock(), threading.Lock()
    _helpers.clear()
    _in_process.clear()
    for lock in list(_all):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
