"""The thread that moves final rows to the record, and prunes hot rows that have been there for 30 days."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable

from ib_duckdb.hot import Hot
from ib_duckdb.prune import prune
from ib_duckdb.record import Record
from ib_kernel.errors import BuddyError

log = logging.getLogger(__name__)

BATCH_S = 1.0
"""Seconds to wait for more rows before the record is opened: opening it costs more than a call does."""

RETRY_S = 0.8
"""Seconds to wait, before `BATCH_S`, when the record was in use: rows are there within 2 s of its release."""

PRUNE_EVERY_S = 3600.0
"""Seconds between two looks for hot rows that are old enough to go."""


class Mover:
    """Moves rows in the background. The thread starts at the first `wake` and ends with `stop`."""

    def __init__(self, hot: Hot, record: Record, clock: Callable[[], float]) -> None:
        self._hot, self._record, self._clock = hot, record, clock
        self._pruned_at: float | None = None
        self._said: set[str] = set()
        self._guard = threading.Lock()
        self._wanted, self._due, self._stopped = threading.Event(), threading.Event(), False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        weakref.finalize(self, _stop_mover, self._wanted, self._due)

    def wake(self) -> None:
        """Say that there are rows to move soon."""
        if self._pid != os.getpid():  # forked: the thread stayed with the parent
            self.__init__(self._hot, self._record, self._clock)  # type: ignore[misc]
        self._wanted.set()
        if self._thread is None:
            with self._guard:
                if self._thread is None and not self._stopped:
                    self._thread = threading.Thread(
                        target=_loop,
                        args=(weakref.ref(self), self._wanted, self._due),
                        name="ib-mover",
                        daemon=True,
                    )
                    self._thread.start()

    def flush(self) -> bool:
        """Move and prune now; False when that must wait. Never raises for the record's troubles."""
        try:
            moved = self._record.move()
            if moved is None:
                return False
            if self._pruned_at is None or time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
                self._pruned_at = time.monotonic()
                prune(self._hot, self._record.marks, self._clock())
        except BuddyError as error:
            if str(error) not in self._said:  # once, not at every attempt
                self._said.add(str(error))
                log.warning("rows wait in the hot ledger: %s", error)
            return False
        except Exception:  # a mover that dies would leave every later row behind
            log.exception("rows wait in the hot ledger")
            return False
        return True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End the thread and wait for a move in progress. Idempotent."""
        self._stopped = True
        self._due.set()
        self._wanted.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and self._pid == os.getpid():
            thread.join(timeout=10)
        self._thread = None


def _stop_mover(wanted: threading.Event, due: threading.Event) -> None:
    wanted.set()
    due.set()


def _loop(reference: weakref.ref[Mover], wanted: threading.Event, due: threading.Event) -> None:
    """Run until the mover is stopped or gone; holds no reference to it while it waits."""
    while True:
        wanted.wait()
        due.wait(BATCH_S)
        mover = reference()
        if mover is None or mover.stopped:
            return
        wanted.clear()
        due.clear()
        done = mover.flush()
        del mover
        if not done:
            due.wait(RETRY_S)
            wanted.set()
