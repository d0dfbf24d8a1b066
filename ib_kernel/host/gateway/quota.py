"""How much one session may write: rows and bytes, so that no candidate fills the disk of all."""

from __future__ import annotations

from collections.abc import Sequence

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BudgetRefused
from ib_kernel.values import Message

ROWS = 20_000
"""Messages that a session's transcript may have."""

BYTES = 64 * 1024 * 1024
"""Bytes of text in it."""


LOOK_AFTER = 0.05
"""The share of the quota after which the ledger is looked at again."""


class Quota:
    """Counts what sessions have written; begins with what the ledger has, so a restart forgets nothing.

    Other hosts write for a session, too: after `LOOK_AFTER` of the quota the ledger is looked at again.
    """

    def __init__(self, service: TokenService, rows: int = ROWS, size: int = BYTES) -> None:
        self._service, self._rows, self._size = service, rows, size
        self._written: dict[str, list[int]] = {}
        self._looked: dict[str, tuple[int, int]] = {}

    def is_old(self, session_id: str) -> bool:
        """Return True if the ledger must say what the session has written: never read, or long ago."""
        if session_id not in self._written:
            return True
        (rows, size), (then, bytes_then) = self._written[session_id], self._looked.get(session_id, (0, 0))
        return rows - then >= LOOK_AFTER * self._rows or size - bytes_then >= LOOK_AFTER * self._size

    def look(self, session_id: str) -> tuple[int, int]:
        """Read how many messages and bytes the session has written; from any thread."""
        history = self._service.store.history(session_id)
        return len(history), sum(map(_size, history))

    def note(self, session_id: str, rows: int, size: int) -> None:
        """Take note of what `look` has read."""
        here = self._written.get(session_id, (0, 0))
        known = max(here[0], rows), max(here[1], size)
        self._written[session_id], self._looked[session_id] = list(known), known

    def require(self, session_id: str) -> None:
        """Let a further call pass, or raise `BudgetRefused`."""
        rows, size = self._written.get(session_id, (0, 0))
        if rows >= self._rows or size >= self._size:
            raise BudgetRefused(
                f"not sent: this interview's transcript has {rows:,} messages and {size / 2**20:.0f} MiB, "
                "which is as much as a host keeps of one"
            )

    def add(self, session_id: str, messages: Sequence[Message]) -> None:
        """Note what was written."""
        written = self._written.setdefault(session_id, [0, 0])
        written[0] += len(messages)
        written[1] += sum(map(_size, messages))


def _size(message: Message) -> int:
    text = message.content
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
