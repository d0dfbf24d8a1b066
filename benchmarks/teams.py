"""`make bench-teams`: one PostgreSQL beside the embedded ledger, and a thousand sessions over two hosts.

    python benchmarks/teams.py [--short] [--seconds 2] [--sessions 1000] [--rows 1000000] [--limit 480]

Kinds take turns, so that a busy machine slows all of them. Part after part is written to
benchmarks/results/teams.md, so that a run that is stopped leaves what it has found; absolute figures belong
to the machine they were taken on. `--short` takes three minutes, tries every part with less of everything,
and writes no page. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import teams_hosts
import teams_pairs
from ledger_pairs import disk
from report import Report
from standbys import Durable, Standby, binaries
from teams_pairs import SESSIONS, Ledgers

RESULTS = Path(__file__).parent / "results" / "teams.md"
ROUNDS = 3


class Teams:
    """The parts of a run, each with the lines that it adds to the page."""

    def __init__(self, server: Durable, folder: Path, given: argparse.Namespace, report: Report) -> None:
        self.server, self.folder, self.given, self.report = server, folder, given, report
        self.overspent = 0
        self.many = Ledgers(server, folder / "many", SESSIONS)

    def parts(self) -> dict[str, Callable[[], None]]:
        """Return what there is to do, by its name, in order."""
        return {
            "One process": self.alone,
            "Eight processes": self.crowd,
            "64 callers of one process": self.batches,
            "A synchronous standby": self.standby,
            f"Beside {self.given.rows:,} calls": self.full,
            "Budgets that end": self.race,
            "Two hosts": self.hosts,
            "All of it": self.audit,
        }

    def alone(self) -> None:
        """One caller, one session."""
        found = teams_pairs.alone(self.many, ROUNDS, self.given.seconds)
        self._table([["reserve and settle, p50 ms", f"{found['postgres']:.2f}", f"{found['duckdb']:.2f}"]])
        self.report.target("pair p50, one process", found["postgres"], 3, unit=" ms")

    def crowd(self) -> None:
        """Eight processes, one caller each, over all sessions."""
        found = teams_pairs.crowd(self.many, ROUNDS, self.given.seconds)
        rates = [f"{found[kind]:,.0f}" for kind in ("postgres", "duckdb")]
        self._table([[f"8 processes × {SESSIONS:,} sessions, one caller each, pairs/s", *rates]])
        what = f"8 processes × {SESSIONS:,} sessions, pairs/s"
        self.report.target(what, found["postgres"], 600, at_least=True)

    def batches(self) -> None:
        """Many callers of one process, who share transactions."""
        found = teams_pairs.batches(self.many, ROUNDS, self.given.seconds)
        rows = [["together, pairs/s", f"{found['together']:,.0f}", f"{found['duckdb']:,.0f}"]]
        rows += [["each write in a transaction of its own", f"{found['each alone']:,.0f}", ""]]
        self._table(rows)
        times = found["together"] / found["each alone"]
        self.report.target("64 callers together against each alone", times, 1.5, at_least=True)

    def standby(self) -> None:
        """The same callers, with commits that wait for a second server."""
        standby = Standby(self.server).make()
        try:
            found = teams_pairs.with_standby(self.many, ROUNDS, self.given.seconds)
        finally:
            standby.remove()
            self.server.execute(f"SELECT pg_drop_replication_slot('s{standby.port}')")
        rates = {name: f"{rate:,.0f}" for name, rate in found.items()}
        self._table([["without, pairs/s", rates["without"], ""], ["with", rates["with"], ""]])
        kept = found["with"] / found["without"]
        self.report.target("with a synchronous standby against without", kept, 0.5, at_least=True)

    def full(self) -> None:
        """A ledger with many calls beside one with few."""
        rows = f"{self.given.rows:,}"
        full = Ledgers(self.server, self.folder / "full", SESSIONS, kinds=("postgres",))
        teams_pairs.fill(full, self.given.rows)
        found = teams_pairs.beside(full, self.many, 4 * ROUNDS, self.given.seconds / 2)
        self._table(
            [
                [f"a pair beside {rows} calls, p50 ms", f"{found['full']:.2f}", ""],
                ["a pair beside few, in turn, p50 ms", f"{found['few']:.2f}", ""],
                [f"`totals` beside {rows} calls, p50 ms", f"{found['totals']:.2f}", ""],
            ]
        )
        self.report.target(f"`totals` p50 beside {rows} calls", found["totals"], 2, unit=" ms")
        self.report.target(f"pairs beside {rows} calls against few", found["full"] / found["few"], 1.2)
        self.overspent += full.problems()

    def race(self) -> None:
        """Eight processes spend four budgets until each is refused."""
        narrow = Ledgers(self.server, self.folder / "narrow", 4, budget=self.given.budget)
        found = teams_pairs.race(narrow)
        settled = [f"{found[kind]:,}" for kind in ("postgres", "duckdb")]
        self._table([["settled before 4 budgets refused 8 processes", *settled]])
        self.overspent += narrow.problems()

    def hosts(self) -> None:
        """All sessions take turns at two hosts."""
        import psycopg

        from ib_postgres.migrate import migrate

        report, sessions = self.report, self.given.sessions
        self.server.execute("CREATE DATABASE hosts")
        url = self.server.url("hosts")
        with psycopg.connect(url, autocommit=True) as db:
            migrate(db)
        found = teams_hosts.drive(url, self.folder / "hosts", sessions, self.given.limit)
        driven = int(found["sessions"])
        report.add(
            f"Two turns a session, each at another host, {teams_hosts.AT_ONCE} at once; hosts, candidates, "
            "the model's service and the server on this machine.", "",
            f"- {found['turns/s']:.0f} turns/s; a turn: p50 {found['p50']:.0f} ms, p95 {found['p95']:.0f} ms",
        )  # fmt: skip
        report.target("sessions", driven, sessions, at_least=True)
        report.target("turns in the ledger", found["turns"], 2 * driven, at_least=True)
        report.target("requests at the service", found["asked"], 2 * driven)
        report.target("replies that are not whole, and tokens still held", found["wrong"] + found["held"], 0)
        self.overspent += int(found["overspend"])

    def audit(self) -> None:
        """What was spent of all budgets."""
        self.overspent += self.many.problems()
        self.report.target("tokens overspent, and lines of the audits", self.overspent, 0)

    def _table(self, rows: list[list[str]]) -> None:
        self.report.table(["", "PostgreSQL", "embedded"], rows)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--short", action="store_true", help="every part, with less of everything; no page")
    parser.add_argument("--seconds", type=float, help="of each round of a measurement (2)")
    parser.add_argument("--sessions", type=int, help="that take turns at two hosts (1,000)")
    parser.add_argument("--rows", type=int, help="calls of the full ledger (1,000,000)")
    parser.add_argument(
        "--limit", type=float, help="seconds after which no session begins at the hosts (480)"
    )
    given = parser.parse_args()
    usual, short = (2.0, 1_000, 1_000_000, 480.0), (0.5, 60, 100_000, 60.0)
    for name, value in zip(
        ("seconds", "sessions", "rows", "limit"), short if given.short else usual, strict=True
    ):
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.budget = 20_000 if given.short else 100_000
    return given


def main() -> int:
    """Run all of it and write the page, part by part."""
    given, report = parsed(), Report()
    folder, began = Path(tempfile.mkdtemp(prefix="ib-teams-")), time.monotonic()
    server = Durable(binaries()).make()

    def save(*more: str) -> None:
        if not given.short:
            RESULTS.write_text("\n".join([*report.lines, *more]) + "\n", encoding="utf-8")

    try:
        today = datetime.datetime.now(datetime.UTC).date()
        report.add(
            f"# A team's ledger, measured\n\n`make bench-teams`, {today}: Python {sys.version.split()[0]}, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, a disk that takes {disk(folder):,.0f} "
            "pairs of bare durable writes a second. Use the ratios; the rest is the machine's."
        )
        teams = Teams(server, folder, given, report)
        for name, part in teams.parts().items():
            print(f"[{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}]", flush=True)
            report.add("", f"## {name}", "")
            save("The run was stopped here.")
            part()
            save("", "The run was stopped here.")
        took = time.monotonic() - began
        report.add(
            "", f"All of it took {took / 60:.0f} minutes; the load at its end was {os.getloadavg()[0]:.1f}."
        )
        save()
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
