"""Wrote ``version_1.json``, with the code of version 1: both files of a ledger whose turns share numbers.

Kept to show where the file comes from; it runs with that code only (the last commit before the ledger had
version 2). Turns are numbered as that code's pipeline did: one more than the settled turns there were when
tokens were held.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

import duckdb

from ib_duckdb.store import DuckDBStore
from ib_kernel.protocols import CallEnd, CallStart, Message, NewSession, Status

DAY = 86_400.0
now = [1_780_000_000.0]
folder = Path(tempfile.mkdtemp())


def opened() -> DuckDBStore:
    """Open the ledger: only the first flush of a store prunes."""
    return DuckDBStore(folder, clock=lambda: now[0], background=False)


def hold(session: str, attempt: int = 1, lease_s: float = 60.0) -> tuple[str, int]:
    """Hold tokens for the next turn, as the pipeline of version 1 numbered it."""
    turn = store.totals(session).turns + 1
    call = CallStart(turn, attempt, "demo", "gpt-5.4-mini", 90, True, "interviewer-1")
    held = store.reserve(session, 200, lease_s=lease_s, owner="old kernel", call=call)
    now[0] += 1
    return held.reservation_id, turn


def settle(held: tuple[str, int], text: str) -> None:
    """Answer a turn: its question is *text*, its answer says so."""
    rid, turn = held
    now[0] += 2
    said = (Message(turn, "user", text, now[0]), Message(turn, "assistant", f"re {text}", now[0]))
    store.settle(rid, CallEnd(90, 30, cost_nano_usd=5_000), messages=said)


def fail(held: tuple[str, int]) -> None:
    """Let an attempt fail at no cost."""
    store.release(held[0], CallEnd(0, 0, error="ServerFailed"))
    now[0] += 1


def overlap(session: str, first: str, second: str) -> None:
    """Have two turns at once; the later one is answered first."""
    slow, fast = hold(session), hold(session)
    settle(fast, second)
    settle(slow, first)


store = opened()
for name in ("old", "both", "plain"):
    store.open_session(NewSession(name, name, 100_000, "gpt-5.4-mini"))
    store.set_status(name, Status.ACTIVE)

overlap("old", "o1", "o2")
fail(hold("old"))
settle(hold("old"), "o3")
store.charge("old", CallEnd(7, 3))
store.close()
now[0] += 40 * DAY
store = opened()
store.flush()  # prunes what is 40 days old
overlap("old", "o4", "o5")

overlap("both", "b1", "b2")
fail(hold("both"))
fail(hold("both", 2))
settle(hold("both"), "b3")
cut = hold("both")
store.doubt(cut[0], "StreamBroken", messages=(
    Message(cut[1], "user", "b4", now[0]), Message(cut[1], "assistant", "re b", now[0], True),
))  # fmt: skip
settle(hold("both"), "b5")
for text in ("p1", "p2"):
    settle(hold("plain"), text)
retried = hold("plain")
fail(retried)
settle(hold("plain", 2), "p3")
store.flush()
overlap("both", "b6", "b7")  # these are not in the record yet
settle(hold("plain"), "p4")
hold("plain", lease_s=600.0)  # still held, by a kernel that is gone

with sqlite3.connect(folder / "hot.sqlite3") as hot:
    dump = list(hot.iterdump())
tables = {}
with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
    for schema, name, sql in db.execute(
        "SELECT schema_name, table_name, sql FROM duckdb_tables()"
    ).fetchall():
        found = db.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {schema}.{name}").fetchall()
        tables[f"{schema}.{name}"] = {"sql": sql, "rows": found}
Path(sys.argv[1]).write_text(json.dumps({"now": now[0], "hot": dump, "record": tables}, indent=0))
