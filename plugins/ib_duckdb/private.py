"""Interviewers' notes that older versions kept in `sessions.meta`: moved into files of their own.

The files are those of `ib_kernel.values.private_part`. It is done before the backup that a migration makes,
so that no backup has the notes; they are lost nowhere. Afterwards the files are written anew, because a row
that was changed leaves its older text in free space. What cannot be cleaned: damaged files that were set
aside, copies that people made, and blocks that the file system has not used again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb.faults import explained
from ib_duckdb.files import Readers
from ib_duckdb.undo_log import UndoLog
from ib_kernel.errors import StoreError
from ib_kernel.values import private_part

if TYPE_CHECKING:
    import duckdb

SINCE = 3
"""The version of both files that has no notes any more."""

_WAIT_S = 5.0
"""Seconds to wait for readers of the hot ledger."""

_HOT = """
SELECT session_key, session_id, meta FROM sessions
WHERE meta LIKE '%"challenge"%' AND (meta LIKE '%"notes"%' OR meta LIKE '%"rubric"%')"""

_ANY = "SELECT 1 FROM sessions WHERE meta LIKE '%\"challenge\"%' LIMIT 1"
"""Whether there is, or was, one: a process may have been killed before the file was written anew."""

_RECORD = """
SELECT DISTINCT session_key, session_id, meta::VARCHAR FROM internal.session_rows
WHERE contains(meta::VARCHAR, '"challenge"')"""


def clean_hot(db: apsw.Connection, path: Path) -> None:
    """Move private parts out of the hot ledger at *path* and its older backups. Call it under its lock.

    Nothing has changed when it raises `StoreError`.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _moved_out(path.parent, db.execute(_HOT))
        db.executemany("UPDATE sessions SET meta = ? WHERE session_key = ?", [(m, k) for k, _, m in found])
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    if db.execute(_ANY).fetchone():
        write_anew(db, path)
    for older in (*path.parent.glob("hot.version-*.sqlite3"), *path.parent.glob("hot.saved-*.sqlite3")):
        with suppress(apsw.Error):  # no database
            _clean_copy(older)


def _clean_copy(path: Path) -> None:
    copy = apsw.Connection(str(path))
    try:
        found = _moved_out(path.parent, copy.execute(_HOT))
        if found:
            copy.executemany(
                "UPDATE sessions SET meta = ? WHERE session_key = ?", [(m, k) for k, _, m in found]
            )
            copy.execute("VACUUM")
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        copy.close()


def write_anew(db: apsw.Connection, path: Path) -> bool:
    """Leave no older text in free pages or in the log of the hot ledger. Call it under its lock.

    Returns:
        False when that must wait: others have read for a long time, or the disk is full.
    """
    with suppress(apsw.Error):
        db.execute("VACUUM")
        with Readers(path.with_name("hot.lock")).nobody(_WAIT_S) as free:
            if free:
                ((busy, _, _),) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                return not busy
    return False


def is_older(version: tuple[int, str] | None) -> bool:
    """Return True if a record of that version (`record_file.schema_version`) may have private parts."""
    return version is not None and version[0] < SINCE


def clean_record(path: Path) -> None:
    """Move private parts out of the record at *path* and its older backups, before they are brought forward.

    Call it with the record's locks held and the file closed. A process that is killed meanwhile leaves a
    file of the same version, for which all of it is done again.
    """
    import duckdb

    with explained(path):
        _clean_file(path)
    for older in path.parent.glob("usage.version-*.duckdb"):
        with suppress(duckdb.Error):
            _clean_file(older)


def _clean_file(path: Path) -> None:
    """Write *path* anew without private parts, if there is or was one in it."""
    import duckdb

    new, undo = path.with_name(f".{path.name}.new"), UndoLog(path)
    with undo.beside(), duckdb.connect(str(path)) as db:
        if not _rows(db):
            return
        undo.save(db)
        record(db, path.parent)
        db.execute("CHECKPOINT")
        new.unlink(missing_ok=True)
        name = db.execute("SELECT current_database()").fetchone()
        assert name is not None  # noqa: S101 (for the type checker)
        quoted = str(new).replace("'", "''")
        db.execute(f"ATTACH '{quoted}' AS clean_copy")
        db.execute(f'COPY FROM DATABASE "{name[0]}" TO clean_copy')
        db.execute("DETACH clean_copy")
    os.chmod(new, 0o600)
    os.replace(new, path)
    undo.forget()


def record(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Move private parts out of the record's rows, all versions of each session."""
    for key, old, meta in _changes(folder, _rows(db)):
        db.execute(
            "UPDATE internal.session_rows SET meta = ? WHERE session_key = ? AND meta::VARCHAR = ?",
            [meta, key, old],
        )


def _rows(db: duckdb.DuckDBPyConnection) -> list[Any]:
    import duckdb

    with suppress(duckdb.CatalogException):  # not even a table of sessions
        return db.execute(_RECORD).fetchall()
    return []


def _moved_out(folder: Path, rows: Any) -> list[tuple[int, str, str]]:
    return list(_changes(folder, list(rows)))


def _changes(folder: Path, rows: list[Any]) -> Iterator[tuple[int, str, str]]:
    """Yield the session key, old and new `meta` of the *rows* that had a private part, once it is kept."""
    for key, session_id, old in rows:
        try:
            meta = json.loads(old)
        except ValueError:
            continue
        if not isinstance(meta, dict) or private_part.without(meta) == meta:
            continue
        with _kept(folder):
            new = private_part.moved_out(folder, session_id, meta)
        yield key, old, json.dumps(new, ensure_ascii=False)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = folder / private_part.FOLDER
        raise StoreError(
            f"interviewers' notes of earlier sessions cannot be moved to {place}: {error.strerror}; free "
            "some space, or make the folder writable"
        ) from None
