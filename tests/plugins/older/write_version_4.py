"""Wrote ``version_4.json``, with the code of version 4: both files of a ledger whose calls have no `used`.

Kept to show where the file comes from; it runs with that code only (the last commit before the ledger had
version 5). Rows are in the record alone, in both files, or only hot; one session is charged for what is new.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

import duckdb

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, CallStart, NewSession, Reservation, Status

DAY = 86_400.0
now = [1_790_000_000.0]
folder = Path(tempfile.mkdtemp())


def opened() -> DuckDBStore:
    """Open the ledger: only the first flush of a store prunes."""
    return DuckDBStore(folder, clock=lambda: now[0], background=False)


def reserve(session: str) -> Reservation:
    """Reserve tokens for the next turn."""
    held = store.reserve(session, 200, lease_s=600.0, call=CallStart(None, 1, "demo", "m", 90, True, "p-1"))
    now[0] += 1.25
    assert isinstance(held, Reservation)
    return held


def turn(session: str, tokens: int) -> None:
    """Have one turn that bills *tokens*, a third of them new."""
    store.settle(reserve(session), CallEnd(tokens - 10, 10, charged_tokens=tokens // 3))


store = opened()
for name, charge in (("old", "billed"), ("both", "billed"), ("new", "new"), ("plain", "billed")):
    store.open_session(NewSession(name, "Zoë", 100_000, "m", charge=charge))
    store.set_status(name, Status.ACTIVE)
for tokens in (100, 110, 120):
    turn("old", tokens)
    turn("both", tokens)
store.close()
now[0] += 40 * DAY
store = opened()
store.flush()  # prunes what is 40 days old
for tokens in (130, 140):
    turn("both", tokens)
    turn("new", tokens)
store.release(reserve("both"), CallEnd(0, 0, error="ServerFailed"))
lost = reserve("both")
store.mark_unresolved(lost, "StreamBroken")
store.write_off(lost.reservation_id, who="Grace", reason="never billed")
asked = reserve("both")
store.mark_unresolved(asked, "StreamBroken")
turn("both", 150)
store.resolve(asked.reservation_id, CallEnd(5, 5, finish_reason="resolved"), who="Grace", reason="asked")
turn("plain", 160)
store.flush()
turn("plain", 170)  # these are not in the record yet
store.mark_unresolved(reserve("plain"), "TimedOut")
reserve("plain")  # still held, by a kernel that is gone
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
