"""A session's scorecard as one person sees it: the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ib_kernel.assessment.hiding import NameHider
from ib_kernel.assessment.rubric import Rubric
from ib_kernel.interview.challenges import Criterion
from ib_kernel.values import Score


@dataclass(frozen=True, slots=True)
class Rated:
    """One criterion on somebody's card.

    `own` is this person's newest level (None: not rated yet), `others` are everybody else's newest, the
    model's included: empty until this person has rated, or has unfolded the session.
    """

    criterion: Criterion
    own: Score | None = None
    others: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """One private note: when, by whom, and its text."""

    created_at: float
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A session's criteria as one person sees them.

    `candidate` is the label that hides the name while `blind` does. `is_open` is whether this person can
    still give first levels: not after they have unfolded the session. `turns` are the turns there are.
    """

    session_id: str
    candidate: str
    rater: str
    rubric: Rubric
    rated: tuple[Rated, ...]
    notes: tuple[Note, ...] = ()
    blind: bool = False
    is_open: bool = True
    turns: int = 0

    @property
    def missing(self) -> int:
        """How many criteria this person has not rated yet."""
        return sum(one.own is None for one in self.rated)


def is_own(score: Score, person: str) -> bool:
    """Return True if *person* gave this level."""
    return score.rater_kind == "person" and score.rater == person


def card_row(criterion: Criterion, newest: Sequence[Score], person: str) -> Rated:
    """Return one criterion on a person's card: their own level, and those of others."""
    mine = [s for s in newest if s.criterion == criterion.name]
    own = next((s for s in mine if is_own(s, person)), None)
    return Rated(criterion, own, tuple(s for s in mine if s is not own))


def without_names(card: Scorecard, hider: NameHider) -> Scorecard:
    """Return a card in which the candidate's names are replaced in every text."""

    def hidden(score: Score) -> Score:
        quotes = [hider.hide_value(dict(quote)) for quote in score.quotes]
        return replace(score, reason=hider.hide(score.reason), quotes=quotes)

    rated = tuple(
        replace(one, own=one.own and hidden(one.own), others=tuple(map(hidden, one.others)))
        for one in card.rated
    )
    notes = tuple(replace(note, text=hider.hide(note.text)) for note in card.notes)
    return replace(card, candidate=hider.label.capitalize(), rated=rated, notes=notes, blind=True)
