"""Part of benchmarks/teams.py: reserve and settle on PostgreSQL beside the embedded ledger, in turn."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger_pairs import PROCESSES, together
from standbys import Durable

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, NewSession, Status
from ib_postgres.migrate import migrate
from ib_postgres.store import PostgresStore
from ib_postgres.writer import Write

SESSIONS, CALLERS = 1_000, 64
END = CallEnd(50, 25)

Opener = Callable[[], Any]


class Ledgers:
    """One ledger of each kind with the same sessions, and how a process opens them."""

    def __init__(
        self,
        server: Durable,
        folder: Path,
        sessions: int,
        *,
        budget: int = 10**15,
        kinds: Sequence[str] = ("postgres", "duckdb"),
    ) -> None:
        import psycopg

        name = f"team_{folder.name}"
        server.execute(f"CREATE DATABASE {name}")
        self.url, self.server = server.url(name), server
        with psycopg.connect(self.url, autocommit=True) as db:
            migrate(db)
        folder.mkdir(parents=True)
        known: dict[str, Opener] = {
            "postgres": lambda: PostgresStore(self.url, background=False),
            "duckdb": lambda: DuckDBStore(folder),
        }
        self.open = {kind: known[kind] for kind in kinds}
        for opener in self.open.values():
            store = opener()

            def begin(number: int, store: Any = store) -> None:
                store.open_session(NewSession(f"s{number}", "Ada", budget, "gpt-5.4-mini"))
                store.set_status(f"s{number}", Status.ACTIVE)

            with ThreadPoolExecutor(8) as together_they_commit:
                list(together_they_commit.map(begin, range(sessions)))
            store.close()

    def problems(self) -> int:
        """Return how many sessions are overspent, and how many lines the audits say."""
        found = 0
        for opener in self.open.values():
            store = opener()
            found += len(store.check())
            for session in store.sessions():
                totals = store.totals(session.session_id)
                found += totals.used + totals.held + totals.in_doubt > totals.token_budget
            store.close()
        return found


def pair(store: Any, session: str) -> float:
    """Reserve and settle; return the milliseconds."""
    start = time.perf_counter()
    store.settle(store.reserve(session, 100, lease_s=60.0), END)
    return (time.perf_counter() - start) * 1000


def alone(ledgers: Ledgers, rounds: int, seconds: float) -> dict[str, float]:
    """Return the p50 in ms of one process with one caller, kind after kind."""
    times: dict[str, list[float]] = {name: [] for name in ledgers.open}
    stores = {name: opener() for name, opener in ledgers.open.items()}
    for _ in range(rounds):
        for name, store in stores.items():
            pair(store, "s0")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                times[name].append(pair(store, "s0"))
    for store in stores.values():
        store.close()
    return {name: statistics.median(found) for name, found in times.items()}


def crowd(ledgers: Ledgers, rounds: int, seconds: float) -> dict[str, float]:
    """Return the pairs/s of eight processes over a thousand sessions, one caller each, kind after kind."""
    rates: dict[str, list[float]] = {name: [] for name in ledgers.open}
    for _ in range(rounds):
        for name, opener in ledgers.open.items():

            def work(number: int, opener: Opener = opener) -> int:
                store, done = opener(), 0
                pair(store, f"s{number}")
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    pair(store, f"s{(number + PROCESSES * done) % SESSIONS}")
                    done += 1
                store.close()
                return done

            rates[name].append(sum(together(work)) / seconds)
    return {name: statistics.median(found) for name, found in rates.items()}


class Unbatched:
    """A writer that gives every write a transaction, and a connection, of its own."""

    def __init__(self, store: PostgresStore) -> None:
        self._database = store._database

    def run(self, write: Write) -> Any:
        """Do one write."""
        return self._database.write(write.name, write.asked)


def callers(store: Any, seconds: float) -> float:
    """Return the pairs/s of 64 threads of this process, each in a session of its own."""
    done = [0] * CALLERS
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        while time.monotonic() < end:
            pair(store, f"s{number}")
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def batches(ledgers: Ledgers, rounds: int, seconds: float) -> dict[str, float]:
    """Return the pairs/s of 64 callers of one process: together, each alone, and in the embedded ledger."""
    rates: dict[str, list[float]] = {"together": [], "each alone": [], "duckdb": []}
    shared, embedded = ledgers.open["postgres"](), ledgers.open["duckdb"]()
    alone = PostgresStore(ledgers.url, background=False, pool_size=CALLERS)
    ways = {"together": shared, "each alone": alone, "duckdb": embedded}
    alone._writer, writer = Unbatched(alone), alone._writer  # type: ignore[assignment]
    for _ in range(rounds):
        for name, store in ways.items():
            rates[name].append(callers(store, seconds))
    alone._writer = writer
    for store in ways.values():
        store.close()
    return {name: statistics.median(found) for name, found in rates.items()}


@contextmanager
def waiting(ledgers: Ledgers, standbys: str) -> Iterator[None]:
    """Let commits wait for standbys while entered."""
    ledgers.server.wait_for(standbys)
    time.sleep(1)
    try:
        yield
    finally:
        ledgers.server.wait_for("")
        time.sleep(1)


def with_standby(ledgers: Ledgers, rounds: int, seconds: float) -> dict[str, float]:
    """Return the pairs/s of 64 callers, without and with a standby that commits wait for, in turn."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    store = ledgers.open["postgres"]()
    for _ in range(rounds):
        rates["without"].append(callers(store, seconds))
        with waiting(ledgers, "*"):
            rates["with"].append(callers(store, seconds))
    store.close()
    return {name: statistics.median(found) for name, found in rates.items()}


FILL = """
INSERT INTO ib.calls (session_key, rid, turn, attempt, client, model, model_returned, input_tokens,
    cached_tokens, output_tokens, reasoning_tokens, source, finish_reason, status, held_tokens, overdraft,
    token_budget, prompt_version, response_id, started_at, ended_at, charged_tokens)
SELECT s.session_key, 'old-' || s.session_id || '-' || n, 0, 1, 'c', 'gpt-5.4-mini', 'gpt-5.4-mini', 50,
    0, 25, 0, 'api', 'stop', 'settled', 100, 0,
    s.token_budget, '', '', 1.8e9 + n, 1.8e9 + n, 75
FROM ib.sessions AS s CROSS JOIN generate_series(1, %s) AS n"""

SUMS = """
UPDATE ib.sessions SET input_tokens = input_tokens + 50 * %(n)s, output_tokens = output_tokens + 25 * %(n)s,
    charged_tokens = charged_tokens + 75 * %(n)s, calls = calls + %(n)s"""


def fill(ledgers: Ledgers, rows: int) -> None:
    """Give each session its share of *rows* settled calls, as if they were older than the chain."""
    import psycopg

    with psycopg.connect(ledgers.url, autocommit=True) as db:
        each = rows // SESSIONS
        db.execute(FILL, (each,))
        db.execute(SUMS, {"n": each})
        db.execute("VACUUM (ANALYZE) ib.calls, ib.sessions")
        db.execute("CHECKPOINT")


def beside(full: Ledgers, few: Ledgers, rounds: int, seconds: float) -> dict[str, float]:
    """Return what `totals` and a pair take in a full ledger, and a pair beside few calls, in turn."""
    stores = {"full": full.open["postgres"](), "few": few.open["postgres"]()}
    times: dict[str, list[float]] = {"totals": [], "full": [], "few": []}
    number = dict.fromkeys(stores, 0)
    for _ in range(rounds):
        for name, store in stores.items():
            pair(store, "s0")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                times[name].append(pair(store, f"s{number[name] % SESSIONS}"))
                number[name] += 7
    for n in range(1_000):
        start = time.perf_counter()
        stores["full"].totals(f"s{n}")
        times["totals"].append((time.perf_counter() - start) * 1000)
    for store in stores.values():
        store.close()
    return {name: statistics.median(found) for name, found in times.items()}


def race(ledgers: Ledgers) -> dict[str, int]:
    """Let eight processes spend each kind's budgets until they are refused; return what was settled."""
    settled = {}
    for name, opener in ledgers.open.items():

        def work(number: int, opener: Opener = opener) -> int:
            store, done = opener(), 0
            for session in range(4):
                while held := store.reserve(f"s{session}", 100 + number, lease_s=60.0):
                    done += store.settle(held, CallEnd(60 + number, 40))
            store.close()
            return done

        settled[name] = sum(together(work))
    return settled
