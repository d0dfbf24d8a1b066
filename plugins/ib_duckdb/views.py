"""The views that people query (``*views.sql``), and which of them one query needs.

Creating all of them takes longer than answering a question about one session, so that a connection of ours
gets those that the query names, and those that these are made of.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from ib_duckdb.columns import TABLES, Table

_NAMES = ("views.sql", "evidence_views.sql", "assessment_views.sql")
FILES = tuple(Path(__file__).with_name(name) for name in _NAMES)

_BEGIN = re.compile(r"^CREATE OR REPLACE VIEW (\w+) AS", re.M)
_CATALOG = re.compile(
    r"\b(show|describe|summarize|duckdb_\w+|information_schema|pg_\w+|sqlite_\w+|pragma\w*)\b"
)


def text() -> str:
    """Return every view's statement."""
    return "\n".join(file.read_text(encoding="utf-8") for file in FILES)


@functools.cache
def definitions() -> dict[str, str]:
    """Return each view's statement by its name, a view after those that it is made of."""
    sql = text()
    begins = list(_BEGIN.finditer(sql))
    ends = [*(found.start() for found in begins[1:]), len(sql)]
    return {found[1]: sql[found.start() : end] for found, end in zip(begins, ends, strict=True)}


@functools.cache
def _made_of(name: str) -> frozenset[str]:
    """Return the views that *name* is made of, itself included."""
    body = re.sub(r"--[^\n]*", "", definitions()[name].partition(" AS")[2])
    parts = frozenset(re.findall(r"\w+", body)) & definitions().keys() - {name}
    return frozenset({name}).union(*map(_made_of, parts))


def asks_what_there_is(query: str) -> bool:
    """Return True if *query* may ask for the names of tables and columns."""
    return bool(_CATALOG.search(query.lower()))


def tables(query: str) -> list[Table]:
    """Return the tables that *query* and its views may ask; all of them where it asks what there is."""
    if asks_what_there_is(query):
        return list(TABLES)
    words = set(re.findall(r"\w+", f"{query} {needed(query)}".lower()))
    return [table for table in TABLES if table.name in words]


def wanted(query: str) -> list[str]:
    """Return the views that *query* may need, each after those that it is made of."""
    if asks_what_there_is(query):
        return list(definitions())
    words = set(re.findall(r"\w+", query.lower()))
    found = frozenset[str]().union(*(_made_of(name) for name in definitions() if name in words))
    return [name for name in definitions() if name in found]


def needed(query: str) -> str:
    """Return the statements that create what *query* may need."""
    return "".join(map(definitions().__getitem__, wanted(query)))
