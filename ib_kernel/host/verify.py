"""`ib verify`: the ledger's chain recomputed, and what each hosted turn sent built again and compared."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import BuddyError, ConfigError
from ib_kernel.turn.body_hash import sent_hmac

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

_CALLS = (
    "SELECT turn, attempt, model, sent_hmac, history_from_turn FROM calls WHERE session_id = '{}' "
    "AND turn > 0 AND sent_hmac IS NOT NULL AND client <> 'gateway' ORDER BY turn, attempt"
)


def verify(host: Host, session_id: str | None = None) -> list[str]:
    """Return what does not agree, the first row of each session by name; nothing when all does.

    Bodies are compared for sessions that somebody was invited into: there the host chose all that was sent.

    Raises:
        ConfigError: The ledger keeps no chain.
    """
    recompute = getattr(host.store, "verify", None)
    if recompute is None:
        raise ConfigError(f"the ledger {host.store.name} keeps no chain, so nothing can be compared")
    problems: list[str] = list(recompute(session_id))
    hosted = {i.session_id for i in host.store.invitations()}
    for found in sorted(hosted & {session_id or name for name in hosted}):
        problems += _sent(host, found)
    return problems


def _sent(host: Host, session_id: str) -> list[str]:
    interview = host.interview(session_id)
    rows: Any = host.store.sql(_CALLS.format(session_id.replace("'", "''")))
    for turn, attempt, model, recorded, first in rows:
        try:
            bodies = interview.rebuilt(turn, model=model, first=first or 0)
        except BuddyError as error:
            return [f"session {session_id}, turn {turn}: what was sent cannot be built again: {error}"]
        made = [sent_hmac(body, host.secret) for body in bodies]
        if made and not any(hmac.compare_digest(recorded, one) for one in made):
            return [
                f"session {session_id}, turn {turn}, attempt {attempt}: what was sent is not what prompt, "
                "challenge and transcript say now"
            ]
    return []
