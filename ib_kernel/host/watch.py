"""What changes in the ledger, by this process or another, handed to whoever waits for it in this one.

One task asks the ledger; listeners are woken, running turns are stopped when their session no longer lets
them go on: it was paused or ended, its time is up, or another process of the host was asked to stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from ib_kernel.errors import BuddyError
from ib_kernel.host.outcome import CUT
from ib_kernel.values import Status, ends

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values.host import Change

log = logging.getLogger(__name__)

WAIT_S = 0.5
"""Seconds for which the ledger is asked to wait for a change."""

SWEEP_S = 5.0
"""Seconds between two looks at what hosts that died have left behind."""

REST_S, IDLE_REST_S = 0.05, 0.25
"""Seconds between two looks at changes, while somebody waits for them and while nobody does: under load
something changes all the time, and looking costs as much as a call."""

LOOK_S = 1.0
"""Seconds between two looks at every session that has a running turn, whether it was told to have changed or
not: a time limit passes without a change, and what a host that died wanted to tell may be lost."""

SKEW_S = 5.0
"""Seconds by which the clocks of two hosts, or of a host and the ledger's server, may differ."""

STOP_KIND = "stop_asked"
"""The event by which one process asks another to stop a session's turns; details *request_id*, which is a
turn's number where its client named that."""

WHY = {
    Status.PAUSED: CUT[ends.SESSION_PAUSED],
    Status.COMPLETED: CUT[ends.SESSION_ENDED],
    Status.CANCELLED: CUT[ends.SESSION_ENDED],
    Status.EXPIRED: CUT[ends.TIME_UP],
}


class Listener:
    """What one stream waits for: `kinds` are the changes since it looked last.

    *session_id* None: changes of every session, with their ids in `sessions`.
    """

    def __init__(self, session_id: str | None) -> None:
        self.session_id = session_id
        self.closed = False
        self._changes: list[Change] = []
        self._woken = asyncio.Event()

    def hear(self, changes: Iterable[Change]) -> None:
        """Take note of *changes*."""
        mine = [c for c in changes if self.session_id is None or c.session_id == self.session_id]
        if mine:
            self._changes = list(dict.fromkeys([*self._changes, *mine]))
            self._woken.set()

    def close(self) -> None:
        """End the stream that waits."""
        self.closed = True
        self._woken.set()

    async def wait(self, seconds: float) -> list[Change]:
        """Return what has changed; an empty list after *seconds* without anything."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        changes, self._changes = self._changes, []
        return changes


class Watch:
    """The task that follows the ledger."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._looked_at = self._swept_at = 0.0

    @contextlib.contextmanager
    def listening(self, session_id: str | None):  # type: ignore[no-untyped-def]
        """Hand out a `Listener` for one session, or for all (None), while entered."""
        listener = Listener(session_id)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def listeners(self, session_id: str) -> int:
        """Return how many streams wait for changes of a session."""
        return sum(listener.session_id == session_id for listener in self._listeners)

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """End every stream and stop following."""
        for listener in list(self._listeners):
            listener.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        cursor = ""
        while True:
            try:
                if time.monotonic() - self._swept_at > SWEEP_S:
                    self._swept_at = time.monotonic()
                    await run_in_threadpool(self._sweep)
                changes, cursor = await run_in_threadpool(self._host.store.changes, cursor, WAIT_S)
                for listener in list(self._listeners):
                    listener.hear(changes)
                await self._stop_what_may_not_go_on(changes)
                if changes and not self._host.closing.is_set():
                    await asyncio.sleep(REST_S if self._is_awaited() else IDLE_REST_S)
            except BuddyError as error:
                log.warning("the ledger could not be followed for a moment: %s", error)
                await asyncio.sleep(WAIT_S)
            except Exception:  # whatever it is, live news and stops must go on
                log.exception("the ledger could not be followed for a moment")
                await asyncio.sleep(WAIT_S)
            if self._host.closing.is_set():
                for listener in list(self._listeners):
                    listener.close()
                await self._host.turns.close()
                await asyncio.sleep(WAIT_S)

    def _is_awaited(self) -> bool:
        return bool(self._listeners or self._host.turns.sessions())

    def _sweep(self) -> None:
        """Say that this host runs, and complete what others have left behind."""
        self._host.announce()
        self._host.repair.sweep()

    async def _stop_what_may_not_go_on(self, changes: list[Change]) -> None:
        running = self._host.turns.sessions()
        if not running:
            return
        looked_at = running & {c.session_id for c in changes if c.kind == "session"}
        if time.monotonic() - self._looked_at > LOOK_S:
            self._looked_at, looked_at = time.monotonic(), running
        if looked_at:
            for session_id, status in (await run_in_threadpool(self._states, looked_at)).items():
                if status in WHY:
                    self._host.turns.stop(session_id, WHY[status])
        for session_id in {c.session_id for c in changes if c.kind == "event"} & running:
            for event in await run_in_threadpool(self._host.store.events, session_id):
                if event.kind == STOP_KIND:
                    turn = self._host.turns.find(session_id, str(event.detail.get("request_id", "")))
                    if turn is not None and turn.end is None and event.created_at >= turn.asked_at - SKEW_S:
                        turn.stop()

    def _states(self, sessions: Iterable[str]) -> dict[str, Status]:
        return {name: self._host.service.get_session(name).status for name in sessions}
