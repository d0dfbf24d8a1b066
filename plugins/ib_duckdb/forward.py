"""Version 1 to 2: turns of their own numbers, owners of reservations, and when a question was asked."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb.renumber import Attempt, Text, renumber, repeats

if TYPE_CHECKING:
    import duckdb

_HOT = """
ALTER TABLE holds RENAME TO reservations;
DROP INDEX holds_by_session;
CREATE INDEX reservations_by_session ON reservations (session_key);
ALTER TABLE reservations ADD COLUMN owner_hash BLOB;
ALTER TABLE calls ADD COLUMN owner_hash BLOB;
ALTER TABLE messages ADD COLUMN asked_at REAL;
ALTER TABLE sessions ADD COLUMN last_turn INTEGER NOT NULL DEFAULT 0;
DELETE FROM moved;  -- so that the record is looked into, and brought forward too
"""

_ASKED = """
UPDATE messages SET asked_at = coalesce(
    (SELECT min(started_at) FROM calls c
        WHERE c.session_key = messages.session_key AND c.turn = messages.turn),
    (SELECT min(created_at) FROM reservations r
        WHERE r.session_key = messages.session_key AND r.turn = messages.turn),
    created_at)
WHERE turn > 0;
UPDATE messages SET asked_at = created_at WHERE turn = 0 AND role <> 'assistant';
"""

_LAST = """
UPDATE sessions SET last_turn = max(turns,
    coalesce((SELECT max(turn) FROM calls c WHERE c.session_key = sessions.session_key), 0),
    coalesce((SELECT max(turn) FROM reservations r WHERE r.session_key = sessions.session_key), 0),
    coalesce((SELECT max(turn) FROM messages m WHERE m.session_key = sessions.session_key), 0));
"""

_ATTEMPTS = """
SELECT session_key, 'c' || seq, turn, attempt, started_at, ended_at,
    status = 'settled' AND error IS NULL AND finish_reason <> 'resolved'
FROM calls WHERE turn > 0
UNION ALL
SELECT session_key, 'r' || rid, turn, attempt, created_at, NULL, 0 FROM reservations WHERE turn > 0"""

_TEXTS = """
SELECT seq, turn, role, created_at FROM messages WHERE session_key = ? AND turn > 0 ORDER BY seq"""

_TURNS = """
SELECT count(DISTINCT turn) FROM calls
WHERE session_key = ? AND turn > 0 AND status = 'settled' AND input_tokens + output_tokens > 0"""


def hot(db: apsw.Connection) -> None:
    """Bring the hot ledger from version 1 to 2, inside the caller's transaction."""
    db.execute(_HOT)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for key, *values in _rows(db, _ATTEMPTS):
        attempts[key].append(Attempt(*values))
    pruned: dict[int, int] = dict(_rows(db, "SELECT session_key, pruned_calls FROM sessions"))
    for key, made in attempts.items():
        first = min(a.turn for a in made)
        # What is only in the record may repeat too, and needs at most a number for each of its rows.
        moved = pruned.get(key, 0) > first - 1
        if moved or repeats(made):
            _renumber_hot(db, key, made, max(first, pruned.get(key, 0) + 1) if pruned.get(key) else 1)
    db.execute(_ASKED)
    db.execute(_LAST)


def _renumber_hot(db: apsw.Connection, key: int, attempts: list[Attempt], first: int) -> None:
    said = _rows(db, _TEXTS, (key,))
    before = _rows(db, _TURNS, (key,))[0][0]
    calls, messages = renumber(attempts, [Text(*values) for values in said], first)
    for name, turn in calls.items():
        table, column = ("calls", "seq") if name[0] == "c" else ("reservations", "rid")
        row = int(name[1:]) if name[0] == "c" else name[1:]
        db.execute(f"UPDATE {table} SET turn = ? WHERE {column} = ?", (turn, row))  # noqa: S608 (our own names)
    db.executemany(
        "UPDATE messages SET turn = ? WHERE seq = ?", [(turn, seq) for seq, turn in messages.items()]
    )
    after = _rows(db, _TURNS, (key,))[0][0]
    db.execute("UPDATE sessions SET turns = turns + ? WHERE session_key = ?", (after - before, key))


def _rows(db: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return db.execute(sql, values).fetchall()


_PARTLY = """
CREATE TEMP TABLE partly AS
SELECT DISTINCT session_key FROM main.calls ANTI JOIN hot_calls USING (session_key, seq)"""
"""Sessions with calls that only the record has."""

_RECORD_ATTEMPTS = """
SELECT c.session_key, h.turn, c.seq, c.turn, c.attempt, epoch(c.started_at), epoch(c.ended_at),
    c.status = 'settled' AND c.error IS NULL AND c.finish_reason IS DISTINCT FROM 'resolved'
FROM main.calls AS c LEFT JOIN hot_calls AS h ON h.session_key = c.session_key AND h.seq = c.seq
WHERE c.turn > 0 AND c.session_key IN (SELECT session_key FROM partly)"""

_RECORD_TEXTS = """
SELECT session_key, seq, turn, role, epoch(created_at) FROM main.messages
WHERE turn > 0 AND session_key IN (SELECT session_key FROM partly) ORDER BY session_key, seq"""

_RECORD_ASKED = """
UPDATE main.messages SET asked_at = asked.at
FROM (SELECT session_key, turn, min(started_at) AS at FROM main.calls WHERE turn > 0 GROUP BY ALL) AS asked
WHERE messages.session_key = asked.session_key AND messages.turn = asked.turn;
UPDATE main.messages SET asked_at = make_timestamp(h.turn) FROM hot_asked AS h
WHERE messages.session_key = h.session_key AND messages.seq = h.seq AND messages.asked_at IS NULL;
UPDATE main.messages SET asked_at = created_at WHERE asked_at IS NULL AND (turn > 0 OR role <> 'assistant')"""


def record(db: duckdb.DuckDBPyConnection, hot: apsw.Connection) -> None:
    """Bring the record from version 1 to 2, inside the caller's transaction, after the hot ledger."""
    for table in ("calls", "messages"):
        rows = _rows(hot, f"SELECT session_key, seq, turn FROM {table}")  # noqa: S608 (our own names)
        _keep(db, f"hot_{table}", rows)
    db.execute(_PARTLY)
    calls, messages = _renumber_record(db)
    for table, older in (("calls", calls), ("messages", messages)):
        _keep(db, f"older_{table}", older)
        _adopt(db, table, f"hot_{table}", "AND n.session_key NOT IN (SELECT session_key FROM partly)")
        _adopt(db, table, f"older_{table}")
        db.execute(f"DROP TABLE older_{table}; DROP TABLE hot_{table}")
    db.execute("DROP TABLE partly; ALTER TABLE main.messages ADD COLUMN asked_at TIMESTAMP")
    asked = _rows(hot, "SELECT session_key, seq, CAST(round(asked_at * 1e6) AS INTEGER) FROM messages")
    _keep(db, "hot_asked", asked)
    db.execute(_RECORD_ASKED)
    db.execute("DROP TABLE hot_asked")


def _renumber_record(db: duckdb.DuckDBPyConnection) -> tuple[list[Any], list[Any]]:
    """Number the turns of sessions that are only partly in the hot ledger; rows as `_keep` takes them."""
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    texts: dict[int, list[Text]] = defaultdict(list)
    given: dict[int, dict[int, int]] = defaultdict(dict)
    for key, number, *values in db.execute(_RECORD_ATTEMPTS).fetchall():
        attempts[key].append(Attempt(*values))
        if number is not None:
            given[key][values[0]] = number
    for key, *values in db.execute(_RECORD_TEXTS).fetchall():
        texts[key].append(Text(*values))
    calls: list[Any] = []
    messages: list[Any] = []
    for key, made in attempts.items():
        if repeats(made) or any(given[key].get(a.id, a.turn) != a.turn for a in made):
            new_calls, new_messages = renumber(made, texts[key], given=given[key])
            calls += [(key, seq, turn) for seq, turn in new_calls.items()]
            messages += [(key, seq, turn) for seq, turn in new_messages.items()]
    return calls, messages


def _keep(db: duckdb.DuckDBPyConnection, name: str, rows: list[Any]) -> None:
    """Keep *rows* (session key, sequence number, turn) as the temporary table *name*."""
    db.execute(f"CREATE TEMP TABLE {name} (session_key BIGINT, seq BIGINT, turn BIGINT)")
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        marks = ", ".join(["unnest(?::BIGINT[])"] * 3)
        db.execute(f"INSERT INTO {name} SELECT {marks}", columns)


def _adopt(db: duckdb.DuckDBPyConnection, table: str, name: str, where: str = "") -> None:
    """Give rows of *table* the turns that the table *name* has for them."""
    db.execute(
        f"UPDATE main.{table} SET turn = n.turn FROM {name} AS n"  # noqa: S608 (our own names)
        f" WHERE {table}.session_key = n.session_key AND {table}.seq = n.seq AND {table}.turn <> n.turn"
        f" {where}"
    )
