"""Reads a stream as it comes, and less often when many run: then what has come meanwhile goes on together.

What a read costs, and passing on what it has brought, does not depend on how much that is. A stream alone,
or one whose pieces come slowly, never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sized

from ib_kernel.host.gateway.wire import Answer

REST_S = 0.0001
"""Seconds of rest between two reads of a stream that comes in quickly, for each call that runs."""

SHORTEST_S, LONGEST_S = 0.002, 0.02
"""A rest that would be shorter is left out, and none is longer: nobody sees it."""

QUICK_READS = 4
"""Reads in a row without a wait after which a stream counts as quick; two pieces may come close together."""


class RestingReader:
    """Reads the bytes of one answer.

    Args:
        answer: The answer, whose reader nobody else is.
        running: The calls that run.
    """

    def __init__(self, answer: Answer, running: Sized) -> None:
        self._answer, self._running, self._quick = answer, running, 0

    async def read(self) -> bytes:
        """Return what has come since the last read, or comes next; b"" at the end."""
        rest = min(LONGEST_S, REST_S * len(self._running))
        if self._quick >= QUICK_READS and rest >= SHORTEST_S:
            await self._rest(rest)
        asked = time.monotonic()
        found = await self._answer.read()
        self._quick = self._quick + 1 if time.monotonic() - asked < rest else 0
        return found

    async def _rest(self, seconds: float) -> None:
        """Let the bytes that come wait where they cost nothing: in the connection."""
        if not self._answer.pause():  # all of it is here
            return
        try:
            await asyncio.sleep(seconds)
        finally:
            self._answer.resume()
