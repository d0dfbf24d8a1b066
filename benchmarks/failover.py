"""`make bench-failover`: a primary dies while sixteen writers work; nothing acknowledged is lost.

The standby is cut off first: else the last commits have usually reached it, and the test proves nothing. With
`synchronous_standby_names` nothing is acknowledged from then on that it lacks; without it (the control) what
was acknowledged meanwhile is gone, and the audit has to find that. Then Patroni does it by itself, where
Debian's packages patroni, etcd-server and postgresql are installed.

    python benchmarks/failover.py [--without-patroni]

Writes benchmarks/results/failover.md; exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import patroni_cluster
from report import Report
from standbys import Durable, Standby, binaries

from ib_kernel.errors import BuddyError, ReservationError, StoreError
from ib_kernel.values import CallEnd, NewSession, Reservation, Status
from ib_postgres.store import PostgresStore

RESULTS = Path(__file__).parent / "results" / "failover.md"
WRITERS, BEFORE_S, CUT_S, AFTER_S = 16, 2.0, 0.7, 3.0


@dataclass
class Audit:
    """What became of the writers' calls: acknowledged ones that are lost or doubled, and the longest wait.

    `told` is what the doctor warned of before.
    """

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    longest_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    told: str = ""


class Writers:
    """Sixteen threads that reserve and settle, each in a session of its own, until they are stopped."""

    def __init__(self, url: str) -> None:
        self.store = PostgresStore(url, pool_size=WRITERS, background=False)
        for number in range(WRITERS):
            self.store.open_session(NewSession(f"s{number}", "Ada", 10**12, "gpt-5.4-mini"))
            self.store.set_status(f"s{number}", Status.ACTIVE)
        self._stop = threading.Event()
        self.acknowledged: list[list[str]] = [[] for _ in range(WRITERS)]
        self.longest = [0.0] * WRITERS
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]

    def start(self) -> None:
        """Begin to write."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each finish its pair."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        since = time.monotonic()
        while not self._stop.is_set():
            held = self._until(lambda: self.store.reserve(f"s{number}", 100, lease_s=600.0))
            if isinstance(held, Reservation) and self._until(lambda held=held: self.store.settle(held, END)):
                self.acknowledged[number].append(held.reservation_id)
            now = time.monotonic()
            self.longest[number] = max(self.longest[number], now - since)
            since = now

    def _until(self, work: Callable[[], Any]) -> Any:
        """Do *work* again while the ledger is away, as a host's turn does with its own reservation."""
        while True:
            try:
                return work()
            except ReservationError:  # its reservation went with the primary
                return None
            except StoreError:
                if self._stop.is_set():
                    return None
            except BuddyError:
                return None


END = CallEnd(50, 25)


def audit(writers: Writers, url: str) -> Audit:
    """Compare what was acknowledged with what the surviving server has."""
    import psycopg

    found = Audit(longest_s=max(writers.longest))
    with psycopg.connect(url) as db:
        rows = "SELECT rid, count(*) FROM ib.calls WHERE status = 'settled' GROUP BY rid"
        kept: dict[Any, int] = dict(db.execute(rows).fetchall())
    names = {str(rid): count for rid, count in kept.items()}
    ids = [rid for one in writers.acknowledged for rid in one]
    found.acknowledged, found.lost = len(ids), sum(rid not in names for rid in ids)
    found.doubled = sum(count - 1 for count in names.values())
    store = PostgresStore(url, background=False)
    found.problems = [*store.check(), *store.verify()]
    store.close()
    return found


def by_hand(synchronous: bool) -> Audit:
    """Cut the standby off, kill the primary, promote the standby."""
    primary = Durable(binaries()).make()
    standby = Standby(primary)
    try:
        primary.execute("CREATE DATABASE ledger")
        _migrate(primary.url("ledger"))
        standby.make()
        if synchronous:
            primary.wait_for("*")
        both = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/ledger"
        writers = Writers(f"{both}?target_session_attrs=read-write")
        told = " · ".join(line for line, well in writers.store.about() if not well)
        writers.start()
        time.sleep(BEFORE_S)
        standby.cut_off()
        time.sleep(CUT_S)
        primary.kill()
        standby.promote()
        time.sleep(AFTER_S)
        writers.stop()
        writers.store.close()
        return dataclasses.replace(audit(writers, standby.url("ledger")), told=told)
    finally:
        standby.remove()
        primary.remove()


def by_patroni() -> Audit:
    """Kill the leader of three nodes and wait for what Patroni makes of it."""
    with patroni_cluster.running() as cluster:
        cluster.execute("CREATE DATABASE ledger")
        _migrate(cluster.url("ledger"))
        writers = Writers(cluster.url("ledger"))
        writers.start()
        time.sleep(BEFORE_S)
        before = cluster.leader()
        cluster.kill(before)
        cluster.wait_for_another(before)
        time.sleep(AFTER_S)
        writers.stop()
        writers.store.close()
        return audit(writers, cluster.url("ledger"))


def _migrate(url: str) -> None:
    import psycopg

    from ib_postgres.migrate import migrate

    with psycopg.connect(url, autocommit=True) as db:
        migrate(db)


def row(name: str, found: Audit) -> list[str]:
    """Return one line of the table."""
    figures = [found.acknowledged, found.lost, found.doubled, len(found.problems)]
    return [name, *(f"{figure:,}" for figure in figures), f"{found.longest_s:.1f}"]


def main() -> int:
    """Run all of it and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-patroni", action="store_true")
    given = parser.parse_args()
    report = Report()
    today = datetime.datetime.now(datetime.UTC).date()
    report.add(
        f"# A database that dies, measured\n\n`make bench-failover`, {today}: {WRITERS} writers, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}."
    )
    waits, control = by_hand(synchronous=True), by_hand(synchronous=False)
    rows = [row("synchronous standby", waits), row("asynchronous standby (control)", control)]
    why_not = "left out" if given.without_patroni else patroni_cluster.missing()
    itself = None if why_not else by_patroni()
    if itself is not None:
        rows.append(row("Patroni, strict synchronous, three nodes", itself))
    heads = ["", "acknowledged", "lost", "doubled", "audit's lines", "longest wait, s"]
    report.table(heads, rows)
    report.target("synchronous: acknowledged settles that are lost", waits.lost, 0)
    report.target("synchronous: doubled", waits.doubled, 0)
    report.target("synchronous: lines of the audit and the chain", len(waits.problems), 0)
    report.target("synchronous: longest wait", waits.longest_s, 5, unit=" s")
    report.target("asynchronous control: lost", control.lost, 1, at_least=True)
    report.target(
        "the doctor warns of the asynchronous one, and of it only",
        "asynchronous" in control.told and "asynchronous" not in waits.told,
        1,
        at_least=True,
    )
    if itself is not None:
        report.target("Patroni: lost", itself.lost, 0)
        report.target("Patroni: doubled", itself.doubled, 0)
        report.target("Patroni: lines of the audit and the chain", len(itself.problems), 0)
        report.target("Patroni: longest wait", itself.longest_s, 45, unit=" s")
    else:
        report.add(f"- Patroni was not tried: {why_not}")
    RESULTS.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
