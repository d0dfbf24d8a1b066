"""Waiting for a rate limit in a way that shows and can be interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TICK_S = 1.0
"""Seconds between two lines of a countdown."""


async def countdown(seconds: float, say: Callable[[float], None]) -> None:
    """Sleep, and say at once and then about every `TICK_S` how long it still takes.

    Args:
        seconds: How long to sleep.
        say: Called with the seconds left.
    """
    end = time.monotonic() + seconds
    say(seconds)
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, TICK_S))
        if (left := end - time.monotonic()) > TICK_S / 2:
            say(left)
