"""Part of benchmarks/ledger.py: what a durable hold and its settling cost, alone and with eight processes."""

from __future__ import annotations

import fcntl
import itertools
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, NewSession, Status

PROCESSES = 8


def percentile(times: list[float], share: float) -> float:
    """Return the time that *share* of *times* do not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def open_ledger(folder: Path, budget: int = 10**15) -> DuckDBStore:
    """Open a ledger in *folder* with one active session "s"."""
    store = DuckDBStore(folder)
    store.open_session(NewSession("s", "Ada", budget, "gpt-5.4-mini"))
    store.set_status("s", Status.ACTIVE)
    return store


def pair(store: DuckDBStore, tokens: int = 100) -> bool:
    """Hold and settle, both durable; False when the hold was refused."""
    held = store.reserve("s", tokens, lease_s=60.0)
    return bool(held) and store.settle(held, CallEnd(tokens // 2, tokens // 4))


@contextmanager
def bare_file(path: Path) -> Iterator[Callable[[], None]]:
    """Yield the floor: a function that writes a page and waits for the disk, twice.

    The file is overwritten from beginning to end again and again, as a write-ahead log is: a file that grows
    costs more.
    """
    fd, page, pages = os.open(path, os.O_CREAT | os.O_WRONLY), bytes(4096), 1_024
    os.write(fd, page * pages)
    os.fsync(fd)
    places = itertools.cycle(range(0, pages * 4096, 4096))

    def twice() -> None:
        for _ in range(2):
            os.pwrite(fd, page, next(places))
            os.fdatasync(fd)

    yield twice
    os.close(fd)


def alone(folder: Path, count: int = 2_000) -> dict[str, float]:
    """Time *count* pairs and *count* bare double writes in turn, so that a busy disk slows both."""
    store = open_ledger(folder / "alone")
    pairs, floors = [], []
    with bare_file(folder / "floor") as twice:
        for number in range(count + 50):
            for times, work in ((floors, twice), (pairs, lambda: pair(store))):
                start = time.perf_counter()
                work()
                if number >= 50:  # the first ones open files and grow them
                    times.append((time.perf_counter() - start) * 1000)
    store.close()
    return {
        "pair p50": statistics.median(pairs),
        "pair p99": percentile(pairs, 0.99),
        "floor p50": statistics.median(floors),
        "floor p99": percentile(floors, 0.99),
    }


HOLD = (
    "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'reads');"
    "print('open', flush=True); sys.stdin.read()"
)


def beside(folder: Path, other: str, count: int = 1_000) -> float:
    """Return the p50 in ms of pairs while another process "reads" or "writes" usage.duckdb; "" for nobody."""
    store = open_ledger(folder / f"beside-{other}")
    pair(store)
    store.flush()
    process = None
    if other:
        command = [sys.executable, "-c", HOLD, store.location(), other]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    times = []
    for _ in range(count):
        start = time.perf_counter()
        pair(store)
        times.append((time.perf_counter() - start) * 1000)
    if process:
        process.communicate()
    store.close()
    with duckdb.connect(store.location(), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (count + 1,)
    return statistics.median(times)


def disk(folder: Path, seconds: float = 2.0) -> float:
    """Return how many pairs of bare writes the disk takes per second right now."""
    done, end = 0, time.monotonic() + seconds
    with bare_file(folder / "disk") as twice:
        while time.monotonic() < end:
            twice()
            done += 1
    return done / seconds


def together(work: Callable[[int], Any]) -> list[Any]:
    """Run *work* (given its number) in eight forked processes that begin at once; return their results."""
    ready, go = os.pipe(), os.pipe()
    pipes = []
    for number in range(PROCESSES):
        back = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.write(ready[1], b"r")
                os.read(go[0], 1)
                with os.fdopen(back[1], "wb") as out:
                    pickle.dump(work(number), out)
                status = 0
            finally:
                os._exit(status)
        os.close(back[1])
        pipes.append(back[0])
    for _ in range(PROCESSES):
        os.read(ready[0], 1)
    os.write(go[1], b"g" * PROCESSES)
    results = []
    for fd in pipes:
        with os.fdopen(fd, "rb") as answer:
            results.append(pickle.load(answer))
    for _ in range(PROCESSES):
        os.wait()
    for fd in (*ready, *go):
        os.close(fd)
    return results


def crowd(folder: Path, seconds: float = 6.0) -> dict[str, Any]:
    """Let eight processes hold and settle on one session for *seconds*."""
    open_ledger(folder / "crowd").close()

    def work(number: int) -> list[float]:
        store, times = DuckDBStore(folder / "crowd"), []
        end = time.monotonic() + seconds
        while (start := time.monotonic()) < end:
            pair(store)
            times.append((time.monotonic() - start) * 1000)
        store.close()
        return times

    found = together(work)
    times = [ms for one in found for ms in one]
    shares = sorted(len(one) for one in found)
    store = DuckDBStore(folder / "crowd")
    problems = store.check()
    assert store.totals("s").calls == len(times)
    store.close()
    return {
        "pairs/s": len(times) / seconds,
        "p50": statistics.median(times),
        "p99": percentile(times, 0.99),
        "worst": max(times),
        "fair share": len(times) / PROCESSES,
        "smallest": shares[0],
        "largest": shares[-1],
        "problems": problems,
    }


def race(folder: Path, budget: int = 200_000) -> dict[str, int]:
    """Let eight processes spend one budget until it refuses each of them."""
    open_ledger(folder / "race", budget).close()

    def work(number: int) -> int:
        store, settled = DuckDBStore(folder / "race"), 0
        while held := store.reserve("s", 100 + number, lease_s=60.0):
            settled += store.settle(held, CallEnd(60 + number, 40))
        store.close()
        return settled

    settled = sum(together(work))
    store = DuckDBStore(folder / "race")
    totals, problems = store.totals("s"), store.check()
    store.close()
    return {
        "budget": budget,
        "used": totals.used,
        "settled": settled,
        "overspend": max(0, totals.used + totals.held + totals.in_doubt - budget) + len(problems),
    }


def per_transaction(folder: Path, seconds: float = 8.0) -> float:
    """Return the pairs per second of eight processes that open DuckDB for each transaction, behind a lock."""
    path, lock = folder / "naive.duckdb", folder / "naive.lock"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE budget (session VARCHAR, spent BIGINT, held BIGINT, most BIGINT)")
        db.execute("INSERT INTO budget VALUES ('s', 0, 0, 1000000000000)")
        db.execute("CREATE TABLE calls (session VARCHAR, tokens BIGINT)")

    def transaction(*statements: str) -> None:
        fd = os.open(lock, os.O_CREAT | os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            with duckdb.connect(str(path)) as db:
                db.execute("BEGIN")
                for statement in statements:
                    db.execute(statement)
                db.execute("COMMIT")
        finally:
            os.close(fd)

    def work(number: int) -> int:
        done, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            transaction("UPDATE budget SET held = held + 100 WHERE spent + held + 100 <= most")
            transaction(
                "UPDATE budget SET held = held - 100, spent = spent + 75",
                "INSERT INTO calls VALUES ('s', 75)",
            )
            done += 1
        return done

    return sum(together(work)) / seconds
