"""Part of benchmarks/ledger.py: the same data in indexed SQLite and in Postgres, and the questions to all three.

The questions are those of notebooks/03_usage_sql.ipynb, asked of every session at once (where the notebook
draws a chart per call, the mean over all sessions is taken, so that nobody measures the transport of rows).
SQLite and Postgres get the same tables with the same columns, an index for every question that can use one,
and up-to-date statistics.
"""

# ruff: noqa: E501 (SQL)
from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import duckdb
from ledger_data import BATCH, call_values

from ib_duckdb.columns import CALLS

QUESTIONS = {
    "per session": (
        "SELECT candidate, model, turns, input_tokens, output_tokens, total_tokens,"
        " round(100 * total_tokens / token_budget, 1) AS percent, round(cost_usd, 5) AS usd"
        " FROM session_usage ORDER BY model, candidate",
        """
        SELECT s.candidate, s.model, u.turns, u.input_tokens, u.output_tokens, u.total_tokens,
            round(100.0 * u.total_tokens / s.token_budget, 1), round(u.cost_usd, 5)
        FROM sessions s LEFT JOIN (
            SELECT session_key, count(DISTINCT CASE WHEN status = 'settled' AND total_tokens > 0 AND turn > 0
                THEN turn END) AS turns,
                sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                sum(total_tokens) AS total_tokens, sum(cost_usd) AS cost_usd
            FROM calls GROUP BY session_key) u ON u.session_key = s.session_key
        ORDER BY s.model, s.candidate""",
    ),
    "per model": (
        "SELECT model, calls, input_tokens, output_tokens, round(cost_usd, 5) AS usd"
        " FROM usage_by_model ORDER BY model",
        """
        SELECT model, count(CASE WHEN status = 'settled' THEN 1 END), sum(input_tokens), sum(output_tokens),
            round(sum(cost_usd), 5)
        FROM calls GROUP BY model ORDER BY model""",
    ),
    "burn-down by turn": (
        "SELECT b.turn, avg(b.used), avg(b.left_tokens) FROM burn_down AS b JOIN sessions AS s USING (session_id)"
        " WHERE s.model = 'gpt-4.1-mini' GROUP BY b.turn ORDER BY b.turn",
        """
        SELECT c.turn, avg(c.used), avg(CASE WHEN c.token_budget > c.used THEN c.token_budget - c.used ELSE 0 END)
        FROM calls c JOIN sessions s ON s.session_key = c.session_key
        WHERE c.status = 'settled' AND c.total_tokens > 0 AND s.model = 'gpt-4.1-mini'
        GROUP BY c.turn ORDER BY c.turn""",
    ),
    "candidates on one challenge": (
        "SELECT s.candidate, count(*) AS turns, round(avg(c.input_tokens)), max(c.input_tokens),"
        " sum(c.input_tokens + c.output_tokens), round(sum(c.input_tokens + c.output_tokens) / count(*))"
        " FROM calls AS c JOIN sessions AS s USING (session_id)"
        " WHERE s.challenge = 'rate-limiter' AND c.model = 'gpt-4.1-mini' GROUP BY s.candidate ORDER BY 1",
        """
        SELECT s.candidate, count(*), round(avg(c.input_tokens)), max(c.input_tokens),
            sum(c.input_tokens + c.output_tokens), round(sum(c.input_tokens + c.output_tokens) / count(*))
        FROM calls AS c JOIN sessions AS s ON s.session_key = c.session_key
        WHERE s.challenge = 'rate-limiter' AND c.model = 'gpt-4.1-mini' GROUP BY s.candidate ORDER BY 1""",
    ),
    "counted against actual": (
        "SELECT model, n, exact_share, mean_difference, constant_difference FROM count_accuracy ORDER BY model",
        """
        SELECT model, count(*), avg(CASE WHEN counted_tokens = input_tokens THEN 1.0 ELSE 0.0 END),
            avg(counted_tokens - input_tokens),
            CASE WHEN min(counted_tokens - input_tokens) = max(counted_tokens - input_tokens)
                THEN min(counted_tokens - input_tokens) END
        FROM calls WHERE status = 'settled' AND source = 'api' AND counted_tokens IS NOT NULL
        GROUP BY model ORDER BY model""",
    ),
    "tokens by model by day": (
        "SELECT day, model, total_tokens FROM usage_by_day ORDER BY day, model",
        """
        SELECT {day} AS day, model, sum(total_tokens) FROM calls GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
}
"""Name of a question: as %%usage would be asked, and for the peers (all tables spelt out)."""

ONE_SESSION = {
    "its row of session_usage": "SELECT * FROM session_usage WHERE session_id = '{}'",
    "its burn-down": "SELECT turn, used, left_tokens FROM burn_down WHERE session_id = '{}' ORDER BY turn",
    "its calls by status": "SELECT status, count(*), sum(total_tokens), max(latency_ms) FROM calls"
    " WHERE session_id = '{}' GROUP BY status",
}

INDEXES = (
    "CREATE INDEX calls_by_session ON calls (session_key, seq)",
    "CREATE INDEX calls_by_model ON calls (model)",
    "CREATE INDEX calls_by_time ON calls (started_at)",
    "CREATE INDEX sessions_by_challenge ON sessions (challenge, model)",
)
SESSION_COLUMNS = "session_key, session_id, candidate, role, level, challenge, model, token_budget, begins"
NAMES = [column.name for column in CALLS.columns]


def timed(work: Callable[[], Any], times: int = 3) -> float:
    """Return the median of *times* runs in milliseconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def sqlite(folder: Path, stage: duckdb.DuckDBPyConnection) -> tuple[dict[str, float], float, int]:
    """Load SQLite and ask it; return milliseconds by question, seconds of loading, bytes of the file."""
    path = folder / "peer.sqlite3"
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000")
    start = time.perf_counter()
    db.execute("CREATE TABLE sessions (session_key INTEGER PRIMARY KEY, session_id TEXT, candidate TEXT,"
               " role TEXT, level TEXT, challenge TEXT, model TEXT, token_budget INTEGER, begins REAL)")  # fmt: skip
    kinds = {"VARCHAR": "TEXT", "DOUBLE": "REAL", "TIMESTAMP": "REAL", "DECIMAL(18,9)": "REAL"}
    columns = ", ".join(f"{c.name} {kinds.get(c.type, 'INTEGER')}" for c in CALLS.columns)
    db.execute(f"CREATE TABLE calls ({columns})")
    db.execute("BEGIN")
    for table, sql, width in (
        ("sessions", f"SELECT {SESSION_COLUMNS} FROM sess ORDER BY session_key", 9),
        ("calls", f"SELECT {_sqlite_values()} FROM arrivals ORDER BY seq", len(NAMES)),
    ):
        cursor = stage.cursor()
        cursor.execute(sql)
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"
        while batch := cursor.fetchmany(BATCH):
            db.executemany(insert, batch)
    db.execute("COMMIT")
    for index in INDEXES:
        db.execute(index)
    db.execute("ANALYZE")
    took = time.perf_counter() - start
    found = {}
    for name, (_, sql) in QUESTIONS.items():
        query = sql.format(day="date(started_at, 'unixepoch')")
        found[name] = timed(lambda query=query: db.execute(query).fetchall(), 1)
    db.close()
    size = path.stat().st_size
    path.unlink()
    return found, took, size


def _sqlite_values() -> str:
    values = call_values(NAMES, stamps=False)
    return re.sub(r"::DECIMAL\(18,9\) END AS cost_usd", "::DOUBLE END AS cost_usd", values)


def _as_other_user() -> list[str]:
    """Return the prefix that runs a command as the server's user: Postgres refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def postgres_binaries() -> Path | None:
    """Return the folder of the newest installed Postgres server, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    if found:
        return found[-1].parent
    which = shutil.which("initdb")
    return Path(which).parent if which else None


@contextmanager
def server(folder: Path, binaries: Path) -> Iterator[Callable[[str], str]]:
    """Run a private Postgres on loopback; yield a function that hands a script to psql."""
    home, port = folder / "postgres", "54329"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
        os.chmod(folder, 0o711)
    run = {"check": True, "cwd": "/", "stdout": subprocess.PIPE, "text": True}
    data, user = str(home / "data"), _as_other_user()
    subprocess.run([*user, binaries / "initdb", "-D", data, "-A", "trust", "-U", "bench"], **run)
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c shared_buffers=2GB -c work_mem=256MB"
    options += " -c maintenance_work_mem=1GB -c max_wal_size=8GB -c synchronous_commit=off"
    start = [*user, binaries / "pg_ctl", "-D", data, "-o", options, "-l", str(home / "log"), "-w", "start"]
    subprocess.run(start, check=True, cwd="/", stdout=subprocess.DEVNULL)

    def psql(script: str) -> str:
        command = [binaries / "psql", "-h", "127.0.0.1", "-p", port, "-U", "bench", "-d", "postgres", "-qAtX"]
        return subprocess.run([*command, "-v", "ON_ERROR_STOP=1"], input=script, **run).stdout

    try:
        yield psql
    finally:
        subprocess.run([*user, binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **run)


def postgres(
    folder: Path, stage: duckdb.DuckDBPyConnection
) -> tuple[dict[str, float], float, int, str] | None:
    """Load Postgres and ask it, as `sqlite` does; the version comes last. None when there is no server."""
    binaries = postgres_binaries()
    if binaries is None:
        return None
    kinds = {"VARCHAR": "text", "DOUBLE": "double precision", "TIMESTAMP": "timestamp", "BLOB": "bytea"}
    columns = ", ".join(f"{c.name} {kinds.get(c.type, c.type)}" for c in CALLS.columns)
    stage.execute(f"COPY (SELECT {call_values(NAMES)} FROM arrivals ORDER BY seq) TO '{folder}/calls.csv'")
    stage.execute(f"COPY (SELECT {SESSION_COLUMNS} FROM sess) TO '{folder}/sess.csv'")
    with server(folder, binaries) as psql:
        start = time.perf_counter()
        psql(
            "CREATE TABLE sessions (session_key bigint PRIMARY KEY, session_id text, candidate text, role text,"
            " level text, challenge text, model text, token_budget bigint, begins double precision);"
            f"CREATE TABLE calls ({columns});"
            f"\n\\copy sessions FROM '{folder}/sess.csv' CSV HEADER"
            f"\n\\copy calls FROM '{folder}/calls.csv' CSV HEADER\n"
            + ";".join(INDEXES)
            + ";VACUUM ANALYZE calls; VACUUM ANALYZE sessions;"
        )
        took = time.perf_counter() - start
        found = {}
        for name, (_, sql) in QUESTIONS.items():
            query = " ".join(sql.format(day="started_at::date").split())
            said = psql("\\timing on\n\\o /dev/null\n" + f"{query};\n" * 3)
            found[name] = statistics.median(float(ms) for ms in re.findall(r"Time: ([\d.]+) ms", said))
        size = int(psql("SELECT pg_database_size('postgres')"))
        version = psql("SHOW server_version").strip()
    shutil.rmtree(folder / "postgres", ignore_errors=True)
    return found, took, size, version
