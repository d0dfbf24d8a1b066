"""What a ledger takes of a call's end: whole numbers within bounds, as they are, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ConfigError
from ib_kernel.values import CallEnd
from ib_kernel.values.domain import MOST
from ib_kernel.values.taken import FIGURES, checked_usage

COUNTS = st.integers(0, MOST)
TIMES = st.none() | st.floats(-MOST, MOST)
END = CallEnd(50, 25, cost_nano_usd=1, latency_ms=1.5, first_piece_ms=0.5, charged_tokens=75)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.none() | COUNTS, TIMES, TIMES, st.floats(0, 1))
def test_plain_figures_are_taken_as_they_are(
    read: int,
    written: int,
    cached: int,
    reasoning: int,
    cost: int | None,
    latency: float | None,
    first: float | None,
    share: float,
) -> None:
    """Nothing is copied: the very value comes back."""
    charged = min(int((read + written) * share), MOST)
    for charge in (None, charged):
        end = CallEnd(
            read, written, cached, reasoning,
            cost_nano_usd=cost, latency_ms=latency, first_piece_ms=first, charged_tokens=charge,
        )  # fmt: skip
        assert checked_usage(end) is end


@pytest.mark.parametrize("name", [*FIGURES, "charged_tokens"])
@pytest.mark.parametrize("value", [-1, MOST + 1, 1.5, "1", True, float("nan")])
def test_other_figures_are_refused(name: str, value: Any) -> None:
    """One figure that is no whole number within bounds is enough."""
    with pytest.raises(ConfigError, match=name):
        checked_usage(replace(END, **{name: value}))


@pytest.mark.parametrize("name", ["latency_ms", "first_piece_ms"])
@pytest.mark.parametrize("value", [-MOST * 2.0, MOST * 2.0, float("nan"), float("inf"), "1", True])
def test_other_times_are_refused(name: str, value: Any) -> None:
    """A time that is no number, or beyond all bounds, is not recorded."""
    with pytest.raises(ConfigError, match=name):
        checked_usage(replace(END, **{name: value}))


def test_no_more_is_charged_than_was_billed() -> None:
    """A session is never charged for more than its calls were billed."""
    with pytest.raises(ConfigError, match="charged_tokens"):
        checked_usage(replace(END, charged_tokens=76))


def test_numbers_of_other_types_become_plain_ones() -> None:
    """What is a whole number by another type is recorded as one, and a time as a float."""

    class Count(int):
        pass

    end = checked_usage(replace(END, input_tokens=Count(50), latency_ms=2))
    assert type(end.input_tokens) is int
    assert type(end.latency_ms) is float
