"""Rate limits as a service tells them, and waiting in a way that shows and can be interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

TICK_S = 1.0
"""Seconds between two lines of a countdown."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """One model's limits as the last answer told them (None: not told).

    Limits and remainders are requests and tokens per window, resets are seconds from `seen_at` (Unix
    time) until the remainder is full again (OpenAI's ``x-ratelimit-*`` headers, read 2026-11).
    """

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    seen_at: float = 0.0

    def wait_s(self, tokens: int, now: float | None = None) -> float:
        """Return the seconds to wait before a request of *tokens* (prompt and reply cap) fits; 0: it does.

        A request larger than the whole limit is not waited for: only the service can say what it does.
        """
        age = (time.time() if now is None else now) - self.seen_at
        waits = [0.0]
        if self.remaining_requests == 0 and self.reset_requests_s is not None:
            waits.append(self.reset_requests_s - age)
        ever_fits = self.limit_tokens is None or tokens <= self.limit_tokens
        if self.remaining_tokens is not None and self.reset_tokens_s is not None and ever_fits:
            waits.append(self.reset_tokens_s - age if tokens > self.remaining_tokens else 0.0)
        return max(waits)


async def countdown(seconds: float, say: Callable[[float], None]) -> None:
    """Sleep *seconds*; call *say* with the seconds left, at once and then about every `TICK_S`."""
    end = time.monotonic() + seconds
    say(seconds)
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, TICK_S))
        if (left := end - time.monotonic()) > TICK_S / 2:
            say(left)
