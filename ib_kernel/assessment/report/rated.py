"""Levels in the interviewers' edition, people's and a judge's, as far as there is paper for them."""

from __future__ import annotations

from collections.abc import Sequence

from ib_kernel.assessment.card import Rated as CardRow
from ib_kernel.assessment.card import Scorecard
from ib_kernel.assessment.judge.together import Look, level_word
from ib_kernel.assessment.report.places import Places, share
from ib_kernel.assessment.report.record import RecordOf
from ib_kernel.assessment.report.values import Omitted, Rated, View
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values import Score

ALL_REASONS = 7_000
"""Characters of all reasons that are shown."""

ALL_QUOTES = 36
"""Quotes of all raters together that are shown."""

ALL_OMITTED = 20
"""Quotes that were dropped and are shown."""

FOLDED = "Others' levels, and the judge's, are shown once you have given yours."
"""Stands where levels are hidden."""

_NO_MODEL = "left out, as asked (--no-model)"


class Paper:
    """How much of each reason and of each rater's quotes there is paper for."""

    def __init__(self, places: Places, card: Scorecard) -> None:
        views = sum(bool(row.own) + len(row.others) for row in card.rated)
        self.places = places
        self.reason = share(ALL_REASONS, views, 160, 700)
        self.quotes = share(ALL_QUOTES, views, 1, 4)
        self.omitted = share(ALL_OMITTED, len(card.rated), 1, 8)


def criterion(row: CardRow, card: Scorecard, record: RecordOf, paper: Paper, *, model: bool) -> Rated:
    """Return one criterion as far as the card's rater may see it; *model*: with what a judge proposes."""
    c = row.criterion
    people = [s for s in (row.own, *row.others) if s is not None and s.rater_kind == "person"]
    proposed = next((s for s in row.others if s.rater_kind == "model"), None)
    looks = [look for look in (record.judged.looks if record.judged else ()) if look.criterion == c.name]
    sees = model and proposed is not None
    folded = FOLDED if row.own is None and card.is_open else ""
    return Rated(
        c.name,
        one_line(c.title),
        tuple(one_line(anchor) for anchor in c.anchors),
        tuple(_view(score, paper) for score in people),
        _view(proposed, paper) if sees and proposed is not None else None,
        tuple(_look_word(look) for look in looks) if sees else (),
        tuple(_omitted(looks)[: paper.omitted]) if sees else (),
        folded,
    )


def _view(score: Score, paper: Paper) -> View:
    word = level_word(score.level, score.low, score.high)
    who = f"{score.rater} ({score.model})" if score.rater_kind == "model" else score.rater
    low = score.level if score.level is not None else score.low
    high = score.level if score.level is not None else score.high
    reason = cut(" ".join(plain(score.reason).split()), paper.reason)
    return View(
        one_line(who),
        word,
        low,
        high,
        reason,
        tuple(paper.places.quoted(score.quotes[: paper.quotes])),
        score.saw_model,
    )


def _look_word(look: Look) -> str:
    if look.problem:
        return "no usable answer"
    word = level_word(look.level, None, None)
    if look.level is None and look.given is not None:
        return f"{word} (said {look.given}, without a quote that was found)"
    return word


def _omitted(looks: Sequence[Look]) -> list[Omitted]:
    found: dict[tuple[str, str], Omitted] = {}
    for look in looks:
        for one in look.dropped:
            words = cut(" ".join(plain(one.words).split()), 160)
            found.setdefault((one.place, words), Omitted(words, one_line(one.place), one.reason))
    return list(found.values())


def judge_lines(record: RecordOf, criteria: Sequence[Rated], *, model: bool) -> list[str]:
    """Return sentences on what a judge was asked and what came of it; none where none was asked."""
    judged = record.judged
    if judged is None:
        return []
    if not model:
        return [f"A judge was asked; what it proposes is {_NO_MODEL}."]
    looks = judged.looks
    kept, dropped = sum(len(look.kept) for look in looks), sum(len(look.dropped) for look in looks)
    unusable = sum(bool(look.problem) for look in looks)
    passes = max((look.number for look in looks), default=0)
    who = f"{one_line(judged.judge)} ({one_line(judged.model)}, prompt {one_line(judged.version)})"
    found = [
        f"{who} was asked about each criterion {several(passes, 'time')}, in shuffled order, for "
        f"{judged.tokens:,} tokens of its own. Of {several(kept + dropped, 'quote')}, {kept} stand in the "
        f"record and {dropped} were dropped."
    ]
    if unusable:
        found.append(f"{several(unusable, 'answer')} could not be used.")
    if not judged.complete:
        found.append("It was not asked about everything yet: %interview judge goes on.")
    if any(criterion.folded for criterion in criteria):
        found.append(FOLDED)
    return found
