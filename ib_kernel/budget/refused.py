"""How many refusals of one session are recorded: asking again costs nothing, and must not fill a disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ib_kernel.values import BudgetStore, LedgerEvent

MOST = 1_000
"""Events "refused" of one session; what is refused after that is refused and not recorded."""


class RefusedEvents:
    """Counts the refusals of sessions; begins with what the ledger has. Safe from several threads.

    Args:
        store: Returns the ledger, which is opened at first use.
        most: Refusals of one session that are recorded; None: `MOST`.
    """

    def __init__(self, store: Callable[[], BudgetStore], most: int | None = None) -> None:
        self._store, self._most = store, most
        self._count: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, event: LedgerEvent) -> bool:
        """Count *event* and return True if it shall be recorded.

        Args:
            event: Any event; only refusals are counted.
        """
        if event.kind != "refused":
            return True
        with self._lock:
            known = self._count.get(event.session_id)
        if known is None:
            known = sum(e.kind == "refused" for e in self._store().events(event.session_id))
        with self._lock:
            known = max(known, self._count.get(event.session_id, 0))
            self._count[event.session_id] = known + 1
        return known < (MOST if self._most is None else self._most)
