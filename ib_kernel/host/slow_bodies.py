"""Ends the reading of bodies that do not arrive: one timer for all, as most are there with their heads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive

LOOK_S = 0.5
"""Seconds between two looks at the bodies that are waited for."""


class SlowBodies:
    """The bodies that are read on one event loop."""

    def __init__(self) -> None:
        self._read: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Receive, until: float) -> Message:
        """Return the next message of a request. `TimeoutError` when there was none *until* then.

        Args:
            receive: The request's.
            until: In `time.monotonic` seconds; noticed within `LOOK_S`.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        before, self._read[task] = task.cancelling(), until
        if self._timer is None:
            self._again()
        try:
            return await receive()
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() <= before:
                raise TimeoutError from None
            raise
        finally:
            del self._read[task]
            self._late.discard(task)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._timer, now = None, time.monotonic()
        for task, until in self._read.items():
            if now >= until and task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._read:
            self._again()
