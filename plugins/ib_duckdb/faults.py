"""Why ``usage.duckdb`` cannot be used right now: in use, damaged, or something to say to the user."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ib_duckdb import foreign
from ib_kernel.errors import StoreError

_HOLDER = re.compile(r"lock is held in (.+?) \(PID (\d+)\)")


class InUse(Exception):
    """The record is open elsewhere; `holder` names the process where the system reports it."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Damaged(Exception):
    """The record is not a readable DuckDB file."""


class HotExplained:
    """Turns SQLite's and the system's errors about the hot ledger into one line that says what to do.

    A context of its own class: every write enters it, and one that is made of a generator costs four times as
    much.
    """

    __slots__ = ("_path", "_waited_s")

    def __init__(self, path: Path, waited_s: float) -> None:
        self._path, self._waited_s = path, waited_s

    def __enter__(self) -> None:
        """Nothing is to be prepared."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            line = hot_line(error, self._path, self._waited_s)
            if line:
                raise StoreError(line) from None


def hot_line(error: BaseException, path: Path, waited_s: float) -> str:
    """Return what to say of an error about the hot ledger at *path*; "" for one that is none of its."""
    import apsw

    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return (
            f"the ledger {path} has been locked by another process for {waited_s:.0f} s; "
            "is one of them stopped?"
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return (
            f"the ledger {path} is damaged ({error}); move it (and its -wal file) away to start "
            "a new one: usage.duckdb beside it keeps what was moved there"
        )
    if isinstance(error, apsw.FullError):
        return f"the disk of {path} is full: nothing was recorded; free some space"
    if isinstance(error, FileNotFoundError):
        return (
            f"the ledger's folder {path.parent} was moved or deleted while this process used it, so nothing "
            "was recorded; put it back, or restart the kernel"
        )
    forbidden = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError)
    if isinstance(error, (*forbidden, PermissionError)):
        return (
            f"the ledger {path} cannot be written; check the folder's permissions, "
            "or choose another with IB_DATA_DIR"
        )
    if isinstance(error, (apsw.IOError, OSError)):
        return f"the ledger {path} cannot be used: {error}; is its disk in order?"
    return ""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Sort DuckDB's errors about the file into `InUse`, `Damaged` and `StoreError`."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        holder = in_use_by(error)
        if holder is not None:
            raise InUse(holder) from None
        if is_damage(error):
            raise Damaged(text) from None
        raise StoreError(
            f"{path} cannot be used: {text}; calls go on, their rows wait in the hot ledger"
        ) from None


def in_use_by(error: BaseException) -> str | None:
    """Return who has the file open if *error* says that it is in use, else None."""
    import duckdb

    text = str(error)
    found = _HOLDER.search(text)
    if found:
        mine = int(found[2]) == os.getpid()
        return "this very process" if mine else f"{Path(found[1]).name} (process {found[2]})"
    # A subclass of nothing more telling than OperationalError, and absent from older versions.
    busy = getattr(duckdb, "ResourceInUseException", duckdb.ConnectionException)
    if isinstance(error, (busy, duckdb.ConnectionException)) or "Unique file handle conflict" in text:
        return "this very process"
    return "another process" if "Could not set lock" in text or "being used by another" in text else None


def is_damage(error: BaseException) -> bool:
    """Return True if *error* means that the file's content is broken (and not its disk or permissions)."""
    text = str(error)
    signs = (
        "not a valid DuckDB database",
        "Corrupt",
        "deserialize",
        "Could not read enough bytes",
        "checksum",
    )
    return any(sign in text for sign in signs)


def held_here(path: Path) -> bool:
    """Return True if somebody else in this very process has the file open, without disturbing that.

    Linux lists a process's open files; elsewhere we ask DuckDB, which shares one instance per file and
    process, and refuses a second configuration before it touches the file; ours is one that nobody else
    asks for.
    """
    found = foreign.handles(path)
    return _refused_here(path) if found is None else bool(found)


def _refused_here(path: Path) -> bool:
    import duckdb

    try:
        duckdb.connect(str(path), read_only=True, config={"custom_user_agent": "ib_duckdb probe"}).close()
    except duckdb.ConnectionException:
        return True
    except (duckdb.Error, OSError):
        return False
    return False
