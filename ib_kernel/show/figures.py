"""A session's figures as every surface says them: budget, cost, money, time; read from the ledger at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ib_kernel.text import format_time_left, format_usd, several

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import NextTurn, Reservation, Session, Totals


@dataclass(frozen=True, slots=True)
class BudgetView:
    """Everything a gauge says about one session, in tokens, as the ledger had it at one moment.

    `cost` is a finished phrase, `turns_left` None before the first turn, `time_left_s` None without a time
    limit. `level` is "normal", "warning", "critical" or "exhausted". `doubts` are the reservations in doubt,
    `next_turn` is what an empty question would take (None: not asked for).
    """

    session: Session
    totals: Totals
    level: str
    turns_left: int | None
    cost: str
    doubts: tuple[Reservation, ...] = ()
    next_turn: NextTurn | None = None

    @property
    def parts(self) -> dict[str, int]:
        """The bar's parts in order: used, held, in doubt, left."""
        t = self.totals
        return {"used": t.used, "held": t.held, "in doubt": t.in_doubt, "left": t.left}

    @property
    def percent_used(self) -> float:
        """Settled tokens as a percentage of the budget (100.0 for an empty budget)."""
        return 100.0 * self.totals.used / self.totals.token_budget if self.totals.token_budget else 100.0


def read_budget(service: TokenService, session_id: str) -> BudgetView:
    """Read one session from the ledger. `UnknownSession` when there is none."""
    from ib_kernel.budget.service import warning_level

    session, totals = service.get_session(session_id), service.totals(session_id)
    doubts: tuple[Reservation, ...] = ()
    if totals.in_doubt:
        doubts = tuple(r for r in service.store.reservations(session_id) if r.in_doubt)
    return BudgetView(
        session=session,
        totals=totals,
        level=warning_level(totals, service.settings.warn_at),
        turns_left=service.estimate_turns_left(session_id),
        cost=cost_line(session, totals, service),
        doubts=doubts,
    )


def cost_line(session: Session, totals: Totals, service: TokenService) -> str:
    """Say what the session has cost: dollars, "no price known", or that nobody bills it."""
    from ib_kernel.errors import UnknownModel

    if totals.cost_nano_usd is not None:
        unpriced = several(totals.unpriced_calls, "call")
        note = f" + {unpriced} without a price" if totals.unpriced_calls else ""
        return f"{format_usd(totals.cost_nano_usd)}{note}"
    try:
        if service.plugins.model(session.model, service.settings, session.client).counts_as:
            return "nothing (scripted demo)"
    except UnknownModel:
        return "no price known"
    return "no price known" if totals.calls else "nothing yet"


def money_line(totals: Totals) -> str:
    """Say where a budget in money is; held includes what is in doubt."""
    used, total = totals.cost_nano_usd or 0, totals.budget_nano_usd or 0
    left = max(0, total - used - totals.held_nano_usd)
    return (
        f"money: {format_usd(used)} used, {format_usd(totals.held_nano_usd)} held, "
        f"{format_usd(left)} of {format_usd(total)} left"
    )


def money_left(totals: Totals) -> str:
    """Return how much of a budget in money is left, or all of it while nothing was spent; "" without one."""
    if totals.budget_nano_usd is None:
        return ""
    taken = (totals.cost_nano_usd or 0) + totals.held_nano_usd
    total = format_usd(totals.budget_nano_usd)
    return f"{format_usd(max(0, totals.budget_nano_usd - taken))} of {total} left" if taken else total


def time_line(session: Session) -> str:
    """Say how much active time is left: whole minutes, seconds in the last one."""
    return "no time limit" if session.time_left_s is None else format_time_left(session.time_left_s)
