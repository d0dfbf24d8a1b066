"""Figures about raters: kappa is the library's, the view's and ours; intervals are the same every time."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_duckdb.store import DuckDBStore
from ib_kernel.assessment.agreement import LEAST, agreement, interval, weighted_kappa
from ib_kernel.values import NewSession, Score

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """To nine places on the scale of 0 to 3; undefined for both at once."""
    metrics = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = metrics.cohen_kappa_score(
            [a for a, _ in pairs], [b for _, b in pairs], labels=[0, 1, 2, 3], weights="quadratic"
        )
    ours = weighted_kappa(pairs)
    if ours is None:
        assert math.isnan(theirs)
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=LEAST, max_size=30))
def test_an_interval_is_the_same_every_time_and_has_order(pairs: list[tuple[int, int]]) -> None:
    """The seed is fixed; the order of sessions makes no difference."""
    found = interval(pairs)
    assert found == interval(list(reversed(pairs)))
    if found is not None:
        assert -1 <= found[0] <= found[1] <= 1


def test_an_interval_covers_the_figure_of_a_known_case() -> None:
    """Twenty sessions that differ by one level now and then."""
    pairs = [(n % 4, min(3, n % 4 + (n % 5 == 0))) for n in range(20)]
    kappa, found = weighted_kappa(pairs), interval(pairs)
    assert kappa is not None
    assert found is not None
    assert found[0] < kappa <= found[1]
    assert 0.02 < found[1] - found[0] < 0.5


def test_few_sessions_have_no_interval() -> None:
    """Resampling four sessions says nothing."""
    assert interval([(1, 2)] * (LEAST - 1)) is None
    assert interval([(2, 2)] * 10) is None  # chance alone agrees fully: there is nothing to resample


def test_the_view_says_the_same_as_python(tmp_path: Path) -> None:
    """Pairs, numbers, shares and kappa; a model is a rater, practice is none, a look first does not count."""
    store = DuckDBStore(tmp_path, background=False)
    levels = {"Ann": [0, 1, 2, 3, 3, 1], "Bob": [1, 1, 2, 2, 3, 0], "Cy": [2, 2, 2, 2, 2, 2]}
    scores = []
    for n in range(6):
        store.open_session(NewSession(f"s{n}", "Ada", 9_000, "m"))
        for rater, given_levels in levels.items():
            scores.append(store.add_score(Score(f"s{n}", "races", rater, "person", level=given_levels[n])))
        scores.append(store.add_score(Score(f"s{n}", "races", "judge", "model", level=(n + 1) % 4)))
        scores.append(store.add_score(Score(f"s{n}", "races", "Ann", "person", level=3)))  # after a look
    store.open_session(NewSession("p", "Ada", 9_000, "m", meta={"practice": True}))
    for rater in levels:
        store.add_score(Score("p", "races", rater, "person", level=0))
    rows = store.sql("SELECT * FROM agreement ORDER BY rater_a, rater_b").rows
    ours = agreement(scores, intervals=False)
    assert [tuple(row[:4]) for row in rows] == [(a.criterion, a.rater_a, a.rater_b, a.n) for a in ours]
    for row, a in zip(rows, ours, strict=True):
        assert row[4] == pytest.approx(a.equal_share, abs=1e-12)
        assert row[5] == (None if a.kappa is None else pytest.approx(a.kappa, abs=1e-12))
    assert {(row[1], row[2]) for row in rows} >= {("Ann", "Bob"), ("Ann", "judge (model)")}
    mine = next(a for a in ours if (a.rater_a, a.rater_b) == ("Ann", "Bob"))
    assert mine.kappa == weighted_kappa(list(zip(levels["Ann"], levels["Bob"], strict=True)))
    store.close()


def test_the_effect_of_order_and_calibration_are_what_they_say(tmp_path: Path) -> None:
    """Ann follows the model after seeing it, Bob does not; Bob is milder by one level."""
    store = DuckDBStore(tmp_path, background=False)
    store.open_session(NewSession("s", "Ada", 9_000, "m"))
    for score in (
        Score("s", "races", "judge", "model", level=0),
        Score("s", "races", "Ann", "person", level=2),
        Score("s", "races", "Bob", "person", level=3),
        Score("s", "races", "Ann", "person", level=1, saw_model=True),
        Score("s", "races", "Bob", "person", level=3, saw_model=True),
    ):
        store.add_score(score)
    (row,) = store.sql("FROM order_effect").dicts()
    assert (row["before_n"], row["before_distance"]) == (2, 2.5)
    assert (row["after_n"], row["after_distance"]) == (2, 2.0)
    assert (row["changed"], row["towards_model"]) == (1, 1)
    found = {row["rater"]: row for row in store.sql("FROM calibration").dicts()}
    assert (found["Bob"]["mean_level"], found["Bob"]["mean_difference"], found["Bob"]["beside"]) == (3, 1, 1)
    assert found["judge"]["mean_difference"] == -2.5
    assert (found["Ann"]["share_2"], found["Ann"]["n"]) == (1, 1)
    store.close()
