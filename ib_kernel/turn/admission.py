"""How long a reply may be, and how a turn that does not fit is refused. Pure arithmetic and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ib_kernel.errors import BuddyError, BudgetRefused, ContextTooLong, SessionInactive
from ib_kernel.models.limits import ModelInfo
from ib_kernel.text import format_usd
from ib_kernel.values import Count, Refusal, Totals

Person = Literal["owner", "locked", "hosted"]
"""Who asks: somebody who can change the session's limits, needs a passphrase for that, or cannot."""

_MORE_TOKENS: dict[Person, str] = {
    "owner": "raise the total with %budget N",
    "locked": "ask for more: raising the total needs the session's passphrase",
    "hosted": "ask your interviewer for more tokens",
}
_MORE_MONEY: dict[Person, str] = {
    "owner": "raise the budget in money with %budget --usd N",
    "locked": "ask for more: raising the budget in money needs the session's passphrase",
    "hosted": "ask your interviewer for more",
}
_MORE_TIME: dict[Person, str] = {
    "owner": "%interview resume --minutes N gives it more",
    "locked": "more of it needs the session's passphrase: %interview resume --minutes N asks for it",
    "hosted": "your interviewer can give it more",
}
_GO_ON: dict[Person, str] = {
    "owner": "Go on with %interview resume.",
    "locked": "Going on needs the session's passphrase: %interview resume asks for it.",
    "hosted": "Your interviewer lets it go on.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """An admitted turn: the prompt's bound, the reply cap and what is held for both, in tokens.

    `shrunk_by` says what made the cap smaller than asked ("the budget", …; "" when nothing did), `expected`
    what the prompt is charged as if its usage is missing (None: its bound). `new` is what of the prompt is
    charged at the most: the question and its attachments (None: all of it).
    """

    prompt: int
    cap: int
    n: int
    shrunk_by: str = ""
    expected: int | None = None
    new: int | None = None

    @property
    def tokens(self) -> int:
        """What must be held of the budget: what of the prompt is charged + n x cap."""
        return min(self.prompt, self.prompt if self.new is None else self.new) + self.n * self.cap

    @property
    def billed(self) -> int:
        """What may be billed: prompt bound + n x cap."""
        return self.prompt + self.n * self.cap


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a reply is asked for, in tokens.

    An *explicit* wish is never shrunk: it is refused instead. Otherwise a turn that would leave less than
    *minimum* (or than *asked*, if that is less) is refused.
    """

    asked: int
    minimum: int
    explicit: bool = False
    n: int = 1

    @property
    def least(self) -> int:
        """The shortest reply that is worth sending for."""
        return self.asked if self.explicit else min(self.minimum, self.asked)


@dataclass(frozen=True, slots=True)
class Purse:
    """What a turn may take from the session, in tokens.

    `new` is what of the prompt is charged (None: all of it), `bill_left` what may still be billed, where that
    is limited beside the budget, and `money_reply` how long the reply may be for the money that is left.
    """

    left: int
    budget: int
    new: int | None = None
    bill_left: int | None = None
    bill_ceiling: int | None = None
    money_reply: int | None = None
    person: Person = "owner"


def plan_turn(count: Count, model: ModelInfo, purse: Purse, wish: Wish) -> Plan:
    """Choose the reply cap: the least of asked, output limit, room in the context, share of the budgets.

    Args:
        count: The prompt's count, with the bound that is to be used.
        model: The limits of the model.
        purse: What there is to spend.
        wish: How long a reply is asked for.

    Returns:
        The plan.

    Raises:
        BudgetRefused: Nothing long enough fits; worded for the person who typed the turn.
        ContextTooLong: The prompt leaves the model no room for it.
    """
    if count.upper is None:
        raise BudgetRefused(f"not sent. No upper bound can be given for this prompt offline: {count.reason}.")
    prompt, n = count.upper, wish.n
    charged = prompt if purse.new is None else min(prompt, purse.new)
    limits = {
        "the budget": (purse.left - charged) // n,
        "the context window": _room(model, prompt),
        "the model's output limit": model.max_output,
    }
    if purse.bill_left is not None:
        limits["the ceiling on the bill"] = (purse.bill_left - prompt) // n
    if purse.money_reply is not None:
        limits["the budget in money"] = purse.money_reply // n
    tightest = min(limits, key=limits.__getitem__)
    room = limits[tightest]
    if room >= wish.asked:
        return Plan(prompt, wish.asked, n, new=purse.new)
    if not wish.explicit and room >= wish.least:
        return Plan(prompt, room, n, shrunk_by=tightest, new=purse.new)
    if tightest == "the budget":
        raise _over_budget(charged, purse, wish, room)
    if tightest == "the ceiling on the bill":
        raise _over_bill(prompt, purse, wish, room)
    if tightest == "the context window":
        raise ContextTooLong(
            f"not sent. {model.name} has room for {model.context_window:,} tokens and this turn needs "
            f"{prompt:,} in + {wish.least:,} reply. "
            "Start a new session, or choose a model with a larger context window (%interview models).",
            outcome="not_sent",
        )
    if tightest == "the budget in money":  # told with its figures, which only prices know
        return Plan(prompt, wish.least, n, shrunk_by=tightest, new=purse.new)
    raise BudgetRefused(
        f"not sent. {model.name} replies with {model.max_output:,} tokens at most and -n asks for "
        f"{wish.asked:,}. Try %%interview -n {model.max_output}.",
        reason="output",
        needed=wish.asked,
        left=model.max_output,
    )


def _over_budget(charged: int, purse: Purse, wish: Wish, room: int) -> BudgetRefused:
    needed = charged + wish.n * wish.least
    return BudgetRefused(
        f"not sent. This turn needs {_needed(charged, wish)} and {purse.left:,} of {purse.budget:,} are "
        f"left. {_advice(room, _MORE_TOKENS[purse.person], wish)}",
        needed=needed,
        left=purse.left,
    )


def _over_bill(prompt: int, purse: Purse, wish: Wish, room: int) -> BudgetRefused:
    left, more = max(0, purse.bill_left or 0), _MORE_TOKENS[purse.person]
    return BudgetRefused(
        f"not sent. The service would bill {_needed(prompt, wish)} for this turn, and {left:,} of the "
        f"{purse.bill_ceiling or 0:,} that this session may be billed are left. {_advice(room, more, wish)}",
        reason="billed",
        needed=prompt + wish.n * wish.least,
        left=left,
    )


def _needed(prompt: int, wish: Wish) -> str:
    bound = "up to" if wish.explicit else "at least"
    choices = f"{wish.n} x {wish.least:,}" if wish.n > 1 else f"{wish.least:,}"
    why = ", as -n asks" if wish.explicit else " at the least"
    return f"{bound} {prompt + wish.n * wish.least:,} tokens ({prompt:,} in + {choices} reply{why})"


def _advice(room: int, more: str, wish: Wish) -> str:
    """Return what to type: a shorter reply where one fits, else what gives more of what is missing."""
    if room <= 0:
        return f"{more[0].upper()}{more[1:]}." if more[0] != "%" else f"{more}."
    if wish.explicit:
        return f"Try %%interview -n {room}."
    return f"A reply of {room:,} fits: %%interview -n {room}; or {more}."


def _room(model: ModelInfo, prompt: int) -> int:
    """Return what the context window leaves for a reply; nothing when the prompt alone is too long."""
    if model.max_input is not None and prompt > model.max_input:
        return 0
    return model.context_window - prompt


def over_money(needed: int, left: int, total: int, room: int, wish: Wish, person: Person) -> BudgetRefused:
    """Word that a turn may cost more than is left of the budget in money.

    Args:
        needed: What the turn may cost, in nano-dollars.
        left: What is left of the budget.
        total: The budget.
        room: The longest reply that fits, in tokens.
        wish: How long a reply was asked for.
        person: Who asks.
    """
    return BudgetRefused(
        f"not sent. This turn may cost {format_usd(needed)} and {format_usd(left)} of {format_usd(total)} "
        f"are left. {_advice(room, _MORE_MONEY[person], wish)}",
        reason="money",
        needed=needed,
        left=left,
    )


def refused(refusal: Refusal, plan: Plan, totals: Totals, person: Person = "owner") -> BuddyError:
    """Word the ledger's refusal to reserve for the person who typed the turn.

    Args:
        refusal: What the ledger said.
        plan: What was to be reserved.
        totals: The session's sums at that moment.
        person: Who asks.

    Returns:
        The error to raise.
    """
    again = "another call took its share just now. Try again."
    if refusal.reason == "money":
        return BudgetRefused(
            f"not sent. This turn may cost more than what is left of the budget in money: {again}",
            reason="money",
        )
    if refusal.reason == "ceiling":
        return BudgetRefused(
            "not sent. What all interviews together may cost is used up for now; "
            + ("your interviewer can raise it." if person == "hosted" else "a coordinator can raise it."),
            reason="ceiling",
        )
    if refusal.reason in ("budget", "billed"):
        needed = plan.tokens if refusal.reason == "budget" else plan.billed
        total = totals.token_budget if refusal.reason == "budget" else totals.billed_ceiling or 0
        return BudgetRefused(
            f"not sent. This turn needs {needed:,} tokens and {refusal.left:,} of {total:,} are left: "
            f"{again}",
            reason=refusal.reason,
            needed=needed,
            left=refusal.left,
        )
    return inactive(refusal.status, person)


def inactive(status: str, person: Person = "owner") -> SessionInactive:
    """Word that a session takes no turns in the state it is in, and what to type.

    Args:
        status: The session's status; "" when it is not known.
        person: Who asks.

    Returns:
        The error to raise.
    """
    how = {
        "paused": _GO_ON[person],
        "expired": f"Its time is up: {_MORE_TIME[person]}.",
        "created": "It begins with %interview begin.",
    }.get(status, "" if person == "hosted" else "Start another with %interview start.")
    return SessionInactive(f"not sent. The session is {status or 'not active'}. {how}".rstrip(), status)
