"""Keeps a reservation's lease alive while its attempt lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)

_renewing: set[asyncio.Future[None]] = set()


class Lease:
    """Calls the blocking *renew* in a worker thread every third of *lease_s*, inside its ``with`` block.

    One timer, no task: most attempts end before the first renewal is due.
    """

    def __init__(self, lease_s: float, renew: Callable[[], None]) -> None:
        self._every, self._renew = lease_s / 3, renew
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._beat)

    def _beat(self) -> None:
        work = asyncio.get_running_loop().run_in_executor(None, self._renew)
        _renewing.add(work)
        work.add_done_callback(_seen)
        self._set()


def _seen(work: asyncio.Future[None]) -> None:
    _renewing.discard(work)
    if not work.cancelled() and (error := work.exception()) is not None:
        log.warning("a lease could not be renewed: %s", type(error).__name__)  # the next beat tries again
