"""A session played back: every moment as it was, in a widget and on a page without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_kernel import Interview, ReplayWidget
from ib_kernel.errors import ConfigError
from ib_kernel.settings import Settings
from ib_kernel.values import Cell, Check

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def interview(settings: Settings) -> Iterator[Interview]:
    with Interview(settings) as made:
        session = made.start("Engineer", candidate=f"Ada {EVIL}", client="demo", token_budget=9_000)
        store = made.service.store
        now = session.started_at or 0.0
        for n, (source, ok) in enumerate([("x = 1", True), (f"1 / 0  # {EVIL}", False)]):
            error = "" if ok else "ZeroDivisionError"
            store.add_cell(Cell(session.session_id, source, ok, now, now + n / 1e6, error=error))
        made.say_sync(f"Why does it fail? {EVIL}")
        tests = [{"name": "test_two", "ok": False}]
        store.add_check(Check(session.session_id, "visible", 1, 2, tests, ended_at=now + 10_000))
        yield made


def test_each_moment_is_there_as_it_was(interview: Interview) -> None:
    """Cells, the question and its reply, a check: in order, with the budget after each."""
    replay = ReplayWidget(interview=interview)
    kinds = [row["kind"] for row in replay.moments if row["kind"] != "event"]
    assert kinds == ["cell", "cell", "question", "reply", "check"]
    failing = next(row for row in replay.moments if not row["ok"])
    assert failing["text"] == f"1 / 0  # {EVIL}"
    assert failing["note"] == "ZeroDivisionError"
    lefts = [row["left"] for row in replay.moments]
    assert lefts[0] == 9_000 > lefts[-1] == interview.service.totals(interview.session_id or "").left
    replay.close()


def test_somebodys_text_is_text_on_every_form(interview: Interview) -> None:
    """No script gets into the widget's HTML, the output that is saved, or the page."""
    replay = ReplayWidget(interview=interview)
    bundle = replay._repr_mimebundle_()
    assert bundle is not None
    for shown in (replay.to_html(), bundle[0]["text/html"], *(row["html"] for row in replay.moments)):
        assert "<script" not in shown
    page = replay.to_html()
    assert page.startswith("<!doctype html>")
    assert "Why does it fail?" in page
    assert "1 / 0" in page
    assert "http" not in page.replace("http-equiv", "")
    replay.close()


def test_another_session_by_its_id(interview: Interview) -> None:
    """The one in use is not needed."""
    first = interview.session_id or ""
    interview.start("Another", candidate="Ben", client="demo")
    replay = ReplayWidget(first, interview=interview)
    assert replay.about.startswith("Ada")
    replay.close()


def test_without_a_session_it_is_one_line(settings: Settings) -> None:
    """What to type is said."""
    with Interview(settings) as empty, pytest.raises(ConfigError, match="name one"):
        ReplayWidget(interview=empty)


def test_the_front_end_runs_nothing_that_it_is_sent() -> None:
    """One module without imports, and text reaches the page as text."""
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "fetch(", "import(", "import {"):
        assert word not in ReplayWidget._esm
    assert ReplayWidget._esm.count("export default") == 1
