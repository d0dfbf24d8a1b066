"""The thread that moves final rows to the record, and removes hot rows that have been there for 30 days."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

from ib_duckdb.duty import Duty
from ib_duckdb.files import TICK_NS
from ib_duckdb.hot import Hot
from ib_duckdb.prune import prune
from ib_duckdb.record import Record
from ib_duckdb.writing import tick_all
from ib_kernel.errors import BuddyError

log = logging.getLogger(__name__)

BATCH_S = 1.6
"""Seconds to wait for more rows before the record is opened, which costs as much as many calls: final rows
are there within 2 s."""

FEW = 100
"""Rows moved at once up to which there is no reason to wait for longer."""

SHARE = 0.02
"""What moving may take of a core where more rows come: the wait follows what the last move took."""

MOST_S = 10.0
"""Seconds between two moves at most, however much they take."""

PATIENCE_S = 2 * MOST_S
"""Seconds after which rows are moved although another process, which is alive, says that it will."""

RETRY_S = 0.2
"""Seconds to wait, before `BATCH_S`, when the record was in use: rows are there within 2 s of its release."""

WATCH_S = 0.4
"""Seconds between two looks for rows of other processes, which may have ended without moving theirs."""

WATCHED_S = 0.4
"""Seconds to wait for more rows when such a look has found some: they are in the record within 2 s."""

BEAT_S = 20.0
"""Seconds after which an active session's time is brought up to date by somebody who has the ledger open."""

_STALE = "SELECT 1 FROM sessions WHERE status = 'active' AND tick_at < ? LIMIT 1"

REST_S = 5.0
"""Seconds without a move after which nothing is kept for the next one: it takes some MB."""

PRUNE_EVERY_S = 3600.0
"""Seconds between two looks for hot rows that are old enough to go."""


class Mover:
    """Moves rows in the background, those of other processes too, from `start` or `wake` on until `stop`."""

    def __init__(self, hot: Hot, record: Record, clock: Callable[[], float]) -> None:
        self._hot, self._record, self._clock = hot, record, clock
        self._pruned_at: float | None = None
        self._reported: set[str] = set()
        self._guard = threading.Lock()
        self._wanted, self._due, self._stopped = threading.Event(), threading.Event(), False
        self._thread: threading.Thread | None = None
        self._state: tuple[int, ...] = ()
        self._duty = Duty(record.path.with_name("usage.movers"))
        self._free_at = self._left_alone_at = self._moved_at = 0.0
        self._beat_at = time.monotonic()
        weakref.finalize(self, _stop_mover, self._wanted, self._due)

    def start(self) -> None:
        """Begin to watch the ledger, whoever writes to it. Idempotent."""
        with self._guard:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(
                    target=_loop,
                    args=(weakref.ref(self), self._wanted, self._due),
                    name="ib-mover",
                    daemon=True,
                )
                self._thread.start()

    def wake(self) -> None:
        """Have rows moved soon."""
        if not self._wanted.is_set():
            with self._guard:
                self._wanted.set()
                self._duty.begin()
        if self._thread is None:
            self.start()

    def unseen(self) -> bool:
        """Return True if somebody has written since all rows had been moved; costs two looks at files."""
        return self._hot.changed() != self._state

    def wait_s(self, asked: bool) -> float | None:
        """Return how many seconds to wait for more rows before all are moved, None where nobody needs to.

        Args:
            asked: Whether there are rows of this process; else those of others are looked for.
        """
        now = time.monotonic()
        if asked:
            return max(BATCH_S, self._free_at - now)
        if self.unseen():
            another, left = self._duty.look()
            if left or not another:
                return WATCHED_S
            self._left_alone_at = self._left_alone_at or now
            return WATCHED_S if now - self._left_alone_at > PATIENCE_S else None
        self._left_alone_at = 0.0
        if self._record.is_warm and now - self._moved_at > REST_S:
            self._record.rest()
        return None

    def is_urgent(self) -> bool:
        """Return True if a process has ended and left rows."""
        return bool(self._duty.look()[1])

    def beat(self) -> None:
        """Let the time of active sessions go on while nobody writes; every `BEAT_S` seconds at most."""
        if time.monotonic() - self._beat_at < BEAT_S:
            return
        self._beat_at = time.monotonic()
        now = self._clock()
        with suppress(BuddyError):  # the next write counts it
            with self._hot.read() as db:
                stale = db.execute(_STALE, (now - BEAT_S,)).fetchone()
            if stale:
                with self._hot.write() as db:
                    tick_all(db, now, now - BEAT_S)

    def catch_up(self) -> bool:
        """Do what `flush` does, if anything can have come since; finding out costs three looks at files."""
        return (not self.unseen() and self._record.is_as_left()) or self.flush()

    def flush(self) -> bool:
        """Move and prune now; False when that must wait. Never raises for the record's troubles."""
        state, left = self._hot.changed(), self._duty.look()[1]
        try:
            if not self._moved():
                return False
            self._duty.forget_left(left)
            # A write within the same tick of the file system's clock would look the same: look once more.
            recent = any(time.time_ns() - stamp < TICK_NS for stamp in state[2::3])
            self._state = () if recent else state
            if self._pruned_at is None or time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
                self._pruned_at = time.monotonic()
                prune(self._hot, self._record.marks, self._clock())
        except BuddyError as error:
            if str(error) not in self._reported:  # once, not at every attempt
                self._reported.add(str(error))
                log.warning("rows wait in the hot ledger: %s", error)
            return False
        except Exception:  # a mover that dies would leave every later row behind
            log.exception("rows wait in the hot ledger")
            return False
        return True

    def _moved(self) -> bool:
        """Move; note when the next one may be, unless it was the first, which takes longer."""
        before, first = time.thread_time(), not self._record.is_warm
        moved = self._record.move()
        if moved is None:
            return False
        many = moved > FEW and not first
        if many and self._duty.is_seen:  # else others would not wait for this process
            pause_s = min((time.thread_time() - before) / SHARE, MOST_S)
            self._free_at = time.monotonic() + pause_s
        self._moved_at = time.monotonic()
        self._left_alone_at = 0.0
        with self._guard:
            if self._stopped or not self._wanted.is_set():  # else more have come
                self._duty.end()
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
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)
        self._thread = None

    def close(self) -> None:
        """Stop, and leave rows that could not be moved to others. Idempotent."""
        self.stop()
        self._duty.close()


def _stop_mover(wanted: threading.Event, due: threading.Event) -> None:
    wanted.set()
    due.set()


def _loop(reference: weakref.ref[Mover], wanted: threading.Event, due: threading.Event) -> None:
    """Run until the mover is stopped or gone; keeps no reference to it while it waits."""
    while True:
        asked = wanted.wait(WATCH_S)
        mover = reference()
        if mover is None or mover.stopped:
            return
        mover.beat()
        wait_s = mover.wait_s(asked)
        del mover
        if wait_s is None:
            continue
        _wait(reference, due, wait_s)
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


def _wait(reference: weakref.ref[Mover], due: threading.Event, wait_s: float) -> None:
    """Wait for so long, or until a process has ended and left rows, which are moved as soon as ever."""
    until = time.monotonic() + wait_s
    while (left_s := until - time.monotonic()) > 0 and not due.wait(min(left_s, WATCH_S)):
        mover = reference()
        if mover is None:
            return
        if left_s > WATCHED_S and mover.is_urgent():
            until = min(until, time.monotonic() + WATCHED_S)
        del mover
