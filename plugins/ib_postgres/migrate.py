"""The schema: numbered SQL files, applied in order, once, and never taken back.

Everything that is missing is applied in one transaction, under an advisory lock: two people who migrate at
the same time do it once, and nobody ever sees half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ib_kernel.errors import StoreError
from ib_postgres import people

_LOCK = 0x1B5C4E3A
"""The advisory lock that a migration holds; a number of our own."""

_FIRST = """
CREATE SCHEMA IF NOT EXISTS ib;
CREATE TABLE IF NOT EXISTS ib.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT statement_timestamp()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file; `number` is what its name begins with."""

    number: int
    name: str
    sql: str


def known() -> list[Migration]:
    """Return the migrations that this version of the plugin brings, in their order."""
    found = (
        path for path in files("ib_postgres").joinpath("migrations").iterdir() if path.name.endswith(".sql")
    )
    made = [Migration(int(path.name[:4]), path.name[:-4], path.read_text(encoding="utf-8")) for path in found]
    return sorted(made, key=lambda migration: migration.number)


def applied(db: Any) -> dict[int, str]:
    """Return the migrations that a database has, by number; none where the ledger was not made yet."""
    if db.execute("SELECT to_regclass('ib.migrations')").fetchone() == (None,):
        return {}
    return dict(db.execute("SELECT number, name FROM ib.migrations").fetchall())


def missing(db: Any) -> list[Migration]:
    """Return what a database lacks. `StoreError` when a newer version has written to it."""
    ours, theirs = known(), applied(db)
    newer = sorted(set(theirs) - {migration.number for migration in ours})
    if newer:
        raise StoreError(
            f"the ledger's schema is at {theirs[newer[-1]]}, and this version of interview-buddy-kernel "
            f"knows it up to {ours[-1].name}; upgrade interview-buddy-kernel here"
        )
    return [migration for migration in ours if migration.number not in theirs]


def migrate(db: Any) -> list[str]:
    """Apply what is missing; return the names of what was applied. `StoreError` for what must not be touched.

    Args:
        db: An open psycopg connection in autocommit mode, of a role that may create the schema ``ib``.
    """
    (encoding,) = db.execute("SHOW server_encoding").fetchone()
    if encoding != "UTF8":
        raise StoreError(
            f"the database's encoding is {encoding}; the ledger needs one made with ENCODING 'UTF8'"
        )
    with db.transaction():
        db.execute("SET LOCAL lock_timeout = 0")
        db.execute("SET LOCAL statement_timeout = 0")
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if not applied(db):
            db.execute(_FIRST)
        pending = missing(db)
        if pending:
            people.remove(db)
        for migration in pending:
            db.execute(migration.sql)
            db.execute(
                "INSERT INTO ib.migrations (number, name) VALUES (%s, %s)", (migration.number, migration.name)
            )
        made = people.install(db)
    return [*(migration.name for migration in pending), *(["the views of ib_usage"] if made else [])]


def require_current(db: Any) -> None:
    """Raise `StoreError`, with what to type, unless the database has exactly the schema that we know."""
    found, pending = applied(db), missing(db)
    if not found:
        raise StoreError("this database has no ledger yet; ib store init --store postgres makes one")
    if pending:
        raise StoreError(
            f"the ledger's schema lacks {', '.join(migration.name for migration in pending)}; "
            "ib store migrate --store postgres brings it forward (nothing is deleted)"
        )
    if not people.is_current(db):
        raise StoreError(
            "the views that people ask are of another version; ib store migrate --store postgres makes them "
            "anew"
        )
