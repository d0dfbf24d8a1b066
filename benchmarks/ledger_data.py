"""Part of benchmarks/ledger.py: millions of calls, made up by DuckDB, in the order they would arrive.

Sessions begin at random moments of two years; most last under two hours, one in twenty is taken up again over
days. Prompts grow with every turn. Calls are numbered and loaded by the time they end, whichever session they
belong to: in chunks of 20,000, each sorted and with its watermark in one transaction, as the mover does it.
The last 30 days and all sessions go into the hot ledger, and those calls are then moved by the mover itself.
"""

# ruff: noqa: E501 (SQL)
from __future__ import annotations

import time
from pathlib import Path

import duckdb

from ib_duckdb.columns import CALLS, SESSION_ROWS, TABLES
from ib_duckdb.hot import Hot
from ib_duckdb.record import CHUNK, Record
from ib_duckdb.store import DuckDBStore

DAYS, KEPT_DAYS = 730, 30
NOW = time.time()
BATCH = 50_000

SESSIONS = """
CREATE TABLE sess AS
SELECT *,
    (1 + {turns} * 2 * ((hash(n * 7) % 1000) / 1000.0))::BIGINT AS n_turns,
    CASE WHEN hash(n * 11) % 20 = 0 THEN 4000.0 ELSE 40.0 END AS gap_s
FROM (
    SELECT
        row_number() OVER (ORDER BY begins) + {first_key} AS session_key, n, begins,
        printf('%08x', begins::BIGINT) || substr(md5(n::VARCHAR), 1, 6) AS session_id,
        'Candidate ' || (hash(n * 3) % 5000) AS candidate,
        ['Backend engineer', 'Data engineer', 'Frontend engineer'][1 + (hash(n * 5) % 3)::INT] AS role,
        ['junior', 'senior', ''][1 + (hash(n * 13) % 3)::INT] AS level,
        ['rate-limiter', 'lru-cache', 'url-shortener', 'log-search'][
            1 + (hash(n * 17) % 4)::INT] AS challenge,
        ['gpt-5.4-mini', 'gpt-4.1-mini', 'gpt-4o', 'gpt-5-nano'][1 + (hash(n * 19) % 4)::INT] AS model,
        [20000, 100000, 5000000][1 + (hash(n * 23) % 3)::INT]::BIGINT AS token_budget
    FROM (
        SELECT range AS n, {first} + (hash(range) % 1000003) / 1000003.0 * {span} AS begins
        FROM range({sessions})
    )
)"""

ARRIVALS = """
CREATE TABLE arrivals AS
SELECT *, coalesce(sum(input_tokens + output_tokens) FILTER (status = 'settled') OVER (
    PARTITION BY session_key ORDER BY seq ROWS UNBOUNDED PRECEDING
), 0)::BIGINT AS used
FROM (SELECT row_number() OVER (ORDER BY ended_at) AS seq, * FROM (
    SELECT
        s.session_key, s.session_id, s.model, s.token_budget, turn,
        s.begins + turn * s.gap_s * (0.6 + (h % 800) / 1000.0) AS started_at,
        started_at + 0.8 + (h % 9000) / 1000.0 AS ended_at,
        CASE WHEN h % 100 < 97 THEN 'settled' WHEN h % 100 < 99 THEN 'failed' ELSE 'written_off' END AS status,
        (350 + turn * (60 + s.session_key % 90) + h % 60)::BIGINT AS input_tokens,
        (40 + (h // 64) % 400)::BIGINT AS output_tokens,
        h
    FROM (
        SELECT *, (hash(session_key * 1000003 + turn) >> 2)::BIGINT AS h
        FROM (SELECT *, unnest(range(1, n_turns + 1))::INT AS turn FROM sess)
    ) s
))"""

_MICRO = "make_timestamp(({} * 1e6)::BIGINT)"
_SETTLED = "CASE WHEN status = 'settled' THEN {} WHEN status = 'failed' THEN 0 END"
_NANO = "(input_tokens * 250 + output_tokens * 2000)"
_VALUES = {
    "attempt": "1",
    "client": "'openai'",
    "model_returned": "CASE WHEN status = 'settled' THEN model || '-2026-03-01' END",
    "counted_tokens": "input_tokens - CASE WHEN model = 'gpt-4o' THEN 7 ELSE 0 END",
    "counted_exact": "model <> 'gpt-5-nano'",
    "input_tokens": _SETTLED.format("input_tokens"),
    "cached_tokens": _SETTLED.format("CASE WHEN h % 3 = 0 THEN input_tokens // 2 ELSE 0 END"),
    "output_tokens": _SETTLED.format("output_tokens"),
    "reasoning_tokens": _SETTLED.format("CASE WHEN model LIKE 'gpt-5%' THEN output_tokens // 3 ELSE 0 END"),
    "total_tokens": _SETTLED.format("input_tokens + output_tokens"),
    "source": "CASE WHEN status <> 'written_off' THEN 'api' END",
    "cost_nano_usd": f"CASE WHEN status = 'settled' THEN {_NANO} END",
    "cost_usd": f"CASE WHEN status = 'settled' THEN ({_NANO}::DECIMAL(18,0) * 0.000000001::DECIMAL(10,9))::DECIMAL(18,9) END",
    "price_source": "CASE WHEN status = 'settled' THEN 'genai-prices 0.2.3' END",
    "latency_ms": "CASE WHEN status <> 'written_off' THEN round((ended_at - started_at) * 1000, 3) END",
    "first_piece_ms": "CASE WHEN status = 'settled' THEN (150 + h % 900)::DOUBLE END",
    "finish_reason": "CASE WHEN status = 'settled' THEN 'stop' END",
    "error": "CASE WHEN status = 'failed' THEN 'ServerFailed' END",
    "held_tokens": "input_tokens + 1200",
    "overdraft": "0",
    "prompt_version": "'interviewer-1'",
    "response_id": "CASE WHEN status = 'settled' THEN 'resp_' || printf('%016x', h) END",
    "raw_usage": "NULL",
    "charged_tokens": _SETTLED.format("input_tokens + output_tokens"),
    "history_from_turn": "NULL",
    "sent_hmac": "''",
    "link_n": "turn",
    "link": "md5(h::VARCHAR)::BLOB",
    "owner_hash": "NULL",
}


def call_values(columns: list[str], *, stamps: bool = True) -> str:
    """Return the expressions that make *columns* of `calls` from a row of the arrivals."""
    values = dict(_VALUES)
    if stamps:
        values |= {name: _MICRO.format(name) for name in ("started_at", "ended_at")}
    return ", ".join(f"{values.get(name, name)} AS {name}" for name in columns)


def stage(folder: Path, calls: int, sessions: int) -> duckdb.DuckDBPyConnection:
    """Make the data up in a database of its own: tables `sess` and `arrivals`."""
    db = duckdb.connect(str(folder / "stage.duckdb"))
    db.execute(f"SET temp_directory = '{folder}'; SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
    first = NOW - DAYS * 86_400
    facts = {"first_key": int(first * 1000), "first": first, "span": (DAYS - 1) * 86_400}
    db.execute(SESSIONS.format(turns=calls / sessions, sessions=sessions, **facts))
    db.execute(ARRIVALS)
    db.execute(f"DELETE FROM arrivals WHERE ended_at >= {NOW}")
    return db


def load(folder: Path, db: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Load what was staged into a ledger in *folder*; return seconds and bytes."""
    DuckDBStore(folder, background=False).close()
    hot = Hot(folder)
    cut = db.execute(f"SELECT max(seq) FROM arrivals WHERE ended_at < {NOW - KEPT_DAYS * 86_400}").fetchone()[
        0
    ]
    _fill_hot(hot, db, cut)
    _create(folder, hot)
    start = time.perf_counter()
    _load_record(folder, hot, db, cut)
    loaded = time.perf_counter() - start
    store = DuckDBStore(folder, background=False)
    start = time.perf_counter()
    store.flush()
    moved = time.perf_counter() - start
    store.close()
    hot.close()
    rows = db.execute("SELECT count(*) FROM arrivals").fetchone()[0]
    return {
        "rows": rows,
        "sessions": db.execute("SELECT count(*) FROM sess").fetchone()[0],
        "loaded rows": cut,
        "load s": loaded,
        "moved rows": rows - cut,
        "move s": moved,
        "record bytes": (folder / "usage.duckdb").stat().st_size,
        "hot bytes": (folder / "hot.sqlite3").stat().st_size,
    }


def _create(folder: Path, hot: Hot) -> None:
    """Let the store create its own file before anything is in it."""
    with duckdb.connect(str(folder / "usage.duckdb")) as record, hot.snapshot() as rows:
        Record(folder, hot).prepare(record, rows)


def _load_record(folder: Path, hot: Hot, db: duckdb.DuckDBPyConnection, cut: int) -> None:
    names = [column.name for column in CALLS.columns]
    path = str(folder / "usage.duckdb")
    db.execute(f"ATTACH '{path}' AS record")
    mark = 0
    while mark < cut:
        upto = min(mark + CHUNK, cut)
        db.execute("BEGIN")
        db.execute(
            f"INSERT INTO record.main.calls SELECT {', '.join(names)} FROM (SELECT {call_values(names)}"
            f" FROM arrivals WHERE seq > {mark} AND seq <= {upto}) ORDER BY {CALLS.order}"
        )
        db.execute("DELETE FROM record.internal.moved WHERE name = 'calls'")
        db.execute("INSERT INTO record.internal.moved VALUES (?, 'calls', ?)", [hot.ledger_id, upto])
        db.execute("COMMIT")
        mark = upto
    db.execute("DETACH record")


_SUMS = """
SELECT s.session_key, s.session_id, candidate, role, level, challenge, s.model, s.token_budget, begins,
    coalesce(max(ended_at), any_value(begins)) AS ends,
    coalesce(sum(a.input_tokens) FILTER (status = 'settled'), 0)::BIGINT,
    coalesce(sum(a.output_tokens) FILTER (status = 'settled'), 0)::BIGINT,
    coalesce(sum(CASE WHEN h % 3 = 0 THEN a.input_tokens // 2 ELSE 0 END) FILTER (status = 'settled'), 0)::BIGINT,
    coalesce(sum(CASE WHEN s.model LIKE 'gpt-5%' THEN a.output_tokens // 3 ELSE 0 END)
        FILTER (status = 'settled'), 0)::BIGINT,
    coalesce(sum(a.input_tokens * 250 + a.output_tokens * 2000) FILTER (status = 'settled'), 0)::BIGINT,
    count(*) FILTER (status = 'settled'),
    count(*) FILTER (a.seq <= {cut})
FROM sess s LEFT JOIN arrivals a USING (session_key) GROUP BY ALL ORDER BY s.session_key"""

_INTO_SESSIONS = """
INSERT INTO sessions (session_key, session_id, candidate, role, level, challenge, model, token_budget, created_at,
    ended_at, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_nano_usd, calls, pruned_calls,
    charged_tokens, priced_calls, turns, started_at, active_s, persona, client, prompt_version, meta, status)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
    ?11 + ?12, ?16, ?16, ?9, ?10 - ?9, 'interviewer', 'openai', 'interviewer-1', '{}', 'completed')"""


def _fill_hot(hot: Hot, db: duckdb.DuckDBPyConnection, cut: int) -> None:
    """Write all sessions with their sums, two history rows of each, and the calls of the last 30 days."""
    names = [c for c in _hot_columns(hot, "calls") if c != "rid"]
    needed = ", ".join(f"coalesce({n}, '') AS {n}" if n in _TEXTS else n for n in names)
    rows = f"SELECT printf('%032d', seq) AS rid, {needed} FROM (SELECT {call_values(names, stamps=False)}"
    with hot.write() as to:
        for batch in _batches(db, _SUMS.format(cut=cut)):
            to.executemany(_INTO_SESSIONS, batch)
        for status in ("created", "completed"):
            to.execute(
                "INSERT INTO session_rows (session_key, status, token_budget, started_at, ended_at, active_s,"
                f" changed_at) SELECT session_key, '{status}', token_budget, started_at, ended_at, active_s,"
                " created_at FROM sessions ORDER BY session_key"
            )
        marks = ", ".join("?" * (len(names) + 1))
        for batch in _batches(db, f"{rows} FROM arrivals WHERE seq > {cut} ORDER BY seq)"):
            to.executemany(f"INSERT INTO calls (rid, {', '.join(names)}) VALUES ({marks})", batch)


_TEXTS = ("model_returned", "finish_reason", "prompt_version", "response_id")


def _hot_columns(hot: Hot, table: str) -> list[str]:
    with hot.read() as db:
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _batches(db: duckdb.DuckDBPyConnection, sql: str):
    cursor = db.cursor()
    cursor.execute(sql)
    while batch := cursor.fetchmany(BATCH):
        yield batch
    cursor.close()


assert {table.name for table in TABLES} >= {CALLS.name, SESSION_ROWS.name}
