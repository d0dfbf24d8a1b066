"""What people ask in SQL: roles, row-level security, the documented tables and views in ``ib_usage``.

Kept beside the migrations, because none of it holds data: when a file here has changed, all of it is made
anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from ib_kernel.errors import StoreError
from ib_kernel.values.wire import EVENT_KINDS

if TYPE_CHECKING:
    import psycopg

_FOLDER = Path(__file__).with_name("people")

ROLES = ("ib_host", "ib_interviewer", "ib_candidate", "ib_reader", "ib_asker")
"""The roles that ``01_roles.sql`` makes."""

_OTHERS = """
SELECT DISTINCT n.nspname || '.' || c.relname
FROM pg_depend AS d
JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class AS c ON c.oid = r.ev_class
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS used ON used.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
WHERE used.relnamespace = to_regnamespace('ib_usage') AND n.nspname <> 'ib_usage'
ORDER BY 1"""


_COLLATIONS = ("pg_c_utf8", "und-x-icu", "C.utf8", "en_US.utf8", "default")
"""Collations whose `lower` knows more than ASCII, the surest first."""


@functools.cache
def _script() -> str:
    """Return every statement, in order; what only the database can say is still left open."""
    parts = [file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.sql"))]
    kinds = json.dumps({kind: list(names) for kind, names in EVENT_KINDS.items()})
    return "\n".join(parts).replace("{event_kinds}", kinds)


@functools.cache
def digest() -> str:
    """Return what tells this version of it from others."""
    return hashlib.sha256(_script().encode()).hexdigest()


@functools.cache
def _letters() -> str:
    """Return what letters and digits are (categories L and N), for a regular expression's brackets.

    DuckDB's expressions say that in a word; PostgreSQL's classes depend on how the database was made.
    """
    inside = [chr(at) == "_" or category(chr(at))[0] in "LN" for at in range(0x110000)]
    edges = [at for at in range(1, 0x110000) if inside[at] != inside[at - 1]]
    spans = zip(edges[::2], edges[1::2], strict=True)
    return "".join(chr(a) if b == a + 1 else f"{chr(a)}-{chr(b - 1)}" for a, b in spans)


def _filled(conn: psycopg.Connection[Any]) -> str:
    there = "SELECT collname FROM pg_collation WHERE collencoding IN (-1, 6) AND collname = ANY (%s)"
    found = {name for (name,) in conn.execute(there, [list(_COLLATIONS)]).fetchall()}
    collation = next(name for name in _COLLATIONS if name in found)
    return _script().replace("{letters}", _letters()).replace("{collation}", f'"{collation}"')


def is_current(conn: psycopg.Connection[Any]) -> bool:
    """Return True if what people ask is there as this version makes it."""
    found = conn.execute("SELECT obj_description(to_regnamespace('ib_usage'), 'pg_namespace')").fetchone()
    return found is not None and found[0] == digest()


def install(conn: psycopg.Connection[Any]) -> bool:
    """Make roles, policies and views, or make them anew when they are of another version.

    Call it as somebody who may create roles, or where these are there and the caller may grant them, in the
    transaction that has brought the tables forward.

    Returns:
        False if all of it was there.

    Raises:
        StoreError: Views of somebody else's are made of ours; nothing has changed then.
    """
    if is_current(conn):
        return False
    remove(conn)
    conn.execute(_filled(conn))
    conn.execute(f"COMMENT ON SCHEMA ib_usage IS '{digest()}'")
    return True


def remove(conn: psycopg.Connection[Any]) -> None:
    """Take the views away, before the tables that they are made of change. `StoreError` as in `install`."""
    others = [str(name) for (name,) in conn.execute(_OTHERS).fetchall()]
    if others:
        raise StoreError(
            f"{', '.join(others[:5])} {'are' if len(others) > 1 else 'is'} made of views in ib_usage, which "
            "this version makes anew; drop what is yours there and make it again afterwards"
        )
    conn.execute("DROP SCHEMA IF EXISTS ib_usage CASCADE")
