"""Comparisons: equal conditions together, what differs by name, nothing added up, nobody given away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from markupsafe import Markup

from ib_kernel.assessment.compared import Comparison, Viewer
from ib_kernel.assessment.comparison import PERCENTILES_FROM, compare, compared_challenges
from ib_kernel.assessment.conditions import Conditions, differences
from ib_kernel.assessment.multiples import picture_svg
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.errors import ConfigError
from ib_kernel.interview.interview import Interview
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, Cell, Check, LedgerEvent, Score, Session, wire

TASK = "rate-limiter"


@pytest.fixture
def buddy(settings: Settings) -> Iterator[Interview]:
    """An interview without sessions yet."""
    with Interview(settings.replace("test", client="demo")) as interview:
        yield interview


def held(buddy: Interview, name: str, **options: Any) -> Session:
    """Return a session that was held and has ended."""
    given = {"token_budget": 20_000, "time_limit_s": 2_700.0, "challenge": TASK, **options}
    session = buddy.start("Backend engineer", candidate=name, **given)
    buddy.service.store.charge(session.session_id, CallEnd(100, 50))
    return buddy.service.complete(session.session_id)


def groups(found: Comparison) -> list[list[str]]:
    """Return the candidates of each group."""
    return [[s.candidate for s in group.sessions] for group in found.groups]


def test_equal_conditions_stand_together_and_what_differs_is_named(buddy: Interview) -> None:
    """The largest set is A; each other says what is not as there."""
    for name in ("Ada", "Ben"):
        held(buddy, name)
    held(buddy, "Cy", token_budget=25_000)
    held(buddy, "Di", time_limit_s=3_600.0)
    held(buddy, "Eve", persona="assistant")
    held(buddy, "Flo", charge="new")
    held(buddy, "Gus", temperature=0.5)
    found = compare(buddy, TASK)
    assert groups(found) == [["Ada", "Ben"], ["Cy"], ["Di"], ["Eve"], ["Flo"], ["Gus"]]
    said = ["; ".join(group.differences) for group in found.groups]
    assert said[0] == ""
    assert said[1] == "budget: 25,000 tokens, not 20,000 tokens"
    assert said[2] == "time: 60 min, not 45 min"
    assert said[3].startswith("prompt: assistant")
    assert said[4] == "charged: what each turn adds, not all that is billed"
    assert said[5] == "temperature: 0.5, not the model's"
    assert [group.name for group in found.groups] == list("ABCDEF")


def test_every_condition_that_differs_is_named() -> None:
    """Whichever it is: no field can make a group without a word."""
    base = Conditions(
        "c", "1", "a" * 64, "role", "senior", "m", "demo", "interviewer", "i-1", None, "billed", 9
    )
    other = {str: "other", int: 7, float: 7.5, bool: True, type(None): 7}
    for field in dataclasses.fields(Conditions):
        value = "new" if field.name == "charge" else other[type(getattr(base, field.name))]
        assert differences(dataclasses.replace(base, **{field.name: value}), base), field.name
    assert differences(base, base) == []
    assert differences(dataclasses.replace(base, role="ROLE"), base) == []


def test_the_view_groups_as_python_does(buddy: Interview) -> None:
    """One definition, twice: the same sessions have the same key."""
    for name, more in (
        ("Ada", {}), ("Ben", {"accommodation": "time=1.5"}), ("Cy", {"token_budget": 9_000}),
        ("Di", {"persona": "assistant"}), ("Eve", {"temperature": 0.2}), ("Flo", {"time_limit_s": None}),
        ("Gus", {"level": "Senior"}), ("Hal", {"level": "senior"}),
    ):  # fmt: skip
        held(buddy, name, **more)
    rows = buddy.service.store.sql("SELECT set_key, candidate FROM conditions").rows
    by_key: dict[str, set[str]] = {}
    for key, name in rows:
        by_key.setdefault(key, set()).add(name)
    assert sorted(map(sorted, by_key.values())) == sorted(map(sorted, groups(compare(buddy, TASK))))
    minutes = dict(buddy.service.store.sql("SELECT candidate, minutes FROM conditions").rows)
    assert (minutes["Ben"], minutes["Flo"]) == (45, None)


def test_an_accommodation_counts_as_equal_and_only_a_coordinator_is_told(buddy: Interview) -> None:
    """Minutes are relative to the usual limit, in figures and in the picture."""
    held(buddy, "Ada")
    adapted = held(buddy, "Ben", accommodation="time=1.25")
    assert adapted.time_limit_s == 3_375.0
    found = compare(buddy, TASK, Viewer("Ann", coordinator=True))
    assert groups(found) == [["Ada", "Ben"]]
    assert [s.accommodation for s in found.groups[0].sessions] == ["", "time=1.25"]
    seen = compare(buddy, TASK, Viewer("Ann"))
    assert "1.25" not in repr(seen)
    assert "3375" not in repr(seen)
    assert [s.minutes_limit for s in seen.groups[0].sessions] == [45, 45]


@pytest.mark.parametrize(
    "text", ["time=1", "time=9", "time=nan", "time=inf", "time=-2", "breaks=2", "1.25", "time="]
)
def test_an_accommodation_that_is_none_is_one_line(buddy: Interview, text: str) -> None:
    """What is allowed, with an example; nothing is opened."""
    with pytest.raises(ConfigError, match="time=FACTOR above 1"):
        buddy.start("", accommodation=text, time_limit_s=60.0)
    with pytest.raises(ConfigError, match="needs a time limit"):
        buddy.start("", accommodation="time=1.25")
    assert buddy.service.store.sessions() == []


def test_changes_on_the_way_are_marks_and_no_conditions(buddy: Interview) -> None:
    """More time, more tokens, a pause and a stopped clock are said; the sets stay the same."""
    held(buddy, "Ada")
    session = buddy.start(
        "Backend engineer", candidate="Ben", challenge=TASK, token_budget=20_000, time_limit_s=2_700.0
    )
    service, sid = buddy.service, session.session_id
    service.set_time_limit(sid, 3_300.0)
    service.extend_budget(sid, 5_000)
    service.pause(sid)
    service.resume(sid)
    service.record(LedgerEvent(sid, "clock_stopped", 0.0, detail={"seconds": 12.4, "reason": "queue"}))
    found = compare(buddy, TASK)
    assert groups(found) == [["Ada", "Ben"]]
    assert list(found.groups[0].sessions[1].marks) == [
        "+10 min at 0:00", "+5,000 tokens at 0:00", "paused 1 time",
        "clock stopped 12 seconds for an outage or a queue", "still going on",
    ]  # fmt: skip


def test_minutes_given_to_somebody_with_more_time_are_relative_too(buddy: Interview) -> None:
    """A mark must not tell what the conditions hide."""
    session = buddy.start("", challenge=TASK, time_limit_s=2_400.0, accommodation="time=1.25")
    buddy.service.set_time_limit(session.session_id, 3_000.0 + 750.0)
    (only,) = compare(buddy, TASK, Viewer("Ann")).groups[0].sessions
    assert "+10 min at 0:00" in only.marks


def test_levels_are_ranges_that_open_criterion_by_criterion(buddy: Interview) -> None:
    """Hidden is hidden whether or not anybody has rated."""
    session = held(buddy, "Ada")
    cards = Scorecards(buddy)
    name = cards.rubric(session).criteria[0].name
    unrated = compare(buddy, TASK, Viewer("Cy")).groups[0].sessions[0].levels
    cards.score(session.session_id, name, 1, turns=[], rater="Ann")
    cards.score(session.session_id, name, 3, rater="Ben")
    buddy.service.store.add_score(Score(session.session_id, name, "judge", "model", low=1, high=2))
    assert compare(buddy, TASK, Viewer("Cy")).groups[0].sessions[0].levels == unrated
    level = compare(buddy, TASK, Viewer("Ann")).groups[0].sessions[0].levels[name]
    assert (level.text, level.note) == ("1 to 3", "2 raters differ, no quote, model: 1 to 2")
    cards.unfold(session.session_id, "Cy")
    assert compare(buddy, TASK, Viewer("Cy")).groups[0].sessions[0].levels[name] == level


def test_names_are_hidden_until_all_is_rated_and_keep_their_place(buddy: Interview) -> None:
    """The first candidate is the first one, with or without a name."""
    first = held(buddy, "Ada Lovelace")
    held(buddy, "Ben")
    viewer = Viewer("Ann", blind=True)
    assert groups(compare(buddy, TASK, viewer)) == [["Candidate 1", "Candidate 2"]]
    cards = Scorecards(buddy)
    for criterion in cards.rubric(first).criteria:
        cards.score(first.session_id, criterion.name, 2, rater="Ann")
    assert groups(compare(buddy, TASK, viewer)) == [["Ada Lovelace", "Candidate 2"]]


def test_a_locked_session_shows_its_levels_with_its_passphrase_only(buddy: Interview) -> None:
    """The notebook may stand before the candidate."""
    session = held(buddy, "Ada", passphrase="correct horse")
    cards = Scorecards(buddy)
    name = cards.rubric(session).criteria[0].name
    cards.score(session.session_id, name, 2, rater="Ann", passphrase="correct horse")
    for phrase, shown in ((None, "rate it first"), ("wrong horse", "rate it first"), ("correct horse", "2")):
        found = compare(buddy, TASK, Viewer("Ann", passphrase=phrase))
        assert found.groups[0].sessions[0].levels[name].text == shown


def test_practice_and_what_has_not_begun_are_left_out_and_counted(buddy: Interview) -> None:
    """So is a judge's own session."""
    held(buddy, "Ada")
    buddy.start("", candidate="Ben", challenge=TASK, begin=False)
    service = buddy.service
    for meta in ({"practice": True}, {"about": "another"}):
        service.create_session("Cy", 9_000, "demo", client="demo", challenge=TASK, meta=meta)
    found = compare(buddy, TASK)
    assert (groups(found), found.left_out) == ([["Ada"]], 3)
    assert compared_challenges(service.store) == {TASK: 1}


def test_percentiles_come_with_eight_sessions(buddy: Interview) -> None:
    """Fewer would say too much; ties share their place."""
    for n in range(PERCENTILES_FROM):
        session = held(buddy, f"C{n}")
        if n == PERCENTILES_FROM - 2:
            assert not any(s.percentiles for s in compare(buddy, TASK).groups[0].sessions)
        buddy.service.store.charge(session.session_id, CallEnd(100 * (n // 2), 0))
    shares = [s.percentiles["charged_tokens"] for s in compare(buddy, TASK).groups[0].sessions]
    assert shares == [12, 12, 38, 38, 62, 62, 88, 88]


def test_there_is_no_sum_and_no_rank(buddy: Interview) -> None:
    """Not among the names of anything that is returned."""
    held(buddy, "Ada")
    names = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            names.update(map(str, value))
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(wire.to_value(compare(buddy, TASK)))
    assert not {
        n for n in names if any(word in n for word in ("rank", "sum", "score", "overall", "best", "mean"))
    }


def test_a_picture_is_numbers_and_says_what_it_shows(buddy: Interview) -> None:
    """Plain SVG that needs no library, with its words."""
    session = buddy.start("", candidate="<b>Ada", challenge=TASK, time_limit_s=60.0)
    store = buddy.service.store
    store.add_cell(Cell(session.session_id, "1 / 0", ok=False, error="ZeroDivisionError"))
    store.add_check(Check(session.session_id, "visible", 2, 3))
    (only,) = compare(buddy, TASK).groups[0].sessions
    svg = picture_svg(only)
    assert isinstance(svg, Markup)
    assert "1 cell run, 1 of them failed" in svg
    assert "<b>" not in svg
    assert only.checks.startswith("2 of 3, last at ")


def test_an_unknown_challenge_is_one_line_that_names_what_there_is(buddy: Interview) -> None:
    """Did-you-mean, and how many sessions each has."""
    with pytest.raises(ConfigError, match="nothing to compare"):
        compare(buddy, "any")
    held(buddy, "Ada")
    with pytest.raises(
        ConfigError, match=r"no session had the challenge 'rate-limit'; did you mean rate-limiter\?"
    ):
        compare(buddy, "rate-limit")
    assert compare(buddy, " Rate-Limiter ").challenge == TASK


def test_a_comparison_survives_the_way_to_another_notebook(buddy: Interview) -> None:
    """What a host sends is read back as it was."""
    session = held(buddy, "Ada")
    Scorecards(buddy).score(session.session_id, "asks", 2, rater="Ann")
    found = compare(buddy, TASK, Viewer("Ann"))
    value = wire.to_value(found)
    assert wire.to_value(wire.read(Comparison, value)) == value
