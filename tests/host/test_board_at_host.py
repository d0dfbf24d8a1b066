"""`SessionsWidget(host=…)`: the same board over a host's sessions, for interviewers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import eventually
from hosting import Served, served_to

from ib_kernel import SessionsWidget
from ib_kernel.errors import ConfigError

CLICK = {"n": 7}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield a host, and put an interviewer's token where the notebook looks for it."""
    with served_to("Ada", tmp_path / "host", monkeypatch) as host:
        yield host


@pytest.fixture
def board(running: Served) -> Iterator[SessionsWidget]:
    """Yield a board that reads when it is told to."""
    running.session(candidate="Noor", client="demo", model="demo", token_budget=10_000)
    running.session(candidate="Tomasz", client="demo", model="demo", token_budget=10_000)
    widget = SessionsWidget(host=running.address, live=False)
    yield widget
    widget.close()


def test_the_board_shows_the_host_s_sessions(board: SessionsWidget, running: Served) -> None:
    """Rows, filter and order as on a ledger of one's own."""
    assert [row["candidate"] for row in board.rows] == ["Tomasz", "Noor"]
    board.sort = "candidate"
    assert [row["candidate"] for row in board.rows] == ["Noor", "Tomasz"]
    board.query = "tomasz"
    assert (board.found, board.total) == (1, 2)
    assert board.rows[0]["left"] == "10,000 of 10,000"


def test_a_selected_session_is_steered_under_the_person_s_name(
    board: SessionsWidget, running: Served
) -> None:
    """A click becomes a request of theirs; what is refused is one line."""
    session_id = board.rows[0]["session"]
    board.selected = session_id
    assert board.detail["budget"] == 10_000
    board._asked(None, {**CLICK, "do": "add_tokens", "tokens": 500, "session_id": session_id}, None)
    assert board.said["ok"], board.said
    assert board.detail["budget"] == 10_500
    board._asked(None, {**CLICK, "do": "resume", "session_id": session_id}, None)
    assert not board.said["ok"]
    assert "active" in board.said["text"]
    events = running.host.store.events(session_id)
    assert [e.who for e in events if e.kind == "budget"] == ["Ada"]


def test_the_board_follows_the_host(running: Served) -> None:
    """What somebody else does shows without being asked for."""
    session = running.session(candidate="Noor", client="demo", model="demo")
    widget = SessionsWidget(host=running.address)
    try:
        running.host.service.pause(session.session_id)
        eventually(lambda: widget.rows[0]["state"] == "paused")
    finally:
        widget.close()


def test_without_a_token_the_line_says_what_to_do(running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the host."""
    monkeypatch.delenv("IB_HOST_TOKEN")
    with pytest.raises(ConfigError, match="IB_HOST_TOKEN"):
        SessionsWidget(host=running.address)
