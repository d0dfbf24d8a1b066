"""Ends a reply when its session ends: at the end of the time, or when somebody pauses or ends the session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ib_kernel.errors import StoreError
from ib_kernel.values import Session, Status, ends

T = TypeVar("T")

log = logging.getLogger(__name__)

CHECK_S = 0.5
"""Seconds between two looks at the session while a reply runs: a limit that is set meanwhile holds from then
on, also when another process sets it."""

_FINISH = {Status.EXPIRED: ends.TIME_UP, Status.PAUSED: ends.SESSION_PAUSED}


class SessionOver(Exception):
    """The session is over while a reply runs; `finish` is how the reply's row says it, `status` why."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status, self.finish = status, _FINISH.get(status, ends.SESSION_ENDED)


async def while_active(work: Awaitable[T], session: Session, read: Callable[[], Session]) -> T:
    """Await *work* for as long as its session is active.

    Args:
        work: What is cancelled at the session's end.
        session: The session as it was when the turn began.
        read: Returns the session as it is now; blocking.

    Raises:
        SessionOver: The session ended first.
    """
    over: list[Status] = []
    watching: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(None) as limit:
            # a timer first, no task: most replies end before the first look
            loop, wait = asyncio.get_running_loop(), _until_look(session)
            timer = loop.call_later(
                wait, lambda: watching.append(loop.create_task(_watch(session, read, over, limit)))
            )
            try:
                return await work
            finally:
                timer.cancel()
                for task in watching:
                    task.cancel()
    except TimeoutError:
        if limit.expired():
            raise SessionOver(over[0]) from None
        raise


async def _watch(
    session: Session, read: Callable[[], Session], over: list[Status], limit: asyncio.Timeout
) -> None:
    """Let *limit* pass once the session is no longer active; its state goes into *over*."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            session = await loop.run_in_executor(None, read)
            if session.status is not Status.ACTIVE:
                over.append(session.status)
                limit.reschedule(loop.time())
                return
        except StoreError as error:  # the next look may succeed; the reply is paid for
            log.warning("the session could not be read while a reply runs: %s", type(error).__name__)
        await asyncio.sleep(_until_look(session))


def _until_look(session: Session) -> float:
    """Return the seconds until the next look at a session that was just read."""
    left = session.time_left_s
    return CHECK_S if left is None else min(CHECK_S, max(left, 0.01))
