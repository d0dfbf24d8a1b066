"""Erasing a person from copies of the ledger that nobody uses: files that were set aside, and backups."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from ib_duckdb import backups, erase_record, erase_rows
from ib_duckdb.faults import InUse, explained
from ib_kernel.errors import StoreBusy
from ib_kernel.values import erasure

if TYPE_CHECKING:
    import duckdb


def set_aside(folder: Path) -> list[Path]:
    """Return the files beside the ledger that may have rows of it."""
    names = re.compile(r"hot\.(saved|version)-\d+\.sqlite3|usage\.(damaged|version)-\d+\.duckdb")
    return sorted(path for path in folder.iterdir() if names.fullmatch(path.name))


def unreadable(folder: Path) -> list[str]:
    """Return the files beside the ledger that nobody can read: an erasure removes them."""
    import duckdb

    found = []
    for path in set_aside(folder):
        try:
            if path.suffix == ".duckdb":
                duckdb.connect(str(path), read_only=True).close()
            else:
                with _opened(path) as db:
                    db.execute("SELECT count(*) FROM sessions").fetchall()
        except (duckdb.Error, apsw.Error):
            found.append(path.name)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        yield db
    finally:
        db.close()


def erase_copy(path: Path, keys: Iterable[int], pseudonym: str) -> None:
    """Erase from a file that nobody uses. Raises `Damaged` and its like for one that cannot be read."""
    keys = list(keys)
    if path.suffix == ".duckdb":
        with told(path), explained(path):
            erase_record.write_anew(
                path, lambda db: erase_record.erase(db, keys, dict.fromkeys(keys, pseudonym), {})
            )
        return
    with _copy(path) as db:
        _erase_hot_copy(db, None, keys, pseudonym, "", time.time())


def erase_backup(folder: Path, session_ids: Collection[str], who: str, now: float) -> list[str]:
    """Erase the person from some sessions in a backup, and say in its manifest what its files are now.

    One that was cut short leaves `.erasing` in the folder: the files are then not what the manifest says, and
    erasing there again goes on.

    Returns:
        The ids of the sessions that were in it.

    Raises:
        StoreError: The folder is no backup, or its files are not those that were written.
    """
    mark = folder / ".erasing"
    with backups.told(folder):
        made = backups.read_manifest(folder) if mark.exists() else backups.checked(folder)
        hot, record, ids = folder / backups.HOT, folder / backups.RECORD, []
        mark.touch(mode=0o600)
        with _copy(hot) as db:
            sql = "SELECT session_key, session_id FROM sessions"
            keys = {key: name for key, name in db.execute(sql) if name in session_ids}
            ids = sorted(keys.values())
            with _copy_of_record(record) as moved:
                pseudonym = _erase_hot_copy(db, moved, list(keys), erasure.new_pseudonym(), who, now)
                if moved is not None:
                    names = {key: str(r["session_id"]) for key, r in erase_rows.sessions_of(db, keys).items()}
                    erase_record.erase(moved, keys, dict.fromkeys(keys, pseudonym), names)
                    erase_record.copy_clean(moved, record)
            if record.exists():
                erase_record.take_place(record)
        backups.renew_manifest(folder, made)
        mark.unlink()
    return ids


@contextmanager
def _copy(path: Path) -> Iterator[apsw.Connection]:
    """Open a hot ledger that nobody uses, and leave nothing in it but the rows that are there."""
    db = apsw.Connection(str(path))
    try:
        db.create_scalar_function("ledger_day", lambda *_: 0, 0)
        db.execute("PRAGMA secure_delete = ON").fetchall()
        yield db
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.close()


@contextmanager
def _copy_of_record(path: Path) -> Iterator[duckdb.DuckDBPyConnection | None]:
    import duckdb

    if not path.exists():
        yield None
        return
    with told(path), explained(path), duckdb.connect(str(path)) as db:
        yield db


def _erase_hot_copy(
    db: apsw.Connection,
    record: duckdb.DuckDBPyConnection | None,
    keys: Sequence[int],
    pseudonym: str,
    who: str,
    now: float,
) -> str:
    """Erase from a copy of the hot ledger; return what stands in place of the name in it."""
    with db:
        sessions = erase_rows.sessions_of(db, keys)
        found = erase_record.sessions_of(record, keys) if record else []
        names = erase_rows.names_of([*sessions.values(), *found])
        done = erase_rows.erase_rows(db, sessions, names)
        if record is not None:
            erase_record.seal_rows(record, keys, names, done)
        erase_rows.erase_sessions(db, sessions, names, pseudonym)
        after = erase_rows.sessions_of(db, sessions)
        renamed = [key for key in after if after[key]["session_id"] != sessions[key]["session_id"]]
        if done.rows and "link" in erase_rows.columns(db, "events"):  # it may take the ledger's place
            erase_rows.record_erasure(db, sessions, done, who, now, renamed)
    return next((str(row["candidate"]) for row in after.values()), pseudonym)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say in one line who has a file open that must be written anew."""
    try:
        yield
    except InUse as busy:
        raise in_use(path, busy.holder) from None


def in_use(path: Path, holder: str) -> StoreBusy:
    """Return that line."""
    return StoreBusy(
        f"{path.name} is open in {holder}, and has to be written anew; close it there, and run the same again"
    )
