"""Many callers of one process share a durable transaction, each with its own answer.

A lone caller writes directly. Who finds the ledger busy with others of this process queues, first come, first
served, and one thread commits what has queued up meanwhile, without waiting for more. Nobody gets an answer
before the commit.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import apsw

from ib_duckdb.batch import Batch
from ib_duckdb.hot import Hot
from ib_duckdb.opened import BUSY_S
from ib_kernel.errors import StoreError

T = TypeVar("T")

MOST = 128
"""Operations in one transaction."""

TOGETHER = 64
"""Operations that are done jointly at most, before another process is looked for."""

TOGETHER_SHARED = 8
"""The same while other processes write too: 64 take 5 ms, for which a lone caller of another would wait."""

WHOLE = 16
"""Operations that are done jointly even then, if there are no more: cutting a few costs more than they do."""

SHARED_FOR_S = 1.0
"""Seconds for which another process that was seen to wait is expected to come again."""

SHARE_S = 0.001
"""Seconds of a transaction after which it ends if another process waits; the rest goes into the next one."""

LOOK_S = 0.0005
"""Seconds between two looks for such a process."""

COME_S = 0.00005
"""Seconds between two looks for callers who are on their way to the queue (see `Writer._let_come`)."""

ALL_COME_S = 0.005
"""Seconds to wait for them at most."""

IDLE_S = 10.0
"""Seconds without work after which the thread ends; the next caller that queues starts another."""


@dataclass(slots=True)
class Joint(Generic[T]):
    """How an operation is done together with others: `do` changes what the `Batch` has read.

    It returns None, having changed nothing, when that is not all that the operation needs: then its `work` is
    run. The batch has read the session or the reservation that is named here.
    """

    do: Callable[[Batch], T | None]
    session_id: str = ""
    rid: str = ""


@dataclass(slots=True)
class Operation(Generic[T]):
    """A write: `work` does it in an open transaction and may be run again; `undo` takes an answer back.

    `undo` makes the operation that takes back an answer which nobody waits for any more, None for no need.
    `joint` does the same as `work` for many operations at once, None where that is not possible.
    """

    work: Callable[[apsw.Connection], T]
    undo: Callable[[T], Operation[Any] | None] | None = None
    joint: Joint[T] | None = None


@dataclass(slots=True, eq=False)
class _Queued:
    operation: Operation[Any]
    future: asyncio.Future[Any] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    done: threading.Lock | None = None
    answer: Any = None
    error: BaseException | None = None
    unwanted: bool = field(default=False)


class Writer:
    """Runs operations on the hot ledger, alone or together."""

    def __init__(self, hot: Hot, clock: Callable[[], float]) -> None:
        self._hot, self._clock = hot, clock
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()  # None: end when all is done
        self._left: collections.deque[_Queued] = collections.deque()  # of a transaction that ended early
        self._others_until = 0.0  # until when other processes are expected to wait for the ledger
        self._shared = False  # whether callers share transactions: then nobody waits for one of his own
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, operation: Operation[T]) -> T:
        """Run *operation* and return its answer once it is durable, or raise its error."""
        if not self._left and self._queue.empty() and not self._hot.in_use:
            was_free, found = self._hot.do(operation.work, 0.0 if self._shared else BUSY_S)
            if was_free:
                return found  # type: ignore[return-value]  # what `work` has returned
        done = threading.Lock()
        done.acquire()
        queued = _Queued(operation, done=done)
        self._put(queued)
        try:
            done.acquire()
        except BaseException:  # interrupted: the write goes on, and its answer is taken back
            queued.unwanted = True
            if done.acquire(blocking=False):
                self._take_back(queued)
            raise
        if queued.error is not None:
            raise queued.error
        answer: T = queued.answer
        return answer

    async def arun(self, operation: Operation[T]) -> T:
        """Run *operation* beside the event loop; the answer of a caller that was cancelled is taken back."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Queued(operation, future, loop))
        return await future

    def _put(self, queued: _Queued) -> None:
        self._hot.fork.refuse(self._hot.path)
        with self._guard:
            self._queue.put(queued)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ib-writer", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Do what is queued and end the thread. A later caller starts another."""
        with self._guard:
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _serve(self) -> None:
        while True:
            if not self._left:
                try:
                    first = self._queue.get(timeout=IDLE_S)
                except queue.Empty:
                    first = None
                if first is None:
                    with self._guard:
                        if self._queue.empty():
                            self._thread = None
                            return
                    continue
                self._left.append(first)
            batch: list[_Queued] = []
            self._let_come()
            try:
                with self._hot.alone():
                    batch = self._gather()  # whoever has come while we waited is in it
                    self._shared = len(batch) > 1
                    self._commit(batch)
            except Exception as error:  # noqa: BLE001 (nobody's own: nothing was done)
                batch = batch or self._gather()
                for queued in batch:
                    queued.error = error
            self._answer(batch)

    def _let_come(self) -> None:
        """Let those who have just got their answers ask again, before the ledger is taken.

        They need the interpreter, which every statement lets go of: who holds the ledger would wait for each
        of them at each statement, and other processes for all of that. One caller is not waited for.
        """
        if not self._shared:
            return
        until, came = time.monotonic() + ALL_COME_S, -1
        while came < (now := self._queue.qsize()) < MOST and time.monotonic() < until:
            came = now
            time.sleep(COME_S)

    def _gather(self) -> list[_Queued]:
        """Take the operations of the next transaction, in the order in which they came."""
        batch = self._left
        with suppress(queue.Empty):
            while len(batch) < MOST:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
        self._left = collections.deque()
        return list(batch)

    def _commit(self, batch: list[_Queued]) -> None:
        """Do *batch* in one transaction, with a savepoint each when one of them fails.

        What another process that waits leaves no time for is taken off *batch*, for the next one.
        """
        try:
            try:
                with self._hot.transaction() as db:
                    self._work(db, batch)
                return
            except Exception as error:  # noqa: BLE001 (each caller's own)
                if len(batch) == 1:
                    batch[0].error = error
                    return
            with self._hot.transaction() as db:
                for queued in batch:
                    _apart(db, queued)
        except Exception as error:  # noqa: BLE001 (the transaction itself failed: nothing of it is there)
            for queued in batch:
                queued.error = error

    def _work(self, db: apsw.Connection, batch: list[_Queued]) -> None:
        """Do the operations in their order, neighbours that can be done jointly with a few statements."""
        now, done = time.monotonic(), 0
        is_shared = now <= self._others_until and len(batch) > WHOLE
        soon, most = now + SHARE_S, TOGETHER_SHARED if is_shared else TOGETHER
        while done < len(batch):
            ahead = list(itertools.islice(_leading(batch, done), most))
            jointly = self._jointly(db, ahead) if len(ahead) > 1 else 0
            after = done + max(1, len(ahead))
            for queued in batch[done + jointly : after]:
                queued.answer = queued.operation.work(db)
            done = after
            if time.monotonic() > soon:  # a look costs as much as a statement: now and then is enough
                soon = time.monotonic() + LOOK_S
                if self._hot.wanted():
                    self._others_until = soon + SHARED_FOR_S
                    self._left.extend(batch[done:])
                    del batch[done:]

    def _jointly(self, db: apsw.Connection, ahead: list[_Queued]) -> int:
        """Do the first of those operations together, up to one that needs more; return how many."""
        joint = [queued.operation.joint for queued in ahead if queued.operation.joint is not None]
        together = Batch(db, float(self._clock()))
        together.read({one.session_id for one in joint} - {""}, {one.rid for one in joint} - {""})
        done = 0
        for queued, one in zip(ahead, joint, strict=True):
            answer = one.do(together)
            if answer is None:
                break
            queued.answer = answer
            done += 1
        together.write()
        return done

    def _answer(self, batch: list[_Queued]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Queued]] = collections.defaultdict(list)
        for queued in batch:
            if queued.loop is not None:
                loops[queued.loop].append(queued)
            elif queued.done is not None:
                queued.done.release()
                if queued.unwanted and queued.done.acquire(blocking=False):
                    self._take_back(queued)
        for loop, theirs in loops.items():
            try:
                loop.call_soon_threadsafe(self._deliver, theirs)
            except RuntimeError:  # the loop has been closed
                for queued in theirs:
                    self._take_back(queued)

    def _deliver(self, batch: list[_Queued]) -> None:
        for queued in batch:
            assert queued.future is not None  # noqa: S101 (for the type checker)
            if queued.future.done():  # cancelled
                self._take_back(queued)
            elif queued.error is not None:
                queued.future.set_exception(queued.error)
            else:
                queued.future.set_result(queued.answer)

    def _take_back(self, queued: _Queued) -> None:
        if queued.error is None and queued.operation.undo is not None:
            undo = queued.operation.undo(queued.answer)
            if undo is not None:
                with suppress(StoreError):  # it then becomes unresolved when its lease ends
                    self._put(_Queued(undo))


def _leading(batch: list[_Queued], start: int) -> Iterator[_Queued]:
    """Yield the operations from *start* on that can be done jointly, up to the first that cannot."""
    rest = itertools.islice(batch, start, None)
    return itertools.takewhile(lambda queued: queued.operation.joint is not None, rest)


def _apart(db: apsw.Connection, queued: _Queued) -> None:
    """Do one operation of many in a savepoint of its own. Raises when the whole transaction is gone."""
    db.execute("SAVEPOINT one")
    try:
        queued.answer, queued.error = queued.operation.work(db), None
    except Exception as error:
        if not db.in_transaction:  # a full disk takes back everything
            raise
        db.execute("ROLLBACK TO one")
        queued.error = error
    db.execute("RELEASE one")
