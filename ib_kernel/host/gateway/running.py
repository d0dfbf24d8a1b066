"""The calls that run: their leases, their deadlines, and their end when the interview does not go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BuddyError, SessionError, StoreError, TimedOut
from ib_kernel.host.gateway.admission import inactive
from ib_kernel.values import Reservation, Status

log = logging.getLogger(__name__)

TICK_S = 0.25
"""Seconds between two looks at deadlines."""

STATES_S = 1.0
"""Seconds after which the session of a running call is looked at again, which another process may end. Most
calls are over before that."""


class RunningCall:
    """One call on its way. Times are `time.monotonic` seconds.

    `reservation` is what its attempt holds (None: nothing yet), `sent_at` when it went to the service (None:
    it waits), `written` whether anything of it may have been sent since, `last_sign` when the service last
    showed that it is at work, `began` whether anything of a reply has come, `active_at` when its session was
    last known to go on.
    """

    def __init__(self, session_id: str, *, stream: bool) -> None:
        self.session_id, self.stream = session_id, stream
        self.task = asyncio.current_task()
        self.reservation: Reservation | None = None
        self.sent_at: float | None = None
        self.written = False
        self.last_sign = 0.0
        self.active_at = time.monotonic()
        self.began = False
        self.why: BuddyError | None = None
        self.left = False

    def wrote(self) -> None:
        """Note that something may have been sent."""
        self.written = True

    def stop(self, why: BuddyError | None) -> None:
        """End the call: *why* is what its client is told, None when its client has left. Once."""
        if self.why is None and not self.left and self.task is not None:
            self.why, self.left = why, why is None
            self.task.cancel()


class Running:
    """All running calls of one gateway, on one event loop."""

    def __init__(self, service: TokenService) -> None:
        self._service, self._settings = service, service.settings
        self._calls: set[RunningCall] = set()
        self._watch: asyncio.Task[None] | None = None
        self._renewed = 0.0

    def add(self, call: RunningCall) -> None:
        """Watch *call* until it is removed."""
        self._calls.add(call)
        if self._watch is None or self._watch.done():
            self._renewed = time.monotonic()
            self._watch = asyncio.get_running_loop().create_task(self._look())

    def remove(self, call: RunningCall) -> None:
        """Stop watching *call*."""
        self._calls.discard(call)

    def __len__(self) -> int:
        return len(self._calls)

    async def aclose(self) -> None:
        """End every call, as its client's leaving does, and wait for their ends in the ledger."""
        calls = list(self._calls)
        for call in calls:
            call.stop(None)
        tasks = [call.task for call in calls if call.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=10)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def _look(self) -> None:
        while self._calls:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            for call in list(self._calls):
                late = self._late(call, now)
                if late is not None:
                    call.stop(late)
            with contextlib.suppress(StoreError):
                await self._end_of_sessions(now)
                await self._renew(now)

    def _late(self, call: RunningCall, now: float) -> TimedOut | None:
        if call.sent_at is None:
            return None
        quiet, all_of_it = now - call.last_sign, now - call.sent_at
        settings = self._settings
        most = (
            settings.gap_s if call.began else settings.first_piece_s if call.stream else settings.deadline_s
        )
        if quiet <= most and all_of_it <= settings.deadline_s:
            return None
        what = "the reply stalled and was given up" if call.began else "no reply came"
        return TimedOut(f"{what} after {all_of_it:.0f} s; what it has cost is in doubt", retryable=False)

    async def _end_of_sessions(self, now: float) -> None:
        old = now - STATES_S + TICK_S  # at the next look it would be too late
        ids = {call.session_id for call in self._calls if call.active_at <= old}
        states = await asyncio.to_thread(self._states, ids) if ids else {}
        for call in list(self._calls) if states else ():
            status = states.get(call.session_id)
            if status == Status.ACTIVE:
                call.active_at = max(call.active_at, now)
            elif status is not None:
                call.stop(inactive(status))

    def _states(self, ids: set[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for session_id in ids:
            try:
                found[session_id] = self._service.get_session(session_id).status
            except SessionError:
                found[session_id] = "gone"
        return found

    async def _renew(self, now: float) -> None:
        if now - self._renewed < self._settings.lease_s / 3:
            return
        self._renewed = now
        held = [call.reservation for call in self._calls if call.reservation is not None]
        if held:
            await self._service.arenew(held, self._settings.lease_s)
