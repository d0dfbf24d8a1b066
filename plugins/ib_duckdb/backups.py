"""A copy of the whole ledger while it is used, and the way back into a new one.

Neither file is ever copied as a file while somebody may have it open: the hot ledger goes through SQLite's
backup, the record through DuckDB, one after the other while no rows can move from one to the other. What is
said to be done is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb import foreign, migrate
from ib_duckdb.faults import explained
from ib_duckdb.hot import Hot, make_folder
from ib_duckdb.opened import VERSION
from ib_duckdb.record import WAIT_S, Record
from ib_duckdb.sources import attach
from ib_kernel.errors import StoreBusy, StoreError
from ib_kernel.values import private_part

if TYPE_CHECKING:
    import duckdb

MANIFEST = "backup.json"
"""The file that is written last: without it a folder is no backup."""

HOT, RECORD = "hot.sqlite3", "usage.duckdb"


def back_up(hot: Hot, record: Record, target: Path) -> dict[str, str]:
    """Write a backup into the new or empty folder *target*.

    Calls go on meanwhile; only rows that would move to the record wait.

    Returns:
        The SHA-256 of each file, by its name.

    Raises:
        StoreBusy: Another tool has the record open for writing.
        StoreError: The folder has files, or cannot be written.
    """
    with told(target):
        make_folder(target)
        if any(target.iterdir()):
            raise StoreError(f"{target} has files in it; choose a new folder for a backup")
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target) as name:  # its owner's alone
            new = Path(name)
            with record.turn(), record.exclusive(WAIT_S) as free:
                if not free:
                    raise StoreBusy("rows are being moved to usage.duckdb; try again in a moment")
                _copy_record(record, new / RECORD)
                with hot.snapshot() as db:
                    migrate.copy_hot(db, new / HOT)
            _copy_private(record.path.parent, new)
            hashes = _write_manifest(new, hot.ledger_id)
            _bring_out(new, target)
        sync(target)
        sync(target.parent)
        return hashes


def _bring_out(new: Path, target: Path) -> None:
    """Move the files of a backup into its folder once they are private, what makes it one at last.

    The folder may be open to others, and SQLite and DuckDB make files as the umask has it: whoever opens one
    while it is written reads it for ever.
    """
    for entry in sorted(new.iterdir(), key=lambda entry: entry.name == MANIFEST):
        if entry.name == MANIFEST:
            sync(target)
        os.replace(entry, target / entry.name)


def _copy_record(record: Record, target: Path) -> None:
    import duckdb

    db = duckdb.connect(":memory:")
    try:
        name = attach(record, db)
        if name is not None:
            _copy_database(db, name, target)
    finally:
        record.keep_lock()
        db.close()


def _copy_database(db: duckdb.DuckDBPyConnection, name: str, target: Path) -> None:
    quoted = str(target).replace("'", "''")
    db.execute(f"ATTACH '{quoted}' AS backup_copy")
    db.execute(f"COPY FROM DATABASE {name} TO backup_copy; DETACH backup_copy")


def _copy_private(source: Path, target: Path) -> None:
    """Copy the challenges' private parts, which are in files of their own."""
    for file in sorted((source / private_part.FOLDER).glob("*.json")):
        folder = target / private_part.FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)


def _write_manifest(folder: Path, ledger_id: str) -> dict[str, str]:
    hashes = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        os.chmod(file, 0o600)
        sync(file)
        hashes[file.relative_to(folder).as_posix()] = _sha(file)
    made = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ledger": ledger_id,
        "schema": VERSION,
        "files": hashes,
    }
    manifest = folder / MANIFEST
    handle = os.open(manifest, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(json.dumps(made, indent=2))
    sync(manifest)
    for place in {path.parent for path in folder.rglob("*")} | {folder.parent}:
        sync(place)
    return hashes


def restore(hot: Hot, record: Record, source: Path) -> None:
    """Bring the backup in *source* back into this ledger, which must be a new one.

    A record that is there without its hot ledger is kept under another name. A process that is killed
    meanwhile leaves a new ledger, into which the backup can be restored again.

    Raises:
        StoreError: *source* is no complete backup, its files are not those that were written, a newer version
            wrote it, or this ledger has sessions or people.
    """
    with told(record.path.parent):
        made = checked(source)
        with hot.read() as db:
            if db.execute("SELECT 1 FROM sessions UNION ALL SELECT 1 FROM people LIMIT 1").fetchone():
                raise StoreError(
                    f"{hot.path.parent} has a ledger already; restore into a new folder (IB_DATA_DIR), or "
                    "move that one away first"
                )
        migrate.check(source / HOT, made["schema"], VERSION, migrate.HOT_STEPS)
        with record.turn(), record.exclusive(WAIT_S) as free:
            if not free or foreign.handles(record.path):
                raise StoreBusy(f"{record.path.name} is in use; close what has it open, and try again")
            if record.path.exists():
                record.set_aside("before a backup was restored")
            if (source / RECORD).exists():
                _bring_record(record.path, source / RECORD)
            _copy_private(source, record.path.parent)
            with _opened(source / HOT) as backup:
                hot.replace_by(backup)
        record.marks = {}


def _bring_record(path: Path, source: Path) -> None:
    """Put a copy of the backup's record in its place, all of it or nothing."""
    import duckdb

    new = path.with_name(f".{path.name}.restored")
    new.unlink(missing_ok=True)
    quoted = str(source).replace("'", "''")
    with explained(path), duckdb.connect(":memory:") as db:
        db.execute(f"ATTACH '{quoted}' AS backup_source (READ_ONLY)")
        _copy_database(db, "backup_source", new)
    os.chmod(new, 0o600)
    sync(new)
    os.replace(new, path)
    sync(path.parent)


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(f"{path.absolute().as_uri()}?mode=ro&immutable=1", flags=flags)
    try:
        yield db
    finally:
        db.close()


def checked(source: Path) -> Any:
    """Return what the manifest says after every file was read. `StoreError` when one differs."""
    made = read_manifest(source)
    for name, sha in made["files"].items():
        if not (source / name).is_file() or _sha(source / name) != sha:
            raise StoreError(f"{source / name} is not the file that was backed up; use another backup")
    return made


def read_manifest(source: Path) -> Any:
    """Return what a backup's manifest says. `StoreError` where it is missing, broken, or not a ledger's."""
    try:
        made = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        files = dict(made["files"])
        schema = int(made["schema"])
    except (OSError, ValueError, TypeError, LookupError):
        raise StoreError(f"{source} is no complete backup: {MANIFEST} is missing or broken") from None
    if HOT not in files or any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        raise StoreError(f"{source} is no backup of a ledger: its {MANIFEST} names other files")
    return {**made, "files": files, "schema": schema}


def renew_manifest(folder: Path, made: Any) -> None:
    """Say in the manifest what the files of a backup are now, in one step."""
    hashes = {name: _sha(folder / name) for name in made["files"]}
    new = folder / f".{MANIFEST}.new"
    handle = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(json.dumps({**made, "files": hashes}, indent=2))
    sync(new)
    os.replace(new, folder / MANIFEST)
    sync(folder)


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file, or a folder's names, on the disk when it returns."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Say what a system's or SQLite's error about a backup's folder means, in one line."""
    try:
        yield
    except (OSError, apsw.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{place} cannot be written: {reason}") from None
