"""What else in this very process has ``usage.duckdb`` open, and keeping its lock when we close our handle.

DuckDB's locks are POSIX locks: closing any handle of the file drops those of every other handle in the
process. While somebody here has the file open we therefore keep a lock of an open file description on it
(Linux), which nobody's close drops. Call all of this with the record's in-process lock held.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ib_duckdb import files

_kept: dict[str, int] = {}  # by path: a file of ours that is locked for reading


def handles(path: Path) -> list[bool] | None:
    """Return, for each handle that others in this process have of *path*, whether it can write.

    None where the system does not list them. Handles of ours must be closed or subtracted by the caller.
    """
    name, ours, found = str(path.resolve()), _kept.get(str(path)), []
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return None
    for number in numbers:
        with suppress(OSError):  # closed since, or the listing's own
            if os.readlink(f"/proc/self/fd/{number}") == name and int(number) != ours:
                info = Path(f"/proc/self/fdinfo/{number}").read_text(encoding="ascii")
                flags = int(info.partition("flags:")[2].split()[0], 8)
                found.append(flags & os.O_ACCMODE != os.O_RDONLY)
    return found


def keep_lock(path: Path, ours: int) -> None:
    """Lock the file for as long as others here have it open; *ours* are handles about to be closed."""
    if not files.GUARDED or len(handles(path) or ()) <= ours:
        return
    fd = _kept.get(str(path))
    if fd is None:
        fd = _kept[str(path)] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    files.lock_for_reading(fd)


def let_go(path: Path) -> None:
    """Give up the lock of `keep_lock` once nobody else here has the file open."""
    if str(path) in _kept and not handles(path):
        os.close(_kept.pop(str(path)))
        keep_lock(path, 0)  # somebody may have opened it meanwhile


def copy(path: Path, target: int) -> None:
    """Copy the file to the open file *target* without dropping a lock of anybody in this process."""
    fd = _kept.get(str(path))
    mine = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)) if fd is None else fd
    try:
        os.lseek(mine, 0, os.SEEK_SET)
        while block := os.read(mine, 1 << 22):
            while block:
                block = block[os.write(target, block) :]
    finally:
        if fd is None and len(handles(path) or ()) > 2:  # more than this one and our attached one
            _kept[str(path)] = mine
            files.lock_for_reading(mine)
        elif fd is None:
            os.close(mine)


def _in_child() -> None:
    for fd in _kept.values():
        with suppress(OSError):
            os.close(fd)
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
