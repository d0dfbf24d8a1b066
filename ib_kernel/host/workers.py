"""`ib host --workers N`: one address, N processes on one ledger, watched over by the one that was started.

The socket is bound once and inherited by every worker, so that a request goes to whichever is free, and none
is lost that waits to be accepted when a worker dies. The one that watches opens no ledger and starts no
thread, so that it can fork whenever a worker has to be started again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_kernel.errors import BuddyError, ConfigError

log = logging.getLogger(__name__)

MOST = 64
"""Workers at most."""

NEVER_STARTED = 3
"""The exit status of a worker that could not begin to serve: starting it again would not help."""

SHORT_S = 5.0
"""Seconds within which a worker that ends is started again later and later."""

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker is started again, the more often it has ended within `SHORT_S`."""

STOP_S = 30.0
"""Seconds that workers get to end after they were asked to."""

LOOK_S = 0.1


@dataclass(slots=True)
class _Worker:
    number: int
    pid: int
    since: float
    short: int = 0


def parse_workers(count: int) -> int:
    """Return how many processes serve. `ConfigError` for what cannot be."""
    if not 1 <= count <= MOST:
        raise ConfigError(f"--workers takes a number from 1 to {MOST}")
    if count > 1 and not hasattr(os, "fork"):
        raise ConfigError("--workers needs a system that can fork; leave it out, or run several hosts")
    return count


class Workers:
    """Starts workers, starts those again that die, and stops them all.

    Args:
        count: How many.
        serve: What one does until it is asked to stop: gets its number from 1 on and whether it is the first
            time that one of that number runs; returns the exit status.
        say: Gets a line for whoever started the host.
    """

    def __init__(self, count: int, serve: Callable[[int, bool], int], say: Callable[[str], None]) -> None:
        self._count, self._serve, self._say = count, serve, say
        self._workers: dict[int, _Worker] = {}
        self._stopping_since: float | None = None
        self._killed = False
        self._status = 0
        self._alive: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Serve until SIGINT or SIGTERM, and return the exit status."""
        self._alive = os.pipe()
        before = {s: signal.signal(s, self._asked_to_stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in range(1, self._count + 1):
                self._start(_Worker(number, 0, 0.0), first=True)
            while self._workers:
                self._look()
                time.sleep(LOOK_S)
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)
            for end in self._alive:
                os.close(end)
        return self._status

    def _asked_to_stop(self, *_: Any) -> None:
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
        for worker in list(self._workers.values()):
            _send(worker.pid, signal.SIGTERM)

    def _start(self, worker: _Worker, *, first: bool) -> None:
        pid = os.fork()
        if pid == 0:
            _be_worker(self._alive, lambda: self._serve(worker.number, first))
        worker.pid, worker.since = pid, time.monotonic()
        self._workers[pid] = worker
        if self._stopping_since is not None:  # asked to stop just now
            _send(pid, signal.SIGTERM)
        self._say(f"Worker {worker.number} of {self._count} is process {pid}")

    def _look(self) -> None:
        """Take note of workers that have ended, and start them again unless the host stops."""
        for pid, worker in list(self._workers.items()):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0
            if ended:
                del self._workers[pid]
                self._ended(worker, os.waitstatus_to_exitcode(status))
        since = self._stopping_since
        if since is not None and time.monotonic() - since > STOP_S and not self._killed:
            self._killed = True
            for pid in self._workers:
                _send(pid, signal.SIGKILL)

    def _ended(self, worker: _Worker, status: int) -> None:
        if self._stopping_since is not None:
            return
        if status == NEVER_STARTED:
            self._status = 1
            self._asked_to_stop()
            return
        how = f"signal {-status}" if status < 0 else f"status {status}"
        self._say(f"Worker {worker.number} ended ({how}) and is started again")
        if time.monotonic() - worker.since < SHORT_S:
            until = time.monotonic() + PAUSES_S[min(worker.short, len(PAUSES_S) - 1)]
            worker.short += 1
            while time.monotonic() < until and self._stopping_since is None:
                time.sleep(LOOK_S)
        else:
            worker.short = 0
        if self._stopping_since is None:
            self._start(worker, first=False)


def _be_worker(alive: tuple[int, int], serve: Callable[[], int]) -> None:
    """Serve in a forked child, and leave it without what its parent would tidy up."""
    status = 1
    try:
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, signal.SIG_DFL)
        os.close(alive[1])
        threading.Thread(target=_end_with_parent, args=(alive[0],), name="ib-parent", daemon=True).start()
        status = serve()
    except BuddyError as error:
        print(f"ib: {error}", file=sys.stderr)  # noqa: T201
        status = NEVER_STARTED
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must not go on in its parent's code
        traceback.print_exc()
    finally:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _end_with_parent(alive: int) -> None:
    """Stop this worker when the one that watches is gone, however it went."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _send(pid: int, which: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)
