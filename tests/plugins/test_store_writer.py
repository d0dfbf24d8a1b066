"""Many callers share a transaction, and each gets its own answer, once it is durable."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ib_duckdb.locks import FairLock
from ib_duckdb.store import DuckDBStore
from ib_duckdb.writer import Operation, Writer
from ib_kernel.errors import ConfigError, ReservationError, StoreError, UnknownSession
from ib_kernel.values import CallEnd, CallStart, Message, NewSession, Refusal, Reservation, Status


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with two active sessions; at the end it must add up."""
    store = DuckDBStore(folder, background=False)
    for name in ("s", "t"):
        store.open_session(NewSession(name, "Ada", 10_000, "m"))
        store.set_status(name, Status.ACTIVE)
    yield store
    assert store.check() == []
    store.close()


class Held:
    """While entered, the ledger is busy; `sizes` are those of the transactions of the store's own thread."""

    def __init__(self, store: DuckDBStore) -> None:
        self.store = store
        self._commit = store._writer._commit
        self._alone = store._hot.alone()
        self.sizes: list[int] = []

    def __enter__(self) -> Held:
        self._alone.__enter__()

        def counted(batch: list[Any]) -> None:
            self.sizes.append(len(batch))
            self._commit(batch)

        self.store._writer._commit = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *error: object) -> None:
        self._alone.__exit__(None, None, None)


def in_threads(works: list[Callable[[], Any]]) -> list[Any]:
    """Run each of *works* in a thread; return their answers or errors in order."""
    answers: list[Any] = [None] * len(works)

    def run(number: int) -> None:
        try:
            answers[number] = works[number]()
        except BaseException as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def reserve(store: DuckDBStore, tokens: int = 100, session: str = "s") -> Reservation:
    """Hold tokens; the test fails when that is refused."""
    held = store.reserve(session, tokens, lease_s=60.0)
    assert isinstance(held, Reservation)
    return held


async def gathered(store: DuckDBStore, count: int, tokens: int) -> list[Any]:
    """Ask for *count* reservations at once."""
    asked = (store.areserve("s", tokens, lease_s=60.0) for _ in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


def test_callers_on_a_loop_share_transactions_and_never_overspend(store: DuckDBStore) -> None:
    """Of 150 that ask at once for 100 of 10,000 tokens, a hundred get them, in a few transactions."""
    with Held(store) as busy:
        loop = asyncio.new_event_loop()
        task = loop.create_task(gathered(store, 150, 100))
        loop.run_until_complete(asyncio.sleep(0.05))
    answers = loop.run_until_complete(task)
    kinds = Counter(type(answer) for answer in answers)
    assert kinds == {Reservation: 100, Refusal: 50}
    assert max(busy.sizes) > 20
    assert sum(busy.sizes) == 150
    totals = store.totals("s")
    assert (totals.held, totals.left) == (10_000, 0)

    async def settle_all() -> list[bool]:
        held = [answer for answer in answers if isinstance(answer, Reservation)]
        text = [Message(1, "user", "q")]
        return await asyncio.gather(*(store.asettle(one, CallEnd(10, 5), messages=text) for one in held))

    assert loop.run_until_complete(settle_all()) == [True] * 100
    assert store.totals("s").used == 1_500
    loop.close()


def test_each_caller_gets_its_own_answer(store: DuckDBStore) -> None:
    """Refused, unknown, wrong and well: what one of a batch gets is nothing to the others."""
    first, second = reserve(store), reserve(store)
    store.settle(first, CallEnd(1, 1))

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(
            store.areserve("s", 10**9, lease_s=60.0),
            store.acharge("nobody", CallEnd(1, 1)),
            store.asettle(second, CallEnd(10, 5)),
            store.arelease(Reservation("unknown", "s", 1, 0.0)),
            store.areserve("nobody", 1, lease_s=60.0),
            store.areserve("t", 10, lease_s=60.0),
            store.asettle(first, CallEnd(1, 1)),
            return_exceptions=True,
        )

    loop = asyncio.new_event_loop()
    with Held(store) as busy:
        task = loop.create_task(all_at_once())
        loop.run_until_complete(asyncio.sleep(0.05))
    answers = loop.run_until_complete(task)
    loop.close()
    assert answers[0] == Refusal("budget", 9_898, "active")
    assert isinstance(answers[1], UnknownSession)
    assert answers[2] is True
    assert isinstance(answers[3], ReservationError)
    assert answers[4] == Refusal("unknown_session")
    assert isinstance(answers[5], Reservation)
    assert answers[6] is True
    assert busy.sizes[-1] > 1
    assert (store.totals("s").used, store.totals("s").held, store.totals("t").held) == (17, 0, 10)


def test_what_is_wrong_from_the_start_is_not_queued(store: DuckDBStore) -> None:
    """Bad figures are refused before anything is written."""
    loop = asyncio.new_event_loop()
    with pytest.raises(ConfigError, match="tokens"):
        loop.run_until_complete(store.areserve("s", -1, lease_s=60.0))
    loop.close()


def test_turns_that_share_a_transaction_have_numbers_of_their_own(store: DuckDBStore) -> None:
    """Also when the transaction is tried again with a savepoint each."""

    async def all_at_once() -> list[Any]:
        asked = [store.areserve("s", 1, lease_s=60.0, call=CallStart(turn=None)) for _ in range(20)]
        return await asyncio.gather(*asked, store.acharge("nobody", CallEnd(1, 1)), return_exceptions=True)

    loop = asyncio.new_event_loop()
    with Held(store):
        task = loop.create_task(all_at_once())
        loop.run_until_complete(asyncio.sleep(0.05))
    answers = loop.run_until_complete(task)
    loop.close()
    turns = [answer.call.turn for answer in answers[:20]]
    assert sorted(turns) == list(range(min(turns), min(turns) + 20))


def test_threads_that_find_it_busy_queue_and_are_answered(store: DuckDBStore) -> None:
    """Synchronous callers share as well."""
    with Held(store) as busy:
        works = [lambda: reserve(store, 10) for _ in range(20)]
        threads = threading.Thread(target=lambda: answers.extend(in_threads(works)))
        answers: list[Any] = []
        threads.start()
        until(lambda: store._writer._queue.qsize() == 19)  # the store's thread has the first in its hands
    threads.join(30)
    assert [type(answer) for answer in answers] == [Reservation] * 20
    assert max(busy.sizes) > 1
    assert store.totals("s").held == 200


def test_a_lone_caller_needs_no_thread(store: DuckDBStore) -> None:
    """Nothing is started, and nothing is waited for, while nobody else writes."""
    store.settle(reserve(store), CallEnd(1, 1))
    assert store._writer._thread is None


def test_a_lone_caller_waits_for_another_process_itself(store: DuckDBStore, folder: Path) -> None:
    """To be woken by way of a thread would cost it more than its write."""
    other = FairLock(folder / "hot.lock")  # as another process has it
    assert other.acquire(0)
    timer = threading.Timer(0.3, other.release)
    timer.start()
    store.settle(reserve(store), CallEnd(1, 1))
    timer.join()
    assert store._writer._thread is None
    other.close()


def test_nobody_is_answered_before_the_commit(store: DuckDBStore) -> None:
    """A commit that fails fails everybody in it, and nothing of it is there."""
    with store._hot.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()
        assert pages is not None
        db.execute(f"PRAGMA max_page_count = {pages[0]}").fetchall()
    text = [Message(1, "user", "x" * 300_000)]

    async def all_at_once() -> list[Any]:
        asked = [store.acharge("s", CallEnd(1, 1), messages=text) for _ in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    loop = asyncio.new_event_loop()
    with Held(store):
        task = loop.create_task(all_at_once())
        loop.run_until_complete(asyncio.sleep(0.05))
    answers = loop.run_until_complete(task)
    loop.close()
    assert all(isinstance(answer, StoreError) for answer in answers), answers
    assert "full" in str(answers[0])
    with store._hot.read() as db:
        db.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert store.totals("s").used == 0
    assert store.charge("s", CallEnd(1, 1)).used == 2


def test_a_transaction_ends_early_for_another_process_that_waits(
    store: DuckDBStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest comes after that one's turn, in its order."""
    monkeypatch.setattr("ib_duckdb.writer.SHARE_S", -1.0)
    gate = FairLock(folder / "hot.lock")._gate  # who waits for the ledger holds it
    done: list[int] = []

    async def three() -> None:
        writer = store._writer
        first = asyncio.ensure_future(writer.arun(Operation(lambda db: gate.acquire(0))))
        rest = [asyncio.ensure_future(writer.arun(Operation(lambda db, n=n: done.append(n)))) for n in (2, 3)]
        await asyncio.sleep(0.05)
        busy.store._hot.fork.writing.release()
        assert await first
        assert done == []
        gate.release()
        await asyncio.gather(*rest)
        busy.store._hot.fork.writing.acquire()

    with Held(store) as busy:
        asyncio.run(three())
    assert done == [2, 3]


def _released(store: DuckDBStore) -> int:
    with store._hot.read() as db:
        return int(db.execute("SELECT count(*) FROM released").fetchall()[0][0])


def test_a_cancelled_reservation_is_released(store: DuckDBStore) -> None:
    """Who is cancelled while waiting leaves nothing held."""

    async def asks() -> None:
        task = asyncio.ensure_future(store.areserve("s", 500, lease_s=60.0))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop = asyncio.new_event_loop()
    with Held(store):
        loop.run_until_complete(asks())
    while not _released(store):
        loop.run_until_complete(asyncio.sleep(0.02))
    assert store.reservations("s") == []
    loop.close()


def test_a_loop_that_is_gone_leaves_nothing_held(store: DuckDBStore) -> None:
    """Its answers have nobody to go to."""
    loop = asyncio.new_event_loop()
    with Held(store):
        task = loop.create_task(store.areserve("s", 500, lease_s=60.0))
        loop.run_until_complete(asyncio.sleep(0.05))
        task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    until(lambda: not store.reservations("s"))


def test_an_interrupted_caller_leaves_nothing_held(store: DuckDBStore) -> None:
    """The write goes on, and its answer is taken back."""
    inside, over = threading.Event(), threading.Event()

    def holds() -> None:
        with store._hot.alone():
            inside.set()
            over.wait(30)

    thread = threading.Thread(target=holds)
    thread.start()
    inside.wait(30)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        reserve(store, 500)
    over.set()
    thread.join()
    until(lambda: store._writer._queue.empty() and not store.reservations("s"))
    assert store.totals("s").held == 0


def test_callers_on_their_way_to_the_queue_are_waited_for(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as more come, where several share transactions; a lone one waits for nobody."""
    writer, looks = store._writer, []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) < 4:
            writer._queue.put(None)

    monkeypatch.setattr("ib_duckdb.writer.time.sleep", sleep)
    for shared, expected in ((False, 0), (True, 4)):
        writer._shared = shared
        writer._let_come()
        assert len(looks) == expected
    while not writer._queue.empty():
        writer._queue.get_nowait()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; fail after half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_the_thread_ends_when_it_has_nothing_to_do(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another one begins with the next caller that queues."""
    monkeypatch.setattr("ib_duckdb.writer.IDLE_S", 0.02)
    for _ in range(2):
        assert asyncio.run(store.areserve("s", 1, lease_s=60.0))
        until(lambda: store._writer._thread is None)


def test_an_operation_that_is_run_again_starts_from_nothing(store: DuckDBStore) -> None:
    """The first run of a batch that fails leaves no trace of any of its operations."""
    runs = []

    def counts(db: apsw.Connection) -> int:
        runs.append(db.execute("SELECT count(*) FROM released").fetchone())
        db.execute("INSERT INTO released VALUES (hex(randomblob(8)), 0)")
        return len(runs)

    def fails(db: apsw.Connection) -> int:
        raise ValueError

    loop = asyncio.new_event_loop()
    writer: Writer = store._writer

    async def both() -> list[Any]:
        asked = [
            writer.arun(Operation(counts)),
            writer.arun(Operation(fails)),
            writer.arun(Operation(counts)),
        ]
        return await asyncio.gather(*asked, return_exceptions=True)

    with Held(store):
        task = loop.create_task(both())
        loop.run_until_complete(asyncio.sleep(0.05))
    answers = loop.run_until_complete(task)
    loop.close()
    assert isinstance(answers[1], ValueError)
    assert runs[-2:] == [(0,), (1,)] or runs[-1] == (1,)
    with store._hot.read() as db:
        assert db.execute("SELECT count(*) FROM released").fetchone() == (2,)


CROWD = """
import asyncio, sys
from pathlib import Path
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import *
store = DuckDBStore(Path(sys.argv[1]), background=False)
async def spend():
    done = 0
    while held := await store.areserve('s', 20, lease_s=60.0):
        done += await store.asettle(held, CallEnd(10, 5))
    return done
async def main(): print(sum(await asyncio.gather(*(spend() for _ in range(16)))))
asyncio.run(main())
"""


def test_processes_with_many_callers_each_never_overspend(store: DuckDBStore, folder: Path) -> None:
    """Sixteen callers in each of three processes race to the end of one budget."""
    command = [sys.executable, "-c", CROWD, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    settled = sum(int(process.communicate()[0]) for process in processes)
    totals = store.totals("s")
    assert totals.used == 15 * settled
    assert totals.held == 0
    assert 10_000 - 20 < totals.used <= 10_000


KILLED = """
import asyncio, os, sys
from pathlib import Path
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import *
store = DuckDBStore(Path(sys.argv[1]), background=False)
async def spend():
    while True:
        held = await store.areserve('t', 2, lease_s=60.0)
        if not held: return
        await store.asettle(held, CallEnd(1, 0, response_id=held.reservation_id))
        os.write(1, held.reservation_id.encode() + b'\\n')
async def main(): await asyncio.gather(*(spend() for _ in range(32)))
asyncio.run(main())
"""


def test_nothing_acknowledged_in_a_batch_is_lost_by_a_kill(store: DuckDBStore, folder: Path) -> None:
    """What was settled before `kill -9` is there, whoever shared its transaction."""
    acknowledged: list[str] = []
    for lines in (40, 90, 160):
        command = [sys.executable, "-c", KILLED, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(lines)]
            process.kill()
            acknowledged += process.stdout.read().split("\n")[:-1]
    rows = store.sql("SELECT response_id FROM calls WHERE session_id = 't'").rows
    there = [rid for (rid,) in rows]
    assert len(set(there)) == len(there)
    assert set(acknowledged) <= set(there)
