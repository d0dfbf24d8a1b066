"""`ib verify`: the ledger's chain, recomputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError

if TYPE_CHECKING:
    from ib_kernel.host.host import Host


def verify(host: Host, session_id: str | None = None) -> list[str]:
    """Return what does not agree, the first row of each session by name; nothing when all does.

    Raises:
        ConfigError: The ledger keeps no chain.
    """
    recompute = getattr(host.store, "verify", None)
    if recompute is None:
        raise ConfigError(f"the ledger {host.store.name} keeps no chain, so nothing can be compared")
    problems: list[str] = list(recompute(session_id))
    return problems
