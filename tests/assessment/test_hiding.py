"""Who sees which level, and what hides a name: rules that hold for any history."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.assessment.agreement import apart_scores
from ib_kernel.assessment.hiding import NameHider, has_unfolded, latest_scores, visible_scores
from ib_kernel.values import LedgerEvent, Score

SCORES = st.lists(
    st.builds(
        Score,
        session_id=st.sampled_from(["s1", "s2"]),
        criterion=st.sampled_from(["races", "tests"]),
        rater=st.sampled_from(["Ada", "Ben", "Cy"]),
        rater_kind=st.sampled_from(["person", "person", "model"]),
        level=st.integers(0, 3),
    ),
    max_size=30,
)


@given(SCORES, st.sampled_from(["Ada", "Ben", "Cy", "Nobody", ""]))
def test_nobody_sees_a_level_before_giving_their_own(scores: list[Score], rater: str) -> None:
    """What is seen of a criterion is all or nothing, and all only for who has rated it."""
    shown = visible_scores(scores, rater)
    own = {(s.session_id, s.criterion) for s in scores if s.rater == rater and s.rater_kind == "person"}
    assert shown == [s for s in scores if (s.session_id, s.criterion) in own]


@given(SCORES)
def test_a_later_level_counts_and_none_is_lost(scores: list[Score]) -> None:
    """Of each rater, criterion and session the last one counts; the list itself stays as it was."""
    before = list(scores)
    newest = {(s.session_id, s.criterion, s.rater, s.rater_kind): s for s in scores}
    assert sorted(map(repr, latest_scores(scores))) == sorted(map(repr, newest.values()))
    assert scores == before


@given(SCORES)
def test_no_person_s_level_given_after_a_look_is_apart(scores: list[Score]) -> None:
    """A level counts as apart exactly when nobody else's could have been seen: looking first helps nobody."""
    for score in apart_scores(scores):
        at = next(i for i, one in enumerate(scores) if one is score)
        if score.rater_kind == "person":
            assert visible_scores(scores[:at], score.rater) == [
                s
                for s in visible_scores(scores[:at], score.rater)
                if (s.session_id, s.criterion) != (score.session_id, score.criterion)
                or (s.rater, s.rater_kind) == (score.rater, "person")
            ]


def test_unfolding_opens_one_session_for_one_person() -> None:
    """It is recorded, and nobody else sees more for it."""
    scores = [Score("s1", "races", "Ada", "person", level=2), Score("s2", "races", "Ada", "person", level=1)]
    assert visible_scores(scores, "Ben", unfolded={"s1"}) == scores[:1]
    events = [LedgerEvent("s1", "unfolded", 0.0, "Ben")]
    assert has_unfolded(events, "Ben")
    assert not has_unfolded(events, "Cy")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("I am Ada.", "I am X."),
        ("ADA LOVELACE wrote this", "X wrote this"),
        ("lovelace's code", "X's code"),
        ("ada_lovelace@example.org", "X@example.org"),
        ("adalovelace", "X"),
        ("an adapter for Canada", "an adapter for Canada"),
        ("A\u200bd\u200ba", "X"),
        ("Ａｄａ in full width", "X in full width"),
        ("Áda", "X"),
        ("A\u0301da\u0301 here", "X here"),
        ("candidate c-17 and C-17", "candidate X and X"),
        ("", ""),
    ],
)
def test_names_are_replaced_whatever_they_look_like(text: str, hidden: str) -> None:
    """Case, accents, width and invisible characters make no difference; other words stay."""
    assert NameHider(["Ada Lovelace", "c-17"], "X").hide(text) == hidden


def test_a_name_in_a_script_without_spaces_is_found_inside_a_sentence() -> None:
    """Chinese and Thai put no spaces around names."""
    assert NameHider(["李雷"], "X").hide("我叫李雷。") == "我叫X。"
    assert NameHider(["สมชาย"], "X").hide("ผมชื่อสมชายครับ") == "ผมชื่อXครับ"


def test_a_single_letter_or_a_number_is_no_name() -> None:
    """A person called Noor T. hides Noor, not every t; a code hides as a whole."""
    said = "T is a type, Noor said, 17 times"
    assert NameHider(["Noor T."], "X").hide(said) == said.replace("Noor", "X")
    assert NameHider([""], "X").hide("nothing to hide") == "nothing to hide"


NAMES = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Mn", "Zs"]), min_size=2, max_size=20)


@given(NAMES, st.text(max_size=40), st.text(max_size=40))
def test_no_letter_of_a_name_between_spaces_survives(name: str, before: str, after: str) -> None:
    """Whatever the name, and in either case: hidden once, it is not found again."""
    hider = NameHider([name], "·")
    folded = "".join(c for c in unicodedata.normalize("NFKD", name).casefold() if c.isalpha())
    if len(folded) < 2:
        return
    for shown in (name, name.upper(), name.lower()):
        once = hider.hide(f"{before} {shown} {after}")
        assert hider.hide(once) == once


def test_values_keep_their_shape() -> None:
    """Quotes are mappings in lists."""
    value = [{"turn": 1, "words": "Ada did"}, ("Ada", None, 3)]
    assert NameHider(["Ada"], "X").hide_value(value) == [{"turn": 1, "words": "X did"}, ["X", None, 3]]
