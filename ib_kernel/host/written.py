"""How much one candidate may write beside turns, so that nobody fills the disk: cells, checks, switches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ib_kernel.host.answers import Refused

if TYPE_CHECKING:
    from ib_kernel.values import Session

ROWS = 20_000
"""Rows of one session at most."""

BYTES = 64 * 2**20
"""Bytes of text in them at most."""


LOOK_AFTER = 0.05
"""The share of the quota after which the ledger is looked at again: other hosts write for it, too."""


class Written:
    """Counts what sessions have written; begins with what the ledger has. Safe from several threads.

    Every host of a ledger counts for itself and looks again at what is there, so that a session that goes to
    several hosts has at most `LOOK_AFTER` more at each.

    Args:
        store: The ledger.
        rows: Rows that one session may have.
        size: Bytes of text that they may have.
    """

    def __init__(self, store: Any, rows: int = ROWS, size: int = BYTES) -> None:
        self._store, self._rows, self._size = store, rows, size
        self._written: dict[str, list[int]] = {}
        self._looked: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def add(self, session: Session, *texts: object) -> None:
        """Count one row for each of *texts* (a text, or JSON-able values) before it is written.

        Raises:
            Refused: The session has as much as a host keeps of one; nothing was counted.
        """
        sizes = [_size(text) for text in texts]
        with self.one_by_one(session):
            session_id = session.session_id
            if session_id not in self._written or self._is_old(session_id):
                known, own = self._known(session_id), self._written.get(session_id, [0, 0])
                self._written[session_id] = [max(known[0], own[0]), max(known[1], own[1])]
                self._looked[session_id] = (self._written[session_id][0], self._written[session_id][1])
            rows, size = self._written[session_id]
            if rows + len(sizes) > self._rows or size + sum(sizes) > self._size:
                raise Refused(
                    413,
                    "quota",
                    f"this interview has {rows:,} cells and checks with {size / 2**20:.0f} MiB, which is as "
                    "much as a host keeps of one; nothing more is recorded",
                )
            self._written[session_id] = [rows + len(sizes), size + sum(sizes)]

    @contextmanager
    def one_by_one(self, session: Session) -> Iterator[None]:
        """Let nobody else of the session in: what is counted first and written then is counted right."""
        with self._lock:
            lock = self._locks.setdefault(session.session_id, threading.Lock())
        with lock:
            yield

    def _is_old(self, session_id: str) -> bool:
        """Return True if so much was written since the ledger was looked at that it is time to look again."""
        (rows, size), (then, bytes_then) = self._written[session_id], self._looked[session_id]
        return rows - then >= LOOK_AFTER * self._rows or size - bytes_then >= LOOK_AFTER * self._size

    def _known(self, session_id: str) -> list[int]:
        texts = [cell.source for cell in self._store.cells(session_id)]
        tests = [list(check.tests) for check in self._store.checks(session_id)]
        return [len(texts) + len(tests), sum(map(_size, (*texts, *tests)))]


def _size(text: object) -> int:
    return len((text if isinstance(text, str) else json.dumps(text)).encode("utf-8", "replace"))
