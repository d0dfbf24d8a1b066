"""A session has few calls running at once; the others of it wait, first come, first served.

These are the places in one process. Other hosts on the ledger are held to the same number by the reserve's
own condition (`CallStart.most_running`): a call that has its place here and is refused there waits as well.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ib_kernel.errors import RateLimited

RUNNING = 2
"""Calls of one session at once, turns and the gateway's together."""

WAITING = 100
"""Calls of one session that may wait for a place."""

WAITS = f"{RUNNING} calls of this interview are running; this one waits until one has ended"
"""What a call that waits is told."""


class Wait:
    """Somebody who waits on an event loop and is woken from any thread."""

    __slots__ = ("_loop", "ready")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """Let the waiting one go on."""
        self._loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)


@dataclass(slots=True)
class _Session:
    running: int = 0
    waiting: deque[Wait] = field(default_factory=deque)


class Places:
    """The places of all sessions. Safe from several threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def running(self, session_id: str) -> int:
        """Return how many calls of the session have a place."""
        with self._lock:
            session = self._sessions.get(session_id)
            return session.running if session is not None else 0

    async def take(self, session_id: str, say: Callable[[str], object] = str) -> None:
        """Take a place, or wait for one; *say* gets a line then. `RateLimited` when too many wait already."""
        with self._lock:
            session = self._sessions.setdefault(session_id, _Session())
            if session.running < RUNNING:
                session.running += 1
                return
            if len(session.waiting) >= WAITING:
                raise RateLimited(
                    f"not sent: {RUNNING} calls of this session run and {WAITING} wait; try again later",
                    outcome="not_sent",
                    retryable=False,
                )
            wait = Wait()
            session.waiting.append(wait)
        say(WAITS)
        try:
            await wait.ready
        except asyncio.CancelledError:
            if not self._give_up(session, wait):
                self.leave(session_id)
            raise

    def leave(self, session_id: str) -> None:
        """Give a place back, to whoever waits longest."""
        with self._lock:
            session = self._sessions[session_id]
            if session.waiting:
                session.waiting.popleft().wake()
                return
            session.running -= 1
            if not session.running:
                del self._sessions[session_id]

    def _give_up(self, session: _Session, wait: Wait) -> bool:
        with self._lock:
            if wait not in session.waiting:
                return False  # it has been given the place meanwhile
            session.waiting.remove(wait)
            return True
