"""A report says what the record shows: all to the hiring team, nothing of others to the candidate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interviews import RUBRIC, hold

from ib_kernel import Interview, Settings
from ib_kernel.assessment.judge.find import find_judge
from ib_kernel.assessment.judging import Judging
from ib_kernel.assessment.report.build import build
from ib_kernel.assessment.report.candidate import FEEDBACK, NEXT, build_for_candidate
from ib_kernel.assessment.report.markdown import to_markdown
from ib_kernel.assessment.report.page import to_page
from ib_kernel.assessment.report.rated import FOLDED
from ib_kernel.assessment.report.release import (
    MOST_OBJECTIONS,
    from_value,
    object_to,
    release,
    released,
    to_json,
)
from ib_kernel.assessment.report.values import Report
from ib_kernel.assessment.report.write import write_report
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.errors import ConfigError
from ib_kernel.values import Check, LedgerEvent, Score, Session

NAMES = [f"test {n}" for n in range(3)]


@pytest.fixture
def interview(tmp_path: Path) -> Iterator[Interview]:
    with Interview(Settings(data_dir=tmp_path / "data", client="demo")) as made:
        yield made


@pytest.fixture
def session(interview: Interview) -> Session:
    """An interview with cells, checks and criteria."""
    cells = ("def allow(bucket):\n    return bucket.tokens >= 1", "1 / 0")
    held = hold(interview, cells=cells, time_limit_s=2_700)
    store: Any = interview.service.store
    at = held.created_at + 20
    for passed in (1, 3):
        tests = [{"name": name, "ok": n < passed} for n, name in enumerate(NAMES)]
        store.add_check(Check(held.session_id, "visible", passed, 3, tests, started_at=at, ended_at=at))
    Scorecards(interview).give_rubric(held.session_id, RUBRIC.criteria)
    return held


def rate(interview: Interview, session: Session, rater: str = "", **levels: int) -> None:
    for criterion, level in levels.items():
        Scorecards(interview).score(
            session.session_id, criterion, level, f"why {criterion}", turns=[1], rater=rater
        )


def judge(interview: Interview, session: Session) -> None:
    found = find_judge(interview.plugins, interview.settings, client="demo")
    Judging(interview, session, Scorecards(interview).rubric(session), found).run()


def texts(report: Report) -> str:
    return to_json(report) + to_page(report) + to_markdown(report)


def test_it_has_everything_in_one_page(interview: Interview, session: Session) -> None:
    """Conditions first; levels with reasons and quotes, checks, figures, notes, the chain's head."""
    rate(interview, session, "Ada", asks=2, atomic=3, failure=1)
    rate(interview, session, "Bob", asks=3)
    judge(interview, session)
    Scorecards(interview).note(session.session_id, "calm under questions", "Ada")
    report = build(interview, session, rater="Ada")
    page = to_page(report)
    order = ["What the record shows", "Criteria", "Course", "Checks", "Counted", "Private notes",
             "Usage and cost", "Turns quoted", "How this was made"]  # fmt: skip
    places = [page.index(f"<h2>{one}</h2>") for one in order]
    assert places == sorted(places)
    assert 'href="#turn-1"' in page
    assert 'id="turn-1"' in page
    assert "2 to 3" in page
    assert "calm under questions" in page
    assert report.head == interview.service.totals(session.session_id).chain_head
    assert report.head in page
    assert [(test.name, test.passed, bool(test.first)) for test in report.tests] == [
        (name, True, True) for name in NAMES
    ]
    assert "Something was run before asking on" in [line.name for line in report.figures]
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)


def test_levels_stay_folded_until_one_has_rated(interview: Interview, session: Session) -> None:
    """Criterion by criterion: others' and the judge's."""
    judge(interview, session)
    rate(interview, session, "Bob", asks=3, atomic=1)
    rate(interview, session, "Ada", asks=2)
    report = build(interview, session, rater="Ada")
    by_name = {one.name: one for one in report.criteria}
    assert [view.who for view in by_name["asks"].people] == ["Ada", "Bob"]
    assert by_name["asks"].model is not None
    assert by_name["atomic"].people == ()
    assert by_name["atomic"].model is None
    assert by_name["atomic"].omitted == ()
    assert by_name["atomic"].folded == FOLDED
    assert "why atomic" not in texts(report)
    assert [one.model for one in build(interview, session, rater="Ada", model=False).criteria] == [None] * 3


def test_a_demo_judge_is_called_one(interview: Interview, session: Session) -> None:
    """Wherever its levels stand."""
    judge(interview, session)
    rate(interview, session, asks=2, atomic=2, failure=2)
    report = build(interview, session)
    assert report.is_demo
    for text in (to_page(report), to_markdown(report)):
        assert "Demo." in text
        assert "demo (demo)" in text.replace("\\", "")


def test_who_had_seen_the_judge_is_said(interview: Interview, session: Session) -> None:
    """The order is part of the record."""
    rate(interview, session, "Ada", asks=2)
    judge(interview, session)
    rate(interview, session, "Ada", asks=3)
    report = build(interview, session, rater="Ada")
    assert report.criteria[0].people[0].saw_model
    assert "Had seen the judge" in " ".join(report.method)


def test_a_blind_report_has_no_name(interview: Interview, session: Session) -> None:
    """In no text, until everything is rated."""
    held = hold(interview, [("I am Noor Tamm, and I ask first.", "Hello Noor.")])
    Scorecards(interview).give_rubric(held.session_id, RUBRIC.criteria)
    Scorecards(interview).score(held.session_id, "asks", 2, "Noor asked first", turns=[1], rater="Ada")
    assert "noor" not in texts(build(interview, held, rater="Ada", blind=True)).casefold()
    rate(interview, held, "Ada", atomic=1, failure=1)
    assert "Noor" in texts(build(interview, held, rater="Ada", blind=True))


PLANTED = st.text("abcdefghijklmnop", min_size=6, max_size=12).map(lambda word: f"Zq{word}")


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(PLANTED, min_size=6, max_size=6, unique=True), level=st.sampled_from([1, 2, 3]))
def test_the_candidates_edition_has_nothing_of_others(
    interview: Interview, session: Session, words: list[str], level: int
) -> None:
    """Whatever is written into levels, notes, names, reasons and private parts: none of it is there."""
    rater, reason, note, other, model_reason, judge_name = words
    service: Any = interview.service
    key = session.session_id
    Scorecards(interview).score(key, "asks", level, reason, turns=[2], rater=rater)
    service.record(LedgerEvent(key, "note", 0.0, rater, {"text": note}))
    service.record(LedgerEvent(key, "status", 0.0, other, {"from": "active", "to": "active"}))
    service.store.add_score(
        Score(
            key,
            "atomic",
            judge_name,
            "model",
            level,
            level,
            level,
            model_reason,
            [{"turn": 1, "words": "ask"}],
        )
    )
    report = build_for_candidate(interview, session)
    found = texts(report)
    assert [word for word in words if word in found] == []
    assert all(
        not (one.people or one.model or one.omitted or one.looks or one.anchors) for one in report.criteria
    )
    assert (report.notes, report.flags, report.code, report.judge) == ((), (), (), ())
    for criterion in RUBRIC.criteria:
        assert not [anchor for anchor in criterion.anchors if len(anchor) > 9 and anchor in found]
    assert not re.search(r"\blevels?\b", to_markdown(report), re.IGNORECASE)


def test_the_candidates_edition_has_quotes_a_strength_and_a_next_step(
    interview: Interview, session: Session
) -> None:
    """An interviewer's own words come first, then a judge's, then one that holds for everybody."""
    assert {one.next_step for one in build_for_candidate(interview, session).criteria} == {NEXT}
    judge(interview, session)
    told = {one.name: one for one in build_for_candidate(interview, session).criteria}
    assert any(one.strength.startswith("Demo:") for one in told.values())
    assert any(one.quotes for one in told.values())
    detail = {"criterion": "atomic", "strength": "You saw the race.", "next": "Draw it first."}
    interview.service.record(LedgerEvent(session.session_id, FEEDBACK, 0.0, "Ada", detail))
    told = {one.name: one for one in build_for_candidate(interview, session).criteria}
    assert (told["atomic"].strength, told["atomic"].next_step) == ("You saw the race.", "Draw it first.")


TELLING = {
    "asks": "You reached level 2 here.",
    "atomic": "A solid 2 out of 3.",
    "failure": "Ada saw the race.",
}


def test_no_sentence_of_a_judge_tells_a_level(
    interview: Interview, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a sentence is left out; a name in one is replaced."""
    from ib_kernel.assessment.judge.model import ModelJudge
    from ib_kernel.values import Opinion, Quote

    rate(interview, session, "Ada", asks=2)
    quote = Quote("turn 1", "candidate", "the limit per customer across all")

    def read(judge: Any, answer: str, case: Any) -> Opinion:
        return Opinion(2, (quote,), "why", TELLING[case.criterion], TELLING[case.criterion])

    monkeypatch.setattr(ModelJudge, "read", read)
    judge(interview, session)
    report = build_for_candidate(interview, session)
    assert [word for word in ("level 2", "2 out of 3", "Ada") if word in texts(report)] == []
    assert {one.name: one.strength for one in report.criteria}["failure"] == "your interviewer saw the race."


def test_what_is_released_stays_as_it_was_read(interview: Interview, session: Session) -> None:
    """Later levels change nothing of it; the interviewers' edition cannot be released."""
    service = interview.service
    assert released(service.store.events(session.session_id)) is None
    first = build_for_candidate(interview, session)
    release(service, first, "Ada")
    rate(interview, session, "Ada", asks=2)
    judge(interview, session)
    assert released(service.store.events(session.session_id)) == first
    with pytest.raises(ConfigError, match="--for candidate"):
        release(service, build(interview, session))


def test_a_report_is_read_back_from_json(interview: Interview, session: Session) -> None:
    """The same values, whichever edition."""
    rate(interview, session, asks=1)
    for report in (build(interview, session), build_for_candidate(interview, session)):
        assert from_value(json.loads(to_json(report))) == report


def test_an_objection_is_in_the_report(interview: Interview, session: Session) -> None:
    """As many as people can read, of a size that they can read."""
    service, key = interview.service, session.session_id
    assert object_to(service, key, "Turn 4 was cut off.", session.candidate) == 1
    assert "Turn 4 was cut off." in to_page(build(interview, session))
    assert "Turn 4 was cut off." in to_page(build_for_candidate(interview, session))
    for text, line in (("  ", "say what you object to"), ("x" * 5_001, "at most 5,000")):
        with pytest.raises(ConfigError, match=line):
            object_to(service, key, text, session.candidate)
    for _ in range(MOST_OBJECTIONS - 1):
        object_to(service, key, "again", session.candidate)
    with pytest.raises(ConfigError, match="are kept of one interview"):
        object_to(service, key, "once more", session.candidate)


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> ![x](https://evil.example/p.gif) \u202e\"'`</h2>"
)


def test_hostile_text_is_shown_and_does_nothing(interview: Interview, session: Session) -> None:
    """In names, turns, code, reasons, notes, tests and objections."""
    held = hold(interview, [(HOSTILE, HOSTILE)], candidate=f"Eve {HOSTILE[:40]}", cells=[f"x = {HOSTILE!r}"])
    service: Any = interview.service
    key = held.session_id
    Scorecards(interview).give_rubric(key, RUBRIC.criteria)
    Scorecards(interview).score(key, "asks", 2, HOSTILE, turns=[1], quotes=[{"turn": 1, "words": HOSTILE}])
    Scorecards(interview).note(key, HOSTILE)
    tests = [{"name": HOSTILE, "ok": True}]
    service.store.add_check(
        Check(key, "visible", 1, 1, tests, started_at=held.created_at, ended_at=held.created_at)
    )
    object_to(service, key, HOSTILE, held.candidate)
    for report in (build(interview, held), build_for_candidate(interview, held)):
        page = to_page(report)
        assert "<script" not in page
        assert "<img" not in page
        assert "\u202e" not in page
        assert page.count("</main>") == 1
        assert "![" not in to_markdown(report)


def test_a_large_interview_stays_small(interview: Interview) -> None:
    """Sizes are capped, whatever was said; what was left out is said."""
    talk = [(f"Question {n}: " + "word " * 2_000, "reply " * 2_000) for n in range(6)]
    held = hold(interview, talk, cells=["x = 1\n" * 300] * 6)
    Scorecards(interview).give_rubric(held.session_id, RUBRIC.criteria)
    for name in ("asks", "atomic", "failure"):
        Scorecards(interview).score(held.session_id, name, 2, "long " * 700, turns=range(1, 7))
    page = to_page(build(interview, held))
    assert len(page) < 200_000
    assert "more characters" in page


def test_files_are_written_for_their_owner_only(
    interview: Interview, session: Session, tmp_path: Path
) -> None:
    """By the end of the name; none is replaced unasked."""
    report = build(interview, session)
    for suffix, begins in ((".html", "<!doctype html>"), (".md", "# "), (".json", "{")):
        path = write_report(str(tmp_path / f"noor{suffix}"), report)
        assert path.read_text(encoding="utf-8").startswith(begins)
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="--overwrite"):
        write_report(str(tmp_path / "noor.md"), report)
    with pytest.raises(ConfigError, match=r"\.html, \.md or \.json"):
        write_report(str(tmp_path / "noor.pdf"), report)


def test_an_interview_without_anything_has_a_report(interview: Interview) -> None:
    """No turns, no criteria, no checks: it says what there is."""
    empty = interview.start("Engineer", candidate="Ada", client="demo")
    page = to_page(build(interview, empty))
    assert "Nothing says what is rated here." in page
    assert to_page(replace(build_for_candidate(interview, empty), course={}))
