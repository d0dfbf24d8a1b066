"""Rating at a host from a notebook: the same commands and the same widget, under the person's name there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting import Served, served_to
from notebook_shell import Notebook, notebook

from ib_kernel import ScorecardWidget
from ib_kernel.host.invite import invite

RUBRIC = """
[[criteria]]
name = "races"
title = "Finds the lost update"
anchors = ["Does not see it", "Sees it when shown", "Names it when asked", "Names it unasked"]
"""


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield a host that Ann may rate at."""
    with served_to("Ann", tmp_path / "host", monkeypatch) as host:
        yield host


@pytest.fixture
def book() -> Iterator[Notebook]:
    """A notebook of Ann's."""
    with notebook() as made:
        yield made


def test_everything_is_done_at_the_host_under_one_s_name(
    running: Served, book: Notebook, tmp_path: Path
) -> None:
    """A rubric, a level, a note, the card, a comparison; unfolding is for coordinators."""
    session = running.session(
        candidate="Noor", client="demo", model="demo", token_budget=9_000, challenge="rate-limiter"
    )
    file, sid = tmp_path / "ours.toml", session.session_id
    file.write_text(RUBRIC, encoding="utf-8")
    at = f"--session {sid} --host {running.address}"
    assert "Finds the lost update" in book.ok(f"%interview rubric {file} {at}").text
    assert "races: 2" in book.ok(f"%interview score races 2 'one lock' {at}").text
    book.ok(f"%interview note 'calm' {at}")
    shown = book.ok(f"%interview scorecard {at}").text
    assert "as Ann sees it" in shown
    assert "Ann: calm" in shown
    (score,) = running.host.store.scores(sid)
    assert (score.rater, score.level, score.reason) == ("Ann", 2, "one lock")
    assert "Noor" in book.ok(f"%interview compare rate-limiter --host {running.address}").text
    assert "rate-limiter" in book.ok(f"%interview compare --host {running.address}").text
    assert "coordinator" in book.fails(f"%interview scorecard --unfold {at}")
    assert "Which session" in book.fails(f"%interview score races 2 --host {running.address}")
    widget = ScorecardWidget(sid, host=running.address, live=False)
    widget._asked(
        None, {"n": 1, "do": "score", "criterion": "races", "level": 3, "why": "", "turns": []}, None
    )
    assert (widget.said["ok"], widget.rated[0]["level"]) == (True, 3)
    widget.close()


def test_a_candidate_s_notebook_rates_and_compares_nothing(
    running: Served, book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says whose it is."""
    line = invite(running.host, "Ann", candidate="Noor", client="demo", token_budget=9_000).line
    monkeypatch.delenv("IB_HOST_TOKEN")
    book.ok(line)
    for command in (
        "score races 2",
        "note calm",
        "scorecard",
        "rubric",
        "compare any",
        "compare",
        "agreement",
    ):
        said = book.fails(f"%interview {command}")
        assert "interviewer" in said, command
