"""Connections on which nothing is asked do not stay open."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

IDLE_S = 40.0
"""Seconds for which a connection may be open without a whole request."""


class IdleConnections:
    """Closes connections that have asked nothing for `IDLE_S`, such as one whose headers never end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def close_old(self, connections: Iterable[Any]) -> None:
        """Look at *connections* (uvicorn's protocols) and close those that have been idle for too long."""
        now = self._clock()
        for connection in list(connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                self._since.pop(connection, None)
            elif now - self._since.setdefault(connection, now) > IDLE_S and connection.transport is not None:
                connection.transport.close()
