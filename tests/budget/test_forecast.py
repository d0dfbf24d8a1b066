"""How many turns are left, worked out by hand."""

from __future__ import annotations

import pytest

from ib_kernel.budget.forecast import fit, turns_left
from ib_kernel.values import Spent


def turns(*tokens: tuple[int, int]) -> list[Spent]:
    """Return calls that took (input, output) tokens, one for each turn."""
    return [Spent(n, float(n), i, o, i + o) for n, (i, o) in enumerate(tokens, 1)]


@pytest.mark.parametrize(
    ("spent", "left", "expected"),
    [
        ([(1, 0)], 100, 100),
        ([(4, 1)], 100, 20),
        ([(4, 1)], 99, 19),
        ([(1, 0), (2, 0)], 12, 3),  # 3 + 4 + 5
        ([(1, 0), (2, 0)], 11, 2),
        ([(100, 50), (300, 50)], 1_300, 2),  # 550 + 750
        ([(100, 50), (300, 50)], 1_299, 1),
        ([(300, 50), (100, 50)], 1_000, 4),  # prompts that shrink are taken at their mean: 250 each
        ([(10, 0)], 0, 0),
    ],
)
def test_turns_that_fit_are_foretold(spent: list[tuple[int, int]], left: int, expected: int) -> None:
    """Each further prompt is longer by what prompts have grown so far; replies are taken at their mean."""
    assert turns_left(turns(*spent), left) == expected


def test_nothing_is_foretold_from_turns_that_cost_nothing() -> None:
    """Any number of them would fit."""
    assert turns_left(turns((0, 0)), 100) is None


def test_one_turn_says_nothing_about_growth() -> None:
    """The next is taken to need as much."""
    assert fit([(3, 10, 5)]) == (0.0, 15.0)


def test_attempts_of_one_turn_are_added_up() -> None:
    """A turn that was tried twice has cost both; charges outside turns are no turn."""
    spent = [Spent(1, 0.0, 10, 0, 10), Spent(1, 1.0, 20, 5, 25), Spent(0, 2.0, 900, 0, 900)]
    assert turns_left(spent, 70) == 2
