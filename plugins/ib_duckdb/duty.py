"""Whose rows are about to be moved: a byte and a lock for each process in ``usage.movers``.

A process that has written rows sets its byte until they are moved, and holds a lock on it for as long as it
lives (of an open file description, which no other handle drops). So others see whether a busy neighbour will
move its rows by itself, or has ended and left them. Where there are no such locks, nobody is seen.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ib_duckdb import files

SLOTS = 512
"""Processes that can be told apart; further ones are not seen."""

_QUIET, _BUSY = b"\x00", b"\x01"

_all: weakref.WeakSet[Duty] = weakref.WeakSet()


class Duty:
    """This process's byte in the file at *path*, and a look at those of others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._slot: int | None = None
        _all.add(self)

    @property
    def is_seen(self) -> bool:
        """Return True if others see that this process is about to move its rows."""
        return self._slot is not None

    def begin(self) -> None:
        """Show that there are rows of this process to move."""
        if not files.GUARDED:
            return
        with self._lock, suppress(OSError):  # a disk that takes no byte: then nobody sees
            if self._slot is None:
                self._take()
            self._set(_BUSY)

    def end(self) -> None:
        """Show that all of them are moved."""
        with self._lock, suppress(OSError):
            self._set(_QUIET)

    def look(self) -> tuple[bool, list[int]]:
        """Return whether another process is about to move rows, and the places of those that left some."""
        alive, left = False, list[int]()
        if not files.GUARDED:
            return alive, left
        with self._lock, suppress(OSError):
            fd = self._opened(os.O_RDWR)
            for slot, byte in enumerate(os.pread(fd, SLOTS, 0)):
                if byte == _BUSY[0] and slot != self._slot:
                    if files.lock_byte(fd, slot):
                        files.unlock_byte(fd, slot)
                        left.append(slot)
                    else:
                        alive = True
        return alive, left

    def forget_left(self, left: Iterable[int]) -> None:
        """Take back the bytes of ended processes whose rows have been moved since."""
        for slot in left:
            with self._lock, suppress(OSError):
                fd = self._opened(os.O_RDWR)
                if files.lock_byte(fd, slot):
                    try:
                        os.pwrite(fd, _QUIET, slot)
                    finally:
                        files.unlock_byte(fd, slot)

    def close(self) -> None:
        """Give up the place; a byte that is set stays, for others to see. Idempotent."""
        with self._lock:
            self._slot = None
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    __del__ = close

    def _opened(self, flags: int) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, flags | os.O_CLOEXEC, 0o600)
        return self._fd

    def _take(self) -> None:
        """Lock the first place that nobody has, and in which nobody has left anything."""
        fd = self._opened(os.O_RDWR | os.O_CREAT)
        for slot in range(SLOTS):
            if files.lock_byte(fd, slot):
                if os.pread(fd, 1, slot) != _BUSY:
                    self._slot = slot
                    return
                files.unlock_byte(fd, slot)

    def _set(self, byte: bytes) -> None:
        if self._slot is not None and self._fd is not None:
            os.pwrite(self._fd, byte, self._slot)


def _in_child() -> None:
    for duty in list(_all):
        duty._lock = threading.RLock()
        duty.close()  # the lock stays its parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
