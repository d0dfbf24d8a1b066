"""Scorecards: recorded by name, superseded and never overwritten, closed to who has not rated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_kernel.assessment.rubric import ANCHORS, parse_rubric, read_rubric, to_toml
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.assessment.sight import opened_by
from ib_kernel.budget.access import acting_as
from ib_kernel.errors import ConfigError, Locked
from ib_kernel.interview.challenges import Criterion
from ib_kernel.interview.interview import Interview
from ib_kernel.settings import Settings
from ib_kernel.values import Score

RUBRIC = """
[[criteria]]
name = "races"
title = "Finds the lost update"
anchors = ["Does not see it", "Sees it when shown", "Names it when asked", "Names it unasked"]

[[criteria]]
name = "tests"
title = "Tests the edges"
anchors = ["None", "One when named", "The usual ones", "Chooses them and says why"]
"""


@pytest.fixture
def buddy(settings: Settings) -> Iterator[Interview]:
    """An interview with one turn and a rubric of its own."""
    with Interview(settings.replace("test", client="demo")) as interview:
        interview.start("Backend engineer", candidate="Noor Tan", token_budget=50_000)
        interview.say_sync("I am Noor. One lock around both steps.")
        Scorecards(interview).give_rubric(interview.session.session_id, parse_rubric(RUBRIC), "Ada")
        yield interview


@pytest.fixture
def cards(buddy: Interview) -> Scorecards:
    """The scorecards of its ledger."""
    return Scorecards(buddy)


def sid(buddy: Interview) -> str:
    """Return the session's id."""
    return buddy.session.session_id


def test_what_others_gave_comes_with_one_s_own_level(buddy: Interview, cards: Scorecards) -> None:
    """Criterion by criterion, the model's included."""
    cards.score(sid(buddy), "races", 3, "says it unasked", turns=[1], rater="Ann")
    buddy.service.store.add_score(Score(sid(buddy), "races", "judge", "model", level=1))
    before = cards.card(sid(buddy), "Ben")
    assert [one.others for one in before.rated] == [(), ()]
    assert before.missing == 2
    cards.score(sid(buddy), "tests", 0, rater="Ben")
    assert cards.card(sid(buddy), "Ben").rated[0].others == ()
    cards.score(sid(buddy), "races", 2, rater="Ben")
    others = cards.card(sid(buddy), "Ben").rated[0].others
    assert {(s.rater, s.level) for s in others} == {("Ann", 3), ("judge", 1)}


def test_a_later_level_counts_and_the_earlier_stays(buddy: Interview, cards: Scorecards) -> None:
    """Nothing is overwritten, and the chain has every row."""
    for level in (0, 2, 1):
        cards.score(sid(buddy), "races", level, f"at {level}", rater="Ann")
    own = cards.card(sid(buddy), "Ann").rated[0].own
    assert own is not None
    assert (own.level, own.reason) == (1, "at 1")
    assert [s.level for s in buddy.service.store.scores(sid(buddy))] == [0, 2, 1]
    assert buddy.service.store.verify(sid(buddy)) == []


def test_it_is_recorded_whether_the_model_s_level_could_be_seen(buddy: Interview, cards: Scorecards) -> None:
    """The first level never has; the next has, if the model's was there by then."""
    assert not cards.score(sid(buddy), "races", 1, rater="Ann").saw_model
    assert not cards.score(sid(buddy), "races", 2, rater="Ann").saw_model  # there was none to see
    buddy.service.store.add_score(Score(sid(buddy), "races", "judge", "model", level=3))
    assert not cards.score(sid(buddy), "races", 2, rater="Ben").saw_model
    assert cards.score(sid(buddy), "races", 3, rater="Ann").saw_model
    assert not cards.score(sid(buddy), "tests", 3, rater="Ann").saw_model  # another criterion


def test_who_unfolds_sees_all_and_gives_no_first_level(buddy: Interview, cards: Scorecards) -> None:
    """A level after a look is nobody's own; one that was there before may still be changed."""
    cards.score(sid(buddy), "races", 3, rater="Ann")
    cards.score(sid(buddy), "tests", 1, rater="Cy")
    cards.unfold(sid(buddy), "Cy")
    card = cards.card(sid(buddy), "Cy")
    assert not card.is_open
    assert [s.rater for s in card.rated[0].others] == ["Ann"]
    with pytest.raises(ConfigError, match="not one's own"):
        cards.score(sid(buddy), "races", 3, rater="Cy")
    cards.score(sid(buddy), "tests", 2, rater="Cy")
    assert cards.card(sid(buddy), "Ben").rated[0].others == ()
    cards.unfold(sid(buddy), "Cy")  # once is recorded
    assert [e.who for e in buddy.service.store.events(sid(buddy)) if e.kind == "unfolded"] == ["Cy"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("race", 4), "a level cannot be 4; give 0, 1, 2 or 3"),
        (("race", True), "a level cannot be True"),
        (("speed", 1), "no criterion 'speed'.*there are: races, tests"),
        (("", 1), "no criterion"),
    ],
)
def test_what_cannot_be_a_level_is_one_line(
    buddy: Interview, cards: Scorecards, given: tuple[str, int], line: str
) -> None:
    """What was wrong and what is allowed; nothing is recorded."""
    with pytest.raises(ConfigError, match=line):
        cards.score(sid(buddy), *given)
    assert buddy.service.store.scores(sid(buddy)) == []


def test_turns_must_be_there(buddy: Interview, cards: Scorecards) -> None:
    """A level points to turns of this session, with or without words."""
    with pytest.raises(ConfigError, match="no turn 7; there are turns 1 to 1"):
        cards.score(sid(buddy), "races", 1, turns=[7])
    quote = {"turn": 1, "words": "One lock around both steps."}
    given = cards.score(sid(buddy), "races", 1, turns=[1], quotes=[quote])
    assert [q["words"] for q in given.quotes] == ["", "One lock around both steps."]
    with pytest.raises(ConfigError, match="has 4,001 characters"):
        cards.score(sid(buddy), "races", 1, "x" * 4001)


def test_a_criterion_is_named_by_its_beginning_or_its_title(buddy: Interview, cards: Scorecards) -> None:
    """As long as only one begins so."""
    assert cards.score(sid(buddy), "rac", 1).criterion == "races"
    assert cards.score(sid(buddy), "Tests the edges", 1).criterion == "tests"


def test_names_are_hidden_until_everything_is_rated(buddy: Interview, cards: Scorecards) -> None:
    """In the head, in reasons, quotes and notes."""
    quote = {"turn": 1, "words": "I am NOOR."}
    cards.score(sid(buddy), "races", 2, "Noor said so, noor tan!", quotes=[quote], rater="Ann")
    cards.note(sid(buddy), "Noor asked first", "Ann")
    card = cards.card(sid(buddy), "Ann", blind=True)
    assert card.blind
    assert "noor" not in repr(card).casefold()
    cards.score(sid(buddy), "tests", 2, rater="Ann")
    assert cards.card(sid(buddy), "Ann", blind=True).candidate == "Noor Tan"


def test_levels_are_given_under_the_name_of_who_acts(buddy: Interview, cards: Scorecards) -> None:
    """A host acts for its people."""
    with acting_as("Grace"):
        assert cards.score(sid(buddy), "races", 1).rater == "Grace"
        assert cards.note(sid(buddy), "calm").who == "Grace"


def test_a_locked_session_asks_for_its_passphrase(settings: Settings) -> None:
    """For levels, notes, the rubric and to look; a wrong one changes nothing."""
    with Interview(settings.replace("test", client="demo")) as buddy:
        buddy.start("", candidate="Noor", passphrase="correct horse")
        cards = Scorecards(buddy)
        for act in (
            lambda: cards.give_rubric(sid(buddy), parse_rubric(RUBRIC)),
            lambda: cards.note(sid(buddy), "calm"),
            lambda: cards.card(sid(buddy)),
            lambda: cards.unfold(sid(buddy)),
        ):
            with pytest.raises(Locked):
                act()
        cards.give_rubric(sid(buddy), parse_rubric(RUBRIC), passphrase="correct horse")
        with pytest.raises(Locked):
            cards.score(sid(buddy), "races", 1, passphrase="wrong horse")
        cards.score(sid(buddy), "races", 1, passphrase="correct horse")
        assert opened_by(buddy.service, "correct horse") == {sid(buddy)}
        assert Scorecards(buddy, guarded=False).card(sid(buddy)).rated


def test_a_rubric_is_kept_beside_the_ledger_and_not_in_it(buddy: Interview, cards: Scorecards) -> None:
    """No row that SQL can reach names a criterion's anchors."""
    assert cards.rubric(buddy.session).origin == "file"
    text = str(buddy.service.store.sql("SELECT detail FROM events").rows)
    assert "Names it unasked" not in text
    assert "races" not in text


def test_a_rubric_survives_being_written_and_read() -> None:
    """To TOML and back, whatever its texts hold."""
    odd = Criterion("odd", 'A "quote", a \\ and 😀\x7f', ("a\nb", "c\t", "'", "é"))
    assert parse_rubric(to_toml([odd])) == (odd,)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "has 0 criteria"),
        ("criteria = 3", r"\[\[criteria\]\] tables"),
        ('[[criteria]]\nname = "a"\ntitle = "A"\nanchors = ["0"]', "needs anchors, four texts"),
        ("[[criteria", "not TOML"),
    ],
)
def test_a_rubric_that_is_none_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    """Which file, what is wrong, and what it needs."""
    file = tmp_path / "ours.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=line) as raised:
        read_rubric(file)
    assert "ours.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_rubric_is_named(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(ConfigError, match="no file"):
        read_rubric(tmp_path / "none.toml")


def test_a_challenge_that_only_names_criteria_gets_the_general_anchors(
    settings: Settings, tmp_path: Path
) -> None:
    """A .md file with a rubric of titles is rated on the same scale."""
    task = tmp_path / "task.md"
    task.write_text('+++\nrubric = ["Asks first", "Asks first"]\n+++\n# A task\n\nDo it.', encoding="utf-8")
    with Interview(settings.replace("test", client="demo")) as buddy:
        buddy.start("", challenge=str(task))
        criteria = Scorecards(buddy).rubric(buddy.session).criteria
    assert [c.name for c in criteria] == ["asks-first", "asks-first-2"]
    assert criteria[0].anchors == ANCHORS


def test_every_shipped_challenge_has_criteria_to_rate(settings: Settings) -> None:
    """The private distribution has them."""
    with Interview(settings.replace("test", client="demo")) as buddy:
        buddy.start("", challenge="rate-limiter")
        rubric = Scorecards(buddy).rubric(buddy.session)
    assert rubric.origin == "challenge"
    assert len(rubric.criteria) >= 4
