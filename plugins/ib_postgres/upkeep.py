"""What has to be done while nobody calls: the clocks of running sessions, and forgetting old changes."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from ib_kernel.errors import BuddyError
from ib_postgres.database import Database

BEAT_S = 20.0
"""Seconds between two looks at running sessions by one process."""


class Upkeep:
    """A thread that keeps the time of active sessions going while this process has the ledger open.

    Args:
        database: The ledger's.
        most_s: Seconds that a session's clock gains at most by one look.
    """

    def __init__(self, database: Database, most_s: float) -> None:
        self._stopped = threading.Event()
        asked = {"most": most_s, "every": min(BEAT_S, most_s / 2)}
        keep = (weakref.ref(database), asked, self._stopped)
        self._thread = threading.Thread(target=_beat, args=keep, name="ib-postgres-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=10)


def _beat(reference: weakref.ref[Database], asked: dict[str, Any], stopped: threading.Event) -> None:
    while not stopped.wait(asked["every"]):
        database = reference()
        if database is None:
            return
        try:
            database.write("beat", asked)
        except BuddyError:  # the next look counts it, or the next write
            pass
        finally:
            del database
