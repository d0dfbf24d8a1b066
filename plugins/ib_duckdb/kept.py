"""One DuckDB that is kept from question to question: making one takes longer than answering most of them.

It has no file open between two questions. It can open the record and no other file, its settings are locked,
and each question has a connection of its own. Whatever fails on it is the end of it. Questions that could
leave something behind (`Kept.answers`) are asked of a DuckDB of their own instead.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ib_duckdb import spare, views

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.columns import Table

_HARMLESS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"})
"""Functions in a FROM that make rows of what they are given, and nothing else."""

_BARRED = frozenset({"write_log", "duckdb"})
"""Further words that a question is not asked here with: the second is of the file's name."""

_IN_A_FROM = "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type LIKE 'table%'"

_guard = threading.Lock()
_kept: Kept | None = None


class Elsewhere(Exception):
    """The question is to be asked of a DuckDB of its own: it names what is not here."""


class Kept:
    """A DuckDB for questions to one record, one at a time.

    Args:
        path: The record, the one file that it can open.
        config: What `query.config` returned.
    """

    def __init__(self, path: Path, config: spare.Config) -> None:
        self.path, self.config, self.process = path, config, os.getpid()
        self._named: dict[str, str] = {}
        self._views: set[str] = set()
        self._root = spare.made(config)
        found = self._root.execute(_IN_A_FROM).fetchall()
        self._barred = _BARRED | {str(name) for (name,) in found} - _HARMLESS
        names = [str(path).replace("'", "''"), f"{path}.wal".replace("'", "''")]
        self._root.execute(
            f"SET allowed_paths = ['{names[0]}', '{names[1]}']; SET enable_external_access = false; "
            "SET lock_configuration = true"
        )

    def answers(self, query: str) -> bool:
        """Return True if *query* only reads tables, so that nothing of it can stay behind.

        It is judged by its words, wherever they stand: one too many costs some time and nothing else.

        Args:
            query: One SELECT.
        """
        return "\\" not in query and not self._barred.intersection(re.findall(r"\w+", query.lower()))

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection for one question."""
        return self._root.cursor()

    def name(self, db: duckdb.DuckDBPyConnection, sources: Mapping[Table, str], query: str) -> None:
        """Give tables the names that people know and create the views of *query*, where they are new.

        Args:
            db: The connection.
            sources: By table, the query of all its rows.
            query: The question.
        """
        rows_of = {f"{table.schema}.{table.name}": rows for table, rows in sources.items()}
        changed = {name: rows for name, rows in rows_of.items() if self._named.get(name) != rows}
        missing = [name for name in views.wanted(query) if name not in self._views]
        new = [f"CREATE OR REPLACE VIEW {name} AS {rows};" for name, rows in changed.items()]
        new += [views.definitions()[name] for name in missing]
        if new:
            db.execute("\n".join(new))
            self._named.update(changed)
            self._views.update(missing)

    def end(self) -> None:
        """Close it, beside whoever goes on. It has no file open any more."""
        spare.leave(self._root)

    def end_now(self) -> None:
        """Close it and what it has open."""
        self._root.close()


def take(path: Path, config: spare.Config) -> Kept:
    """Return the one that is kept for the record at *path*, or a new one. Nobody else has it until `keep`."""
    global _kept
    with _guard:
        mine, _kept = _kept, None
    if mine is not None:
        if (mine.path, mine.config, mine.process) == (path, config, os.getpid()):
            return mine
        mine.end()
    return Kept(path, config)


def keep(mine: Kept) -> None:
    """Keep it for the next question; the one of a question that was left behind is closed."""
    global _kept
    with _guard:
        older, _kept = _kept, mine
    if older is not None:
        older.end()


def end(path: Path) -> None:
    """Close the one that is kept for the record at *path*."""
    global _kept
    with _guard:
        mine = _kept
        if mine is None or mine.path != path:
            return
        _kept = None
    mine.end()


def _in_child() -> None:
    """Forget the parent's, without an end: closing it waits for threads that this process does not have."""
    global _guard, _kept
    if _kept is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))
    _guard, _kept = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
