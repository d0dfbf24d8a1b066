"""When to try again: tenacity is the only retrier, and only before the first piece of a reply.

Rules (settings in brackets): at most `attempts`; full jitter from `backoff_s` doubling up to
`backoff_cap_s`; never sooner than the server asked; not at all when it asks for more than
`retry_after_max_s`, when the error says that trying again cannot help, or after the deadline; and only
while the interview's `RetryBudget` lasts, so that an outage does not multiply the load. Where a host's queue
paces all calls of a key (`queued`), a rate limit's refusal is no attempt: the call waits its turn again, for
at most `deadline_s` from the first refusal.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ib_kernel.errors import ClientError, RateLimited
from ib_kernel.settings import Settings

if TYPE_CHECKING:
    import tenacity

_jitter = random.SystemRandom()

EARNED = 0.2
"""How much of a retry each answered turn earns back: in the long run at most one retry per five answers.
(gRPC's ``retryThrottling`` has the same shape: gRFC A6, read 2026-11.)"""

GaveUp = Literal[
    "", "cannot help", "reply had begun", "asked to wait too long", "attempts", "deadline", "retry budget"
]
"""Why a failed attempt is not followed by another ("" when it is)."""


class RetryBudget:
    """The retries that an interview has in reserve; used on one event loop only.

    Starts full with *capacity* retries. Each retry spends one, each answered turn earns `EARNED` back.
    """

    def __init__(self, capacity: float) -> None:
        self.capacity = self.left = float(capacity)

    def earn(self) -> None:
        """Note an answered turn."""
        self.left = min(self.capacity, self.left + EARNED)

    def give_back(self) -> None:
        """Note that a retry was not made after all."""
        self.left = min(self.capacity, self.left + 1)

    def spend(self) -> bool:
        """Take one retry; False when there is none left."""
        if self.left < 1 - 1e-9:
            return False
        self.left -= 1
        return True


@dataclass
class Retries:
    """The retries of one turn.

    *started* tells whether a piece has arrived, *time_left* the seconds to the turn's deadline; *before_wait*
    is awaited with the error and the seconds before each wait, *sleep* does the waiting. *queued* says that
    each attempt waits its turn in a queue that heeds the service's refusals. After a failure that is final,
    `gave_up` says why.
    """

    settings: Settings
    budget: RetryBudget
    started: Callable[[], bool]
    time_left: Callable[[], float]
    before_wait: Callable[[ClientError, float], Awaitable[None]]
    sleep: Callable[[float], Awaitable[None]]
    queued: bool = False
    gave_up: GaveUp = ""
    _failures: int = 0
    _refused_at: float | None = None
    _paid: bool = False

    def retrier(self) -> tenacity.AsyncRetrying:
        """Return tenacity's retrier for the turn. Errors leave as they are."""
        import tenacity

        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._may_help),
            wait=self._wait,
            stop=self._stop,
            before_sleep=self._before_sleep,
            sleep=self._sleep,
            reraise=True,
        )

    def _may_help(self, error: BaseException) -> bool:
        asked = getattr(error, "retry_after_s", None) or 0.0
        if not isinstance(error, ClientError) or not error.retryable:
            self.gave_up = "cannot help"
        elif self.started():
            self.gave_up = "reply had begun"
        elif asked > self.settings.retry_after_max_s:
            self.gave_up = "asked to wait too long"
        else:
            self.gave_up = ""
        return not self.gave_up

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = getattr(state.outcome and state.outcome.exception(), "retry_after_s", None) or 0.0
        if self._queues_again(state):
            return asked
        doubled = self.settings.backoff_s * 2.0 ** min(self._failures, 64)
        return max(asked, _jitter.uniform(0.0, min(self.settings.backoff_cap_s, doubled)))

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        again, self._paid = self._queues_again(state), False
        self._failures += not again
        if self._failures >= self.settings.attempts:
            self.gave_up = "attempts"
        elif state.upcoming_sleep >= min(self.time_left(), self._patience_left(again)):
            self.gave_up = "deadline"
        elif not again:  # asked last: what is not retried anyway spends nothing
            self._paid = self.budget.spend()
            self.gave_up = "" if self._paid else "retry budget"
        return bool(self.gave_up)

    def _queues_again(self, state: tenacity.RetryCallState) -> bool:
        return self.queued and isinstance(state.outcome and state.outcome.exception(), RateLimited)

    def _patience_left(self, again: bool) -> float:
        if not again:
            return math.inf
        now = time.monotonic()
        if self._refused_at is None:
            self._refused_at = now
        return self._refused_at + self.settings.deadline_s - now

    async def _sleep(self, seconds: float) -> None:
        try:
            await self.sleep(seconds)
        except BaseException:  # interrupted: the retry that was paid for is not made
            if self._paid:
                self.budget.give_back()
            raise

    async def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ClientError):
            await self.before_wait(error, state.upcoming_sleep)
