"""Version 3 to 4: what is charged beside what is billed, a host's tables, evidence, and the hash chain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb.links import Chain
from ib_duckdb.scripts import script

if TYPE_CHECKING:
    import duckdb

_SESSIONS = """
charge TEXT NOT NULL DEFAULT 'billed', billed_ceiling INTEGER, charged_tokens INTEGER NOT NULL DEFAULT 0,
held_billed INTEGER NOT NULL DEFAULT 0, token_budget_at_start INTEGER, time_limit_at_start_s REAL,
external_id TEXT NOT NULL DEFAULT '', challenge_sha TEXT NOT NULL DEFAULT '',
notice_version TEXT NOT NULL DEFAULT '', keep_until REAL, accommodation TEXT NOT NULL DEFAULT '',
cells INTEGER NOT NULL DEFAULT 0, checks INTEGER NOT NULL DEFAULT 0, scores INTEGER NOT NULL DEFAULT 0,
chain_n INTEGER NOT NULL DEFAULT 0, chain_head BLOB"""

_TEXT_LINK = "salt BLOB, commitment BLOB, link_n INTEGER, link BLOB"

_HOT: dict[str, str] = {
    "sessions": _SESSIONS,
    "reservations": "billed_tokens INTEGER NOT NULL DEFAULT 0, history_from_turn INTEGER,"
    " sent_hmac TEXT NOT NULL DEFAULT ''",
    "calls": "charged_tokens INTEGER, history_from_turn INTEGER, sent_hmac TEXT NOT NULL DEFAULT '',"
    " link_n INTEGER, link BLOB",
    "messages": _TEXT_LINK,
    "events": _TEXT_LINK,
    "session_rows": "chain_n INTEGER NOT NULL DEFAULT 0, chain_head BLOB",
}

_OPENED = """(SELECT json_extract(CASE WHEN json_valid(detail) THEN detail END, '$.{}') FROM events e
    WHERE e.session_key = sessions.session_key AND kind = 'opened' ORDER BY seq LIMIT 1)"""

_FILL = f"""
UPDATE sessions SET charged_tokens = input_tokens + output_tokens, held_billed = held + in_doubt;
UPDATE sessions SET
    token_budget_at_start = coalesce({_OPENED.format("token_budget")}, token_budget),
    time_limit_at_start_s = coalesce({_OPENED.format("time_limit_s")}, time_limit_s)
WHERE started_at IS NOT NULL;
UPDATE reservations SET billed_tokens = tokens;
UPDATE calls SET charged_tokens = input_tokens + output_tokens;
DELETE FROM moved;  -- so that the record is looked into, and brought forward too
"""  # noqa: S608 (our own names)

_SUMS = "calls, turns, messages, events, input_tokens, output_tokens, cost_nano_usd, token_budget"


def hot(db: apsw.Connection) -> None:
    """Bring the hot ledger from version 3 to 4, inside the caller's transaction."""
    for table, columns in _HOT.items():
        for column in columns.replace("\n", " ").split(", "):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    for name in ("host", "evidence"):
        db.execute(script(name))
    db.execute(_FILL)
    _begin_chains(db)


def _begin_chains(db: apsw.Connection) -> None:
    """Give each session its first link: an event that holds its sums and how far its rows are without one."""
    marks = {
        table: next(seq for (seq,) in db.execute(f"SELECT coalesce(max(seq), 0) FROM {table}"))  # noqa: S608
        for table in ("calls", "messages", "events")
    }
    now = next(t for (t,) in db.execute("SELECT unixepoch('subsec')"))
    asked = f"SELECT session_key, {_SUMS} FROM sessions ORDER BY session_key"  # noqa: S608 (our own names)
    found: list[Any] = db.execute(asked).fetchall()
    for key, *sums in found:
        detail = json.dumps({"until": marks, **dict(zip(_SUMS.split(", "), sums, strict=True))})
        begin(db, key, now, detail)


def begin(db: apsw.Connection, key: int, now: float, detail: str) -> None:
    """Append the event "chain_began" as the first link of a session's chain."""
    links = Chain.of(db, key)
    event = {"session_key": key, "kind": "chain_began", "created_at": now, "who": "", "detail": detail}
    event = links.add("events", event)
    names = ", ".join(event)
    db.execute(f"INSERT INTO events ({names}) VALUES ({', '.join(':' + n for n in event)})", event)  # noqa: S608
    links.save(events=1)


_RECORD = """
ALTER TABLE main.calls ADD COLUMN charged_tokens BIGINT;
ALTER TABLE main.calls ADD COLUMN history_from_turn INTEGER;
ALTER TABLE main.calls ADD COLUMN sent_hmac VARCHAR;
UPDATE main.calls SET charged_tokens = total_tokens;
ALTER TABLE internal.session_rows ADD COLUMN charge VARCHAR;
ALTER TABLE internal.session_rows ADD COLUMN billed_ceiling BIGINT;
ALTER TABLE internal.session_rows ADD COLUMN token_budget_at_start BIGINT;
ALTER TABLE internal.session_rows ADD COLUMN time_limit_at_start_s DOUBLE;
ALTER TABLE internal.session_rows ADD COLUMN external_id VARCHAR;
ALTER TABLE internal.session_rows ADD COLUMN challenge_sha VARCHAR;
ALTER TABLE internal.session_rows ADD COLUMN notice_version VARCHAR;
ALTER TABLE internal.session_rows ADD COLUMN keep_until TIMESTAMP;
ALTER TABLE internal.session_rows ADD COLUMN chain_n BIGINT;
ALTER TABLE internal.session_rows ADD COLUMN chain_head BLOB;
UPDATE internal.session_rows SET charge = 'billed'
"""


def record(db: duckdb.DuckDBPyConnection) -> None:
    """Bring the record from version 3 to 4, inside the caller's transaction."""
    for table, columns in (
        ("calls", "link_n BIGINT, link BLOB"),
        *((name, "salt BLOB, commitment BLOB, link_n BIGINT, link BLOB") for name in ("messages", "events")),
    ):
        for column in columns.split(", "):
            db.execute(f"ALTER TABLE main.{table} ADD COLUMN {column}")
    db.execute(_RECORD)
