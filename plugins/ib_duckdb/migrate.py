"""Bringing older files forward: a backup first, then every step and the new version in one transaction.

To change a schema: raise ``VERSION`` (in ``opened.py`` or ``columns.py``), change what creates a new file,
and add the step that turns the version before into the new one here. Steps are never removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb import forward, private, version_4, version_5
from ib_kernel.errors import StoreError

if TYPE_CHECKING:
    import duckdb

HOT_STEPS: dict[int, Callable[[apsw.Connection], Any]] = {
    1: forward.hot,
    2: lambda db: db.execute("DELETE FROM moved"),  # so that the record is brought forward too
    3: version_4.hot,
    4: version_5.hot,
}
"""Steps by the version of the hot ledger that they bring to the next one; version 1 is the first."""

RECORD_STEPS: dict[int, Callable[[duckdb.DuckDBPyConnection, apsw.Connection], None]] = {
    1: forward.record,
    2: lambda db, hot: private.record(db, Path(hot.filename).parent),
    3: lambda db, hot: version_4.record(db),
    4: version_5.record,
}
"""The same for the record, given the hot ledger too, which is always brought forward first."""


def backup_path(path: Path, version: int) -> Path:
    """Return where a file of an older version is kept."""
    return path.with_name(f"{path.stem}.version-{version}{path.suffix}")


def check(path: Path, version: int, known: int, steps: Mapping[int, Any]) -> None:
    """Refuse a file that this version cannot read, in one line."""
    if version > known:
        raise StoreError(
            f"{path} was written by a newer version (schema {version}, known: {known}); upgrade "
            "interview-buddy-kernel, or choose another folder with IB_DATA_DIR"
        )
    missing = [step for step in range(version, known) if step not in steps]
    if missing:
        raise StoreError(
            f"{path} has schema {version}, and nothing here brings it to {known}; move it away, or use the "
            "version of interview-buddy-kernel that wrote it"
        )


def hot(db: apsw.Connection, path: Path, version: int, known: int) -> None:
    """Bring the hot ledger forward. Call it under the ledger's lock; nothing has changed when it raises."""
    check(path, version, known, HOT_STEPS)
    if version == known:
        return
    if version < private.SINCE:
        private.clean_hot(db, path)
    copy_hot(db, backup_path(path, version))
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, known):
            HOT_STEPS[step](db)
        db.execute("UPDATE ledger SET version = ?", (known,))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def copy_hot(db: apsw.Connection, target: Path) -> None:
    """Copy the hot ledger that *db* has open, all of it, into a file that is its owner's alone."""
    os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", db, "main") as running:
            while not running.done:
                running.step(10_000)
    finally:
        copy.close()


def record(db: duckdb.DuckDBPyConnection, hot: apsw.Connection, version: int, known: int) -> None:
    """Bring the record forward, inside the caller's transaction; the backup is made before it begins."""
    for step in range(version, known):
        RECORD_STEPS[step](db, hot)


def back_up_record(db: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    """Copy the record that *db* has open, all of it, to its backup; an unfinished one is replaced."""
    target = backup_path(path, version)
    target.unlink(missing_ok=True)
    name = db.execute("SELECT current_database()").fetchone()
    assert name is not None  # noqa: S101 (for the type checker)
    quoted = str(target).replace("'", "''")
    db.execute(f"ATTACH '{quoted}' AS backup_of_older")
    try:
        db.execute(f'COPY FROM DATABASE "{name[0]}" TO backup_of_older')
    finally:
        db.execute("DETACH backup_of_older")
    os.chmod(target, 0o600)
