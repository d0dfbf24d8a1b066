"""`%interview timeline`: one order over everything, with what was left of the budget after each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from notebook_shell import Notebook, notebook

from ib_kernel.evidence.timeline import only, timeline


@pytest.fixture
def nb() -> Iterator[Notebook]:
    with notebook() as running:
        running.ok('%interview start "Engineer" --challenge meeting-rooms --budget 9000 --client demo')
        running.ok("x = 1")
        running.run("1 / 0")
        running.ok("%%interview\nWhy does it fail?")
        running.run("%interview hint")
        running.magics.recorder.flush()
        yield running


def test_it_is_one_order_with_the_budget_after_each(nb: Notebook) -> None:
    """Cells, the question, its reply: with what was left then."""
    text = nb.ok("%interview timeline").text
    assert text.index("x = 1") < text.index("ZeroDivisionError") < text.index("Why does it fail?")
    interview = nb.magics.engine.interview
    found = timeline(interview.service, interview.session)
    by_kind = {moment.kind: moment for moment in found}
    left = interview.service.totals(interview.session_id).left
    assert by_kind["question"].left == 9000
    assert by_kind["reply"].left == left < 9000
    assert [moment.at for moment in found] == sorted(moment.at for moment in found)


@pytest.mark.parametrize(
    ("which", "has", "lacks"),
    [("failed", "1 / 0", "x = 1"), ("checks", "hint 1", "Why does"), ("ai", "Why does it fail?", "1 / 0")],
)
def test_only_some_of_it(nb: Notebook, which: str, has: str, lacks: str) -> None:
    """What went wrong, what was checked, what was said."""
    text = nb.ok(f"%interview timeline --only {which}").text
    assert has in text
    assert lacks not in text


def test_another_word_is_one_line(nb: Notebook) -> None:
    """It says which words there are."""
    assert "failed, checks, ai" in nb.fails("%interview timeline --only cells")


def test_nothing_of_a_kind_is_said(nb: Notebook) -> None:
    """An empty table would leave people guessing."""
    nb.ok('%interview start "Engineer" --client demo --budget 9001')
    assert "Nothing of that kind" in nb.ok("%interview timeline --only failed").text


def test_only_sorts_by_kind() -> None:
    """An empty timeline has nothing of any kind."""
    assert only([], "failed") == only([], "checks") == only([], "ai") == []


def test_cells_that_were_run_without_a_history_are_known(nb: Notebook) -> None:
    """Tools that validate notebooks keep none; the tests are run beside those cells all the same."""
    nb.shell.run_cell("def rooms_needed(m):\n    return 1", store_history=False)
    nb.shell.run_cell("def free_slots(m, o, c, n):\n    return []", store_history=False)
    assert "of 3 visible tests passed" in nb.ok("%interview check").text
