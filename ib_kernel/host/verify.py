"""`ib verify`: the ledger's chain, recomputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ib_kernel.host.host import Host


def verify(host: Host, session_id: str | None = None) -> list[str]:
    """Return what does not agree, the first row of each session by name; nothing when all does."""
    problems: list[str] = list(host.store.verify(session_id))
    return problems
