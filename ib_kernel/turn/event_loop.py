"""The background event loop that every call runs on, and how work on it ends properly.

The cell's thread renders and stays interruptible; HTTP lives on one loop in one daemon thread, so that an
SDK's connection pool is never used from two loops (see docs/decisions/0002-background-loop.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """One event loop in one daemon thread, started at first use and again after a fork."""

    def __init__(self, name: str = "ib-kernel") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def start(
        self, work: Coroutine[Any, Any, T], on_done: Callable[[asyncio.Task[T]], None]
    ) -> Callable[[], None]:
        """Run work as a task on the loop.

        Args:
            work: The coroutine.
            on_done: Gets the task on the loop's thread when it has really ended: a cancelled task may
                still have a ledger write to finish.

        Returns:
            A function that cancels the task, from any thread.
        """
        loop = self._running()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(loop.create_task(work))
            tasks[0].add_done_callback(on_done)

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, which cancels everything
                loop.call_soon_threadsafe(lambda: tasks[0].cancel())

        loop.call_soon_threadsafe(begin)
        return cancel

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the loop and wait for its result.

        Args:
            work: The coroutine.

        Returns:
            Its result.
        """
        return asyncio.run_coroutine_threadsafe(work, self._running()).result()

    def close(self) -> None:
        """Cancel what is running, stop the loop and end its thread. Idempotent."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or self._pid != os.getpid() or not thread.is_alive():
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if (
                self._loop is None
                or self._pid != os.getpid()
                or not (self._thread and self._thread.is_alive())
            ):
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def to_end(work: Callable[[], T]) -> tuple[T, bool]:
    """Run blocking work in a worker thread and wait for its end, even when cancelled meanwhile.

    This is how a ledger write is never left half-known.

    Args:
        work: What to run.

    Returns:
        Its result, and whether a cancellation came in; the caller decides what that means now.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    return future.result(), cancelled
