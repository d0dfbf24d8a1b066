"""What one model of one key still takes: the service's own figures, what is on its way, and its refusals.

Pure: times are `time.monotonic` seconds that are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.errors import ClientError, NotConnected, RateLimited, ServerFailed, TimedOut
from ib_kernel.values import RateLimits

OUTAGE = 3
"""Failures in a row after which requests go one at a time until one is answered."""

WIDEST = 256
"""Requests at once from which on a service that had refused is no longer held back."""

LATER_S = 0.5
"""Seconds until a request that waits for another one's end looks again."""


def is_outage(error: ClientError) -> bool:
    """Return True if *error* is the service's doing or the network's, not the request's."""
    return error.retryable and isinstance(error, (RateLimited, ServerFailed, NotConnected, TimedOut))


@dataclass(slots=True)
class _Left:
    """A limit: what is left of it by the last answer, less what was sent since; all of it after its reset."""

    limit: int | None = None
    left: int | None = None
    full_at: float = 0.0
    sent: int = 0

    def note(self, limit: int | None, left: int | None, reset_s: float | None, now: float) -> None:
        if left is None:
            return
        self.limit, self.left = limit if limit is not None else self.limit, left
        self.full_at = now + (reset_s or 0.0)

    def wait_s(self, wanted: int, now: float) -> float:
        if self.left is None or (self.limit is not None and wanted > self.limit):
            return 0.0  # not told, or a request that never fits: only the service can say what it does
        if now >= self.full_at:
            self.left = self.limit
        if self.left is None or self.left - self.sent >= wanted:
            return 0.0
        return max(self.full_at - now, 0.0) or LATER_S


class RateWindow:
    """How many requests of one model may be on their way, and when the next one may go.

    Attributes:
        running: Requests that are on their way.
    """

    def __init__(self, backoff_s: float, backoff_cap_s: float) -> None:
        self._backoff_s, self._backoff_cap_s = backoff_s, backoff_cap_s
        self._requests, self._tokens = _Left(), _Left()
        self._blocked_until = 0.0
        self._failed = 0
        self._most: float | None = None
        self.running = 0

    def wait_s(self, tokens: int, now: float) -> float:
        """Return the seconds until a request of *tokens* may go; 0: now."""
        if now < self._blocked_until:
            return self._blocked_until - now
        if self._most is not None and self.running >= self._most:
            return LATER_S
        return max(self._requests.wait_s(1, now), self._tokens.wait_s(tokens, now))

    def send(self, tokens: int) -> None:
        """Note that a request of *tokens* goes."""
        self.running += 1
        self._requests.sent += 1
        self._tokens.sent += tokens

    def heard(self, tokens: int, limits: RateLimits | None, seen_at: float) -> None:
        """Note the limits that a request's answer told at *seen_at*, or (None) that it told none."""
        self._requests.sent -= 1
        self._tokens.sent -= tokens
        if limits is None:
            return
        requests, reset_s = limits.remaining_requests, limits.reset_requests_s
        self._requests.note(limits.limit_requests, requests, reset_s, seen_at)
        self._tokens.note(limits.limit_tokens, limits.remaining_tokens, limits.reset_tokens_s, seen_at)

    def answered(self) -> None:
        """Note that a request was answered well."""
        self.running -= 1
        self._failed = 0
        if self._most is not None:
            self._most = self._most + 1 if self._most < WIDEST else None

    def failed(self, error: ClientError | None, now: float) -> None:
        """Note that a request failed; *error* None: it was given up by its reader, which says nothing."""
        self.running -= 1
        if error is None or not is_outage(error):
            return
        self._failed += 1
        if isinstance(error, RateLimited):
            self._most = max(1.0, (self.running + 1) // 2)
        elif self._failed >= OUTAGE:
            self._most = 1.0
        else:
            return
        pause = min(self._backoff_cap_s, self._backoff_s * 2.0 ** min(self._failed - 1, 16))
        asked = pause if error.retry_after_s is None else max(error.retry_after_s, self._backoff_s)
        self._blocked_until = max(self._blocked_until, now + asked)
