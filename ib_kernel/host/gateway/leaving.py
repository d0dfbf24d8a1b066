"""Ends the calls whose clients leave.

Waiting for a client costs a task, and most calls are over before that is worth it: one timer for all calls
begins to watch those that have run for a while. A client that has left before that is noticed then.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive

    from ib_kernel.host.gateway.running import RunningCall

WATCH_AFTER_S = 0.2
"""Seconds after which a call is watched."""

TICK_S = 0.05
"""Seconds between two looks for calls that have run so long."""


class Leaving:
    """The clients of one gateway, on one event loop."""

    def __init__(self) -> None:
        self._new: dict[RunningCall, tuple[float, Receive]] = {}  # in the order in which they came
        self._watched: dict[RunningCall, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: RunningCall, receive: Receive) -> None:
        """Stop *call* when its client leaves, until it is removed; its body has been read to the end."""
        self._new[call] = (time.monotonic(), receive)
        if self._timer is None:
            self._again()

    def remove(self, call: RunningCall) -> None:
        """Watch *call* no longer."""
        if self._new.pop(call, None) is None:
            task = self._watched.pop(call, None)
            if task is not None:
                task.cancel()

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        old, loop = time.monotonic() - WATCH_AFTER_S, asyncio.get_running_loop()
        for call, (since, receive) in list(self._new.items()):
            if since > old:
                break
            del self._new[call]
            self._watched[call] = loop.create_task(_watch(call, receive))
        if self._new:
            self._again()


async def _watch(call: RunningCall, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.stop(None)
