"""Plugins that want to hear of the gateway's calls, and of a budget that comes to its end."""

from __future__ import annotations

import asyncio
import time

from ib_kernel.budget.service import TokenService
from ib_kernel.host.gateway.known import KNOWN_S
from ib_kernel.turn.notify import Notifier
from ib_kernel.turn.usage import Attempt
from ib_kernel.values import CallEnd

HOOKS = ("ib_before_call", "ib_after_call", "ib_call_failed", "ib_budget_warning")


class Observers:
    """Notifies plugins of settled calls; to be asked while there are `any` that observe calls."""

    def __init__(self, service: TokenService) -> None:
        self._service = service
        self._any = (False, 0.0)
        self._used: dict[str, int] = {}

    @property
    def any(self) -> bool:
        """Whether any plugin wants to hear of calls."""
        found, until = self._any
        now = time.monotonic()
        if now >= until:
            found = self._service.plugins.is_observed(*HOOKS)
            self._any = (found, now + KNOWN_S)
        return found

    async def before(self, session_id: str, notify: Notifier, number: int, attempt: Attempt) -> None:
        """Notify that an attempt is about to be sent; see what its session had used, for the first one.

        Args:
            session_id: Its session.
            notify: The call's notifier.
            number: The attempt's number, from 1 on.
            attempt: What is sent.
        """
        if session_id not in self._used:
            totals = await asyncio.to_thread(self._service.totals, session_id)
            self._used.setdefault(session_id, totals.used)
        await asyncio.to_thread(notify.before, number, attempt.count, attempt.plan.tokens)

    async def after(self, session_id: str, notify: Notifier, attempt: Attempt, end: CallEnd) -> None:
        """Notify of a settled call, and of the level of the budget that has been passed since the last one.

        Args:
            session_id: Its session.
            notify: The call's notifier.
            attempt: What was settled.
            end: Its row.
        """
        totals = await asyncio.to_thread(self._service.totals, session_id)
        # Two calls that end together may both read the sums after both: compare with what was seen last.
        before = self._used.get(session_id, totals.used - end.charged)
        self._used[session_id] = max(before, totals.used)
        await asyncio.to_thread(notify.after, attempt, end, totals)
        await asyncio.to_thread(notify.passed, before, totals)
