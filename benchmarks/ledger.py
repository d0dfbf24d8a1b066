"""The ledger, measured: durable writes beside the bare disk, ten million calls beside SQLite and Postgres.

    python benchmarks/ledger.py [--rows 10000000] [--sessions 100000] [--folder DIR] [--skip-scale]
    python benchmarks/ledger.py --skip-pairs --skip-smaller --skip-postgres --out FILE

Writes benchmarks/results/ledger.md. Absolute figures belong to the machine they were taken on; the ratios,
all from one run, are what the targets are about. Ten million rows take 12 GB of disk and 6 GB of memory;
everything together some fifteen minutes, the second line, which asks ten million rows beside SQLite alone,
about half of that. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import ledger_callers
import ledger_data
import ledger_pairs
import ledger_peers
from report import Report

from ib_duckdb.store import DuckDBStore
from ib_kernel.budget.service import TokenService
from ib_kernel.settings import Settings
from ib_kernel.values import NewSession, Status

RESULTS = Path(__file__).parent / "results" / "ledger.md"


def pairs(folder: Path, report: Report) -> None:
    """Measure holding and settling."""
    one = ledger_pairs.alone(folder)
    calm = ledger_pairs.disk(folder)
    eight = ledger_pairs.crowd(folder)
    calm = (calm + ledger_pairs.disk(folder)) / 2
    others = {name: ledger_pairs.beside(folder, name) for name in ("", "reads", "writes")}
    naive = ledger_pairs.per_transaction(folder)
    raced = ledger_pairs.race(folder)
    report.add("", "## One hold and its settling, durable")
    report.table(
        ["", "p50 ms", "p99 ms", "pairs/s"],
        [
            ["two pages written, each with `fdatasync`", f"{one['floor p50']:.3f}", f"{one['floor p99']:.2f}",
             ""],
            ["reserve + settle, 1 process", f"{one['pair p50']:.3f}", f"{one['pair p99']:.2f}", ""],
            ["reserve + settle, 8 processes on one session", f"{eight['p50']:.2f}", f"{eight['p99']:.1f}",
             f"{eight['pairs/s']:,.0f}"],
            ["DuckDB opened per transaction behind a file lock, 8 processes", "", "", f"{naive:.1f}"],
        ],
    )  # fmt: skip
    report.add(
        f"Right before and after the 8 processes the disk took {calm:,.0f} such pairs of bare writes per "
        f"second: the ledger reached {eight['pairs/s'] / calm:.0%} of that.",
        "",
        f"While another process has `usage.duckdb` open for reading, p50 is {others['reads']:.3f} ms; for "
        f"writing {others['writes']:.3f} ms; alone {others['']:.3f} ms. All rows arrived.",
        "",
    )
    fair = eight["fair share"]
    unfair = max(fair / max(1, eight["smallest"]), eight["largest"] / fair)
    report.target("p50 against the two bare writes", one["pair p50"] / one["floor p50"], 1.5, unit="×")
    report.target("pairs per second with 8 processes", eight["pairs/s"], 500, at_least=True)
    report.target("against DuckDB per transaction", eight["pairs/s"] / naive, 20, at_least=True, unit="×")
    report.target("furthest from its fair share", unfair, 3, unit="×")
    report.add(
        f"- worst wait of any of the 8: {eight['worst']:.0f} ms; 8 processes racing for {raced['budget']:,} "
        f"tokens settled {raced['settled']:,} calls and used {raced['used']:,}"
    )
    report.target("tokens overspent, and totals that do not follow from rows", raced["overspend"], 0)


def check_times(folder: Path, ids: list[str], count: int = 3_000) -> dict[str, float]:
    """Return the p50 and p99 in ms of `check_budget` and of `totals` for random sessions among *ids*."""
    rng = random.Random(1)
    store = DuckDBStore(folder, background=False)
    service = TokenService(Settings(data_dir=folder), store=store)
    checks, totals = [], []
    for number in range(count + 50):
        session = rng.choice(ids)
        start = time.perf_counter()
        store.totals(session)
        between = time.perf_counter()
        service.check_budget(session, 1_000)
        end = time.perf_counter()
        if number >= 50:
            totals.append((between - start) * 1000)
            checks.append((end - between) * 1000)
    store.close()
    return {
        "check p50": statistics.median(checks),
        "check p99": ledger_pairs.percentile(checks, 0.99),
        "totals p50": statistics.median(totals),
    }


def active_sessions(folder: Path, count: int) -> list[str]:
    """Open *count* active sessions in the ledger, with a call each, and return their ids."""
    store = DuckDBStore(folder, background=False)
    ids = [f"active-{number}" for number in range(count)]
    for name in ids:
        store.open_session(NewSession(name, "Ada", 1_000_000, "gpt-5.4-mini"))
        store.set_status(name, Status.ACTIVE)
        held = store.reserve(name, 100, lease_s=60)
        store.settle(held, ledger_pairs.CallEnd(50, 20))
    store.flush()
    store.close()
    return ids


def scale(folder: Path, rows: int, sessions: int, report: Report, *, postgres: bool) -> None:
    """Generate, load, ask; SQLite too, and Postgres if wanted."""
    stage = ledger_data.stage(folder, rows, sessions)
    big = folder / "big"
    seen = ledger_data.load(big, stage)
    report.add("", f"## {seen['rows']:,} calls over {seen['sessions']:,} sessions and two years", "")
    report.add(
        f"- loaded in arrival order into the record, in the mover's chunks: {seen['loaded rows']:,} rows in "
        f"{seen['load s']:.0f} s ({seen['loaded rows'] / max(seen['load s'], 1e-9):,.0f} rows/s)",
        f"- the last 30 days moved by the mover itself, and {2 * seen['sessions']:,} session rows: "
        f"{seen['moved rows']:,} calls in {seen['move s']:.1f} s",
        f"- `usage.duckdb` {seen['record bytes'] / 1e6:,.0f} MB, hot ledger "
        f"{seen['hot bytes'] / 1e6:,.0f} MB",
    )
    store = DuckDBStore(big, background=False)
    start = time.perf_counter()
    problems = store.check()
    report.add(f"- the audit of all totals against all rows took {time.perf_counter() - start:.1f} s")
    report.target("disagreements it found", len(problems), 0)
    store.close()
    _checks(folder, big, report)
    _questions(folder, big, stage, report, postgres=postgres)


def _checks(folder: Path, big: Path, report: Report) -> None:
    empty = check_times(folder / "empty", active_sessions(folder / "empty", 1))
    full = check_times(big, active_sessions(big, 20))
    report.add("", "### Budget check")
    report.table(
        ["", "empty ledger, ms", "this ledger, ms"],
        [[key, f"{empty[key]:.3f}", f"{full[key]:.3f}"] for key in empty],
    )
    report.target("budget check p50", full["check p50"], 1, unit=" ms")
    report.target("against an empty ledger's", full["check p50"] / empty["check p50"], 3, unit="×")


def _questions(folder: Path, big: Path, stage: Any, report: Report, *, postgres: bool) -> None:
    ours, store = {}, DuckDBStore(big, background=False)
    for name, (sql, _) in ledger_peers.QUESTIONS.items():
        ours[name] = ledger_peers.timed(lambda sql=sql: store.sql(sql))
    ids = [
        row[0] for row in stage.execute("SELECT session_id FROM sess ORDER BY hash(n) LIMIT 30").fetchall()
    ]
    single = {}
    for name, sql in ledger_peers.ONE_SESSION.items():
        times = []
        for session in ids:
            start = time.perf_counter()
            assert store.sql(sql.format(session)).rows
            times.append((time.perf_counter() - start) * 1000)
        single[name] = (statistics.median(times), max(times))
    store.close()
    report.add("", "### One session, `%%usage` with its opening and closing of the file")
    report.table(
        ["question", "p50 ms", "worst ms"], [[n, f"{a:.0f}", f"{b:.0f}"] for n, (a, b) in single.items()]
    )
    report.target("slowest p50 of one session", max(a for a, _ in single.values()), 50, unit=" ms")
    lite, lite_s, lite_bytes = ledger_peers.sqlite(folder, stage)
    served = ledger_peers.postgres(folder, stage) if postgres else None
    report.add("", "### All sessions: the questions of 03_usage_sql")
    rows = [
        [name, f"{ms:,.0f}", f"{lite[name]:,.0f}", f"{lite[name] / ms:.1f}×"]
        + ([f"{served[0][name]:,.0f}", f"{served[0][name] / ms:.1f}×"] if served else ["", ""])
        for name, ms in ours.items()
    ]
    report.table(["question", "`%%usage`, ms", "SQLite, ms", "ratio", "Postgres, ms", "ratio"], rows)
    report.add(
        f"SQLite {ledger_peers.apsw.sqlite_lib_version()}, four indexes, analysed: {lite_s:.0f} s to load, "
        f"{lite_bytes / 1e6:,.0f} MB. "
        + (
            f"Postgres {served[3]} on loopback, the same indexes, 2 GB of shared buffers: {served[1]:.0f} s, "
            f"{served[2] / 1e6:,.0f} MB."
            if served
            else "Postgres was left out, or is not installed (apt-get install postgresql)."
        ),
        "",
    )
    report.target(
        "least gain over SQLite", min(lite[n] / ms for n, ms in ours.items()), 5, at_least=True, unit="×"
    )


def main() -> int:
    """Measure, write the page, and return the exit code."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--sessions", type=int, default=100_000)
    options.add_argument("--folder", type=Path, default=None, help="where to work (default: a temporary one)")
    options.add_argument("--skip-scale", action="store_true", help="only holds and settles")
    options.add_argument("--skip-pairs", action="store_true", help="only calls by the million")
    options.add_argument("--skip-smaller", action="store_true", help="not a million rows before --rows")
    options.add_argument("--skip-postgres", action="store_true", help="ask SQLite only, beside the ledger")
    options.add_argument("--seconds", type=float, default=6.0, help="of each measurement of many callers")
    options.add_argument("--out", type=Path, default=RESULTS)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ib-ledger-", dir=given.folder))
    folder.chmod(0o711)  # Postgres runs as a user of its own and has its data below
    report = Report()
    report.add(
        "# The ledger, measured",
        "",
        f"`make bench-ledger`, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: Python "
        f"{platform.python_version()}, duckdb "
        f"{duckdb.__version__}, {os.cpu_count()} cores. Use the ratios; the rest belongs to that machine.",
    )
    try:
        if not given.skip_pairs:
            pairs(folder, report)
            ledger_callers.report_all(folder, report, given.seconds)
        if not given.skip_scale:
            smaller = given.rows if given.skip_smaller else min(given.rows, 1_000_000)
            for rows in sorted({smaller, given.rows}):
                place = folder / f"{rows}-rows"
                place.mkdir()
                sessions = max(1, given.sessions * rows // given.rows)
                scale(place, rows, sessions, report, postgres=not given.skip_postgres)
                shutil.rmtree(place, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.add("", f"Targets missed: {'; '.join(report.missed) or 'none'}.")
    given.out.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
