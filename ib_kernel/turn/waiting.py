"""What a turn waits for before it is sent (client, place, limits, others), and how long it may take."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ib_kernel.errors import RateLimited, TimedOut
from ib_kernel.settings import Settings
from ib_kernel.turn.pace import PacedTurn
from ib_kernel.turn.rate_limits import countdown
from ib_kernel.turn.receiving import Notice
from ib_kernel.turn.request import TurnRequest
from ib_kernel.turn.reservation import Pause
from ib_kernel.values import LLMClient, RateLimits

log = logging.getLogger(__name__)


class Waiting:
    """The waits of one turn; *notify* gets what is worth showing meanwhile.

    `deadline` is when the turn must have ended (`time.monotonic`), `place` its place in a host's queue (None:
    there is none).
    """

    def __init__(
        self, client: LLMClient, settings: Settings, ask: TurnRequest, notify: Callable[[Notice], None]
    ) -> None:
        self._client, self._settings, self._ask, self._notify = client, settings, ask, notify
        self._others_since: float | None = None
        self.place: PacedTurn | None = None
        self.begin()

    def begin(self) -> None:
        """Let the turn's time begin now."""
        self.deadline = time.monotonic() + self._settings.deadline_s

    def time_left(self) -> float:
        """Return the seconds to the deadline."""
        return self.deadline - time.monotonic()

    def limits(self) -> dict[str, RateLimits]:
        """Return what the service said last about its rate limits, by model."""
        limits: dict[str, RateLimits] = getattr(self._client, "rate_limits", {})
        return limits

    async def for_client(self) -> None:
        """Let the client import and connect before anything is held: what fails there was not sent.

        A slow import does not use up the turn's time.
        """
        prepare = getattr(self._client, "prepare", None)
        if prepare is None:
            return
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.deadline_s or None):
                await prepare()
            self.deadline += time.monotonic() - start
        except TimeoutError:
            raise TimedOut(
                f"not sent: the client {self._client.name!r} was not ready in time (deadline_s).",
                outcome="not_sent",
                retryable=False,
            ) from None

    async def for_place(self) -> None:
        """Wait for this turn's turn at the service; what that takes does not use up the turn's time."""
        if self.place is None:
            return
        request, start = self._ask.request, time.monotonic()
        chars = sum(len(str(message.get("content", ""))) for message in request.messages)
        tokens = chars // 4 + request.n * request.max_completion_tokens
        await self.place.admit(request.model, tokens, lambda line: self._notify(Notice(line)))
        self.deadline += time.monotonic() - start

    async def for_limit(self, pause: Pause) -> None:
        """Wait for a short rate limit of the service.

        Args:
            pause: How long.
        """
        log.info("waiting %.1f s for the service's rate limit", pause.seconds)
        await countdown(
            pause.seconds, lambda left: self._notify(Notice(f"rate limit reached: sending in {left:.1f} s…"))
        )

    async def for_others(self, pause: Pause) -> None:
        """Wait while other hosts run as many calls of the session as may; it takes none of its time.

        Args:
            pause: How long until the next look.
        """
        start = time.monotonic()
        if self._others_since is None:
            self._others_since = start
            self._notify(
                Notice("other calls of this interview are running; this one waits until one has ended")
            )
        if start - self._others_since > self._settings.deadline_s:
            raise RateLimited(
                "not sent: other calls of this interview have been running all the time; try again later",
                outcome="not_sent",
                retryable=False,
            )
        if self.place is not None:
            self.place.end()  # its turn at the service goes to somebody else
        await asyncio.sleep(pause.seconds)
        self.deadline += time.monotonic() - start
        await self.for_place()

    async def for_retry(self, why: str, seconds: float) -> None:
        """Wait before another attempt.

        Args:
            why: What the last one failed with, in a few words.
            seconds: How long.
        """
        await countdown(seconds, lambda left: self._notify(Notice(f"{why}: trying again in {left:.1f} s…")))
