"""Many callers of one process share a transaction, each with its own answer.

A lone caller writes directly. Who finds another at work queues, and a thread sends all that has queued up
meanwhile as one statement, without waiting for more; a second one gathers the next while the database works.
Nobody gets an answer before the commit.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import queue
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ib_kernel.errors import StoreError
from ib_postgres.database import Database
from ib_postgres.faults import Conflict, Refused

log = logging.getLogger(__name__)

MOST = 128
"""Writes in one transaction."""

THREADS = 2
"""Threads that send what has queued up."""

IDLE_S = 10.0
"""Seconds without work after which a thread ends; the next caller that queues starts another."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write: a function of the database by its name, and what it is asked.

    `undo` is what takes it back when nobody waits for its answer any more, None for no need.
    """

    name: str
    asked: dict[str, Any]
    undo: Write | None = None

    @property
    def order(self) -> int:
        """By what the writes of one transaction are sorted, so that two of them never wait in a circle."""
        return int(self.asked.get("session_key", -1))


@dataclass(slots=True, eq=False)
class _Queued:
    write: Write
    future: asyncio.Future[Any] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    done: threading.Lock | None = None  # held until there is an answer: an Event costs five times as much
    answer: Any = None
    error: BaseException | None = None
    answered: bool = False
    unwanted: bool = False


_open: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """Sends writes to the database, alone or together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()  # None: end when all is done
        self._alone = threading.Lock()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._busy, self._closing = 0, False

    def run(self, write: Write) -> Any:
        """Do *write* and return its answer once it is durable, or raise its error."""
        if self._queue.empty() and self._alone.acquire(blocking=False):
            try:
                return self._database.write(write.name, write.asked)
            except KeyboardInterrupt:  # whether it was done is not known
                self._take_back(write)
                raise
            finally:
                self._alone.release()
        done = threading.Lock()
        done.acquire()
        queued = _Queued(write, done=done)
        self._put(queued)
        try:
            done.acquire()
        except BaseException:
            queued.unwanted = True
            if queued.answered:
                self._take_back(write)
            raise
        if queued.error is not None:
            raise queued.error
        return queued.answer

    async def arun(self, write: Write) -> Any:
        """Do *write* beside the event loop; that of a caller who was cancelled is taken back."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._put(_Queued(write, future, loop))
        return await future

    def _put(self, queued: _Queued) -> None:
        with self._guard:
            self._queue.put(queued)
            self._closing = False
            if self._busy == len(self._threads) < THREADS:
                thread = threading.Thread(target=self._serve, name="ib-postgres-writer", daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Do what is queued and end the threads. A later caller starts another."""
        with self._guard:
            threads, self._closing = list(self._threads), True
            for _ in threads:
                self._queue.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _serve(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                first = None
            if first is None:
                with self._guard:
                    if self._closing or self._queue.empty():
                        self._threads.remove(threading.current_thread())
                        return
                continue
            with self._guard:
                self._busy += 1
            batch = self._gather(first)
            self._commit(batch)
            with self._guard:
                self._busy -= 1
            self._answer(batch)

    def _gather(self, first: _Queued) -> list[_Queued]:
        batch = [first]
        with suppress(queue.Empty):
            while len(batch) < MOST:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
        return batch

    def _commit(self, batch: list[_Queued]) -> None:
        """Do *batch* in one transaction, or each on its own when one of them fails."""
        if len(batch) > 1:
            ordered = sorted(batch, key=lambda queued: queued.write.order)
            try:
                answers = self._database.write_all([(q.write.name, q.write.asked) for q in ordered])
            except (Conflict, Refused):  # one of them: nothing was done
                log.debug("%d writes are done one by one", len(batch))
            except StoreError as error:  # nobody's own: the ledger is away
                for queued in batch:
                    queued.error = error
                return
            else:
                for queued, answer in zip(ordered, answers, strict=True):
                    queued.answer = answer
                return
        for queued in batch:
            try:
                queued.answer = self._database.write(queued.write.name, queued.write.asked)
            except Exception as error:  # noqa: BLE001 (its caller's)
                queued.error = error

    def _answer(self, batch: Sequence[_Queued]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Queued]] = collections.defaultdict(list)
        for queued in batch:
            if queued.loop is not None:
                loops[queued.loop].append(queued)
            elif queued.done is not None:
                queued.answered = True
                queued.done.release()
                if queued.unwanted:
                    self._take_back(queued.write)
        for loop, theirs in loops.items():
            try:
                loop.call_soon_threadsafe(self._deliver, theirs)
            except RuntimeError:  # the loop has been closed
                for queued in theirs:
                    self._take_back(queued.write)

    def _deliver(self, batch: Sequence[_Queued]) -> None:
        for queued in batch:
            assert queued.future is not None  # noqa: S101 (for the type checker)
            if queued.future.done():  # cancelled
                self._take_back(queued.write)
            elif queued.error is not None:
                queued.future.set_exception(queued.error)
            else:
                queued.future.set_result(queued.answer)

    def _take_back(self, write: Write) -> None:
        if write.undo is not None:
            self._put(_Queued(write.undo))


def _in_child() -> None:
    for writer in list(_open):
        writer._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
