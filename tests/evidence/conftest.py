from __future__ import annotations

import pytest

from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.sandbox import Sandbox
from ib_kernel.interview.challenges import Challenge

VISIBLE = """
from entry import square

def test_two():
    assert square(2) == 4

def test_three_with_a_word():
    assert square(3) == 9, "three"
"""

HIDDEN = """
from entry import square

def run_many():
    return [square(number) for number in range(20)]

def run_large():
    return square(1234567)
"""

SOLUTION = "def square(number):\n    return number * number\n"


@pytest.fixture
def squares() -> Challenge:
    """A small challenge with everything that can be run."""
    return Challenge(
        "squares",
        "Squares",
        "Square it.",
        entry=("square",),
        visible=VISIBLE,
        hidden=HIDDEN,
        solution=SOLUTION,
    )


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    found = Sandbox()
    if found.problem():
        pytest.skip(found.problem())
    return found


@pytest.fixture
def checks(sandbox: Sandbox) -> HiddenChecks:
    return HiddenChecks(sandbox)
