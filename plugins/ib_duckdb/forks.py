"""What a forked child has inherited of its parent's ledger: nothing that it may use.

SQLite must not be carried across a fork. Before one, we wait until no thread of ours is inside it, so that
the child may open a ledger of its own; when that takes too long, the child cannot, and is told so at once.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ib_duckdb import files
from ib_kernel.errors import StoreError

QUIET_S = 1.0
"""Seconds that a fork waits for the threads that are inside SQLite."""

_all: weakref.WeakSet[Forked] = weakref.WeakSet()
_kept: list[Any] = []  # a child must never close its parent's connections
_taken: list[Any] = []
_torn = False


class Forked:
    """The locks of one ledger among threads, and whether this process is a child that inherited it."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self.writing, self.reading = threading.RLock(), threading.RLock()
        self.inherited = False
        self._forget = weakref.WeakMethod(forget)
        _all.add(self)

    def refuse(self, path: Path) -> None:
        """Raise `StoreError` in a child that must not use this ledger."""
        if self.inherited:
            raise StoreError(
                f"the ledger {path} was opened before this process was forked and belongs to its parent; "
                "build a new store (or service) in the child"
            )
        if _torn:
            raise StoreError(
                f"this process was forked while its parent wrote to a ledger, so it cannot open {path}; "
                "start it with multiprocessing's 'spawn'"
            )


def keep(inherited: Any) -> None:
    """Never let *inherited* be closed."""
    if inherited is not None:
        _kept.append(inherited)


def _before() -> None:
    global _torn
    deadline = time.monotonic() + QUIET_S
    torn = False
    for ledger in list(_all):
        for lock in (ledger.writing, ledger.reading):
            if lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                _taken.append(lock)
            else:
                torn = True
    _taken.append(torn)


def _in_parent() -> None:
    _taken.pop()
    while _taken:
        _taken.pop().release()


def _in_child() -> None:
    global _torn
    _torn = _torn or _taken.pop()
    _taken.clear()
    files.forget_in_child()
    for ledger in list(_all):
        ledger.inherited = True
        ledger.writing, ledger.reading = threading.RLock(), threading.RLock()
        forget = ledger._forget()
        if forget is not None:
            forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
