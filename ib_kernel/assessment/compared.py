"""What a comparison shows, as plain values: groups under equal conditions, their sessions, and the levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ib_kernel.text import several


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of one criterion in one session, as far as the person who looks may see it.

    `low` and `high` are the range of people's newest levels (None: nobody's that is to be seen), `people` how
    many gave one, `model_low` and `model_high` what a model proposes. `hidden` is whether the person has to
    rate first; it is True whether or not others have rated. `quotes` are the candidate's words that people
    chose, `turns` the turns that they named without words.
    """

    low: int | None = None
    high: int | None = None
    people: int = 0
    quotes: int = 0
    turns: int = 0
    model_low: int | None = None
    model_high: int | None = None
    hidden: bool = False

    @property
    def text(self) -> str:
        """The level in words."""
        if self.hidden:
            return "rate it first"
        return _range(self.low, self.high) or "not rated"

    @property
    def note(self) -> str:
        """What stands beneath the level."""
        parts = []
        if self.people > 1:
            parts.append(f"{self.people} raters" + (" differ" if self.low != self.high else ""))
        if self.people:
            pointed = several(self.quotes, "quote") if self.quotes else several(self.turns, "turn")
            parts.append(pointed if self.quotes or self.turns else "no quote")
        model = _range(self.model_low, self.model_high)
        if model:
            parts.append(f"model: {model}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a small picture shows: ``[share of the time, share of the budget left]``, and cells on one axis.

    Shares are of this person's own limit; without a limit, of the longest session under these conditions.
    """

    left: Sequence[Sequence[float]] = ()
    cells: Sequence[Sequence[float]] = ()
    checks: Sequence[Sequence[float]] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One session of a comparison. `accommodation` is "" unless a coordinator looks.

    `minutes` are active ones, relative to the usual limit. `percentiles` has an entry for "minutes" and
    "charged_tokens" where the group has enough sessions: how many of a hundred used less.
    """

    session_id: str
    candidate: str
    began_at: float
    status: str
    levels: Mapping[str, Level]
    checks: str
    hidden_checks: str
    turns: int
    minutes: float
    minutes_limit: float | None
    charged_tokens: int
    token_budget: int
    hints: int
    hints_of: int | None
    refusals: int
    marks: Sequence[str] = ()
    percentiles: Mapping[str, int] = field(default_factory=dict)
    picture: Picture = field(default_factory=Picture)
    accommodation: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions under equal conditions, in the order of the interviews. `name` is "A" for the largest."""

    name: str
    conditions: Sequence[tuple[str, str]]
    differences: Sequence[str]
    sessions: Sequence[Compared]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All sessions on one challenge. `criteria` are names and titles, in the rubric's order."""

    challenge: str
    title: str
    criteria: Sequence[tuple[str, str]]
    groups: Sequence[Group]
    rater: str
    blind: bool = False
    left_out: int = 0

    @property
    def sessions(self) -> int:
        """How many sessions are compared."""
        return sum(len(group.sessions) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a comparison.

    Args:
        name: Under which they rate; "": the system's user.
        coordinator: Whether accommodations are shown.
        blind: Whether names are replaced until this person has rated every criterion of a session.
        guarded: Whether locked sessions show no levels without their passphrase; not so at a host.
        passphrase: What opens locked sessions, if anything.
    """

    name: str = ""
    coordinator: bool = False
    blind: bool = False
    guarded: bool = True
    passphrase: str | None = field(default=None, repr=False)


def _range(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return ""
    return str(low) if low == high else f"{low} to {high}"
