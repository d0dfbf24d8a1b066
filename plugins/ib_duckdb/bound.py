"""Statements that run for every call: their named values are bound by position, which costs half as much."""

from __future__ import annotations

import operator
import re

import apsw

from ib_duckdb.rows import Row

_NAME = re.compile(r":([a-z_]+)")


class Bound:
    """One SQL statement (of our own) with values ``:named`` in it, run with a row that has them by name."""

    __slots__ = ("_pick", "_sql")

    def __init__(self, sql: str) -> None:
        names = list(dict.fromkeys(_NAME.findall(sql)))
        self._pick = operator.itemgetter(*names)
        shorter = " ".join(sql.split())  # it is compared with the statements that are prepared already
        self._sql = _NAME.sub(lambda found: f"?{names.index(found[1]) + 1}", shorter)

    def run(self, db: apsw.Connection, row: Row) -> apsw.Cursor:
        """Execute it with the values of *row*."""
        return db.execute(self._sql, self._pick(row))

    def run_many(self, db: apsw.Connection, rows: list[Row]) -> None:
        """Execute it with the values of each of *rows*."""
        db.executemany(self._sql, map(self._pick, rows))
