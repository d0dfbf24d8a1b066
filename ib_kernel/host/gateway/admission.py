"""Whether a tool's call fits: counted, planned and held by the same rules as a turn, worded for a tool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ib_kernel.budget.lock import fixes
from ib_kernel.budget.service import TokenService
from ib_kernel.errors import (
    BuddyError,
    BudgetRefused,
    ConfigError,
    ContextTooLong,
    RateLimited,
    SessionInactive,
)
from ib_kernel.host.gateway.asked import AskedFor
from ib_kernel.host.places import RUNNING
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Plan, Purse, Wish, plan_turn
from ib_kernel.turn.learned_bound import LearnedBound
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.values import CallStart, Count, Refusal, Reservation, Session, Totals

CLIENT = "gateway"
"""What rows of the candidate's own tools have as their client."""

IN_A_THREAD = 16_384
"""Bytes of a request from which on it is counted beside the event loop."""


_UNLEARNED, _UNCOUNTED = LearnedBound(), Count(0)


class Admission:
    """Counts one call once, and reserves for each of its attempts."""

    def __init__(
        self,
        service: TokenService,
        session: Session,
        asked: AskedFor,
        model: ModelInfo,
        recorder: UsageRecorder,
    ) -> None:
        self._service, self._session, self._asked = service, session, asked
        self._model, self._recorder = model, recorder
        self._bound = _UNLEARNED
        longest = fixes(session).get("reply_tokens")
        wanted = service.settings.reply_tokens if asked.cap is None else asked.cap
        self.reply = min(wanted, longest) if isinstance(longest, int) else wanted
        self._explicit = asked.cap is not None and self.reply == asked.cap
        self.count = _UNCOUNTED

    async def count_request(self, body: dict[str, Any], size: int) -> None:
        """Count *body*, of *size* bytes; raises what nobody can bound."""
        counts_as = self._model.counts_as or self._model.name
        counter = self._service.counter
        if size > IN_A_THREAD:
            count = await asyncio.to_thread(counter.count_request, body, counts_as)
        else:
            count = counter.count_request(body, counts_as)
        if count.by_bytes:
            self._bound = await asyncio.to_thread(
                LearnedBound.read, self._service.store, self._session.session_id, self._model.name
            )
        if count.upper is None:
            raise ConfigError(f"not sent: nobody can say what this request costs at most: {count.reason}")
        self.count = count

    async def reserve(
        self, number: int, before: Totals, others_run: Callable[[], Awaitable[None]], *, with_money: bool
    ) -> Attempt:
        """Reserve for attempt *number*; where the budget is short, for as long a reply as it carries.

        Args:
            number: The attempt's number, from 1 on.
            before: The session's sums.
            others_run: Waits for a moment: as many calls of the session as may run at other hosts.
            with_money: Whether money is held beside tokens.

        Raises:
            BuddyError: What refuses the call, in one line for whoever reads the tool's output.
        """
        left = self._session.token_budget
        for _ in range(3):
            plan = self._plan(left)
            held = await self._held(plan, number, others_run, with_money=with_money)
            if isinstance(held, Reservation):
                return Attempt(number, plan, self.count, held, before)
            if held.reason not in ("budget", "billed") or held.left >= left:
                raise self._refused(held, plan.tokens)
            left = held.left
        raise self._over_budget(left, plan.tokens)

    def _plan(self, left: int) -> Plan:
        settings, model, n = self._service.settings, self._model, self._asked.n
        if self._explicit and self.reply > model.max_output:
            raise ConfigError(
                f"not sent: {model.name} replies with {model.max_output:,} tokens at most and "
                f"{self.reply:,} were asked for"
            )
        least = self.reply if self._explicit else min(self.reply, settings.min_reply_tokens)
        bounded = self._bound.applied(self.count, model, least)
        try:
            plan = plan_turn(
                bounded,
                model,
                Purse(left, self._session.token_budget, person="hosted"),
                Wish(self.reply, settings.min_reply_tokens, self._explicit, n),
            )
        except ContextTooLong:
            raise ContextTooLong(
                f"not sent: {model.name} has room for {model.context_window:,} tokens and this call needs "
                f"{bounded.upper or 0:,} in + {least:,} reply; send less",
                outcome="not_sent",
            ) from None
        except BudgetRefused:
            raise self._over_budget(left, (bounded.upper or 0) + n * least) from None
        expected = self._bound.estimate(self.count)
        if expected >= plan.prompt:
            return plan
        return Plan(plan.prompt, plan.cap, plan.n, plan.shrunk_by, expected, plan.new)

    async def _held(
        self, plan: Plan, number: int, others_run: Callable[[], Awaitable[None]], *, with_money: bool
    ) -> Reservation | Refusal:
        until = time.monotonic() + self._service.settings.deadline_s
        while True:
            held = await self._hold(plan, number, with_money=with_money)
            if isinstance(held, Reservation) or held.reason != "running":
                return held
            if time.monotonic() > until:
                raise RateLimited(
                    f"not sent: {RUNNING} calls of this interview run elsewhere; try again later",
                    outcome="not_sent",
                    retryable=False,
                )
            await others_run()

    async def _hold(self, plan: Plan, number: int, *, with_money: bool) -> Reservation | Refusal:
        nano: int | None = 0
        if with_money:
            nano = self._recorder.worst_case(plan)
        if nano is None:
            raise BudgetRefused(
                f"not sent: spending is limited in money and no price is known for {self._model.name}"
            )
        call = CallStart(
            turn=0,
            attempt=number,
            client=CLIENT,
            model=self._asked.model,
            counted_tokens=self.count.tokens,
            counted_exact=self.count.exact,
            most_running=RUNNING,
        )
        return await self._service.areserve(
            self._session.session_id,
            plan.tokens,
            lease_s=self._service.settings.lease_s,
            nano_usd=nano,
            call=call,
        )

    def _over_budget(self, left: int, needed: int) -> BudgetRefused:
        reply = "" if self._explicit else " at the least"
        return BudgetRefused(
            f"not sent: this call needs {needed:,} tokens{reply} ({self.count.upper:,} in) and {left:,} of "
            f"the interview's {self._session.token_budget:,} are left; send less, or ask for a shorter reply "
            "(max_tokens)",
            needed=needed,
            left=left,
        )

    def _refused(self, refusal: Refusal, needed: int) -> BuddyError:
        if refusal.reason in ("budget", "billed"):
            return self._over_budget(refusal.left, needed)
        if refusal.reason == "money":
            line = "not sent: this call may cost more than what is left of the money budget"
            return BudgetRefused(line, reason="money", left=refusal.left)
        if refusal.reason == "ceiling":
            return BudgetRefused(
                "not sent: all interviews of this host together have reached their ceiling in money; tell "
                "your interviewer",
                reason="ceiling",
            )
        return inactive(refusal.status)


def inactive(status: str) -> SessionInactive:
    """Return the line for a tool whose interview takes no calls."""
    how = {
        "paused": "it goes on when your interviewer resumes it",
        "created": "it begins with %interview begin or the first question",
        "expired": "its time is up",
    }.get(status, "it is over")
    return SessionInactive(f"not sent: the interview is {status or 'not active'}; {how}", status)
