"""What comes back when work is looked at: the report of a check, a hint. They cross between two sides."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.values.evidence import Suite

CHECK_WORDS = ("same", "different", "error", "time", "memory", "ended", "not run")
"""What one test can have shown; `docs/commands.md` says what each means."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """What one test showed: `why` is one of `CHECK_WORDS`; all but `ok` and `why` may be somebody's text.

    `expected` and `got` are the sides of the comparison that did not hold, `source` its text, `said` the
    test's own message or the exception's line.
    """

    __test__ = False  # pytest: no class of tests

    name: str
    ok: bool
    why: str = ""
    expected: str = ""
    got: str = ""
    source: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check showed, as far as its reader may know.

    Args:
        suite: Which tests were run.
        passed: How many passed; None where that is not told.
        total: How many were run.
        tests: The tests that may be shown.
        problem: Why no test was run, one line; "" otherwise.
        left: How many hidden checks are left; None for visible ones.
        practice: Whether hidden runs were run on the candidate's own machine, where they can be read.
    """

    suite: Suite
    passed: int | None
    total: int
    tests: tuple[TestResult, ...] = ()
    problem: str = ""
    left: int | None = None
    practice: bool = False

    def line(self) -> str:
        """Return the result in one line that claims no more than was run."""
        if self.problem:
            return self.problem
        kind = "hidden checks" if self.suite == "hidden" else "visible tests"
        if self.passed is None:
            text = f"{self.total} {kind} were run; the interviewer sees what they showed."
        else:
            text = f"{self.passed} of {self.total} {kind} passed."
        if self.left is not None:
            text += f" {self.left} more {'time' if self.left == 1 else 'times'} they can be run."
        return text


@dataclass(frozen=True, slots=True)
class Hint:
    """One rung of a challenge's hint ladder: its number from 1 on, its text, and how many follow it."""

    rung: int
    text: str
    left: int
