"""The tables of ``usage.duckdb``, column by column, and where each value comes from in the hot ledger.

Kept once: the same list creates the tables in the file, creates their hot twins for a query, and reads
the hot ledger. No table has a primary key or index: an ART index would double the file and the time of
every insert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

VERSION = 5
"""Version of the tables below; kept in ``internal.version`` of the file."""


def _stamp(column: str) -> str:
    return f"CAST(round({column} * 1e6) AS INTEGER)"


def _dollars(column: str) -> str:
    parts = f"{column} / 1000000000, {column} % 1000000000"
    return f"CASE WHEN {column} IS NOT NULL THEN printf('%d.%09d', {parts}) END"


Rows = Sequence[tuple[Any, ...]]


def columns_of(rows: Rows) -> list[list[Any]]:
    """Return *rows* as lists, one per column."""
    return [list(column) for column in zip(*rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name and type in DuckDB, and the SQLite expression it is read with ("" for its name)."""

    name: str
    type: str
    source: str = ""

    @property
    def read(self) -> str:
        """The SQLite expression that yields the value (timestamps as microseconds, decimals as text)."""
        return self.source or f"t.{self.name}"

    @property
    def bind(self) -> str:
        """The DuckDB expression that turns a bound list of such values into rows."""
        if self.type == "TIMESTAMP":
            return "make_timestamp(unnest(?::BIGINT[]))"
        if self.type.startswith("DECIMAL"):
            return f"unnest(?::VARCHAR[])::{self.type}"
        return f"unnest(?::{self.type}[])"

    @property
    def bind_one(self) -> str:
        """The same for one such value, which all rows get."""
        if self.type == "TIMESTAMP":
            return "make_timestamp(?::BIGINT)"
        return f"?::{'VARCHAR::' if self.type.startswith('DECIMAL') else ''}{self.type}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the record: `table` in schema `schema`, filled from the hot table of the same name."""

    name: str
    schema: str
    order: str
    columns: tuple[Column, ...]
    joined: str = " JOIN sessions s USING (session_key)"

    def create(self, schema: str) -> str:
        """Return the statement that creates the table in *schema*."""
        columns = ", ".join(f"{column.name} {column.type}" for column in self.columns)
        return f"CREATE TABLE IF NOT EXISTS {schema}.{self.name} ({columns})"

    def insert(self, schema: str, rows: Rows) -> tuple[str, list[Any]]:
        """Return the statement that inserts *rows*, sorted by session and time, and what it binds.

        A column whose rows are all alike, which most are among the rows of some seconds, is bound as one
        value: converting values is most of the work.
        """
        names, binds, bound = [], [], []
        for column, values in zip(self.columns, columns_of(rows), strict=True):
            alike = type(values[0]) is not float and values.count(values[0]) == len(values)  # 0.0 == -0.0
            names.append(column.name)
            binds.append(f"{column.bind_one if alike else column.bind} AS {column.name}")
            bound.append(values[0] if alike else values)
        listed = ", ".join(names)
        found = f"SELECT {listed} FROM (SELECT {', '.join(binds)}) ORDER BY {self.order}"  # noqa: S608 (our own names)
        return f"INSERT INTO {schema}.{self.name} ({listed}) {found}", bound

    def tried(self) -> str:
        """Return the query that converts the same bound lists and keeps nothing."""
        values = ", ".join(f"{column.bind} AS {column.name}" for column in self.columns)
        return f"SELECT count(*), {self._used()} FROM (SELECT {values})"  # noqa: S608

    def _used(self) -> str:
        return ", ".join(f"count({column.name})" for column in self.columns)  # or nothing is converted

    def select(self) -> str:
        """Return the SQLite query for rows above a sequence number: bind it and a number of rows."""
        values = ", ".join(column.read for column in self.columns)
        return (
            f"SELECT {values} FROM {self.name} t{self.joined}"  # noqa: S608
            " WHERE t.seq > ? ORDER BY t.seq LIMIT ?"
        )


_SESSION = Column("session_id", "VARCHAR", "s.session_id")
_KEYS = (Column("session_key", "BIGINT"), Column("seq", "BIGINT"))  # last: `seq` is the watermark
_LINK = (Column("link_n", "BIGINT"), Column("link", "BLOB"))
_TEXT_LINK = (Column("salt", "BLOB"), Column("commitment", "BLOB"), *_LINK)
_MONEY = "DECIMAL(18,9)"  # a nano-dollar exactly, and sums in DECIMAL(38,9): never a rounded float

_USED = """coalesce(t.used, s.charged_tokens - (
    SELECT coalesce(sum(l.charged_tokens), 0) FROM calls l
    WHERE l.session_key = t.session_key AND l.seq > t.seq AND l.status = 'settled'))"""
"""What a session had been charged by then; a program of version 4 that has the ledger open does not say."""

CALLS = Table(
    "calls",
    "main",
    "session_key, started_at, seq",
    (
        _SESSION,
        Column("turn", "INTEGER"),
        Column("attempt", "INTEGER"),
        Column("client", "VARCHAR"),
        Column("model", "VARCHAR"),
        Column("model_returned", "VARCHAR", "nullif(t.model_returned, '')"),
        Column("counted_tokens", "BIGINT"),
        Column("counted_exact", "BOOLEAN"),
        Column("input_tokens", "BIGINT"),
        Column("cached_tokens", "BIGINT"),
        Column("output_tokens", "BIGINT"),
        Column("reasoning_tokens", "BIGINT"),
        Column("total_tokens", "BIGINT", "t.input_tokens + t.output_tokens"),
        Column("charged_tokens", "BIGINT", "coalesce(t.charged_tokens, t.input_tokens + t.output_tokens)"),
        Column("used", "BIGINT", _USED),
        Column("source", "VARCHAR"),
        Column("cost_usd", _MONEY, _dollars("t.cost_nano_usd")),
        Column("price_source", "VARCHAR"),
        Column("latency_ms", "DOUBLE"),
        Column("first_piece_ms", "DOUBLE"),
        Column("finish_reason", "VARCHAR", "nullif(t.finish_reason, '')"),
        Column("status", "VARCHAR"),
        Column("error", "VARCHAR"),
        Column("held_tokens", "BIGINT"),
        Column("overdraft", "BIGINT"),
        Column("token_budget", "BIGINT"),
        Column("prompt_version", "VARCHAR", "nullif(t.prompt_version, '')"),
        Column("response_id", "VARCHAR", "nullif(t.response_id, '')"),
        Column("raw_usage", "VARCHAR"),
        Column("history_from_turn", "INTEGER"),
        Column("sent_hmac", "VARCHAR", "nullif(t.sent_hmac, '')"),
        Column("started_at", "TIMESTAMP", _stamp("t.started_at")),
        Column("ended_at", "TIMESTAMP", _stamp("t.ended_at")),
        *_LINK,
        *_KEYS,
    ),
)

MESSAGES = Table(
    "messages",
    "main",
    "session_key, seq",
    (
        _SESSION,
        Column("turn", "INTEGER"),
        Column("role", "VARCHAR"),
        Column("content", "VARCHAR"),
        Column("partial", "BOOLEAN"),
        Column("created_at", "TIMESTAMP", _stamp("t.created_at")),
        Column("asked_at", "TIMESTAMP", _stamp("t.asked_at")),
        *_TEXT_LINK,
        *_KEYS,
    ),
)

EVENTS = Table(
    "events",
    "main",
    "session_key, seq",
    (
        _SESSION,
        Column("kind", "VARCHAR"),
        Column("created_at", "TIMESTAMP", _stamp("t.created_at")),
        Column("who", "VARCHAR"),
        Column("detail", "JSON"),
        *_TEXT_LINK,
        *_KEYS,
    ),
)

BILLED_CEILING = (
    "coalesce(sessions.billed_ceiling, CASE sessions.charge WHEN 'new' THEN 10 * sessions.token_budget END)"
)
"""What may be billed beside the budget; NULL for no such limit."""

_GIVEN = ("external_id", "challenge_sha", "notice_version")
_FACTS = ("candidate", "role", "level", "challenge", "persona", "client", "model", "prompt_version")

SESSION_ROWS = Table(
    "session_rows",
    "internal",
    "session_key, seq",
    (
        _SESSION,
        *(Column(name, "VARCHAR", f"s.{name}") for name in _FACTS),
        Column("meta", "JSON", "s.meta"),
        Column("status", "VARCHAR"),
        Column("token_budget", "BIGINT"),
        Column("budget_usd", _MONEY, _dollars("t.budget_nano_usd")),
        Column("time_limit_s", "DOUBLE"),
        Column("charge", "VARCHAR", "s.charge"),
        Column("billed_ceiling", "BIGINT", BILLED_CEILING.replace("sessions.", "s.")),
        Column("token_budget_at_start", "BIGINT", "s.token_budget_at_start"),
        Column("time_limit_at_start_s", "DOUBLE", "s.time_limit_at_start_s"),
        *(Column(name, "VARCHAR", f"nullif(s.{name}, '')") for name in _GIVEN),
        Column("keep_until", "TIMESTAMP", _stamp("s.keep_until")),
        Column("created_at", "TIMESTAMP", _stamp("s.created_at")),
        Column("started_at", "TIMESTAMP", _stamp("t.started_at")),
        Column("ended_at", "TIMESTAMP", _stamp("t.ended_at")),
        Column("active_s", "DOUBLE"),
        Column("changed_at", "TIMESTAMP", _stamp("t.changed_at")),
        Column("chain_n", "BIGINT"),
        Column("chain_head", "BLOB"),
        *_KEYS,
    ),
)

CELLS = Table(
    "cells",
    "main",
    "session_key, seq",
    (
        _SESSION,
        Column("n", "INTEGER"),
        Column("execution_count", "INTEGER"),
        Column("kind", "VARCHAR"),
        Column("source", "VARCHAR"),
        Column("source_sha", "VARCHAR"),
        Column("lines", "INTEGER"),
        Column("ok", "BOOLEAN"),
        Column("error", "VARCHAR", "nullif(t.error, '')"),
        Column("output_chars", "BIGINT"),
        Column("output", "VARCHAR"),
        Column("started_at", "TIMESTAMP", _stamp("t.started_at")),
        Column("ended_at", "TIMESTAMP", _stamp("t.ended_at")),
        *_TEXT_LINK,
        *_KEYS,
    ),
)

CHECKS = Table(
    "checks",
    "main",
    "session_key, seq",
    (
        _SESSION,
        Column("n", "INTEGER"),
        Column("challenge_sha", "VARCHAR", "nullif(t.challenge_sha, '')"),
        Column("suite", "VARCHAR"),
        Column("passed", "INTEGER"),
        Column("total", "INTEGER"),
        Column("tests", "JSON"),
        Column("source_sha", "VARCHAR", "nullif(t.source_sha, '')"),
        Column("ran_on", "VARCHAR"),
        Column("started_at", "TIMESTAMP", _stamp("t.started_at")),
        Column("ended_at", "TIMESTAMP", _stamp("t.ended_at")),
        *_TEXT_LINK,
        *_KEYS,
    ),
)

_SCORED_BY = ("rubric_sha", "model", "prompt_version")

SCORES = Table(
    "scores",
    "main",
    "session_key, seq",
    (
        _SESSION,
        Column("criterion", "VARCHAR"),
        Column("rater", "VARCHAR"),
        Column("rater_kind", "VARCHAR"),
        *(Column(name, "INTEGER") for name in ("level", "low", "high")),
        Column("reason", "VARCHAR"),
        Column("quotes", "JSON"),
        Column("saw_model", "BOOLEAN"),
        *(Column(name, "VARCHAR", f"nullif(t.{name}, '')") for name in _SCORED_BY),
        Column("created_at", "TIMESTAMP", _stamp("t.created_at")),
        *_TEXT_LINK,
        *_KEYS,
    ),
)

CHALLENGES = Table(
    "challenges",
    "main",
    "seq",
    (
        *(Column(name, "VARCHAR") for name in ("challenge_sha", "name", "version", "text")),
        Column("files", "JSON"),
        Column("first_used_at", "TIMESTAMP", _stamp("t.first_used_at")),
        Column("session_key", "BIGINT", "0"),
        Column("seq", "BIGINT"),
    ),
    joined="",
)

TABLES = (CALLS, MESSAGES, EVENTS, CELLS, CHECKS, SCORES, CHALLENGES, SESSION_ROWS)
CHAINED = (CALLS, MESSAGES, EVENTS, CELLS, CHECKS, SCORES)
"""The tables whose rows are links of their session's chain."""

_DOUBTFUL = {
    "session_id": "s.session_id",
    "session_key": "r.session_key",
    "status": "'in_doubt'",
    "held_tokens": "r.tokens",
    "overdraft": "0",
    "token_budget": "s.token_budget",
    "prompt_version": "nullif(r.prompt_version, '')",
    "started_at": _stamp("r.created_at"),
    **{name: f"r.{name}" for name in ("turn", "attempt", "client", "model")},
    **{name: f"r.{name}" for name in ("counted_tokens", "counted_exact", "history_from_turn")},
    "sent_hmac": "nullif(r.sent_hmac, '')",
}

IN_DOUBT = f"""
SELECT {", ".join(_DOUBTFUL.get(column.name, "NULL") for column in CALLS.columns)}
FROM reservations r JOIN sessions s USING (session_key)
WHERE r.state <> 'held' OR r.lease_until <= ?"""  # noqa: S608 (built from our own names)
"""The attempts whose outcome nobody knows yet, as rows of `calls`: their usage is NULL, never zero."""

_RUNNING = """
    SELECT session_key, token_budget, budget_nano_usd, time_limit_s, started_at, chain_n, chain_head,
        :now AS changed_at,
        9223372036854775807 AS seq,
        CASE WHEN over THEN 'expired' ELSE status END AS status,
        CASE WHEN over THEN max(active_s, time_limit_s) ELSE active_now END AS active_s,
        CASE WHEN over THEN max(created_at, :now) END AS ended_at
    FROM (SELECT *, coalesce(active_now >= time_limit_s, false) AS over
        FROM (SELECT *, active_s + min(max(0.0, :now - tick_at), (SELECT most FROM clock)) AS active_now
            FROM sessions WHERE status = 'active' AND tick_at IS NOT NULL))"""

RUNNING = f"""
SELECT {", ".join(column.read for column in SESSION_ROWS.columns)}
FROM ({_RUNNING}) t JOIN sessions s USING (session_key)"""  # noqa: S608 (built from our own names)
"""Sessions that run, as they are at the moment `:now`: the newest row of each, for one query."""
