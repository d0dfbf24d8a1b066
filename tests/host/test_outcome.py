"""What a candidate's screen is told of a turn's end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ib_kernel.host.outcome import outcome_value
from ib_kernel.models.limits import get_model
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import CallEnd, Count, Totals, ends

RESULT = TurnResult(
    "A list is", 1, CallEnd(50, 3), Totals(1_000), Plan(50, 100, 1), Count(50),
    get_model("gpt-4o"), "openai", 0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("finish", "why"),
    [
        (ends.SESSION_PAUSED, "the interviewer has paused the session"),
        (ends.SESSION_ENDED, "the session was ended"),
        (ends.TIME_UP, "the time is up"),
        ("stop", ""),
        ("stopped", ""),
    ],
)
def test_a_reply_that_was_cut_says_why_whoever_saw_it_first(finish: str, why: str) -> None:
    """A turn looks at its session by itself, and may be earlier than the host."""
    result = replace(RESULT, end=replace(RESULT.end, finish_reason=finish))
    assert outcome_value(result, "", stop_line="", why="")["why"] == why
    assert outcome_value(result, "", stop_line="", why="the host ends")["why"] == "the host ends"
