"""Part of benchmarks/ledger.py: many callers of one process, many such processes, a lone one beside them."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger_pairs import PROCESSES, percentile, together

from ib_duckdb.store import DuckDBStore
from ib_duckdb.writer import Operation
from ib_kernel.values import CallEnd, NewSession, Status

CALLERS, CALLERS_EACH = 64, 16


class Alone:
    """A writer that gives every operation a transaction of its own, as all calls once had."""

    def __init__(self, store: DuckDBStore) -> None:
        self._hot = store._hot

    def run(self, operation: Operation[Any]) -> Any:
        """Run one operation."""
        with self._hot.write() as db:
            return operation.work(db)


def prepared(folder: Path, sessions: int = CALLERS) -> Path:
    """Make a ledger with one active session for each caller."""
    store = DuckDBStore(folder)
    for number in range(sessions):
        store.open_session(NewSession(f"s{number}", "Ada", 10**15, "gpt-5.4-mini"))
        store.set_status(f"s{number}", Status.ACTIVE)
    store.close()
    return folder


def pairs_of(store: DuckDBStore, session: str, until: float) -> list[float]:
    """Hold and settle until a moment of the monotonic clock; return the times in ms."""
    times = []
    while (start := time.monotonic()) < until:
        held = store.reserve(session, 100, lease_s=60.0)
        store.settle(held, CallEnd(50, 25))
        times.append((time.monotonic() - start) * 1000)
    return times


def threads(store: DuckDBStore, count: int, seconds: float) -> list[list[float]]:
    """Let *count* threads hold and settle; return the times of each."""
    times: list[list[float]] = [[] for _ in range(count)]
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        times[number] = pairs_of(store, f"s{number}", until)

    running = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return times


async def _tasks(store: DuckDBStore, count: int, seconds: float) -> int:
    until = time.monotonic() + seconds

    async def work(number: int) -> int:
        done = 0
        while time.monotonic() < until:
            held = await store.areserve(f"s{number}", 100, lease_s=60.0)
            await store.asettle(held, CallEnd(50, 25))
            done += 1
        return done

    return sum(await asyncio.gather(*map(work, range(count))))


def one_process(folder: Path, seconds: float) -> dict[str, float]:
    """Return pairs/s of 64 callers, each with transactions of its own and sharing them, in turn."""
    store = DuckDBStore(prepared(folder / "one"))
    shared, alone = store._writer, Alone(store)
    found: dict[str, list[float]] = {"alone": [], "shared": [], "loop": []}
    for _ in range(3):
        for name, writer in (("alone", alone), ("shared", shared)):
            store._writer = writer  # type: ignore[assignment]
            found[name].append(sum(map(len, threads(store, CALLERS, seconds / 3))) / (seconds / 3))
        store._writer = shared
        found["loop"].append(asyncio.run(_tasks(store, CALLERS, seconds / 3)) / (seconds / 3))
    problems = store.check()
    store.close()
    return {**{name: statistics.median(rates) for name, rates in found.items()}, "problems": len(problems)}


def many_processes(folder: Path, seconds: float) -> dict[str, float]:
    """Return pairs/s of eight processes with sixteen callers each, and the largest share by the least."""
    prepared(folder / "many")

    def work(number: int) -> int:
        store = DuckDBStore(folder / "many")
        done = sum(map(len, threads(store, CALLERS_EACH, seconds)))
        store.close()
        return done

    shares = together(work)
    store = DuckDBStore(folder / "many")
    problems = store.check()
    store.close()
    return {
        "pairs/s": sum(shares) / seconds,
        "max/min": max(shares) / max(1, min(shares)),
        "processes": PROCESSES,
        "problems": len(problems),
    }


BUSY = (
    "import sys; sys.path[:0] = [sys.argv[2]]; import ledger_callers as l\n"
    "from ib_duckdb.store import DuckDBStore; from pathlib import Path\n"
    "store = DuckDBStore(Path(sys.argv[1])); print('on', flush=True)\n"
    "l.threads(store, l.CALLERS, float(sys.argv[3])); store.close()"
)


def beside_a_crowd(folder: Path, seconds: float) -> float:
    """Return the p95 in ms of one write of a lone process beside one with 64 callers."""
    place = prepared(folder / "beside-crowd", CALLERS + 1)
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", BUSY, str(place), here, str(seconds + 2)]
    store, times = DuckDBStore(place), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        time.sleep(0.5)
        until = time.monotonic() + seconds
        while (start := time.monotonic()) < until:
            held = store.reserve(f"s{CALLERS}", 100, lease_s=60.0)
            times.append((time.monotonic() - start) * 1000)
            store.settle(held, CallEnd(50, 25))
            time.sleep(0.005)
    store.close()
    return percentile(times, 0.95)


def report_all(folder: Path, report: Any, seconds: float) -> None:
    """Measure and add lines and targets to *report*."""
    one, many = one_process(folder, seconds), many_processes(folder, seconds)
    lone = beside_a_crowd(folder, seconds)
    target: Callable[..., None] = report.target
    report.add("", "## Many callers")
    report.table(
        ["", "pairs/s"],
        [
            ["64 threads of one process, a transaction each", f"{one['alone']:,.0f}"],
            ["64 threads of one process, sharing", f"{one['shared']:,.0f}"],
            ["64 tasks of one event loop, sharing", f"{one['loop']:,.0f}"],
            ["8 processes with 16 threads each", f"{many['pairs/s']:,.0f}"],
        ],
    )
    target("64 callers of one process against a transaction each", one["shared"] / one["alone"], 4,
           at_least=True, unit="×")  # fmt: skip
    target("pairs per second of 8 processes with 16 callers", many["pairs/s"], 3_000, at_least=True)
    target("largest share of the 8 against the least", many["max/min"], 1.3, unit="×")
    target("p95 of a lone process's reserve beside 64 callers", lone, 5, unit=" ms")
    target("disagreements afterwards", one["problems"] + many["problems"], 0)
