"""`ReplayWidget(host=…)`: a host's session played back in the notebook of who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosting import Served, served_to

from ib_kernel import ReplayWidget
from ib_kernel.errors import BuddyError, ConfigError, NoSession, StoreError
from ib_kernel.evidence.replay import MOST_TEXT, received
from ib_kernel.remote.connection import HostRefused
from ib_kernel.values import Cell, Message, Session

EVIL = "<script>alert(1)</script>"
ROW = {
    "kind": "cell", "mark": "", "at": 1.0, "ok": True, "name": "Cell 1", "text": "x = 1", "note": "",
    "left": 9, "budget": 9,
}  # fmt: skip


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield a host, and put an interviewer's token where the notebook looks for it."""
    with served_to("Ada", tmp_path / "host", monkeypatch) as host:
        yield host


@pytest.fixture
def session(running: Served) -> Session:
    """Return a session of Noor's, with a cell, a question and a reply."""
    made = running.session(candidate="Noor", client="demo", model="demo", token_budget=10_000)
    store, sid, began = running.host.store, made.session_id, made.started_at or 0.0
    store.add_cell(Cell(sid, f"1 / 0  # {EVIL}", False, began, began, error="ZeroDivisionError"))
    store.add_message(sid, Message(0, "user", f"I am Noor. **Why**? {EVIL}", created_at=began + 1))
    store.add_message(sid, Message(0, "assistant", "Look at `0`.", created_at=began + 2))
    return made


def test_a_host_s_session_is_played_back(running: Served, session: Session) -> None:
    """Words, code and figures as in the ledger, and somebody's text is text on every form."""
    replay = ReplayWidget(session.session_id, host=running.address)
    assert replay.about.startswith("Noor")
    shown = {row["kind"]: row for row in replay.moments}
    assert shown["cell"]["text"] == f"1 / 0  # {EVIL}"
    assert shown["cell"]["note"] == "ZeroDivisionError"
    assert "<strong>Why</strong>" in shown["question"]["html"]
    assert shown["reply"]["left"] == 10_000
    bundle = replay._repr_mimebundle_()
    assert bundle is not None
    for form in (replay.to_html(), bundle[0]["text/html"], *(row["html"] for row in replay.moments)):
        assert "<script" not in form
    assert "1 / 0" in bundle[0]["text/html"]
    replay.close()


def test_what_a_front_end_sets_is_not_exported(running: Served, session: Session) -> None:
    """The page without scripts is made of what the host has sent."""
    replay = ReplayWidget(session.session_id, host=running.address)
    replay.moments, replay.about = [{**ROW, "html": EVIL}], EVIL
    assert EVIL not in replay.to_html()
    replay.close()


def test_names_are_hidden_from_who_asks_for_it(running: Served, session: Session) -> None:
    """A rater who has not rated everything reads no name, not in the conversation either."""
    replay = ReplayWidget(session.session_id, host=running.address, blind=True)
    assert "Noor" not in replay.to_html()
    replay.close()


def test_who_may_not_read_it_gets_one_line(
    running: Served, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a session, with another's id, with a candidate's token, without a token."""
    with pytest.raises(NoSession, match="ReplayWidget"):
        ReplayWidget(host=running.address)
    with pytest.raises(BuddyError, match="no-such") as unknown:
        ReplayWidget("no-such", host=running.address)
    assert "\n" not in str(unknown.value)
    monkeypatch.setenv("IB_HOST_TOKEN", running.token(session))
    with pytest.raises(HostRefused):
        ReplayWidget(session.session_id, host=running.address)
    monkeypatch.delenv("IB_HOST_TOKEN")
    with pytest.raises(ConfigError, match="IB_HOST_TOKEN"):
        ReplayWidget(session.session_id, host=running.address)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"about": "x"},
        {"about": "x", "moments": [{**ROW, "at": float("nan")}]},
        {"about": "x", "moments": [{**ROW, "kind": "page"}]},
        {"about": "x", "moments": [{**ROW, "mark": EVIL}]},
        {"about": "x", "moments": [{**ROW, "left": "9"}]},
    ],
)
def test_a_host_s_answer_is_not_trusted(wrong: Any) -> None:
    """What is no replay is one line."""
    with pytest.raises(StoreError, match="cannot be used"):
        received(wrong)


def test_a_host_s_texts_are_cleaned_cut_and_never_taken_as_html() -> None:
    """HTML that comes along is passed over; what steers a terminal is gone; a long text is cut."""
    said = {**ROW, "kind": "reply", "text": f"\x1b[31mred {EVIL}", "html": EVIL, "name": "Reply\n1"}
    long = {**ROW, "text": "y" * (MOST_TEXT + 1)}
    about, (first, second) = received({"about": "Noor\x1b[2J", "moments": [said, long]})
    assert about == "Noor"
    assert "<script" not in first["html"]
    assert "red" in first["html"]
    assert first["text"] == ""
    assert first["name"] == "Reply 1"
    assert "1 more characters" in second["text"]
