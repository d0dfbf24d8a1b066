"""Waking those who wait for changes in other processes, by LISTEN and NOTIFY.

What has changed stands in the ledger and is found there, whoever tells of it or not: a notification only ends
a wait early. A write's own transaction therefore notifies nobody: PostgreSQL commits those that do one after
the other, which would make every call wait for every other. A process that has written says so in a small
transaction afterwards, once for all that it wrote within `GATHER_S`.

Only processes that wait for changes take part, which are hosts; they hear of a notebook's or `ib`'s writes by
looking every `POLL_S`. A pooler in transaction mode passes no notifications on: then everybody looks often.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import weakref
from collections.abc import Callable

from ib_kernel.errors import BuddyError
from ib_postgres.database import Database

log = logging.getLogger(__name__)

CHANNEL = "ib_changes"

GATHER_S = 0.05
"""Seconds within which the writes of one process are told together."""

POLL_S = 1.0
"""Seconds between two looks for changes while notifications come."""

OFTEN_S = 0.1
"""Seconds between two looks where none come."""

AGAIN_S = 1.0
"""Seconds until a lost connection is opened again."""

_TELL = f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', %s)"
"""It is nothing that must survive, so that nobody waits for a disk or a standby."""

_open: weakref.WeakSet[News] = weakref.WeakSet()


class News:
    """Tells other processes that this one has written, and hears of theirs.

    Args:
        database: The ledger's.
        heard: Called on a thread of its own whenever another process has told of a write.
        direct: Whether the connection is the server's own, without a pooler between.
    """

    def __init__(self, database: Database, heard: Callable[[], None], *, direct: bool) -> None:
        self._database, self._heard, self._direct = database, weakref.WeakMethod(heard), direct
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._me = secrets.token_hex(8)
        self._written, self._stopped = threading.Event(), threading.Event()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listening = False

    @property
    def poll_s(self) -> float:
        """Seconds after which whoever waits looks again."""
        return POLL_S if self._listening else OFTEN_S

    def listen(self) -> None:
        """Take part from now on. Idempotent."""
        if self._threads or not self._direct:
            return
        with self._guard:
            if not self._threads and not self._stopped.is_set():
                for work in (self._hear_all, self._tell_all):
                    thread = threading.Thread(target=work, name="ib-postgres-news", daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def tell(self) -> None:
        """Say soon that this process has written, if it takes part."""
        if self._threads:
            self._written.set()

    def close(self) -> None:
        """Take part no more. Idempotent."""
        self._stopped.set()
        self._written.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)

    # --- on its threads, which end when the store is closed or gone

    def _tell_all(self) -> None:
        while not self._is_over():
            if self._written.wait(POLL_S) and not self._stopped.wait(GATHER_S):
                self._written.clear()
                try:
                    self._database.read(_TELL, (self._me,))
                except BuddyError as error:
                    log.debug("nobody was told of a change: %s", error)  # they look anyway

    def _hear_all(self) -> None:
        while not self._is_over():
            try:
                self._hear()
            except Exception as error:  # noqa: BLE001 - whatever it was, they look often until it is back
                log.debug("the ledger's notifications are away: %s", error)
            self._stopped.wait(AGAIN_S)

    def _hear(self) -> None:
        """Listen on a connection of its own until it is lost or nobody wants it."""
        with self._database.connect() as db:
            db.execute(f"LISTEN {CHANNEL}")
            self._listening = True
            try:
                self._call()  # something may have come while nobody listened
                while not self._is_over():
                    if any(told.payload != self._me for told in db.notifies(timeout=POLL_S, stop_after=1)):
                        self._call()
            finally:
                self._listening = False

    def _is_over(self) -> bool:
        return self._stopped.is_set() or self._heard() is None

    def _call(self) -> None:
        heard = self._heard()
        if heard is not None:
            heard()


def _in_child() -> None:
    for news in list(_open):
        news._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
