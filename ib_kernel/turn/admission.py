"""How long a reply may be, and how a turn that does not fit is refused. Pure arithmetic and words."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.errors import BuddyError, BudgetRefused, ContextTooLong, SessionInactive
from ib_kernel.models.limits import ModelInfo
from ib_kernel.values import Count, Refusal, Totals


@dataclass(frozen=True, slots=True)
class Plan:
    """An admitted turn: the prompt's bound, the reply cap and what is held for both, in tokens.

    `shrunk_by` says what made the cap smaller than asked ("the budget", …; "" when nothing did), `expected`
    what the prompt is charged as if its usage is missing (None: its bound).
    """

    prompt: int
    cap: int
    n: int
    shrunk_by: str = ""
    expected: int | None = None

    @property
    def tokens(self) -> int:
        """What must be held: prompt bound + n x cap."""
        return self.prompt + self.n * self.cap


def plan_turn(
    count: Count,
    model: ModelInfo,
    *,
    left: int,
    budget: int,
    asked: int,
    explicit: bool,
    minimum: int,
    n: int = 1,
) -> Plan:
    """Choose the reply cap: the least of asked, output limit, room in the context, share of the budget.

    Args:
        count: The prompt's count, with the bound to go by.
        model: The model's limits.
        left: Tokens that the session has left.
        budget: Tokens that it has altogether, for the refusal's line.
        asked: The reply's tokens that are wished for.
        explicit: Whether a person named that wish: it is refused then, never shrunk.
        minimum: Tokens that a reply must have room for, or *asked* if that is less.
        n: How many replies are asked for.

    Returns:
        The plan.

    Raises:
        BudgetRefused: The budget or the output limit has no room, worded for the person who typed the turn.
        ContextTooLong: The context window has none.
    """
    if count.upper is None:
        raise BudgetRefused(f"not sent. No upper bound can be given for this prompt offline: {count.reason}.")
    prompt = count.upper
    limits = {
        "the budget": (left - prompt) // n,
        "the context window": _room(model, prompt),
        "the model's output limit": model.max_output,
    }
    tightest = min(limits, key=lambda name: limits[name])
    room = limits[tightest]
    if room >= asked:
        return Plan(prompt, asked, n)
    if not explicit and room >= min(minimum, asked):
        return Plan(prompt, room, n, shrunk_by=tightest)
    if tightest == "the budget":
        raise _over_budget(
            prompt, left, budget, asked if explicit else min(minimum, asked), explicit, room, n
        )
    if tightest == "the context window":
        raise ContextTooLong(
            f"not sent. {model.name} has room for {model.context_window:,} tokens and this turn needs "
            f"{prompt:,} in + {asked if explicit else min(minimum, asked):,} reply. "
            "Start a new session, or choose a model with a larger context window (%interview models).",
            outcome="not_sent",
        )
    raise BudgetRefused(
        f"not sent. {model.name} replies with {model.max_output:,} tokens at most and -n asks for {asked:,}. "
        f"Try %%interview -n {model.max_output}."
    )


def _over_budget(
    prompt: int, left: int, budget: int, reply: int, explicit: bool, room: int, n: int
) -> BudgetRefused:
    need = f"up to {prompt + n * reply:,}" if explicit else f"at least {prompt + n * reply:,}"
    choices = f"{n} x {reply:,}" if n > 1 else f"{reply:,}"
    why = ", as -n asks" if explicit else " at the least"
    advice = f"Try %%interview -n {room}." if explicit and room > 0 else "Raise the total with %budget N."
    return BudgetRefused(
        f"not sent. This turn needs {need} tokens ({prompt:,} in + {choices} reply{why}) and {left:,} of "
        f"{budget:,} are left. {advice}"
    )


def _room(model: ModelInfo, prompt: int) -> int:
    """Return what the context window leaves for a reply; nothing when the prompt alone is too long."""
    if model.max_input is not None and prompt > model.max_input:
        return 0
    return model.context_window - prompt


def refused(refusal: Refusal, plan: Plan, totals: Totals) -> BuddyError:
    """Word the ledger's refusal to reserve for the person who typed the turn.

    Args:
        refusal: What the ledger said.
        plan: What was to be reserved.
        totals: The session's sums at that moment.

    Returns:
        The error to raise.
    """
    if refusal.reason == "money":
        return BudgetRefused("not sent. This turn may cost more than what is left of the money budget.")
    if refusal.reason == "budget":
        return BudgetRefused(
            f"not sent. This turn needs {plan.tokens:,} tokens and {refusal.left:,} of "
            f"{totals.token_budget:,} are left: another call took its share just now. Try again."
        )
    return inactive(refusal.status)


def inactive(status: str) -> SessionInactive:
    """Word that a session takes no turns in the state it is in, and what to type.

    Args:
        status: The session's status; "" when it is not known.

    Returns:
        The error to raise.
    """
    how = {
        "paused": "Go on with %interview resume.",
        "expired": "Its time is up: %interview resume --minutes N gives it more.",
    }.get(status, "Start another with %interview start.")
    return SessionInactive(f"not sent. The session is {status or 'not active'}. {how}", status)
