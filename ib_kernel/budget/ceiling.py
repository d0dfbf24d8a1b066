"""Whether a host's ledger limits what all its sessions together may cost: then each call holds its money."""

from __future__ import annotations

import threading
import time

from ib_kernel.budget.access import LedgerAccess
from ib_kernel.errors import StoreError

KNOWN_S = 5.0
"""Seconds for which the answer is taken as it was: a ceiling is seldom set, and looked up with every call."""


class CeilingWatch:
    """Asks the ledger now and then. Safe from several threads."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._found, self._until = False, 0.0

    def has_ceiling(self) -> bool:
        """Return True if the ledger has a ceiling in money, per day or in all."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._found, self._until = self._ask(), time.monotonic() + KNOWN_S
            return self._found

    def _ask(self) -> bool:
        read = getattr(self._access.store, "ceiling", None)  # a ledger that serves no host has none
        try:
            found = read() if read is not None else None
        except StoreError:  # not readable at this moment: the reserve's own write decides
            return self._found
        return found is not None and (found.day_nano_usd is not None or found.total_nano_usd is not None)
