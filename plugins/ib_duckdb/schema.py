"""The hot ledger's schema: made in a new file, completed and brought forward in an older one."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import apsw

from ib_duckdb import migrate
from ib_duckdb.scripts import script

_ADDED = (
    # Up to where each table's rows are in usage.duckdb, while that file looks like this (see record.py).
    "CREATE TABLE IF NOT EXISTS moved (name TEXT PRIMARY KEY, seq INTEGER NOT NULL,"
    " file TEXT NOT NULL) STRICT",
    # Rows that usage.duckdb cannot take (see quarantine.py); they stay in their own tables.
    "CREATE TABLE IF NOT EXISTS quarantine (name TEXT NOT NULL, seq INTEGER NOT NULL,"
    " session_key INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (name, seq)) STRICT, WITHOUT ROWID",
    # Sessions that were erased here while files that have more of them still have to be written anew.
    "CREATE TABLE IF NOT EXISTS erasing (session_key INTEGER PRIMARY KEY) STRICT",
)
"""Tables that were added without a new version: an older program leaves them alone."""


def prepare(db: apsw.Connection, path: Path, version: int) -> None:
    """Bring the ledger that *db* has open at *path* to *version*. Call it under the ledger's lock."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'ledger'").fetchone():
        now = time.time()
        db.execute("BEGIN IMMEDIATE")
        for name in ("hot", "host", "evidence"):
            db.execute(script(name))
        # A new hot ledger beside an old usage.duckdb must not give its session keys again.
        db.execute(
            "INSERT INTO ledger VALUES (?, ?, ?, ?)", (version, uuid.uuid4().hex, int(now * 1000), now)
        )
        db.execute("COMMIT")
    for table in _ADDED:
        db.execute(table)
    found = next(found for (found,) in db.execute("SELECT version FROM ledger"))
    migrate.hot(db, path, found, version)
