"""One key, many candidates: a fair queue before one service, for the engine's turns and the gateway's calls.

A call takes a place first (`ib_kernel.host.places`), then waits its turn for each attempt: sessions take
turns, so whoever asks most often waits with the others, and nothing is sent while the service's own figures
or refusals say that it would be refused. While a call waits for the service, its candidate's clock stands.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from ib_kernel.errors import ClientError, RateLimited
from ib_kernel.host.clock_stops import ClockStops
from ib_kernel.host.places import RUNNING, Places, Wait
from ib_kernel.host.rate_window import RateWindow, is_outage
from ib_kernel.settings import Settings
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.values import RateLimits

LOOK_S = 5.0
"""Seconds after which a waiting call looks again, and gives back the time so far."""

INTERVIEWS = 10
"""A host's retries in reserve are those of so many interviews: when a service closes its connections, the
calls of all of them fail at the same moment."""

LIMIT, OUTAGE = "the service's limit", "the service could not be reached"


class _Waiter(Wait):
    __slots__ = ("model", "tokens")

    def __init__(self, model: str, tokens: int) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens


class Pacing:
    """The queue before one key. Safe from several threads and event loops.

    Args:
        settings: How long waits may be.
        credit: Gives back time on a candidate's clock: session, seconds, reason. Blocking.

    Attributes:
        most_running: Calls of one session that may run at once, at all hosts of a ledger together.
        retries: What all calls of this key together may spend on trying again.
        places: Who runs at the moment.
        stops: What is given back.
    """

    most_running = RUNNING

    def __init__(self, settings: Settings, credit: Callable[[str, float, str], object]) -> None:
        self.settings = settings
        self.stops = ClockStops(credit)
        self.retries = RetryBudget(INTERVIEWS * settings.retry_budget)
        self.places = Places()
        self._lock = threading.Lock()
        self._queue: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._windows: dict[str, RateWindow] = {}

    def place(self, session_id: str, say: Callable[[str], object] = str) -> PacedCall:
        """Return a call that takes one of the session's places while it is entered (``async with``).

        Args:
            session_id: The session.
            say: Gets a line to show for a wait.
        """
        return PacedCall(self, session_id, say)

    def waiting(self) -> int:
        """Return how many calls wait for the service right now."""
        with self._lock:
            return sum(map(len, self._queue.values()))

    # --- for `PacedCall`

    async def admit(
        self, session_id: str, model: str, tokens: int, say: Callable[[str], None], *, again: bool = False
    ) -> None:
        """Wait until the service takes one more request of *tokens*. `RateLimited` after the deadline.

        Whoever was refused (*again*) had had their turn and has it next, before those who come later.
        """
        with self._lock:
            window = self._window(model)
            if not self._queue and window.wait_s(tokens, time.monotonic()) <= 0:
                window.send(tokens)
                return
            waiter = _Waiter(model, tokens)
            waiters = self._queue.setdefault(session_id, deque())
            if again:
                waiters.appendleft(waiter)
                self._queue.move_to_end(session_id, last=False)
            else:
                waiters.append(waiter)
        began = time.monotonic()
        try:
            await self._wait(session_id, waiter, began, say)
        except BaseException:
            if not self._give_up(session_id, waiter):  # it has been let go meanwhile
                self.heard(model, tokens, None)
                self.failed(model, None)
            raise
        finally:
            await self.stops.give_back(session_id, began, time.monotonic(), LIMIT)

    def heard(self, model: str, tokens: int, limits: RateLimits | None) -> None:
        """Note the headers of a request's answer (None: there are none)."""
        age = max(0.0, time.time() - limits.seen_at) if limits is not None else 0.0
        with self._lock:
            self._window(model).heard(tokens, limits, time.monotonic() - age)

    def answered(self, model: str) -> None:
        """Note that a request was answered well."""
        with self._lock:
            self._window(model).answered()
        if self._queue:
            self._pump()

    def failed(self, model: str, error: ClientError | None) -> None:
        """Note that a request failed, or (None) that its reader gave it up."""
        with self._lock:
            self._window(model).failed(error, time.monotonic())
        if self._queue:
            self._pump()

    # --- inside

    async def _wait(self, session_id: str, waiter: _Waiter, began: float, say: Callable[[str], None]) -> None:
        until = began + self.settings.deadline_s
        delay = self._pump()
        while not waiter.ready.done():
            now = time.monotonic()
            if now >= until:
                raise RateLimited(
                    f"not sent: the service took no request within {self.settings.deadline_s:.0f} s",
                    outcome="not_sent",
                    retryable=False,
                )
            say("waiting for the service; your clock stands still")
            await asyncio.wait([waiter.ready], timeout=max(0.01, min(delay, LOOK_S, until - now)))
            await self.stops.give_back(session_id, began, time.monotonic(), LIMIT)
            if not waiter.ready.done():
                delay = self._pump()

    def _pump(self) -> float:
        """Let go whoever may, one of each session at a time; return the seconds until somebody else may."""
        least = LOOK_S
        with self._lock:
            now = time.monotonic()
            turns = deque(self._queue)
            while turns:
                session_id = turns.popleft()
                waiters = self._queue[session_id]
                window = self._window(waiters[0].model)
                delay = window.wait_s(waiters[0].tokens, now)
                if delay > 0:
                    least = min(least, delay)
                    continue
                waiter = waiters.popleft()
                window.send(waiter.tokens)
                waiter.wake()
                del self._queue[session_id]
                if waiters:  # behind all others
                    self._queue[session_id] = waiters
                    turns.append(session_id)
        return least

    def _give_up(self, session_id: str, waiter: _Waiter) -> bool:
        with self._lock:
            waiters = self._queue.get(session_id)
            if waiters is None or waiter not in waiters:
                return False
            waiters.remove(waiter)
            if not waiters:
                del self._queue[session_id]
            return True

    def _window(self, model: str) -> RateWindow:
        window = self._windows.get(model)
        if window is None:
            window = RateWindow(self.settings.backoff_s, self.settings.backoff_cap_s)
            self._windows[model] = window
        return window


class PacedCall:
    """A call that has its place: `admit` each attempt, then say `heard`, and `answered` or `failed`.

    Entering it waits for a place where all are taken, and raises `RateLimited` when too many calls of the
    session wait already.
    """

    def __init__(self, pacing: Pacing, session_id: str, say: Callable[[str], object]) -> None:
        self._pacing, self._session_id, self._say = pacing, session_id, say
        self._sent: tuple[str, int] | None = None
        self._unheard = False
        self._began = 0.0
        self._lost_since: float | None = None
        self._lost_to = OUTAGE

    async def __aenter__(self) -> PacedCall:
        await self._pacing.places.take(self._session_id, self._say)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()
        self._pacing.places.leave(self._session_id)

    async def admit(self, model: str, tokens: int, say: Callable[[str], None] | None = None) -> None:
        """Wait until an attempt may be sent.

        Args:
            model: The model that is asked.
            tokens: Prompt and reply together, at most.
            say: Gets a line to show for each wait.

        Raises:
            RateLimited: It was not possible before the deadline.
        """
        self.end()
        again = self._lost_since is not None
        if self._lost_since is not None:  # from a failure of the service to here; then comes the queue's wait
            began, self._lost_since = self._lost_since, None
            await self._pacing.stops.give_back(self._session_id, began, time.monotonic(), self._lost_to)
        await self._pacing.admit(self._session_id, model, tokens, say or _unsaid, again=again)
        self._sent, self._unheard, self._began = (model, tokens), True, time.monotonic()

    def heard(self, limits: RateLimits | None) -> None:
        """Note the headers of the attempt's answer."""
        if self._sent is not None and self._unheard:
            self._unheard = False
            self._pacing.heard(*self._sent, limits)

    def answered(self) -> None:
        """Note that the attempt was answered well."""
        model = self._ended()
        if model is not None:
            self._pacing.answered(model)

    async def failed(self, error: ClientError) -> None:
        """Note how the attempt failed; an outage gives its time back."""
        model = self._ended()
        if model is None:
            return
        self._pacing.failed(model, error)
        if is_outage(error):
            self._lost_since, self._lost_to = (
                time.monotonic(),
                LIMIT if isinstance(error, RateLimited) else OUTAGE,
            )
            await self._pacing.stops.give_back(self._session_id, self._began, self._lost_since, self._lost_to)

    def end(self) -> None:
        """Note that the attempt is over, if nothing else was said of it. Idempotent."""
        model = self._ended()
        if model is not None:
            self._pacing.failed(model, None)

    def _ended(self) -> str | None:
        if self._sent is None:
            return None
        self.heard(None)
        model, self._sent = self._sent[0], None
        return model


def _unsaid(text: str) -> None:
    """Show nothing."""
