"""What several looks at one criterion come to: a level, a range, nothing, or something for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ib_kernel.assessment.quotes import Dropped, Kept

TOO_FAR = 2
"""Levels between the lowest and the highest look from which people decide."""


@dataclass(frozen=True, slots=True)
class Look:
    """One pass over one criterion, after its quotes were looked up.

    `level` is what counts: None is "not shown", also where a level had no quote left. `given` is what the
    judge had said, `problem` why its answer could not be used ("": it could).
    """

    criterion: str
    number: int
    level: int | None
    given: int | None = None
    kept: tuple[Kept, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    why: str = ""
    strength: str = ""
    next_step: str = ""
    order: tuple[int, ...] = ()
    turn: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Together:
    """What the looks come to.

    `level` is set where all agree. Else `low` and `high` are the range that they span, "not shown" being 0
    as on the scale; all three are None where every look found nothing.
    """

    level: int | None
    low: int | None
    high: int | None
    reason: str

    @property
    def people_decide(self) -> bool:
        """Whether the looks are too far apart for a proposal."""
        return self.low is not None and self.high is not None and self.high - self.low >= TOO_FAR


def together(looks: Sequence[Look]) -> Together:
    """Return what looks at one criterion come to.

    Args:
        looks: One for each pass.
    """
    usable = [look for look in looks if not look.problem]
    if not usable:
        return Together(None, 0, 3, "no answer could be used: people decide")
    found = [look.level for look in usable]
    if all(level is None for level in found):
        return Together(None, None, None, f"not shown: {_why(usable, None)}".removesuffix(": "))
    low, high = min(level or 0 for level in found), max(level or 0 for level in found)
    if low == high and None not in found:
        return Together(low, low, high, _why(usable, low))
    if low == high:  # some say that 0 was shown, others that nothing was
        return Together(0, 0, 0, _why(usable, 0))
    made = Together(None, low, high, "")
    lead = "the looks differ too much, people decide" if made.people_decide else "the looks differ"
    said = " / ".join(f"{_word(look.level)}: {look.why}" for look in usable if look.why)
    return Together(None, low, high, f"{lead}. {said}".strip())


def level_word(level: int | None, low: int | None, high: int | None) -> str:
    """Return a level or a range in words: "2", "1 to 2", "not shown".

    Args:
        level: The level; None where there is none.
        low: The lowest of a range.
        high: The highest of it.
    """
    if level is not None:
        return str(level)
    if low is None or high is None:
        return "not shown"
    return f"{low} to {high}, people decide" if high - low >= TOO_FAR else f"{low} to {high}"


def _why(looks: Sequence[Look], level: int | None) -> str:
    return next((look.why for look in looks if look.level == level and look.why), "")


def _word(level: int | None) -> str:
    return "not shown" if level is None else str(level)
