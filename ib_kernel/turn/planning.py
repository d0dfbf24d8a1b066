"""What a turn would hold: its prompt counted once, its reply cap, tokens and money. Writes nothing."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BudgetRefused
from ib_kernel.turn.admission import Plan, Purse, Wish, over_money, plan_turn
from ib_kernel.turn.learned_bound import LearnedBound
from ib_kernel.turn.request import TurnRequest
from ib_kernel.turn.usage import UsageRecorder
from ib_kernel.values import Count, Totals

log = logging.getLogger(__name__)


class TurnPlanner:
    """Plans the attempts of one turn.

    Args:
        service: Counts, and knows whether money is limited.
        ask: What is sent.
        counts_as: By whose rules the prompt is counted.
        recorder: Knows the prices.
    """

    def __init__(
        self, service: TokenService, ask: TurnRequest, counts_as: str, recorder: UsageRecorder
    ) -> None:
        self._service, self._ask, self._recorder = service, ask, recorder
        self._counts_as = counts_as
        self._count: Count | None = None
        self._bound = LearnedBound()

    def count(self, body: dict[str, Any]) -> Count:
        """Count the body, once; not at all where composing has done so.

        Args:
            body: The request as the client would send it.
        """
        if self._count is None:
            count = self._ask.count or self._service.counter.count_request(body, self._counts_as)
            self._count = count
            if count.by_bytes:
                session_id, model = self._ask.session.session_id, self._ask.request.model
                self._bound = LearnedBound.read(self._service.store, session_id, model)
            log.debug("counted %d prompt tokens (exact=%s, upper=%s)", count.tokens, count.exact, count.upper)
        return self._count

    def plan(self, count: Count, totals: Totals) -> tuple[Plan, int]:
        """Return what the turn would hold: tokens, and nano-dollars in a session with a budget in money.

        Args:
            count: The prompt's count.
            totals: The session's sums.

        Raises:
            BudgetRefused: It would be refused for tokens or money.
            ContextTooLong: It would be refused by the model's context window.
        """
        ask, wish = self._ask, self._wish()
        bounded = self._bound.applied(count, ask.model, wish.least)
        money_left, money_reply = self._money(bounded, totals)
        ceiling = totals.billed_ceiling
        purse = Purse(
            totals.left,
            totals.token_budget,
            new=ask.new,
            bill_left=None if ceiling is None else max(0, ceiling - totals.billed - totals.held_billed),
            bill_ceiling=ceiling,
            money_reply=money_reply,
            person=ask.person,
        )
        plan = plan_turn(bounded, ask.model, purse, wish)
        plan = dataclasses.replace(plan, expected=min(plan.prompt, self._bound.estimate(count)))
        nano = self._most_money(plan) if money_left is not None or self._service.has_ceiling() else 0
        if money_left is not None and nano > money_left:
            total = totals.budget_nano_usd or 0
            room = (money_reply or 0) // wish.n
            raise over_money(nano, money_left, total, room, wish, ask.person)
        return plan, nano

    def _wish(self) -> Wish:
        request = self._ask.request
        minimum = self._service.settings.min_reply_tokens
        return Wish(request.max_completion_tokens, minimum, self._ask.explicit, request.n)

    def _most_money(self, plan: Plan) -> int:
        """Return what the attempt may cost; `BudgetRefused` where no price is known."""
        nano = self._recorder.worst_case(plan)
        if nano is None:
            raise BudgetRefused(
                f"not sent. Spending is limited in money and no price is known for {self._ask.model.name}.",
                reason="money",
            )
        return nano

    def _money(self, count: Count, totals: Totals) -> tuple[int | None, int | None]:
        """Return the nano-dollars that are left and the reply they pay for; None without such a budget."""
        if totals.budget_nano_usd is None:
            return None, None
        left = max(0, totals.budget_nano_usd - (totals.cost_nano_usd or 0) - totals.held_nano_usd)
        try:
            return left, self._recorder.longest_reply(count.upper or 0, left)
        except LookupError:
            raise BudgetRefused(
                "not sent. The session has a budget in money and no price is known for "
                f"{self._ask.model.name}.",
                reason="money",
                left=left,
            ) from None
