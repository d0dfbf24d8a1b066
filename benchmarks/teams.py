"""`make bench-teams`: one PostgreSQL beside the embedded ledger, and a thousand sessions over two hosts.

    python benchmarks/teams.py [--seconds 2] [--sessions 1000] [--rows 1000000]

Kinds take turns, so that a busy machine slows all of them. Writes benchmarks/results/teams.md; absolute
figures belong to the machine they were taken on. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from pathlib import Path

import teams_hosts
import teams_pairs
from report import Report
from standbys import Durable, Standby, binaries
from teams_pairs import SESSIONS, Ledgers

RESULTS = Path(__file__).parent / "results" / "teams.md"


def pairs(server: Durable, folder: Path, seconds: float, rows: int, report: Report) -> int:
    """Measure reserve and settle; return how much was overspent."""
    ledgers = Ledgers(server, folder / "many", "many", SESSIONS)
    one = teams_pairs.alone(ledgers, 3, seconds / 2)
    eight = teams_pairs.crowd(ledgers, 3, seconds)
    many = teams_pairs.batches(ledgers, 3, seconds)
    standby = Standby(server).make()
    try:
        waits = teams_pairs.with_standby(ledgers, 3, seconds)
    finally:
        standby.remove()
        server.execute(f"SELECT pg_drop_replication_slot('s{standby.port}')")
    full = Ledgers(server, folder / "full", "full", SESSIONS)
    million = teams_pairs.million(full, ledgers, rows, seconds / 2)
    narrow = Ledgers(server, folder / "narrow", "narrow", 4, budget=100_000)
    settled = teams_pairs.race(narrow)
    overspent = ledgers.problems() + narrow.problems()
    report.add("", "## Reserve and settle, durable")
    report.table(
        ["", "PostgreSQL", "embedded"],
        [
            ["1 process, 1 session, p50 ms", f"{one['postgres']:.2f}", f"{one['duckdb']:.2f}"],
            ["8 processes × 1,000 sessions, pairs/s", f"{eight['postgres']:,.0f}", f"{eight['duckdb']:,.0f}"],
            ["64 callers of one process, pairs/s", f"{many['together']:,.0f}", f"{many['duckdb']:,.0f}"],
            ["… each in a transaction of its own", f"{many['each alone']:,.0f}", ""],
            ["… and with a synchronous standby", f"{waits['with']:,.0f}", ""],
            [f"a pair beside {rows:,} calls, p50 ms", f"{million['full']:.2f}", ""],
            ["a pair beside few, in turn, p50 ms", f"{million['empty']:.2f}", ""],
            [f"`totals` beside {rows:,} calls, p50 ms", f"{million['totals']:.2f}", ""],
            [
                "settled before 4 budgets refused 8 processes",
                *(f"{settled[n]:,}" for n in ("postgres", "duckdb")),
            ],
        ],
    )
    report.target("pair p50, one process", one["postgres"], 3, unit=" ms")
    report.target("8 processes × 1,000 sessions, pairs/s", eight["postgres"], 600, at_least=True)
    report.target(
        "64 callers together against each alone", many["together"] / many["each alone"], 1.5, at_least=True
    )
    report.target(
        "with a synchronous standby against without", waits["with"] / waits["without"], 0.5, at_least=True
    )
    report.target(f"`totals` p50 beside {rows:,} calls", million["totals"], 2, unit=" ms")
    report.target(f"pairs beside {rows:,} calls against few", million["full"] / million["empty"], 1.2)
    return overspent


def hosts(server: Durable, folder: Path, sessions: int, report: Report) -> int:
    """Drive a thousand sessions over two hosts; return what is wrong."""
    import psycopg

    from ib_postgres.migrate import migrate

    server.execute("CREATE DATABASE hosts")
    with psycopg.connect(server.url("hosts"), autocommit=True) as db:
        migrate(db)
    found = teams_hosts.drive(server.url("hosts"), folder / "hosts", sessions)
    report.add(
        "", f"## {sessions:,} sessions over two hosts", "",
        f"Two turns a session, each at another host, {teams_hosts.AT_ONCE} at once; hosts, candidates, the "
        "model's service and the server on this machine.", "",
        f"- {found['turns/s']:.0f} turns/s; a turn: p50 {found['p50']:.0f} ms, p95 {found['p95']:.0f} ms",
    )  # fmt: skip
    report.target("turns in the ledger", found["turns"], 2 * sessions, at_least=True)
    report.target("requests at the service", found["asked"], 2 * sessions)
    report.target("replies that are not whole, and tokens still held", found["wrong"] + found["held"], 0)
    return int(found["overspend"])


def main() -> int:
    """Run all of it and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round of a measurement")
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    report, folder = Report(), Path(tempfile.mkdtemp(prefix="ib-teams-"))
    server = Durable(binaries()).make()
    try:
        today = datetime.datetime.now(datetime.UTC).date()
        load = os.getloadavg()[0]
        report.add(
            f"# A team's ledger, measured\n\n`make bench-teams`, {today}: Python {sys.version.split()[0]}, "
            f"{os.cpu_count()} cores, load {load:.1f}. Use the ratios; the rest is the machine's."
        )
        overspent = pairs(server, folder, given.seconds, given.rows, report)
        overspent += hosts(server, folder, given.sessions, report)
        report.add("", "## All of it")
        report.target("tokens overspent, and lines of the audits", overspent, 0)
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    RESULTS.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
