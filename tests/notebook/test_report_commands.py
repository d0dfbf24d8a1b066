"""From the end of an interview to its report, in a notebook and without a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_shell import Notebook, notebook


@pytest.fixture
def nb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IB_DEMO_DELAY_S", "0")
    with notebook() as running:
        running.ok('%interview start "Backend engineer" --candidate Noor --challenge rate-limiter')
        running.ok("%%interview\nIs the limit per customer across all twelve instances?")
        running.ok("%%interview\nOne Lua script makes the check and the update one atomic step.")
        yield running


def test_four_lines_from_the_end_to_the_report(nb: Notebook, tmp_path: Path) -> None:
    """End, a level, a judge, the report: no key, no network."""
    path = tmp_path / "noor.html"
    nb.ok("%interview end --yes")
    nb.ok('%interview score asks 3 "asked before designing" --turn 1')
    judged = nb.ok("%interview judge")
    nb.ok(f"%interview report {path}")
    page = path.read_text(encoding="utf-8")
    assert "asked before designing" in page
    assert "Demo." in page
    assert "stay folded" in judged.text
    assert "15 of 15 looks" in judged.text
    assert judged.updates == 15


def test_a_judge_says_first_what_it_takes(nb: Notebook) -> None:
    """Nothing is asked with --dry-run; the demo says what it is; --no-model and --judge are two wishes."""
    text = nb.ok("%interview judge --dry-run").text
    assert "15 calls, about " in text
    assert "counts shared words" in text
    sessions = nb.magics.engine.service.store.sessions()
    assert [session.persona for session in sessions] == ["interviewer"]
    assert "leave one of them out" in nb.fails("%interview report a.html --judge demo --no-model")


def test_the_candidates_edition_is_released_by_the_interviewer(nb: Notebook, tmp_path: Path) -> None:
    """With the interviewer's own sentences; the other edition is never released."""
    nb.ok('%interview feedback atomic --strength "You saw the race." --next "Say what it costs."')
    path = tmp_path / "noor.md"
    assert "Released" in nb.ok(f"%interview report {path} --for candidate --release").text
    assert "You saw the race." in path.read_text(encoding="utf-8")
    assert "--for candidate" in nb.fails(f"%interview report {tmp_path / 'x.md'} --release")
    assert "Kept with the record" in nb.ok("%interview object turn 2 was cut off").text
    assert (
        "turn 2 was cut off" in (nb.ok(f"%interview report {path} --overwrite"), path.read_text("utf-8"))[1]
    )


MISTAKES = {
    "report": "needs a file",
    "report noor.pdf": ".html, .md or .json",
    "feedback atomic": "--strength",
    'feedback nothing --next "x"': "No criterion",
    "object": "Say what you object to",
    "judge --judge nobody": "No judge called 'nobody'; installed: model, demo",
}


def test_a_mistake_is_one_line(nb: Notebook) -> None:
    """What was wrong, and what to type."""
    for line, says in MISTAKES.items():
        assert says in nb.fails(f"%interview {line}"), line


def test_a_locked_session_asks_for_its_passphrase(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people concluded is no candidate's, also where the ledger is on their machine."""
    typed = ["long enough words", "long enough words"]
    monkeypatch.setattr("getpass.getpass", lambda *_: typed.pop(0) if typed else "wrong")
    nb.ok("%interview start Engineer --candidate Eve --challenge rate-limiter --lock")
    nb.ok("%%interview\nOne Lua script makes the check and the update one atomic step.")
    for line in ("report a.html", "report a.md --for candidate", "judge", 'feedback atomic --next "x"'):
        assert "passphrase" in nb.fails(f"%interview {line}")
