"""How long one attempt may be silent: one timer, however many pieces come."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class Patience:
    """An asynchronous block that raises `TimeoutError` when what it awaits is late.

    `wait_for` says, before each step, how long that may take. The timer is set for the first step, and looks
    at what has been said since only when it fires: a timer a piece costs more than the piece does.
    """

    def __init__(self) -> None:
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Patience:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def wait_for(self, seconds: float) -> None:
        """Let the next step take a while.

        Args:
            seconds: From now on; 0 or more.
        """
        self._due = due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._limit.expired():  # what is being stopped may still take its steps
            self._timer = None
        elif now >= self._due:
            self._timer = None
            self._limit.reschedule(now)
        else:
            self._timer = self._loop.call_at(self._due, self._look)
