"""The line under a reply: each mark in its own words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ib_kernel.models.limits import get_model
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.footer import footer
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import CallEnd, Count, Totals, ends
from ib_kernel.values.attachment import Attached

END = CallEnd(1_200, 300)
PLAIN = TurnResult(
    "Fine.", 3, END, Totals(20_000, input_tokens=2_000, output_tokens=500), Plan(1_300, 400, 1), Count(1_200),
    get_model("gpt-4o"), "openai", 0,
)  # fmt: skip


def line(*, end: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return the footer of the plain result with changes."""
    made = dataclasses.replace(END, **(end or {}))
    return footer(dataclasses.replace(PLAIN, end=made, **changes))


FIGURES = "openai · turn 3 · 1,200 in + 300 out = 1,500 · 17,500 of 20,000 left"


def test_a_plain_turn_has_its_figures_alone() -> None:
    """Client, turn, tokens, what is left."""
    assert line() == FIGURES


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"turns_left": 0}, "no further turn fits"),
        ({"turns_left": 1}, "about 1 more turn"),
        ({"turns_left": 4}, "about 4 more turns"),
        ({"end": {"charged_tokens": 350}}, None),
        ({"end": {"cached_tokens": 1_024}}, "1,024 cached"),
        ({"end": {"source": "upper_bound"}}, "upper bound"),
        ({"end": {"source": "counted"}}, "counted"),
        (
            {"attached": (Attached("cell", "cell 3", 1_500, 6_000),)},
            "cell 3 attached (1,500 tokens)",
        ),
        ({"history_from_turn": 2}, "sent from turn 2 on, older ones do not fit"),
        ({"plan": Plan(1_300, 1_400, 1, shrunk_by="the budget")}, "reply capped at 1,400 by the budget"),
        ({"end": {"finish_reason": "length"}}, "cut off at its cap"),
        ({"end": {"finish_reason": "content_filter"}}, "cut off by the content filter"),
        ({"end": {"finish_reason": ends.TIME_UP}, "stopped": True}, "cut at the end of the time"),
        ({"end": {"finish_reason": ends.SESSION_PAUSED}, "stopped": True}, "cut: the session was paused"),
        ({"end": {"finish_reason": ends.SESSION_ENDED}, "stopped": True}, "cut: the session was ended"),
        ({"end": {"finish_reason": "stopped"}, "stopped": True}, "stopped"),
        (
            {"text": " ", "end": {"finish_reason": "tool_calls"}},
            "empty reply: the model asked for a tool that is not there; ask it to answer in words",
        ),
        (
            {"text": "", "end": {"finish_reason": "stop"}},
            "empty reply: the model said nothing; send it again or ask in other words",
        ),
    ],
)
def test_a_mark_stands_after_the_figures_it_is_about(changes: dict[str, Any], mark: str | None) -> None:
    """One mark for one thing; nothing else of the line changes."""
    if mark is None:
        assert line(**changes) == FIGURES.replace("1,500 ·", "1,500 · 350 charged ·")
    else:
        assert line(**changes) == f"{FIGURES} · {mark}"


def test_a_reply_that_went_into_reasoning_is_given_twice_the_room() -> None:
    """The command that asks for it is there to be typed."""
    cut = {"finish_reason": "length", "reasoning_tokens": 300}
    assert line(text="", end=cut) == (
        f"{FIGURES} · cut off at its cap · empty reply: all 300 tokens went into reasoning and nothing was "
        "left to say; try %%interview -n 800"
    )


def test_an_incomplete_reply_says_so() -> None:
    """Where the service gives no reason."""
    for reason in sorted(ends.INCOMPLETE):
        assert line(end={"finish_reason": reason}).endswith("incomplete: the service does not say why")


def test_an_overdraft_is_said_last() -> None:
    """By how much; nothing is left then."""
    totals = Totals(2_000, input_tokens=2_000, output_tokens=1_500)
    assert line(totals=totals).endswith("0 of 2,000 left · overdraft 1,500")


def test_figures_of_a_client_that_nobody_bills_are_its_own() -> None:
    """Our count is the final figure there."""
    assert line(end={"source": "counted"}, billed=False) == FIGURES
