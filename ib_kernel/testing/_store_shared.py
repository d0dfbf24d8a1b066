"""`BudgetStoreContract`, third part: many threads, many processes, ``kill -9``, and any history at all."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.testing._store_base import Clock, StoreBase, begin, reserve, spend
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message

PROCESSES, PAIRS = 8, 200
"""How many processes race, and how many reservations each asks for."""

KILLS = 4
"""How many writers are killed in one test."""

LIMIT_S = 60.0
"""Seconds after which a test gives up on another process."""


class Threads(StoreBase):
    """One store, many threads."""

    def test_threads_never_exceed_the_budget(self, store: BudgetStore) -> None:
        """Threads race for the last tokens: what is admitted fits, and every settle is counted once."""
        begin(store, 1_000)
        admitted, errors = [], []

        def work() -> None:
            try:
                for _ in range(10):
                    held = store.reserve("s", 50, lease_s=60.0)
                    if held:
                        admitted.append(held)
                        store.totals("s")
            except Exception as error:  # noqa: BLE001 (shown by the test)
                errors.append(error)

        _together(8, work)
        assert errors == []
        assert len(admitted) == 20
        assert store.totals("s").left == 0
        for held in admitted:
            assert store.settle(held, CallEnd(20, 20))
        assert store.totals("s").used == 800

    def test_one_of_many_settles_wins(self, store: BudgetStore) -> None:
        """Eight threads settle one reservation by eight figures: one is true, the others are events."""
        begin(store)
        held = reserve(store, 100)
        figures, told = iter(range(1, 9)), {}

        def work() -> None:
            used = next(figures)
            told[used] = store.settle(held, CallEnd(used, 0))

        _together(8, work)
        assert sorted(told.values()) == [False] * 7 + [True]
        assert told[store.totals("s").used]
        assert [e.kind for e in store.events("s")].count("settled_again") == 7

    def test_threads_share_the_numbers_of_turns(self, store: BudgetStore) -> None:
        """Eight threads begin turns at once: no number is given twice, none is left out."""
        begin(store)
        turns: list[int] = []

        def work() -> None:
            for count in range(5):
                held = reserve(store, 1, call=CallStart(turn=None))
                turns.append(held.turn)
                if count % 2:
                    store.release(held, CallEnd(0, 0, error="ServerFailed"))
                else:
                    store.settle(held, CallEnd(1, 0), messages=[Message(0, "user", str(held.turn))])

        _together(8, work)
        assert sorted(turns) == list(range(1, 41))
        assert all(m.content == str(m.turn) for m in store.history("s"))


class Persistence(StoreBase):
    """What another store on the same ledger finds; skipped for ledgers that die with their store."""

    def test_a_ledger_outlives_its_store(self, store: BudgetStore, folder: Path, clock: Clock) -> None:
        """Sums, reservations, transcript and events are there for who opens the ledger next."""
        begin(store)
        held, doubtful = reserve(store, 100), reserve(store, 200)
        store.mark_unresolved(doubtful, "timeout")
        store.charge("s", CallEnd(3, 4), messages=[Message(1, "user", "hello")])
        other = self.again(folder, clock)
        assert other.totals("s") == store.totals("s")
        assert other.reservations() == store.reservations()
        assert (other.history("s"), other.events("s")) == (store.history("s"), store.events("s"))
        assert other.session("s") == store.session("s")
        assert other.settle(held, CallEnd(1, 1))
        assert store.settle(held, CallEnd(1, 1))
        assert not store.settle(held, CallEnd(2, 2))
        other.close()

    def test_closing_twice_is_harmless(self, folder: Path, clock: Clock) -> None:
        """A store can be closed again and again."""
        store = self.make_store(folder, clock)
        begin(store)
        spend(store, 1, 1)
        store.close()
        store.close()


class Processes(StoreBase):
    """Several processes on one ledger; skipped for stores that say they serve one."""

    @pytest.fixture
    def real(self, folder: Path) -> Iterator[BudgetStore]:
        """A store on real time, which its processes share."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store = self.make_store(folder, Clock(time.time()))
        yield store
        assert store.check() == []
        store.close()

    def test_processes_never_exceed_the_budget(self, real: BudgetStore, folder: Path) -> None:
        """Eight processes, 200 reservations each: the budget is kept, the rows add up to what was told."""
        budget = PROCESSES * PAIRS * 60 * 3 // 4  # a quarter of them must be refused
        begin(real, budget)
        with ExitStack() as stack:
            racers = [stack.enter_context(self._process(folder, "race", PAIRS)) for _ in range(PROCESSES)]
            for racer in racers:
                _say(racer)
            told = [_hear(racer) for racer in racers]
        settled = sum(answer["settled"] for answer in told)
        totals = real.totals("s")
        assert (totals.used, totals.held, totals.in_doubt) == (settled * 60, 0, 0)
        assert settled + sum(answer["refused"] for answer in told) == PROCESSES * PAIRS
        assert totals.used <= budget
        assert totals.calls == settled >= (budget - PROCESSES * 100) // 60
        if self.answers_sql:
            assert real.sql("SELECT count(*), sum(total_tokens) FROM calls").rows == [(settled, settled * 60)]

    def test_processes_share_the_numbers_of_turns(self, real: BudgetStore, folder: Path) -> None:
        """Processes begin, fail and repeat turns at once: no pair of turn and attempt is there twice."""
        begin(real, 10**6)
        with ExitStack() as stack:
            racers = [stack.enter_context(self._process(folder, "number", 30)) for _ in range(4)]
            for racer in racers:
                _say(racer)
            turns = [turn for racer in racers for turn in _hear(racer)["turns"]]
        assert sorted(turns) == list(range(1, 121))
        if self.answers_sql:
            pairs = "SELECT count(*), count(DISTINCT (turn, attempt)), count(DISTINCT turn) FROM calls"
            assert real.sql(pairs).rows == [(160, 160, 120)]

    def test_a_killed_owner_leaves_it_unresolved(self, real: BudgetStore, folder: Path) -> None:
        """A process killed between reserve and settle leaves its tokens held, unresolved after the lease."""
        begin(real)
        with self._process(folder, "reserve", 600) as owner:
            _say(owner)
            rid = _hear(owner)["held"]
            owner.kill()
            owner.wait(LIMIT_S)
        assert (real.totals("s").held, real.totals("s").left) == (600, 400)
        later = self.again(folder, Clock(time.time() + 61))
        assert (later.totals("s").held, later.totals("s").in_doubt) == (0, 600)
        assert later.resolve(rid, CallEnd(10, 10), who="Ada")
        assert later.totals("s").used == 20
        later.close()

    def test_a_killed_writer_loses_nothing(self, real: BudgetStore, folder: Path) -> None:
        """Writers are killed at any moment: every acknowledged settle is there, once; nobody is stuck."""
        begin(real, 10**9)
        told = 0
        for kill in range(KILLS):
            with self._process(folder, "acknowledge", 10**6) as writer:
                _say(writer)
                for _ in range(10 + 7 * kill):
                    assert _hear(writer)["settled"]
                writer.kill()
                assert writer.stdout is not None
                rest = writer.stdout.read()  # through the same buffer: what readline had taken in is in it
                writer.wait(LIMIT_S)
                told += 10 + 7 * kill + sum(line.endswith("}") for line in rest.splitlines())
            spend(real, 1, 1)
        calls = real.totals("s").calls
        assert told + KILLS <= calls <= told + 2 * KILLS  # settled, and killed before it could be told
        assert real.check() == []

    @contextmanager
    def _process(self, folder: Path, what: str, times: int) -> Iterator[subprocess.Popen[str]]:
        arguments = [self.process_factory, str(folder), what, str(times)]
        command = [sys.executable, "-m", "ib_kernel.testing._store_child", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
            try:
                assert _hear(process)["ready"]
                yield process
            finally:
                process.kill()


def _together(count: int, work: Any) -> None:
    barrier = threading.Barrier(count)

    def start() -> None:
        barrier.wait(LIMIT_S)
        work()

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the other process ended without a word"
    return json.loads(line)
