"""How far raters agree: per criterion and pair, the share of equal levels and a weighted kappa.

Quadratically weighted kappa (Cohen 1968): disagreement counts by the square of its distance, and is set
beside what the two would have by chance. On the fixed scale of 0 to 3 it has a closed form, which the view
``agreement`` of the ledger computes as well::

    kappa = 1 - mean((x - y)²) / (mean(x²) + mean(y²) - 2 mean(x) mean(y))

SQL cannot resample, so the interval is computed here: a percentile bootstrap over sessions (Efron 1979) with
a fixed seed, so that the same levels always give the same interval.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ib_kernel.values import Score

RESAMPLES = 2_000
"""Resamples of one interval; fewer for very many sessions, so that it takes no more than a second."""

LEAST = 5
"""Sessions from which on an interval is given: over fewer, resampling says nothing."""

CONFIDENCE = 0.95
_SEED = 20_261_126
_MOST_DRAWS = 2_000_000

Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two raters agree on one criterion, over the `n` sessions that both have rated.

    `kappa` is None where chance alone would agree fully (both gave one and the same level always). `low` and
    `high` are the bounds of the 95 % interval, None below `LEAST` sessions.
    """

    criterion: str
    rater_a: str
    rater_b: str
    n: int
    equal_share: float
    kappa: float | None
    low: float | None = None
    high: float | None = None


def weighted_kappa(pairs: Pairs) -> float | None:
    """Return the quadratically weighted kappa of pairs of levels; None where it is not defined.

    Args:
        pairs: Levels 0 to 3 of two raters, one pair for each session.
    """
    return _kappa(Counter(pairs))


def interval(pairs: Pairs) -> tuple[float, float] | None:
    """Return the bounds of kappa's 95 % bootstrap interval; None below `LEAST` pairs.

    Resamples in which kappa is not defined are left out; None where that is most of them.

    Args:
        pairs: Levels 0 to 3 of two raters, one pair for each session.
    """
    n = len(pairs)
    if n < LEAST:
        return None
    chance = random.Random(_SEED)  # noqa: S311 - resampling, no secret
    cells = sorted(Counter(pairs).items())
    values, weights = [cell for cell, _ in cells], list(itertools.accumulate(count for _, count in cells))
    wanted = max(200, min(RESAMPLES, _MOST_DRAWS // n))
    drawn = (_kappa(Counter(chance.choices(values, cum_weights=weights, k=n))) for _ in range(wanted))
    found = sorted(kappa for kappa in drawn if kappa is not None)
    if 2 * len(found) < wanted:
        return None
    tail = (1 - CONFIDENCE) / 2
    return _quantile(found, tail), _quantile(found, 1 - tail)


def apart_scores(scores: Iterable[Score]) -> list[Score]:
    """Return each rater's newest level that was given before they could see anybody else's.

    That is their first, or a later one while nobody else had rated the criterion. So agreement cannot be
    made by looking first. A model sees no levels; its newest counts.

    Args:
        scores: Of any sessions, in the order they were given.
    """
    found: dict[tuple[str, str, str, str], Score] = {}
    raters: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for score in scores:
        who = score.rater, score.rater_kind
        before = raters.setdefault((score.session_id, score.criterion), set())
        key = score.session_id, score.criterion, *who
        could_see = score.rater_kind == "person" and key in found and bool(before - {who})
        if not could_see and score.level is not None:
            found[key] = score
        before.add(who)
    return list(found.values())


def agreement(scores: Iterable[Score], *, intervals: bool = True) -> list[Agreement]:
    """Return how each pair of raters agrees on each criterion.

    Args:
        scores: Of any sessions, in the order they were given; only levels given apart are compared.
        intervals: Whether intervals are computed too.

    Returns:
        By criterion and raters; a model is a rater like any other, under its own name.
    """
    levels: dict[str, dict[str, dict[str, int]]] = {}
    for score in apart_scores(scores):
        if score.level is not None:
            by_rater = levels.setdefault(score.criterion, {})
            by_rater.setdefault(rater_name(score), {})[score.session_id] = score.level
    found = []
    for criterion, raters in sorted(levels.items()):
        for a, b in itertools.combinations(sorted(raters), 2):
            pairs = _pairs(raters[a], raters[b])
            if pairs:
                found.append(_agreement(criterion, a, b, pairs, intervals))
    return found


def rater_name(score: Score) -> str:
    """Return how a rater is named where people and models stand beside each other."""
    return score.rater if score.rater_kind == "person" else f"{score.rater} (model)"


def _agreement(criterion: str, a: str, b: str, pairs: Pairs, intervals: bool) -> Agreement:
    equal = sum(x == y for x, y in pairs) / len(pairs)
    low, high = (interval(pairs) if intervals else None) or (None, None)
    return Agreement(criterion, a, b, len(pairs), equal, weighted_kappa(pairs), low, high)


def _pairs(a: Mapping[str, int], b: Mapping[str, int]) -> list[tuple[int, int]]:
    return [(a[session], b[session]) for session in sorted(a.keys() & b.keys())]


def _kappa(cells: Mapping[tuple[int, int], int]) -> float | None:
    n = sum(cells.values())
    if not n:
        return None
    # whole numbers until the last step: n² times the means above
    apart = sum(count * (x - y) ** 2 for (x, y), count in cells.items())
    squares = sum(count * (x * x + y * y) for (x, y), count in cells.items())
    sum_x = sum(count * x for (x, _), count in cells.items())
    sum_y = sum(count * y for (_, y), count in cells.items())
    chance = n * squares - 2 * sum_x * sum_y
    return 1 - n * apart / chance if chance else None


def _quantile(found: Sequence[float], share: float) -> float:
    at = share * (len(found) - 1)
    below = int(at)
    above = min(below + 1, len(found) - 1)
    return found[below] + (found[above] - found[below]) * (at - below)
