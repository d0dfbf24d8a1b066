"""Deadlines of statements: a server that has stopped answers to nobody, and its socket says nothing.

One thread of this process looks every `LOOK_S` seconds whether somebody's time is over, and then shuts the
socket down, which ends the wait. It sleeps while nobody waits.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LOOK_S = 0.2
"""Seconds between two looks."""

REST_S = 5.0
"""Seconds without anybody waiting after which the thread sleeps."""


class _Watch:
    def __init__(self) -> None:
        self.waiting: dict[int, tuple[float, Any]] = {}
        self._wanted = threading.Event()
        self._asleep = True
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        if not self._asleep:
            return
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="ib-postgres-watch", daemon=True)
                self._thread.start()
        self._wanted.set()

    def _look(self) -> None:
        seen = 0.0
        while True:
            now = time.monotonic()
            if self.waiting:
                seen = now
                for number, (deadline, db) in self.waiting.copy().items():
                    if now >= deadline:
                        self.waiting.pop(number, None)
                        _cut(db)
            elif now - seen > REST_S:
                self._wanted.clear()
                self._asleep = True
                if not self.waiting:  # somebody may have come between
                    self._wanted.wait()
                self._asleep = False
                seen = time.monotonic()
            time.sleep(LOOK_S)


_watch = _Watch()


@contextmanager
def watched(db: Any, deadline: float) -> Iterator[None]:
    """End whatever waits for the connection *db* at *deadline* (monotonic seconds)."""
    number = id(db)
    _watch.waiting[number] = (deadline, db)
    _watch.wake()
    try:
        yield
    finally:
        _watch.waiting.pop(number, None)


def _cut(db: Any) -> None:
    with suppress(Exception), socket.socket(fileno=os.dup(db.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


def _in_child() -> None:
    global _watch
    _watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
