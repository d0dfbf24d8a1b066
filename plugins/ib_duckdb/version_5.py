"""Version 4 to 5: each call says what its session had been charged by then, so that nobody adds it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    import duckdb

CHARGED = "CASE WHEN status = 'settled' THEN charged_tokens END"
"""What a call adds to the sum of its session's charged tokens."""

LATER = f"""
coalesce(sum({CHARGED}) OVER (
    PARTITION BY session_key ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
), 0)"""
"""What was charged after a call. Seen from the session's sum, rows that only the record has do not matter."""

_FILL = f"""
UPDATE calls SET used = s.charged_tokens - l.later
FROM (SELECT seq, session_key, {LATER} AS later FROM calls) AS l, sessions AS s
WHERE calls.used IS NULL AND l.seq = calls.seq AND s.session_key = l.session_key"""  # noqa: S608 (our names)

_RECORD = f"""
ALTER TABLE main.calls ADD COLUMN used BIGINT;
UPDATE main.calls SET used = u.used
FROM (
    SELECT session_key, session_id, seq, coalesce(sum({CHARGED}) OVER (
        PARTITION BY session_key, session_id ORDER BY seq ROWS UNBOUNDED PRECEDING
    ), 0) AS used
    FROM main.calls
) AS u
WHERE u.session_key = calls.session_key AND u.session_id = calls.session_id AND u.seq = calls.seq;
"""  # noqa: S608 (our own names)

_KNOWN = """
UPDATE main.calls SET used = k.used FROM hot_used AS k
WHERE k.session_key = calls.session_key AND k.seq = calls.seq AND k.used <> calls.used"""


def hot(db: apsw.Connection) -> None:
    """Bring the hot ledger from version 4 to 5, inside the caller's transaction."""
    db.execute("ALTER TABLE calls ADD COLUMN used INTEGER")
    fill(db)
    db.execute("DELETE FROM moved")  # so that the record is looked into, and brought forward too


def fill(db: apsw.Connection) -> None:
    """Give hot calls their figure that have none, such as those of a program of version 4."""
    db.execute(_FILL)


def record(db: duckdb.DuckDBPyConnection, hot: apsw.Connection) -> None:
    """Bring the record from version 4 to 5, inside the caller's transaction.

    A record that was rebuilt lacks a session's older rows; the hot ledger knows what they were charged.
    """
    db.execute(_RECORD)
    rows: list[Any] = hot.execute("SELECT session_key, seq, used FROM calls").fetchall()
    db.execute("CREATE TEMP TABLE hot_used (session_key BIGINT, seq BIGINT, used BIGINT)")
    if rows:
        marks = ", ".join(["unnest(?::BIGINT[])"] * 3)
        columns = [list(column) for column in zip(*rows, strict=True)]
        db.execute(f"INSERT INTO hot_used SELECT {marks}", columns)
    db.execute(_KNOWN)
    db.execute("DROP TABLE hot_used")
