"""A reply as its reader sees it: pieces while they come, then the figures; leaving ends everything.

`Reply` bridges the background loop and the reader's thread or event loop. Read it with ``with`` and
``for`` or with ``async with`` and ``async for``; both poll or await in a way that an interrupt ends at
once. Leaving the context, by whatever way, ends the HTTP stream and the reservation.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any

from ib_kernel.errors import Stopped
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.footer import footer
from ib_kernel.turn.turn import Notice, Turn, TurnResult
from ib_kernel.values import Piece, Reservation

_POLL_S = 0.05
"""How often a waiting reader looks up, so that Ctrl-C works where locks cannot be interrupted (Windows)."""
_END_S = 15.0
"""How long leaving waits for the ledger at most; the write goes on in the background after that."""


class Reply:
    """One turn in flight. Iterating yields pieces of text; `result` is there once it has ended.

    Raises what refused or failed the turn (see `ib_kernel.errors`) from the iteration. `on_notice` is
    called with each line worth showing while waiting, `on_wait` about twenty times a second while nothing
    new comes (blocking reading only); both on the reader's thread.
    """

    def __init__(
        self, loop: BackgroundLoop, turn: Callable[[Callable[[Piece | Notice], None]], Turn]
    ) -> None:
        self._loop = loop
        self._turn = turn(self._put)
        self._items: collections.deque[Piece | Notice] = collections.deque()
        self._ready = threading.Condition()
        self._wake: Callable[[], Any] | None = None
        self._task: asyncio.Task[TurnResult] | None = None
        self._began, self._ended = threading.Event(), threading.Event()
        self._stopping = False
        self._cancel: Callable[[], None] = lambda: None
        self._read: list[str] = []
        self.on_notice: Callable[[str], None] = lambda text: None
        self.on_wait: Callable[[], None] = lambda: None
        self.result: TurnResult | None = None

    @property
    def text(self) -> str:
        """The reply so far, or the whole of it."""
        return self.result.text if self.result else "".join(self._read)

    @property
    def footer(self) -> str:
        """The line of figures under an ended reply."""
        if self.result is None:
            raise Stopped("The reply has not ended yet.")
        told: str | None = getattr(self.result, "footer", None)  # by a host
        return footer(self.result) if told is None else told

    @property
    def reservation(self) -> Reservation | None:
        """What the turn's last attempt has reserved; None before anything was."""
        return self._turn.reservation

    @property
    def stopped(self) -> bool:
        """Whether the turn was ended early by its reader."""
        return self._task is not None and self._task.cancelled()

    def stop(self) -> None:
        """End the turn early: its stream and its reservation. Safe from any thread or signal handler."""
        if not self._stopping:  # once: a second cancellation would cut the first one's tidying short
            self._stopping = True
            if not self._ended.is_set():
                self._cancel()

    def stop_line(self) -> Stopped:
        """Return the one line for a turn that its reader has ended."""
        if self._turn.draining:
            return Stopped(
                "The reply so far is kept; the rest is read in the background, and settled when its real "
                "usage is known (see %budget)."
            )
        if self.result is None:
            return Stopped(
                "Nothing of the reply had arrived; if it was sent, its tokens are in doubt (see %budget)."
            )
        if not self.result.stopped:
            return Stopped("The reply was complete by then; it is kept and counted.")
        return Stopped(
            f"The reply so far is kept; {self.result.end.output_tokens:,} reply tokens were counted."
        )

    # --- reading from a thread

    def __enter__(self) -> Reply:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
        self._await_end()

    def __iter__(self) -> Iterator[str]:
        while True:
            item = self._next()
            if item is None:
                return
            if isinstance(item, Piece):
                yield self._take(item)
            else:
                self.on_notice(item.text)

    # --- reading from an event loop

    async def __aenter__(self) -> Reply:
        loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the reader's loop is gone
                loop.call_soon_threadsafe(self._event.set)
            time.sleep(0)  # the loop has the interpreter now, not when this thread next waits for the network

        self._wake = wake
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.to_thread(self._await_end)

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            self._event.clear()
            item = self._pop()
            if item is None:
                if self._done():
                    self._raise()
                    return
                await self._event.wait()
            elif isinstance(item, Piece):
                yield self._take(item)
            else:
                self.on_notice(item.text)

    # --- inside

    def _start(self) -> None:
        work = self._run()
        try:
            self._loop.start(work, self._on_done)
        except BaseException:  # interrupted before the with block was reached: nobody else would end it
            self.stop()
            if self._began.wait(1.0):
                self._await_end()
            else:
                work.close()
            raise

    async def _run(self) -> TurnResult:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, which cancels everything
                loop.call_soon_threadsafe(task.cancel)

        self._cancel = cancel
        self._began.set()
        if self._stopping:
            raise asyncio.CancelledError
        return await self._turn.run()

    def _on_done(self, task: asyncio.Task[TurnResult]) -> None:
        if not task.cancelled():
            task.exception()  # seen: the reader may have left without asking
        self._task = task
        self._ended.set()
        self._notify()

    def _put(self, item: Piece | Notice) -> None:
        self._items.append(item)
        self._notify()

    def _notify(self) -> None:
        with self._ready:
            self._ready.notify_all()
        if self._wake:
            self._wake()

    def _next(self) -> Piece | Notice | None:
        while True:
            item = self._pop()
            if item is not None:
                return item
            if self._done():
                self._raise()
                return None
            with self._ready:
                if not self._items:
                    self._ready.wait(_POLL_S)
            if not self._items:
                self.on_wait()

    def _pop(self) -> Piece | Notice | None:
        return self._items.popleft() if self._items else None

    def _take(self, piece: Piece) -> str:
        self._read.append(piece.text)
        return piece.text

    def _done(self) -> bool:
        return self._ended.is_set() and not self._items

    def _raise(self) -> None:
        if self._task is not None and not self._task.cancelled():
            self.result = self._task.result()

    def _await_end(self) -> None:
        """Wait until the turn has ended in the ledger, and keep its result; an interrupt waits too."""
        interrupted = None
        try:
            self._ended.wait(_END_S)
        except KeyboardInterrupt as error:
            interrupted = error
            self._ended.wait(_END_S)
        if self.result is None and self._task and not self._task.cancelled() and not self._task.exception():
            self.result = self._task.result()  # it was complete when its reader left
        self.result = self.result or self._turn.partial
        if interrupted:
            raise interrupted
