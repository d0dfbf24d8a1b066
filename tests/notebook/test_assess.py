"""`%interview score`, `note`, `scorecard`, `rubric`, `compare`, `agreement` and the widget, in a shell."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_shell import Notebook, notebook

from ib_kernel import ScorecardWidget
from ib_kernel.errors import ConfigError
from ib_kernel.notebook.commands.complete import complete
from ib_kernel.notebook.engine import ENGINES
from ib_kernel.values import Score

RUBRIC = """
[[criteria]]
name = "races"
title = "Finds the lost update"
anchors = ["Does not see it", "Sees it when shown", "Names it when asked", "Names it unasked"]

[[criteria]]
name = "tests"
title = "Tests the edges"
anchors = ["None", "One when named", "The usual ones", "Chooses them"]
"""
START = "%interview start Engineer --candidate Noor --challenge rate-limiter --client demo"


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose session has a turn and a rubric of its own."""
    monkeypatch.chdir(tmp_path)
    Path("ours.toml").write_text(RUBRIC, encoding="utf-8")
    with notebook() as made:
        made.ok(START)
        made.ok("%%interview\nI am Noor: one lock around both.")
        made.ok("%interview rubric ours.toml")
        yield made


def test_a_level_is_one_line_typed_and_one_line_answered(book: Notebook) -> None:
    """Criterion, level, reason, turns; the answer says what the level means and what is left."""
    said = book.ok('%interview score races 2 "names the update, and Noor\'s lock" --turn 1').text
    assert said.strip() == "races: 2, Names it when asked. Nobody else has rated it. 1 criterion to go."
    assert "Every criterion is rated" in book.ok("%interview score tests 0").text
    shown = book.ok("%interview scorecard").text
    assert "names the update, and Noor's lock" in shown
    assert book.ok("%interview scorecard --blind").text == shown  # all is rated


def test_turns_may_be_named_in_one_word_or_in_several(book: Notebook) -> None:
    """--turn 1,1 is --turn 1 --turn 1."""
    book.ok("%interview score races 1 --turn 1 --turn 1")
    store = ENGINES[book.shell].service.store
    (score,) = store.scores(ENGINES[book.shell].session_id or "")
    assert [quote["turn"] for quote in score.quotes] == [1, 1]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("score", "a level is given as"),
        ("score races", "a level is given as"),
        ("score races two", "levels are 0, 1, 2 and 3"),
        ("score races 5", "give 0, 1, 2 or 3"),
        ("score speed 1", "no criterion 'speed'"),
        ("score races 1 --turn 9", "there are turns 1 to 1"),
        ("score races 1 --turn none", "numbers of turns, such as 3 or 3,5"),
        ("note", "there is no note"),
        ("rubric none.toml", "no file"),
        ("compare none", "there are: rate-limiter (1)"),
        ("scorecard --session 00", "no session '00'"),
        ("score races 1 --host https://h.example", "IB_HOST_TOKEN is not set"),
        ("score races 1 --host https://h.example --rater Ann", "under your own name"),
    ],
)
def test_a_mistake_is_one_line(book: Notebook, typed: str, said: str) -> None:
    """What was wrong and what to type instead; nothing is recorded."""
    assert said.casefold() in book.fails(f"%interview {typed}").casefold()
    assert ENGINES[book.shell].service.store.scores(ENGINES[book.shell].session_id or "") == []


def test_several_people_rate_at_one_machine_and_look_afterwards(book: Notebook) -> None:
    """By the name they type; the second sees the first's level once theirs is given."""
    book.ok("%interview score races 3 --rater Ann")
    assert "Ann 3" not in book.ok("%interview scorecard --rater Ben").text
    assert "Others: Ann 3" in book.ok("%interview score races 1 --rater Ben").text
    assert "1 to 3" in book.ok("%interview compare rate-limiter --rater Ben").text
    assert "rate it first" in book.ok("%interview compare rate-limiter --rater Cy").text
    assert "no first ones" in book.ok("%interview scorecard --unfold --rater Cy").text
    assert "1 to 3" in book.ok("%interview compare rate-limiter --rater Cy").text
    assert "Ann and Ben" in book.ok("%interview agreement").text
    assert "too few sessions" in book.ok("%interview agreement rate-limiter").text


def test_a_comparison_is_a_table_with_pictures_and_its_words(book: Notebook) -> None:
    """HTML for a front end; the same figures as text."""
    shown = book.ok("%interview compare rate-limiter --blind")
    assert "<svg" in shown.html
    assert "no total and no ranking" in shown.text
    assert "Candidate 1" in shown.text
    assert "Noor" not in shown.html + shown.text
    assert "rate-limiter" in book.ok("%interview compare").text


def test_what_a_candidate_typed_is_text_in_every_output(book: Notebook) -> None:
    """Names and reasons are somebody else's."""
    evil = "<script>alert(1)</script>"
    book.ok(f"%interview start Engineer --candidate '{evil}' --challenge rate-limiter --client demo")
    book.ok("%interview rubric ours.toml")
    book.ok(f"%interview score races 1 '{evil}'")
    book.ok(f"%interview note '{evil}'")
    for line in ("scorecard", "compare rate-limiter", "rubric"):
        assert "<script" not in book.ok(f"%interview {line}").html


def test_tab_offers_criteria_levels_and_challenges(book: Notebook) -> None:
    """In the order in which they are typed."""
    engine = ENGINES[book.shell]
    assert complete(engine, "%interview score ") == ["races", "tests"]
    assert complete(engine, "%interview score races ") == ["0", "1", "2", "3"]
    assert complete(engine, "%interview compare r") == ["rate-limiter"]


def test_a_locked_session_is_closed_to_who_does_not_know_its_passphrase(
    book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands, SQL, the copy for other tools, Tab and the widget."""
    typed = ["correct horse"]
    monkeypatch.setattr(getpass, "getpass", lambda prompt: typed[0])
    book.ok(f"{START} --lock")
    book.ok("%interview rubric ours.toml")
    book.ok("%interview score races 2 planted-reason")
    book.ok("%interview note planted-note")
    typed[0] = "wrong horse"
    for line in ("score races 1", "note more", "scorecard"):
        assert "passphrase" in book.fails(f"%interview {line}")
    for query in ("FROM scores", "FROM events", "FROM latest_scores", "FROM timeline"):
        assert "planted" not in book.ok(f"%%usage\n{query}").result.__repr__()
    copy = book.ok(
        "from ib_kernel import connect_usage\n"
        "with connect_usage() as db:\n"
        "    found = [db.execute(f'FROM {name}').fetchall() for name in ('events', 'scores')]"
    )
    assert copy.ok
    assert "planted" not in repr(book.shell.user_ns["found"])
    assert complete(ENGINES[book.shell], "%interview score ") == []
    with pytest.raises(ConfigError, match="locked"):
        ScorecardWidget(interview=ENGINES[book.shell].interview)
    assert "passphrase" in book.fails("%%usage --unlock\nFROM scores")
    typed[0] = "correct horse"
    assert "planted-reason" in repr(book.ok("%%usage --unlock\nFROM scores").result)


def test_what_somebody_concludes_is_in_no_recorded_cell(book: Notebook) -> None:
    """Cells go into timelines, replays and reports: the line stays, its words do not."""
    book.ok("x = 1\n%interview score races 2 planted-reason\ny = %interview note planted-note")
    book.ok("%interview score tests 1 \\\n planted-more")
    book.run("%interview score nothing 3 planted-mistake")
    engine = ENGINES[book.shell]
    engine.write_cells()
    sources = [cell.source for cell in engine.service.store.cells(engine.session_id or "")]
    assert "planted" not in "".join(sources)
    assert "x = 1\n%interview score (kept apart)\ny = %interview note (kept apart)" in sources
    assert [s.reason for s in engine.service.store.scores(engine.session_id or "")] == [
        "planted-reason", "planted-more"
    ]  # fmt: skip


def test_the_widget_keeps_a_level_and_shows_what_it_opened(book: Notebook) -> None:
    """A click is a level in the ledger under the rater's name; what is refused is one line."""
    interview = ENGINES[book.shell].interview
    store, sid = interview.service.store, interview.session.session_id
    store.add_score(Score(sid, "races", "Ann", "person", level=3))
    widget = ScorecardWidget(interview=interview, rater="Ben", live=False)
    assert widget.rated[0]["others"] == []
    click(widget, do="score", criterion="races", level=1, why="one lock", turns=[1])
    assert widget.said == {"ok": True, "text": "races is 1", "n": 7}
    assert widget.rated[0]["others"] == ["Ann 3"]
    assert (widget.rated[0]["why"], widget.rated[0]["at"], widget.missing) == ("one lock", "1", 1)
    for wrong in ({"level": 9}, {"level": "2"}, {"turns": ["1"]}, {"criterion": None}, {"do": "erase"}):
        click(widget, **{"do": "score", "criterion": "races", "level": 1, **wrong})
        assert not widget.said["ok"], wrong
    click(widget, do="note", text="calm")
    assert widget.notes == ["Ben: calm"]
    widget.blind = True
    assert "Noor" not in widget.title
    assert [s.level for s in store.scores(sid)] == [3, 1]
    widget.close()


def test_the_widget_leaves_a_card_that_a_saved_notebook_shows(book: Notebook) -> None:
    """As HTML and as text; in a terminal there is the text."""
    widget = ScorecardWidget(interview=ENGINES[book.shell].interview, live=False)
    bundle: Any = widget._repr_mimebundle_()
    assert "Finds the lost update" in bundle[0]["text/plain"]
    assert ", not live." in bundle[0]["text/html"]
    assert "Finds the lost update" in bundle[0]["text/html"]
    assert "Each level is kept" in book.ok("%interview scorecard --live").text
    widget.close()


def click(widget: ScorecardWidget, **message: Any) -> None:
    """Send what a click sends."""
    widget._asked(None, {"n": 7, **message}, None)
