"""What a person is warned about, once each: the last turns that the budget carries, the last of the time.

A warning is a line under the reply and an event ``warned``. After a limit was changed it may come again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.text import format_time_left
from ib_kernel.values import LedgerEvent, Session, Totals

LAST_TURNS = 2
"""From how many turns left on each is warned about."""

TIME_SHARE = 0.1
LEAST_TIME_S = 120.0
"""Time is warned about when this share of the limit is left, and at least two minutes before its end."""

_LIMITS = ("budget", "time_limit")
"""The kinds of events that change a limit: what was warned about before them is past."""

_TURNS = {
    0: "⚠ This was the last turn that fits into the budget.",
    1: "⚠ One more turn fits into the budget: the next is the last.",
    2: "⚠ Two more turns fit into the budget.",
}


@dataclass(frozen=True, slots=True)
class Warnings:
    """Warns about one session. *warn_at* are fractions of the budget that are warned about as well."""

    service: TokenService
    session_id: str
    warn_at: Sequence[float]

    def after(
        self, session: Session, before: Totals, totals: Totals, turns_left: int | None
    ) -> tuple[str, ...]:
        """Record what is to be warned about after a turn.

        Args:
            session: The session after the turn.
            before: Its sums before the turn.
            totals: Its sums after it.
            turns_left: How many more turns are admitted; None: not known.

        Returns:
            The lines to show.
        """
        lines = [self._turns(turns_left), self._time(session)]
        share = self._share(before, totals)
        return tuple(line for line in (*lines, "" if lines[0] else share) if line)

    def _turns(self, left: int | None) -> str:
        if left is None or left > LAST_TURNS:
            return ""
        return _TURNS[left] if self._is_new({"about": "turns", "turns_left": left}) else ""

    def _time(self, session: Session) -> str:
        left, limit = session.time_left_s, session.time_limit_s
        if left is None or limit is None or left > max(LEAST_TIME_S, TIME_SHARE * limit):
            return ""
        fact = {"about": "time", "time_left_s": round(left, 1)}
        return f"⚠ {format_time_left(left)}." if self._is_new(fact, "about") else ""

    def _share(self, before: Totals, after: Totals) -> str:
        """Warn of a fraction of the budget, with the true percentage that is used, held or in doubt."""
        level = passed_level(self.warn_at, before.used, after)
        if level is None:
            return ""
        charged = 1 - after.left / after.token_budget
        self._record(
            {"about": "budget", "level": level, "used": after.used, "token_budget": after.token_budget}
        )
        return (
            f"⚠ {charged:.0%} of the budget is used: {after.left:,} tokens are left. "
            "%budget shows where they went."
        )

    def _is_new(self, fact: Mapping[str, Any], *same: str) -> bool:
        """Record *fact* unless that was done since a limit was last changed; *same* makes it the same."""
        keys = same or tuple(fact)
        for event in reversed(self.service.store.events(self.session_id)):
            if event.kind in _LIMITS:
                break
            if event.kind == "warned" and all(event.detail.get(key) == fact[key] for key in keys):
                return False
        self._record(fact)
        return True

    def _record(self, fact: Mapping[str, Any]) -> None:
        self.service.record(LedgerEvent(self.session_id, "warned", time.time(), detail=dict(fact)))


def passed_level(warn_at: Sequence[float], used_before: int, after: Totals) -> float | None:
    """Return the highest fraction of the budget that has just been passed; None: none.

    Args:
        warn_at: Fractions of the budget, rising.
        used_before: Tokens that the session had used before.
        after: Its sums now.
    """
    passed = [x for x in warn_at if used_before < x * after.token_budget <= after.used]
    return passed[-1] if passed else None
