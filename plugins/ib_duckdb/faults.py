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


@contextmanager
def hot_explained(path: Path, waited_s: float) -> Iterator[None]:
    """Turn SQLite's and the system's errors about the hot ledger into one line that says what to do."""
    import apsw

    try:
        yield
    except (apsw.BusyError, apsw.LockedError):
        raise StoreError(
            f"the ledger {path} has been locked by another process for {waited_s:.0f} s; "
            "is one of them stopped?"
        ) from None
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(
            f"the ledger {path} is damaged ({error}); move it (and its -wal file) away to start "
            "a new one: usage.duckdb beside it keeps what was moved there"
        ) from None
    except apsw.FullError:
        raise StoreError(f"the disk of {path} is full: nothing was recorded; free some space") from None
    except FileNotFoundError:
        raise StoreError(
            f"the ledger's folder {path.parent} was moved or deleted while this process used it, so nothing "
            "was recorded; put it back, or restart the kernel"
        ) from None
    except (
        apsw.ReadOnlyError,
        apsw.CantOpenError,
        apsw.PermissionsError,
        apsw.AuthError,
        PermissionError,
    ):
        raise StoreError(
            f"the ledger {path} cannot be written; check the folder's permissions, "
            "or choose another with IB_DATA_DIR"
        ) from None
    except (apsw.IOError, OSError) as error:
        raise StoreError(f"the ledger {path} cannot be used: {error}; is its disk in order?") from None


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
