"""The proof that the ledger adds up: every session's sums, rebuilt from its rows in one snapshot."""

from __future__ import annotations

from typing import Any

from ib_kernel.text import several
from ib_postgres import quarantine
from ib_postgres.database import Database
from ib_postgres.rows import Row
from ib_postgres.text import given

_NAMES = (
    *(
        "calls",
        "turns",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "cost_nano_usd",
    ),
    *("charged_tokens", "held", "in_doubt", "held_nano_usd", "held_billed", "running"),
    *("messages", "events", "cells", "checks", "scores"),
)

_SESSIONS = f"SELECT session_id, session_key, {', '.join(_NAMES)} FROM ib.sessions"  # noqa: S608 (our own names)

_USED = "status = 'settled' AND input_tokens + output_tokens > 0"
_SUM = "coalesce(sum({0}) FILTER (WHERE status = 'settled'), 0) AS {0}"
_CALLS = f"""
SELECT session_key, count(*) FILTER (WHERE {_USED}) AS calls,
    count(DISTINCT turn) FILTER (WHERE {_USED} AND turn > 0) AS turns,
    {", ".join(map(_SUM.format, _NAMES[2:8]))}
FROM ib.calls GROUP BY session_key"""  # noqa: S608 (our own names)

_HELD = """
SELECT session_key, coalesce(sum(tokens) FILTER (WHERE state = 'held'), 0) AS held,
    coalesce(sum(tokens) FILTER (WHERE state <> 'held'), 0) AS in_doubt,
    sum(nano_usd) AS held_nano_usd, sum(billed_tokens) AS held_billed,
    count(*) FILTER (WHERE state = 'held') AS running
FROM ib.reservations GROUP BY session_key"""

_REPEATED = """
SELECT session_key, turn, attempt, count(*) AS times FROM (
    SELECT session_key, turn, attempt FROM ib.calls WHERE turn > 0
    UNION ALL SELECT session_key, turn, attempt FROM ib.reservations WHERE turn > 0
) AS numbered GROUP BY session_key, turn, attempt HAVING count(*) > 1"""

_USED_BY_THEN = """
SELECT session_key, count(*) AS wrong FROM (
    SELECT c.session_key, c.used, s.charged_tokens - coalesce(
        sum(CASE WHEN c.status = 'settled' THEN c.charged_tokens END) OVER (
            PARTITION BY c.session_key ORDER BY c.seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ), 0) AS found
    FROM ib.calls AS c JOIN ib.sessions AS s ON s.session_key = c.session_key
) AS said WHERE used <> found GROUP BY session_key"""

_CEILING = """
SELECT c.held, c.total_spent, found.held AS held_found, found.spent AS spent_found FROM ib.ceiling AS c, (
    SELECT coalesce(sum(held_nano_usd), 0) AS held, coalesce(sum(cost_nano_usd), 0) AS spent FROM ib.sessions
) AS found"""


_BEGUN = "SELECT count(*) AS begun FROM ib.erasing"


def check(database: Database) -> list[str]:
    """Return one line per disagreement between the sums and the rows; empty when the ledger adds up."""
    from psycopg.rows import dict_row

    with database.session() as db, db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        db.execute("SET LOCAL statement_timeout = 0")
        ask = db.cursor(row_factory=dict_row)
        sessions = {row["session_key"]: row for row in ask.execute(_SESSIONS).fetchall()}
        found = {key: dict.fromkeys(_NAMES, 0) for key in sessions}
        strays: set[int] = set()
        for sql in (_CALLS, _HELD, *map(_counted, _NAMES[-5:])):
            for row in ask.execute(sql).fetchall():
                key = row.pop("session_key")
                if key in found:
                    found[key].update(row)
                else:
                    strays.add(key)
        repeated = ask.execute(_REPEATED).fetchall()
        wrong = [row["session_key"] for row in ask.execute(_USED_BY_THEN).fetchall()]
        money = ask.execute(_CEILING).fetchone()
        begun = ask.execute(_BEGUN).fetchall()[0]["begun"]
        apart = quarantine.listed(db)
    lines = apart + [f"rows of a session that does not exist (key {key})" for key in sorted(strays)]
    lines += [_twice(sessions, row) for row in repeated]
    for key, row in sessions.items():
        lines += _differences(row, found[key])
    for key in sorted(wrong):
        name = given(sessions[key]["session_id"])
        lines.append(f"session {name}: its calls do not say what it had been charged by then")
    if begun:
        what = several(begun, "session")
        lines.append(f"the erasure of {what} was begun and not finished; ib erase --resume goes on")
    return lines + _ceiling(money)


def _counted(table: str) -> str:
    return f"SELECT session_key, count(*) AS {table} FROM ib.{table} GROUP BY session_key"  # noqa: S608 (our names)


def _twice(sessions: dict[int, Row], row: Row) -> str:
    key = row["session_key"]
    name = given(sessions[key]["session_id"]) if key in sessions else f"key {key}"
    return f"session {name}: attempt {row['attempt']} of turn {row['turn']} is there {row['times']} times"


def _differences(row: Row, found: Row) -> list[str]:
    name = given(row["session_id"])
    return [
        f"session {name}: {key} is {row[key]:,} in its totals and {int(value):,} in its rows"
        for key, value in found.items()
        if row[key] != value
    ]


def _ceiling(money: Any) -> list[str]:
    if money is None:
        return []
    pairs = (("held", "held_found"), ("total_spent", "spent_found"))
    return [
        f"the ceiling: {name} is {money[name]:,} and {int(money[other]):,} in the sessions"
        for name, other in pairs
        if money[name] != money[other]
    ]
