"""Lint names each kind of fault of a challenge, and finds none in a sound one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.lint import lint
from ib_kernel.interview.challenges import Challenge, Criterion

ANCHORS = (
    "does not do it at all",
    "does it when told to",
    "does it when asked",
    "does it and says what it costs",
)


@pytest.fixture
def sound(squares: Challenge) -> Challenge:
    return replace(
        squares,
        text="Write a function that squares a whole number. " * 8,
        roles=("Backend engineer",),
        level="junior",
        tags=("algorithms",),
        minutes=20,
        tokens=10_000,
        starter='def square(number):\n    """Return its square."""\n    raise NotImplementedError\n',
        notes="Listen for negative numbers, for types that are no numbers, and for what overflow means here.",
        hints=("What is two times two?", "Multiply it with itself."),
        criteria=tuple(Criterion(name, f"Does {name}", ANCHORS) for name in ("asks", "tests", "explains")),
    )


FAULTS: dict[str, Callable[[Challenge], Challenge]] = {
    "minutes": lambda c: replace(c, minutes=None),
    "tokens": lambda c: replace(c, tokens=10),
    "roles": lambda c: replace(c, roles=()),
    "tags": lambda c: replace(c, tags=()),
    "level": lambda c: replace(c, level=""),
    "task": lambda c: replace(c, text="Square it."),
    "rubric": lambda c: replace(c, criteria=c.criteria[:1]),
    "anchors": lambda c: replace(
        c, criteria=(*c.criteria[:2], Criterion("x", "X", (ANCHORS[0], ANCHORS[0], ANCHORS[2], ANCHORS[3])))
    ),
    "notes": lambda c: replace(c, notes=""),
    "hints": lambda c: replace(c, hints=c.hints[:1]),
    "syntax": lambda c: replace(c, starter="def square("),
    "entry": lambda c: replace(c, entry=("cube",)),
    "leak": lambda c: replace(c, text=c.text + " " + c.notes),
    "visible": lambda c: replace(c, visible="from entry import square\n"),
    "solution": lambda c: replace(c, visible=c.visible.replace("== 4", "== 5")),
    "hidden": lambda c: replace(c, hidden="from entry import square\n\ndef run_it():\n    return object()\n"),
    "verdicts": lambda c: replace(
        c, hidden="from entry import square\n\ndef run_it():\n    return [square(2) == 4, None]\n"
    ),
    "unstable": lambda c: replace(
        c,
        hidden="import time\nfrom entry import square\n\ndef run_it():\n    return time.time_ns()\n",
    ),
    "starter": lambda c: replace(c, starter=c.solution.replace("number", "value")),
}


def test_a_sound_challenge_has_no_finding(sound: Challenge, checks: HiddenChecks) -> None:
    """What is complete, right and tight passes."""
    assert lint(sound, checks) == []


@pytest.mark.parametrize("rule", FAULTS)
def test_each_kind_of_fault_is_named(rule: str, sound: Challenge, checks: HiddenChecks) -> None:
    """A broken copy of each kind: its own rule says so."""
    assert rule in {finding.rule for finding in lint(FAULTS[rule](sound), checks)}


def test_a_line_of_the_solution_in_a_comment_of_the_starter_is_a_leak(
    sound: Challenge, checks: HiddenChecks
) -> None:
    """Code that says how it is done must not stand where the candidate reads it."""
    line = "return sum(step for step in range(1, 2 * number, 2))"
    leaky = replace(
        sound,
        solution=f"def square(number):\n    {line}\n",
        starter=f"def square(number):\n    # {line}\n    raise NotImplementedError\n",
    )
    assert any(f.rule == "leak" and "solution.py" in f.text for f in lint(leaky, checks))
