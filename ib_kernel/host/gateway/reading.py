"""Reads a stream as it comes, and less often when many run: then what has come meanwhile goes on together.

What a read costs, and passing on what it has brought, does not depend on how much that is. A stream alone,
or one whose pieces come slowly, never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sized
from typing import Any

import aiohttp

REST_S = 0.0001
"""Seconds of rest between two reads of a stream that comes in quickly, for each call that runs."""

SHORTEST_S, LONGEST_S = 0.002, 0.02
"""A rest that would be shorter is left out, and none is longer: nobody sees it."""

QUICK_READS = 4
"""Reads in a row without a wait after which a stream counts as quick; two pieces may come close together."""


class RestingReader:
    """Reads the bytes of one answer.

    Args:
        response: The answer, whose reader nobody else is.
        running: The calls that run.
    """

    def __init__(self, response: aiohttp.ClientResponse, running: Sized) -> None:
        self._response, self._running = response, running
        self._content, self._quick = response.content, 0

    async def read(self) -> bytes:
        """Return what has come since the last read, or comes next; b"" at the end."""
        rest = min(LONGEST_S, REST_S * len(self._running))
        if self._quick >= QUICK_READS and rest >= SHORTEST_S:
            await self._rest(rest)
        asked = time.monotonic()
        found = await read_come(self._content)
        self._quick = self._quick + 1 if time.monotonic() - asked < rest else 0
        return found

    async def _rest(self, seconds: float) -> None:
        """Let the bytes that come wait where they cost nothing: in the connection."""
        transport = self._transport()
        if transport is None:  # all of it is here
            return
        transport.pause_reading()
        try:
            await asyncio.sleep(seconds)
        finally:
            transport.resume_reading()

    def _transport(self) -> Any:
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        return None if transport is None or transport.is_closing() else transport


async def read_come(content: aiohttp.StreamReader) -> bytes:
    """Return all that has come, or what comes next; b"" at the end.

    For each piece that it hands out, the reader asks its parser whether there is more, which costs more than
    all else about it (aiohttp 3.14), so that the pieces of one read are made one first. Where a later version
    keeps its pieces in another way, they are read as they are.
    """
    pieces = getattr(content, "_buffer", None)
    if not isinstance(pieces, deque):
        return await content.readany()
    first, more = b"", True
    while not pieces and not first and more:
        first, more = await content.readchunk()
    if not pieces or content.exception() is not None:
        return first or await content.readany()
    if len(pieces) > 1:
        together = b"".join(pieces)
        pieces.clear()
        pieces.append(together)
    return first + content.read_nowait()
