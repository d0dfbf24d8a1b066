"""The store's side of SQL: answering a query, and handing out the documented tables to be asked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ib_kernel.values.moving import LedgerRows
from ib_kernel.values.results import QueryResult
from ib_postgres.asking import Limits, Moment, ask, let_read
from ib_postgres.base import Part
from ib_postgres.text import SIGN, given, given_json

if TYPE_CHECKING:
    from ib_kernel.values import Reader

TABLES = ("calls", "messages", "events", "cells", "checks", "scores", "challenges", "sessions")
"""The documented tables."""

PIECE = 5_000
"""Rows of one piece at most."""

EXPORT_S = 24 * 3600.0
"""Seconds that an export may take."""

_JSON = frozenset({"meta", "detail", "tests", "quotes", "files"})


class Asking(Part):
    """What people ask the ledger."""

    _limits: Limits

    def sql(self, query: str, *, reader: Reader | None = None) -> QueryResult:
        """Answer one read-only SQL query over all rows (see `BudgetStore.sql`), with *reader*'s rights.

        `QueryError` for the user's mistakes, in one line. An interrupt stops the query in the database too.
        """
        with self._database.dedicated() as conn:
            return ask(conn, query, limits=self._limits, reader=reader, moment=self._asked_at())

    def usage_rows(self, *, reader: Reader | None = None) -> Iterator[LedgerRows]:
        """Return the documented tables as SQL shows them to *reader*, at one moment, in pieces."""
        from psycopg import IsolationLevel

        with self._database.dedicated() as conn:
            conn.isolation_level = IsolationLevel.REPEATABLE_READ
            let_read(conn, Limits(EXPORT_S), reader, self._asked_at())
            for name in TABLES:
                with conn.cursor(name=f"ib_{name}") as cursor:
                    cursor.itersize = PIECE
                    cursor.execute(f"SELECT * FROM ib_usage.{name}")  # noqa: S608
                    while rows := cursor.fetchmany(PIECE):
                        columns = tuple(column.name for column in cursor.description or ())
                        yield LedgerRows(name, columns, _given(columns, rows))

    def _asked_at(self) -> Moment:
        return Moment(None if self._clock is None else float(self._clock()), self._most)


def _given(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows with their texts as they were given (see `ib_postgres.text`)."""
    if not any(isinstance(value, str) and SIGN in value for row in rows for value in row):
        return rows
    back = [given_json if name in _JSON else given for name in columns]
    return [
        tuple(of(v) if isinstance(v, str) else v for of, v in zip(back, row, strict=True)) for row in rows
    ]
