"""Random bytes for what every call needs several of: ids, owners' tokens, salts.

The system's generator gives them, a page at a time: asking it for each cost a call of the gateway as much as
a statement of the ledger. What outlives a process, such as keys and people's tokens, asks the system itself.
"""

from __future__ import annotations

import os
import threading

PAGE = 4_096
"""Bytes that are asked for at once."""


class _Pool:
    """Hands out each byte once. Safe from several threads; a forked child begins its own."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._page, self._at = b"", 0

    def take(self, count: int) -> bytes:
        with self._lock:
            at, end = self._at, self._at + count
            if end > len(self._page):
                self._page, at, end = os.urandom(max(PAGE, count)), 0, count
            self._at = end
            return self._page[at:end]


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.begin)


def random_bytes(count: int) -> bytes:
    """Return *count* bytes that nobody can guess and nobody else gets."""
    return _pool.take(count)


def random_hex(count: int) -> str:
    """Return *count* such bytes as hex."""
    return _pool.take(count).hex()
