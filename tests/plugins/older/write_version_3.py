"""Wrote ``version_3.json``, with the code of version 3: both files of a ledger without charges or a chain.

Kept to show where the file comes from; it runs with that code only (the last commit before the ledger had
version 4). Rows are only in the record, in both files, and only hot; one is in quarantine, one reservation is
held and one is in doubt.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

import apsw
import duckdb

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, NewSession, Reservation, Status

DAY = 86_400.0
now = [1_780_000_000.0]
folder = Path(tempfile.mkdtemp())


def opened() -> DuckDBStore:
    """Open the ledger: only the first flush of a store prunes."""
    return DuckDBStore(folder, clock=lambda: now[0], background=False)


def reserve(session: str, attempt: int = 1, turn: int | None = None, lease_s: float = 60.0) -> Reservation:
    """Reserve tokens for an attempt of a turn."""
    call = CallStart(turn, attempt, "demo", "gpt-5.4-mini", 90, True, "interviewer-1")
    held = store.reserve(session, 200, lease_s=lease_s, nano_usd=7_000, owner="old kernel", call=call)
    now[0] += 1.25
    assert isinstance(held, Reservation)
    return held


def turn(session: str, text: str, **end: object) -> None:
    """Have one turn: its question is *text*, its answer says so."""
    held = reserve(session)
    asked = now[0] - 1.25
    now[0] += 2
    said = (
        Message(held.turn, "user", text, now[0], asked_at=asked),
        Message(held.turn, "assistant", f"re {text}", now[0], asked_at=asked),
    )
    figures = {"cost_nano_usd": 5_000, "latency_ms": 812.3, "finish_reason": "stop", **end}
    store.settle(held, CallEnd(90, 30, 10, 5, **figures), messages=said)


store = opened()
for name in ("old", "both", "plain"):
    store.open_session(NewSession(name, f"Zoë {name}", 100_000, "gpt-5.4-mini", meta={"a": [1, "é"]}))
    store.set_status(name, Status.ACTIVE)
turn("old", "o1")
store.charge("old", CallEnd(7, 3))
store.close()
now[0] += 40 * DAY
store = opened()
store.flush()  # prunes what is 40 days old

turn("old", "o2 — 𝔘nicode\n\ttab")
turn("both", "b1", raw_usage='{"prompt_tokens": 90}')
failed = reserve("both")
store.release(failed, CallEnd(0, 0, error="ServerFailed"))
retried = reserve("both", 2, failed.turn)
store.settle(retried, CallEnd(80, 20, error="ContentFiltered"))
lost = reserve("both")
store.mark_unresolved(lost, "StreamBroken", messages=(Message(lost.turn, "user", "b3", now[0]),))
store.resolve(lost.reservation_id, CallEnd(5, 5, finish_reason="resolved"), who="Grace", reason="asked")
gone = reserve("both")
store.mark_unresolved(gone, "TimedOut")
store.write_off(gone.reservation_id, who="Grace", reason="never billed")
store.add_event(LedgerEvent("both", "counted", now[0], detail={"turn": 1, "model": "m", "constructs": ["t"]}))
store.set_status("both", Status.COMPLETED, who="Grace")
store.extend_budget("plain", 500, who="Grace")
turn("plain", "p1", cost_nano_usd=None)
store.flush()
turn("plain", "p2")  # these are not in the record yet
doubtful = reserve("plain")
store.mark_unresolved(doubtful, "TimedOut")
reserve("plain", lease_s=600.0)  # still held, by a kernel that is gone
store._mover.flush = lambda: False  # type: ignore[method-assign]
store.close()

hot = apsw.Connection(str(folder / "hot.sqlite3"))
hot.execute("UPDATE events SET detail = '{\"broken' WHERE seq = (SELECT max(seq) FROM events)")
hot.close()
store = opened()
store.flush()  # puts that row into quarantine
turn("plain", "p3")
now[0] += 1
store._mover.flush = lambda: False  # type: ignore[method-assign]
store.close()

with sqlite3.connect(folder / "hot.sqlite3") as db:
    dump = list(db.iterdump())
tables = {}
with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
    for schema, name, sql in db.execute(
        "SELECT schema_name, table_name, sql FROM duckdb_tables()"
    ).fetchall():
        found = db.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {schema}.{name}").fetchall()
        tables[f"{schema}.{name}"] = {"sql": sql, "rows": found}
    views = db.execute("SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY view_oid").fetchall()
written = {"now": now[0], "hot": dump, "record": tables, "views": [sql for (sql,) in views]}
Path(sys.argv[1]).write_text(json.dumps(written, indent=0))
