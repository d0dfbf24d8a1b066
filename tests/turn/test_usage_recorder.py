"""What money pays for, and what a turn may cost: the model's price, worked out by hand."""

from __future__ import annotations

import pytest

from ib_kernel.models.limits import ModelInfo, get_model
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.usage import UsageRecorder

NANO = 10**9


def recorder(model: ModelInfo | None = None, *, billed: bool = True) -> UsageRecorder:
    """Return a recorder for gpt-4o: 2.50 dollars for a million tokens in, 10 for a million out."""
    return UsageRecorder(model or get_model("gpt-4o"), billed, len)


def test_money_pays_for_so_long_a_reply() -> None:
    """What the prompt leaves of it, in whole tokens; nothing where the prompt takes it all."""
    assert recorder().longest_reply(0, NANO) == 100_000
    assert recorder().longest_reply(100_000, NANO) == 75_000
    assert recorder().longest_reply(0, 9_999) == 0
    assert recorder().longest_reply(0, 10_000) == 1
    assert recorder().longest_reply(400_001, NANO) == 0


def test_what_nobody_bills_has_no_limit_in_money() -> None:
    """And may cost nothing."""
    assert recorder(billed=False).longest_reply(100, 5) is None
    assert recorder(billed=False).worst_case(Plan(100, 100, 1)) == 0


def test_a_planned_turn_costs_its_prompt_and_each_of_its_replies_at_most() -> None:
    """To the nano-dollar."""
    assert recorder().worst_case(Plan(1_000, 100, 2)) == 1_000 * 2_500 + 2 * 100 * 10_000


def test_without_a_price_nobody_can_say() -> None:
    """The model is named."""
    own = ModelInfo("mine", 9_000, 900)
    assert recorder(own).worst_case(Plan(10, 10, 1)) is None
    with pytest.raises(LookupError, match="mine"):
        recorder(own).longest_reply(10, NANO)
