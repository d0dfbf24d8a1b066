"""A ledger of a million rows moves into PostgreSQL: is everything the same afterwards, and what does it take?

Compares every session's sums and chain, and the answers of every documented table and view, row by row.
Writes benchmarks/results/moving.md.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from postgres_servers import Databases, PostgresServer, binaries  # noqa: E402

from ib_duckdb.archive import DuckDBFormat  # noqa: E402
from ib_duckdb.links import Chain  # noqa: E402
from ib_duckdb.store import DuckDBStore  # noqa: E402
from ib_duckdb.views import definitions  # noqa: E402
from ib_kernel.values import NewSession, Status  # noqa: E402
from ib_postgres.asking import Limits, Moment, let_read  # noqa: E402
from ib_postgres.asking_part import TABLES  # noqa: E402
from ib_postgres.store import PostgresStore  # noqa: E402

NOON = 1_790_000_000.0
RESULTS = Path(__file__).parent / "results" / "moving.md"
APART = {"sessions": {"session_key", "chain_n", "chain_head"}}
TEXT = "how should the limiter remember its buckets when two requests come at once and one of them fails"
WORDS = re.findall(r"\w+", TEXT)

_CALL = {
    "client": "openai", "model_returned": "", "cached_tokens": 0, "reasoning_tokens": 0, "source": "api",
    "price_source": "genai-prices", "finish_reason": "stop", "status": "settled", "error": None,
    "overdraft": 0,
    "prompt_version": "7", "response_id": "", "raw_usage": "{}", "history_from_turn": None, "sent_hmac": "",
    "counted_exact": 1, "attempt": 1, "owner_hash": None,
}  # fmt: skip


def fill(store: DuckDBStore, rows: int, sessions: int, draw: random.Random) -> None:
    """Write calls with their questions and replies, and an event each ten turns, as a store would have."""
    turns = max(1, round(rows / sessions / 3.1))
    for number in range(sessions):
        name = f"s{number:05}"
        store.open_session(
            NewSession(name, f"c{number % 97}", 10**9, f"m{number % 5}", challenge=f"t{number % 7}")
        )
        store.set_status(name, Status.ACTIVE)
        with store._hot.write() as db:
            sql = "SELECT session_key FROM sessions WHERE session_id = ?"
            key = next(iter(db.execute(sql, (name,))))[0]
            links = Chain.of(db, key)
            _turns(db, links, key, name, number, turns, draw)
            links.save()
    with store._hot.write() as db:
        db.execute(_SUMS)


def _turns(db: Any, links: Any, key: int, name: str, number: int, turns: int, draw: random.Random) -> None:
    now, used = NOON + number * 7.3, 0
    for turn in range(1, turns + 1):
        now += draw.random() * 60
        said = [
            ("user", " ".join(draw.choices(WORDS, k=12))),
            ("assistant", " ".join(draw.choices(WORDS, k=40))),
        ]
        call = _CALL | {
            "rid": f"{key:08x}{turn:016x}{draw.getrandbits(32):08x}", "session_key": key, "turn": turn,
            "model": f"m{number % 5}", "counted_tokens": 300 + turn, "input_tokens": 300 + turn,
            "output_tokens": draw.randint(50, 400), "cost_nano_usd": draw.randint(1, 10**7),
            "latency_ms": draw.random() * 5_000, "first_piece_ms": draw.random() * 900, "held_tokens": 900,
            "token_budget": 10**9, "started_at": now, "ended_at": now + 5.5,
        }  # fmt: skip
        call["charged_tokens"] = call["input_tokens"] + call["output_tokens"]
        call["used"] = used = used + call["charged_tokens"]
        _insert(db, "calls", links.add("calls", call))
        for role, content in said:
            row = {
                "session_key": key, "turn": turn, "role": role, "content": content, "created_at": now + 5.5,
                "partial": 0, "asked_at": now - draw.random() * 20,
            }  # fmt: skip
            _insert(db, "messages", links.add("messages", row))
        if turn % 10 == 1:
            detail = json.dumps({"turn": turn, "model": f"m{number % 5}", "constructs": ["user message"]})
            event = {"session_key": key, "kind": "counted", "created_at": now, "who": "", "detail": detail}
            _insert(db, "events", links.add("events", event))


_SUMS = """
UPDATE sessions SET (calls, turns, last_turn, input_tokens, output_tokens, charged_tokens, cost_nano_usd,
    priced_calls, messages, events) = (
    SELECT count(*), count(DISTINCT turn), max(turn), sum(input_tokens), sum(output_tokens),
        sum(charged_tokens), sum(cost_nano_usd), count(*),
        (SELECT count(*) FROM messages m WHERE m.session_key = sessions.session_key),
        (SELECT count(*) FROM events e WHERE e.session_key = sessions.session_key)
    FROM calls c WHERE c.session_key = sessions.session_key
)"""


@functools.cache
def _insertion(table: str, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _insert(db: Any, table: str, row: dict[str, Any]) -> None:
    db.execute(_insertion(table, tuple(row)), tuple(row.values()))


def answers(store: PostgresStore, name: str, columns: list[str], now: float) -> Iterator[list[Any]]:
    """Yield what a table or view answers on PostgreSQL, in pieces."""
    with store._database.dedicated() as conn:
        let_read(conn, Limits(3600), None, Moment(now))
        with conn.cursor(name="answers") as cursor:
            cursor.execute(f"SELECT {', '.join(columns)} FROM {name}")
            while rows := cursor.fetchmany(20_000):
                yield rows


def differing(db: Any, store: PostgresStore, name: str, now: float) -> tuple[int, int]:
    """Return how many rows a table or view has, and how many are not on both sides."""
    described = db.execute(f"SELECT * FROM {name} LIMIT 0").description
    apart = APART.get(name, {"session_key"})
    types = {column[0]: str(column[1]) for column in described if column[0] not in apart}
    names = ", ".join(types)
    db.execute(f"CREATE OR REPLACE TEMP TABLE theirs AS SELECT {names} FROM {name} LIMIT 0")
    for rows in answers(store, name, list(types), now):
        bound = ", ".join(f"unnest(?::{kind}[])" for kind in types.values())
        db.execute(f"INSERT INTO theirs SELECT {bound}", [list(column) for column in zip(*rows, strict=True)])
    shown = ", ".join(_compared(column, kind) for column, kind in types.items())
    ours, others = f"SELECT {shown} FROM {name}", f"SELECT {shown} FROM theirs"
    (count,) = db.execute(f"SELECT count(*) FROM ({ours})").fetchone()
    (apart_here,) = db.execute(f"SELECT count(*) FROM ({ours} EXCEPT ALL {others})").fetchone()
    (apart_there,) = db.execute(f"SELECT count(*) FROM ({others} EXCEPT ALL {ours})").fetchone()
    return count, max(apart_here, apart_there)


def _compared(column: str, kind: str) -> str:
    if kind == "DOUBLE":  # the last digit depends on the order in which figures are added
        return f"format('{{:.12g}}', {column}) AS {column}"
    return f"json({column})::VARCHAR AS {column}" if kind == "JSON" else column


class Figures(dict[str, str]):
    """What was found so far, kept as the page after each figure: a run that is stopped leaves it."""

    def __init__(self, rows: int, *, kept: bool) -> None:
        super().__init__()
        self.rows, self.kept, self.began, self.finished = rows, kept, time.perf_counter(), False

    def __setitem__(self, what: str, figure: str) -> None:
        super().__setitem__(what, figure)
        print(f"[{time.perf_counter() - self.began:.0f} s] {what}: {figure}", flush=True)
        self.save()

    def save(self) -> None:
        """Write the page."""
        today, load = datetime.datetime.now(datetime.UTC).date(), os.getloadavg()[0]
        head = f"# A ledger of {self.rows:,} rows moves into PostgreSQL\n\n"
        head += f"One run, `make bench-moving`, {today}: {os.cpu_count()} cores, load {load:.1f}.\n\n"
        lines = [f"| {what} | {figure} |" for what, figure in self.items()]
        end = "" if self.finished else "\nThe run was stopped here.\n"
        if self.kept:
            page = head + "| what | figure |\n|---|---|\n" + "\n".join(lines) + "\n" + end
            RESULTS.write_text(page, encoding="utf-8")


@contextmanager
def timed(what: str, figures: Figures) -> Iterator[None]:
    """Note how long something takes."""
    began = time.perf_counter()
    yield
    figures[what] = f"{time.perf_counter() - began:,.1f} s"


def main() -> int:
    """Move, compare, and write the page as it goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, help="default: one for 125 rows")
    parser.add_argument("--short", action="store_true", help="50,000 rows, and no page")
    given = parser.parse_args()
    given.rows = 50_000 if given.short else given.rows
    given.sessions = given.sessions or max(1, given.rows // 125)
    figures = Figures(given.rows, kept=not given.short)
    server = PostgresServer(
        binaries(), fsync="on", shared_buffers="256MB", max_wal_size="4GB", maintenance_work_mem="256MB"
    ).make()
    try:
        with tempfile.TemporaryDirectory() as folder:
            wrong = _run(Path(folder), given, server, figures)
    finally:
        server.remove()
    figures.finished = True
    figures["all of it"] = f"{time.perf_counter() - figures.began:,.0f} s"
    return 1 if wrong else 0


def _run(folder: Path, given: argparse.Namespace, server: PostgresServer, figures: Figures) -> int:
    embedded = DuckDBStore(folder, background=False, clock=lambda: NOON + 10**6)
    with timed("written", figures):
        fill(embedded, given.rows, given.sessions, random.Random(14))
    with timed("moved to usage.duckdb", figures):
        embedded.flush()
    with timed("`ib verify` before", figures):
        before = embedded.verification()
    assert before.differences == ()
    assert embedded.check() == []
    ledgers = Databases(server)
    store = PostgresStore(
        server.url(ledgers.take(folder)), background=False, clock=lambda: NOON + 10**6, store_timeout_s=600
    )
    with DuckDBFormat().source(folder) as source, timed("import-duckdb", figures):
        moved = store.take(source)
    figures["rows"] = ", ".join(f"{count:,} {table}" for table, count in moved.rows.items() if count)
    figures["sums and heads that differ"] = str(len(moved.differences))
    with timed("`ib verify` after", figures):
        after = store.verification()
    figures["links that differ"] = f"{len(after.differences)} of {after.rows:,}"
    assert (after.rows * 2, after.sessions) == (
        before.rows,
        before.sessions,
    )  # there both files have each row
    with timed("`ib store check` after", figures):
        figures["sums that differ from rows"] = str(len(store.check()))
    wrong = len(moved.differences) + len(after.differences)
    with embedded.connect() as db:
        for name in (*TABLES, *definitions()):
            began = time.perf_counter()
            rows, apart = differing(db, store, name, NOON + 10**6)
            took = time.perf_counter() - began
            figures[f"`{name}`"] = f"{rows:,} rows, {apart} differ" + (f"; {took:.0f} s" if took >= 5 else "")
            wrong += apart
    with timed("export-duckdb", figures):
        DuckDBFormat().write(folder / "export.duckdb", store.usage_rows())
    figures["size"] = f"{(folder / 'export.duckdb').stat().st_size / 1e6:,.0f} MB as a DuckDB file"
    store.close()
    embedded.close()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
