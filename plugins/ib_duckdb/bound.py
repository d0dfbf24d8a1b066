"""Statements that run for every call: for one row or for many, each of them one step of SQLite.

Values are bound by position, which costs half as much as by name. A statement for many rows is a step of
SQLite as well as one for one row is, and each step lets go of the interpreter, which others want.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import chain

import apsw

from ib_duckdb.rows import Row

MOST_ROWS = 64
"""Rows of one statement. Statements are prepared for 1, 2, 4, … rows: preparing costs more than running."""


class Many:
    """One SQL statement (of our own) over rows that have the values of *names*.

    Args:
        one: The statement for one row, with a ``?`` for each of the names, in their order.
        many: The same for more of them; ``{rows}`` in it is where their values stand, as a row of ``VALUES``
            each.
        names: The names of a row's values.
    """

    __slots__ = ("_many", "_one", "_pick", "_row", "_statements")

    def __init__(self, one: str, many: str, names: Sequence[str]) -> None:
        self._one, self._many = (" ".join(sql.split()) for sql in (one, many))
        self._pick = operator.itemgetter(*names)
        self._row = f"({','.join('?' * len(names))})"
        self._statements: dict[int, str] = {}

    def run(self, db: apsw.Connection, rows: Sequence[Row], *before: object) -> None:
        """Execute it with the values of each of *rows*; *before* are values that stand before theirs."""
        at, left = 0, len(rows)
        while left:
            size = min(MOST_ROWS, 1 << (left.bit_length() - 1))
            values = chain.from_iterable(map(self._pick, rows[at : at + size]))
            db.execute(self._statements.get(size) or self._prepared(size), (*before, *values))
            at, left = at + size, left - size

    def _prepared(self, size: int) -> str:
        sql = self._one if size == 1 else self._many.format(rows=",".join([self._row] * size))
        self._statements[size] = sql
        return sql


def insertion(table: str, names: Sequence[str]) -> Many:
    """Return what appends rows to *table*."""
    head = f"INSERT INTO {table} ({', '.join(names)}) VALUES"
    return Many(f"{head} ({','.join('?' * len(names))})", f"{head} {{rows}}", names)


def change(table: str, key: str, names: Sequence[str], also: str) -> Many:
    """Return what sets the columns *names* in the rows of *table* that are named by *key*.

    *also* is SQL that sets more of them, with values ``?1`` and so on: they are given before the rows.
    """
    head = f"UPDATE {table} SET {also}"  # noqa: S608 (our own names)
    first = f"{head}, {', '.join(f'{name} = ?' for name in names)} WHERE {key} = ?"
    new = ", ".join(f"{name} = new.column{at}" for at, name in enumerate(names, 1))
    many = f"{head}, {new} FROM (VALUES {{rows}}) AS new WHERE {table}.{key} = new.column{len(names) + 1}"
    return Many(first, many, (*names, key))
