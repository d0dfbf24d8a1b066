"""What one person may read in SQL (`ib_kernel.values.Reader`): views made for one query.

Whoever asks finds the rows that are theirs to see under the names that people know. The ledger's own tables
are on the same connection, under names that are made by chance for this query alone: a query can list them
and cannot have them in itself, because it was written before they were made.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ib_duckdb.columns import EVENTS, MESSAGES, SCORES, SESSION_ROWS, Table
from ib_kernel.values.accommodation import time_factor
from ib_kernel.values.session import NewSession

if TYPE_CHECKING:
    import apsw
    import duckdb

    from ib_kernel.values import Reader

_HIDDEN = (SCORES, EVENTS, MESSAGES, SESSION_ROWS)
"""The tables of which a reader may not see all."""

_LOCKED = "SELECT 1 FROM sessions WHERE instr(meta, '\"ib_lock\"') LIMIT 1"
_ADAPTED = "SELECT session_key, accommodation FROM sessions WHERE accommodation <> ''"

_PRIVATE_KINDS = "('note', 'rubric', 'unfolded', 'judged')"


def chance(prefix: str) -> str:
    """Return a name that nobody can guess: 128 random bits."""
    return f"{prefix}_{secrets.token_hex(16)}"


def factors(hot: apsw.Connection, reader: Reader) -> dict[int, float]:
    """Return by session key how many times the usual time somebody has; empty for a coordinator."""
    if reader.coordinator:
        return {}
    found = {}
    for key, accommodation in hot.execute(_ADAPTED):
        session = NewSession("", "", 0, "", accommodation=str(accommodation))
        found[int(str(key))] = time_factor(session)
    return found


def is_needed(hot: apsw.Connection, reader: Reader) -> bool:
    """Return True if there is anything that *reader* may not see."""
    if not reader.all_scores or not reader.coordinator:
        return True
    return reader.hides_locked and next(iter(hot.execute(_LOCKED)), None) is not None


def close_in(db: duckdb.DuckDBPyConnection, reader: Reader) -> None:
    """Take levels, notes and rubrics of closed sessions out of a copy of the ledger.

    Args:
        db: The copy, open for writing.
        reader: Who reads it.
    """
    closed = (
        "SELECT session_id FROM internal.session_rows WHERE json_exists(meta, '$.ib_lock') "
        "AND NOT list_contains($1::VARCHAR[], session_id)"
    )
    opened = [sorted(reader.opened)]
    db.execute(f"DELETE FROM scores WHERE session_id IN ({closed})", opened)  # noqa: S608
    db.execute(
        f"UPDATE events SET detail = NULL, salt = NULL WHERE kind IN {_PRIVATE_KINDS} "  # noqa: S608
        f"AND session_id IN ({closed})",
        opened,
    )


def with_what_decides(tables: Sequence[Table]) -> list[Table]:
    """Return *tables* and those that say which of their rows may be seen."""
    wanted = list(tables)
    if any(table in _HIDDEN for table in tables):
        wanted += [table for table in _HIDDEN if table not in wanted]
    return wanted


class Sieve:
    """Says what one reader sees on one connection.

    A query's own conditions may be tried on a row before it is left out, and an error can tell what it was
    tried on. So a hidden value is never only filtered away: `scores` is copied without hidden rows, and
    elsewhere a hidden value is NULL before anything else is done with it.

    Args:
        reader: Who asks.
        schema: Where the hot rows are, by a name made by chance; helpers are made there, too.
        factors: What `factors` returned.
    """

    def __init__(self, reader: Reader, schema: str, factors: Mapping[int, float]) -> None:
        self._reader, self._schema, self._factors = reader, schema, factors

    def prepare(self, db: duckdb.DuckDBPyConnection, rows_of: Mapping[str, str]) -> None:
        """Note which sessions are closed, which are about others, and what this reader has opened.

        Args:
            db: The connection.
            rows_of: By table, the query that reads all of its rows.
        """
        if SESSION_ROWS.name not in rows_of:
            return
        self._make(
            db,
            "known",
            f"""SELECT DISTINCT session_key, session_id, meta ->> 'about' AS about,
                {str(self._reader.hides_locked).lower()} AND json_exists(meta, '$.ib_lock')
                AND NOT list_contains($1::VARCHAR[], session_id) AS closed
            FROM ({rows_of[SESSION_ROWS.name]})""",  # noqa: S608
            sorted(self._reader.opened),
        )
        self._make(
            db,
            "rated",
            f"""SELECT DISTINCT session_id, criterion FROM ({rows_of[SCORES.name]})
            WHERE rater_kind = 'person' AND rater = $1 AND level IS NOT NULL""",  # noqa: S608
            self._reader.name,
        )
        self._make(
            db,
            "unfolded",
            f"""SELECT DISTINCT session_id FROM ({rows_of[EVENTS.name]})
            WHERE kind = 'unfolded' AND who = $1""",  # noqa: S608
            self._reader.name,
        )
        schema = self._schema
        self._make(
            db,
            "judged",
            f"""SELECT DISTINCT k.session_key, r.criterion FROM {schema}.known AS k
            JOIN {schema}.rated AS r ON r.session_id = k.about""",  # noqa: S608
        )
        self._make(
            db,
            "talks",
            f"""SELECT DISTINCT session_key FROM {schema}.known
            WHERE about IS NOT NULL AND about NOT IN (SELECT session_id FROM {schema}.unfolded)""",  # noqa: S608
        )
        db.execute(f"CREATE TABLE {schema}.adapted (session_key BIGINT, factor DOUBLE)")
        for key, factor in self._factors.items():
            db.execute(f"INSERT INTO {schema}.adapted VALUES (?, ?)", [key, factor])  # noqa: S608

    def _make(self, db: duckdb.DuckDBPyConnection, name: str, query: str, *values: object) -> None:
        db.execute(f"CREATE TABLE {self._schema}.{name} AS {query}", list(values))

    def statement(self, table: Table, rows: str) -> str:
        """Return the statement that makes what this reader sees of *table* under its own name.

        Args:
            table: The table.
            rows: The query that reads all of its rows.
        """
        name, all_scores = f"{table.schema}.{table.name}", self._reader.all_scores
        if table is SCORES:
            return f"CREATE TABLE {name} AS {self._scores(rows)}"
        if table is EVENTS:
            return f"CREATE VIEW {name} AS {self._events(rows)}"
        if table is MESSAGES and not all_scores:
            return f"CREATE VIEW {name} AS {self._messages(rows)}"
        if table is SESSION_ROWS and not self._reader.coordinator:
            return f"CREATE VIEW {name} AS {self._sessions(rows)}"
        return f"CREATE VIEW {name} AS {rows}"

    def _scores(self, rows: str) -> str:
        schema = self._schema
        closed = f"SELECT (session_key, session_id) FROM {schema}.known WHERE closed"  # noqa: S608
        mine = f"""(session_id, criterion) IN (SELECT (session_id, criterion) FROM {schema}.rated)
            OR session_id IN (SELECT session_id FROM {schema}.unfolded)"""  # noqa: S608
        seen = "true" if self._reader.all_scores else mine
        return f"SELECT * FROM ({rows}) WHERE (session_key, session_id) NOT IN ({closed}) AND ({seen})"  # noqa: S608

    def _events(self, rows: str) -> str:
        """Return events: of closed sessions without private details, of judges what may be seen."""
        schema = self._schema
        unseen = "j.session_key IS NULL AND (k.about IS NULL OR h.session_key IS NOT NULL)"
        judged = "false" if self._reader.all_scores else f"t.kind = 'judged' AND {unseen}"
        detail, salt = self._times() if not self._reader.coordinator else ("t.detail", "t.salt")
        hidden = f"(k.closed AND t.kind IN {_PRIVATE_KINDS}) OR ({judged})"
        return f"""
            SELECT t.* REPLACE (
                CASE WHEN {hidden} THEN NULL ELSE {detail} END AS detail,
                CASE WHEN {hidden} THEN NULL ELSE {salt} END AS salt
            )
            FROM ({rows}) AS t
            LEFT JOIN {schema}.known AS k ON k.session_key = t.session_key AND k.session_id = t.session_id
            LEFT JOIN {schema}.talks AS h ON h.session_key = t.session_key
            LEFT JOIN {schema}.judged AS j
            ON t.kind = 'judged' AND j.session_key = t.session_key AND j.criterion = t.detail ->> 'criterion'
            LEFT JOIN {schema}.adapted AS a ON a.session_key = t.session_key"""  # noqa: S608

    @staticmethod
    def _times() -> tuple[str, str]:
        """Return detail and salt of an event with times relative to the usual limit.

        Every session's are written anew, so that none looks as if it had been; without the salt nobody can
        try which times the row's commitment is of.
        """

        def share(name: str) -> str:
            return f"'{name}', round((t.detail ->> '{name}')::DOUBLE / coalesce(a.factor, 1.0) * 1e6) / 1e6"

        limits = f"json_object({share('from')}, {share('to')})"
        opened = f"json_merge_patch(t.detail, json_object({share('time_limit_s')}))"
        detail = f"CASE t.kind WHEN 'time_limit' THEN {limits} WHEN 'opened' THEN {opened} ELSE t.detail END"
        return detail, "CASE WHEN t.kind NOT IN ('time_limit', 'opened') THEN t.salt END"

    def _messages(self, rows: str) -> str:
        hidden = "h.session_key IS NOT NULL"
        return f"""
            SELECT t.* REPLACE (
                CASE WHEN {hidden} THEN NULL ELSE t.content END AS content,
                CASE WHEN {hidden} THEN NULL ELSE t.salt END AS salt
            )
            FROM ({rows}) AS t LEFT JOIN {self._schema}.talks AS h ON h.session_key = t.session_key"""  # noqa: S608

    def _sessions(self, rows: str) -> str:
        times = ("time_limit_s", "time_limit_at_start_s", "active_s")
        scaled = ", ".join(
            f"round(t.{name} / coalesce(a.factor, 1.0) * 1e6) / 1e6 AS {name}" for name in times
        )
        joined = f"LEFT JOIN {self._schema}.adapted AS a ON a.session_key = t.session_key"
        return f"SELECT t.* REPLACE ({scaled}) FROM ({rows}) AS t {joined}"  # noqa: S608
