"""The candidate's clock does not run while a call waits for the service or cannot reach it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

LEAST_S = 0.5
"""Seconds that are worth a row; shorter waits of a session are added up until they are."""

KEPT = 4_096
"""Sessions that are remembered; the oldest are forgotten."""


class ClockStops:
    """Gives back time, once for each moment however many calls of a session wait. Safe from several threads.

    Args:
        credit: Writes it: session, seconds, reason. Blocking, called in a worker thread.
    """

    def __init__(self, credit: Callable[[str, float, str], object]) -> None:
        self._credit = credit
        self._lock = threading.Lock()
        self._given_until: dict[str, tuple[float, float]] = {}  # and what is owed of before

    async def give_back(self, session_id: str, began: float, now: float, reason: str) -> None:
        """Give back what of *began* … *now* (`time.monotonic` seconds) was not given back before."""
        seconds = self._take(session_id, began, now)
        if seconds <= 0:
            return
        try:
            await asyncio.to_thread(self._credit, session_id, seconds, reason)
        except Exception as error:  # noqa: BLE001 - the call itself goes on
            log.warning("the clock of %s was not put back: %s", session_id, type(error).__name__)

    def _take(self, session_id: str, began: float, now: float) -> float:
        with self._lock:
            until, owed = self._given_until.pop(session_id, (began, 0.0))
            owed += max(0.0, now - max(began, until))
            given = owed if owed >= LEAST_S else 0.0
            self._given_until[session_id] = max(until, now), owed - given
            while len(self._given_until) > KEPT:
                del self._given_until[next(iter(self._given_until))]
            return given
