"""The hot ledger's three files stay the ones that are on disk, whatever else in this process touches them.

SQLite's locks are POSIX locks: they belong to the process, and closing *any* handle of a file drops them.
A second SQLite library in the process (`sqlite3.connect`), or somebody who copies the folder, does that; the
second library then takes itself for the last user and unlinks the write-ahead log under us, or truncates
the shared memory that we have mapped. Locks of an *open file description* (Linux) are not dropped and
conflict with POSIX locks of the same process. So we keep such locks on the very bytes that SQLite asks
about (https://sqlite.org/walformat.html, and ``os_unix.c`` of 3.54, 2026-11). Elsewhere the files are only
compared.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SHARED = (0x40000002, 510)
"""First byte and length of the range that a connection locks for reading while it has the database open."""

_DEAD_MAN = (128, 1)
"""The byte of ``-shm`` that every connection locks; whoever finds it free starts the shared memory anew."""

_READERS = (1, 1)
"""A byte of ours in ``hot.lock``: readers share it, and whoever checkpoints the log has it alone."""

PATIENCE_S = 5.0
"""Seconds to wait for a byte that SQLite locks for microseconds."""

TICK_NS = 100_000_000
"""Nanoseconds within which two changes may leave the same time on a file or folder."""

try:
    from fcntl import F_OFD_SETLK, F_RDLCK, F_UNLCK, F_WRLCK, fcntl

    GUARDED = True
except ImportError:  # macOS has such locks and Python no name for them; Windows has others
    GUARDED = False

Identity = tuple[int, int]
State = tuple[int, int, int]


def identity(path: Path | str) -> Identity | None:
    """Return the device and number of the file at *path*, None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _lock(fd: int, kind: int, where: tuple[int, int]) -> bool:
    """Change the lock of the open file *fd* on a range of bytes; False when somebody's lock conflicts."""
    try:
        fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, *where, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_patiently(fd: int, kind: int, where: tuple[int, int], wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while not _lock(fd, kind, where):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


class _Held:
    """The files of one database that this process keeps locked; shared by all its connections."""

    def __init__(self) -> None:
        self.users = 0
        self.fds: list[int] = []  # closing one drops SQLite's own locks: only when nobody is left

    def let_go(self) -> None:
        for fd in self.fds:
            with suppress(OSError):
                _lock(fd, F_UNLCK, (0, 0))


_held: dict[Identity, _Held] = {}
_registry = threading.RLock()


class Guard:
    """Keeps one hot ledger's files in place and knows whether they still are. Use it under the OS lock.

    `enter` before the database is opened and `seen` after its first read; `leaving` around its close.
    """

    def __init__(self, path: Path) -> None:
        self._names = (str(path), f"{path}-wal", f"{path}-shm")
        self._folder = str(path.parent)
        self._quiet: State | None = None
        self._seen: tuple[Identity | None, ...] = ()
        self._held: _Held | None = None
        self._key: Identity = (0, 0)

    def enter(self) -> bool:
        """Lock the database that is at the path now; False when it is not in WAL mode yet."""
        if not GUARDED:
            return True
        with _registry:
            now = identity(self._names[0])
            known = _held.get(now) if now else None
            held = known or _Held()
            if not known and not self._lock_database(held):
                return False
            self._lock_memory(held)
            held.users += 1
            self._held, self._key = held, identity(self._names[0]) or (0, 0)
            _held[self._key] = held
        return True

    def _lock_database(self, held: _Held) -> bool:
        fd = os.open(self._names[0], os.O_RDWR | os.O_CLOEXEC)
        if os.pread(fd, 2, 18) != b"\x02\x02":  # the header's read and write versions: 2 is WAL
            os.close(fd)
            return False
        held.fds.append(fd)
        if not _lock_patiently(fd, F_RDLCK, _SHARED, PATIENCE_S):
            raise TimeoutError(f"{self._names[0]} stayed locked for {PATIENCE_S:.0f} s")
        return True

    def _lock_memory(self, held: _Held) -> None:
        """Take the dead man's byte of ``-shm``, as SQLite does: who finds it free starts the memory anew."""
        now = identity(self._names[2])
        if any(_identity_of(fd) == now for fd in held.fds):
            return
        fd = os.open(self._names[2], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        held.fds.append(fd)
        if _lock(fd, F_WRLCK, _DEAD_MAN):
            os.ftruncate(fd, 0)
        _lock_patiently(fd, F_RDLCK, _DEAD_MAN, PATIENCE_S)

    def seen(self) -> bool:
        """Remember the files as they are now; False when one is missing."""
        self._quiet = None
        self._seen = tuple(identity(name) for name in self._names)
        return None not in self._seen

    def in_place(self, folder: State | None = None) -> bool:
        """Return True if the files that were seen are the ones on disk.

        No file in a folder is made, removed or renamed without a change of the folder's own time: one look is
        enough while that stays, from when it is too old for another change to leave the same time. Who has
        just looked gives *folder*.
        """
        folder = folder or folder_state(self._folder)
        if folder is not None and folder == self._quiet:
            return True
        for name, seen in zip(self._names, self._seen, strict=True):
            try:
                found = os.stat(name)
            except OSError:
                return False
            if (found.st_dev, found.st_ino) != seen:
                return False
        self._quiet = settled(folder)
        return True

    def same_database(self) -> bool:
        """Return True if the database itself is the one that was seen, whatever became of its log."""
        return bool(self._seen) and identity(self._names[0]) == self._seen[0]

    def log_is_gone(self) -> bool:
        """Return True if the write-ahead log was removed and nobody has begun another one."""
        return identity(self._names[1]) is None

    @contextmanager
    def also(self) -> Iterator[None]:
        """Count one more user, as long as the block runs."""
        held = self._held
        if held is None:
            yield
            return
        with _registry:
            held.users += 1
        try:
            yield
        finally:
            self._leave(held, self._key)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Close the database inside this block: the last one out may remove the log, as SQLite does."""
        held, self._held = self._held, None
        if held is None:
            yield
            return
        with _registry:
            if held.users == 1:
                held.let_go()
            try:
                yield
            finally:
                self._leave(held, self._key)

    def _leave(self, held: _Held, key: Identity) -> None:
        with _registry:
            held.users -= 1
            if held.users == 0:
                if _held.get(key) is held:
                    del _held[key]
                for fd in held.fds:
                    os.close(fd)


def folder_state(folder: str) -> State | None:
    """Return what changes whenever a file in *folder* is made, removed or renamed; None: nobody knows."""
    if not GUARDED:
        return None
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns)


def settled(folder: State | None) -> State | None:
    """Return *folder* if the next change will not leave the same state, else None."""
    return folder if folder is not None and time.time_ns() - folder[2] > TICK_NS else None


def _identity_of(fd: int) -> Identity:
    found = os.fstat(fd)
    return (found.st_dev, found.st_ino)


class Readers:
    """Who reads now, so that nobody checkpoints the log under them: a lock that no other handle drops."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Be a reader; a checkpoint waits, or is left for later."""
        if not GUARDED:
            yield
            return
        fd = self._open()
        try:
            _lock_patiently(fd, F_RDLCK, _READERS, PATIENCE_S)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def nobody(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Yield True if nobody reads, and keep it so; *wait_s* are seconds to wait for that."""
        if not GUARDED:
            yield True
            return
        if self._fd is not None and _identity_of(self._fd) != identity(self._path):
            self.close()  # somebody has removed the file
        if self._fd is None:
            self._fd = self._open()
        try:
            yield _lock_patiently(self._fd, F_WRLCK, _READERS, wait_s)
        finally:
            _lock(self._fd, F_UNLCK, _READERS)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def forget_in_child() -> None:
    """Close what a forked child has inherited; the parent's locks stay, they belong to its open files."""
    global _registry
    _registry = threading.RLock()
    for held in _held.values():
        for fd in held.fds:
            with suppress(OSError):
                os.close(fd)
    _held.clear()


def lock_byte(fd: int, at: int) -> bool:
    """Lock one byte of the open file *fd*; False when another open file has locked it, or not here."""
    return GUARDED and _lock(fd, F_WRLCK, (at, 1))


def unlock_byte(fd: int, at: int) -> None:
    """Let go of the byte."""
    _lock(fd, F_UNLCK, (at, 1))


def lock_for_reading(fd: int) -> bool:
    """Lock the whole open file *fd* for reading; False when that is not possible now, or not here."""
    return GUARDED and _lock(fd, F_RDLCK, (0, 0))
