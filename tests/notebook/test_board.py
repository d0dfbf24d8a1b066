"""The board of all sessions: filter, sort, page, select; the selected one live; clicks that count."""

from __future__ import annotations

import itertools

import pytest
from clock import eventually
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import BudgetWidget, Interview, SessionsWidget, TokenService
from ib_kernel.budget import lock
from ib_kernel.notebook.widgets.board import MESSAGES, PAGE
from ib_kernel.notebook.widgets.controls import act
from ib_kernel.show.spending import POINTS, TURNS, burn_down, tokens_per_turn
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, Session, Spent

PASS = "correct horse battery"


@pytest.fixture
def service(settings, monkeypatch):
    """A ledger with three sessions: Ada (locked), Bob (no time limit), Cy (ended)."""
    monkeypatch.setattr(lock, "COST", {"n": 16, "r": 1, "p": 1})
    found = TokenService(settings)
    found.create_session(
        "Ada", 1_000, session_id="a", time_limit_s=600, role="Backend", level="senior", passphrase=PASS
    )
    found.create_session("Bob", 2_000, session_id="b", role="Data")
    found.create_session("Cy", 3_000, session_id="c", role="Backend")
    found.update_consumption("a", 300, 100)
    found.update_consumption("c", 2_000, 900)
    found.complete("c")
    yield found
    found.close()


@pytest.fixture
def board(service):
    """A board that looks when it is asked to."""
    found = SessionsWidget(service=service, live=False)
    yield found
    found.close()


def ids(board: SessionsWidget) -> list[str]:
    return [row["session"] for row in board.rows]


def click(widget, **message) -> str:
    """Send what the front end sends for a click, and return the line that comes back."""
    number = widget.said.get("n", 0) + 1
    widget._handle_custom_msg({**message, "n": number}, [])
    assert widget.said["n"] == number
    return ("ok: " if widget.said["ok"] else "no: ") + widget.said["text"]


def sent_by(widget) -> list[dict]:
    sent: list[dict] = []
    widget._send = lambda message, buffers=None: sent.append(message)
    return sent


def test_the_board_lists_all_sessions(board):
    """Newest first, each with its figures as text."""
    assert ids(board) == ["c", "b", "a"]
    ada = board.rows[2]
    assert (ada["candidate"], ada["role"], ada["state"]) == ("Ada", "senior Backend", "active, locked")
    assert (ada["used"], ada["left"], ada["time"]) == ("400", "600 of 1,000", "10 min left")
    assert board.rows[0]["time"] == "ended"
    assert (board.found, board.total, board.pages) == (3, 3, 1)


@pytest.mark.parametrize(
    ("trait", "value", "expected"),
    [
        ("query", "backend", ["c", "a"]),
        ("query", "ADA senior", ["a"]),
        ("query", "nobody", []),
        ("state", "completed", ["c"]),
        ("state", "no such state", ["c", "b", "a"]),
        ("sort", "candidate", ["a", "b", "c"]),
        ("sort", "used", ["c", "a", "b"]),
        ("sort", "left", ["c", "a", "b"]),
        ("sort", "status", ["b", "a", "c"]),
        ("sort", "'; DROP TABLE", ["c", "b", "a"]),
    ],
)
def test_filter_and_sort(board, trait, value, expected):
    """Words are looked for in every text of a session; what is unknown means the default."""
    setattr(board, trait, value)
    assert ids(board) == expected


def test_what_the_front_end_asks_for_comes_back_in_one_update(board):
    """A change of the filter is answered by one message that holds the page."""
    sent = sent_by(board)
    board.set_state({"query": "backend"})
    updates = [m for m in sent if m["method"] == "update"]
    assert len(updates) == 1
    assert [row["session"] for row in updates[0]["state"]["rows"]] == ["c", "a"]


def test_a_thousand_sessions_are_paged(settings):
    """The front end gets one page; a new filter starts at the first one; no page lies beyond the last."""
    service = TokenService(settings)
    for i in range(1_000):
        service.store.open_session(Session(f"s{i}", f"Candidate {i}", 100, "demo"))
    board = SessionsWidget(service=service, live=False)
    try:
        assert (len(board.rows), board.total) == (PAGE, 1_000)
        board.page = 3
        first = [r["session"] for r in board.rows]
        assert (board.page, first[0]) == (3, f"s{999 - 3 * PAGE}")
        board.page = 10**6
        assert board.page == board.pages - 1
        board.query = "candidate 99"
        assert (board.page, board.found) == (0, 19)
    finally:
        board.close()
        service.close()


def test_the_selected_session_is_shown_in_full(service, board):
    """Gauge, history per turn, burn-down line and conversation; nothing of it without a selection."""
    reservation = service.store.reserve("b", 500, lease_s=60, call=CallStart(turn=1))
    said = [Message(1, "user", "**hello**"), Message(1, "assistant", "<img src=x onerror=alert(1)> hi")]
    service.store.settle(reservation, CallEnd(200, 100), messages=said)
    board.selected = "b"
    assert (board.detail["used"], board.detail["left"], board.detail["status"]) == (300, 1_700, "active")
    assert board.detail["history"] == [[1, 200, 100]]
    assert [point[1:] for point in board.burn] == [[2_000, 2_000], [1_700, 2_000], [1_700, 2_000]]
    assert [part[:2] for part in board.talk] == [["Bob, turn 1", True], ["Interviewer, turn 1", False]]
    assert "<strong>hello</strong>" in board.talk[0][2]
    assert "<img" not in board.talk[1][2]
    board.selected = ""
    assert (board.detail, board.talk, board.burn) == ({}, [], [])


def test_an_unknown_selection_is_none(board):
    """An id that is not in the ledger selects nothing."""
    board.selected = "nobody"
    assert board.selected == ""
    assert board.detail == {}


def test_a_long_conversation_comes_in_parts(service, board):
    """The newest messages first; asking for more brings those before; another selection starts anew."""
    service.store.charge("b", CallEnd(1, 1), messages=[Message(i, "user", f"m{i}") for i in range(70)])
    board.selected = "b"
    assert (len(board.talk), board.earlier) == (MESSAGES, 70 - MESSAGES)
    assert "m69" in board.talk[-1][2]
    board.messages_shown = 100
    assert (len(board.talk), board.earlier) == (70, 0)
    board.selected = "a"
    assert board.messages_shown == MESSAGES


def test_the_board_follows_another_service_on_the_same_ledger(settings, service):
    """What another kernel spends, opens and says shows without a click."""
    board = SessionsWidget(service=service)
    other = TokenService(settings)
    try:
        board.selected = "b"
        other.store.charge("b", CallEnd(40, 2), messages=[Message(1, "user", "over there")])
        other.create_session("Dee", 10, session_id="d")
        eventually(lambda: board.detail.get("used") == 42 and "d" in ids(board) and board.talk)
    finally:
        other.close()
        board.close()


def test_nothing_is_sent_when_nothing_has_changed(service, board):
    """Time that passes is counted by the front end itself."""
    board.selected = "a"
    sent = sent_by(board)
    board.refresh()
    board.refresh()
    assert sent == []
    service.update_consumption("a", 10, 1)
    board.refresh()
    assert len(sent) == 1


def test_clicks_act_on_the_session_they_were_made_on(service, board):
    """Also when another one is selected by the time the kernel gets to them."""
    board.selected = "a"
    assert click(board, do="add_tokens", tokens=500, session_id="b") == (
        "ok: 500 tokens added; the budget is 2,500 now"
    )
    assert service.get_session("b").token_budget == 2_500
    assert service.get_session("a").token_budget == 1_000


def test_every_control_does_what_it_says(service):
    """Add tokens and minutes, pause, resume, write off, end; each is recorded by the service."""
    lost = service.store.reserve("b", 100, lease_s=60, call=CallStart(turn=4))
    service.store.mark_unresolved(lost, "TimedOut")
    service.set_time_limit("b", 600.0)
    widget = BudgetWidget("b", service=service, controls=True, live=False)
    assert widget.doubts == [[lost.reservation_id, "100 tokens of turn 4"]]
    assert click(widget, do="add_tokens", tokens=5_000) == "ok: 5,000 tokens added; the budget is 7,000 now"
    assert click(widget, do="add_minutes", minutes=2.5) == "ok: 2.5 min added"
    assert (widget.budget, service.get_session("b").time_limit_s) == (7_000, 750.0)
    assert click(widget, do="pause").startswith("ok: paused")
    assert widget.status == "paused"
    assert click(widget, do="resume") == "ok: resumed"
    assert click(widget, do="write_off", reservation_id=lost.reservation_id) == (
        "ok: 100 tokens of turn 4 written off"
    )
    assert (widget.in_doubt, widget.doubts) == (0, [])
    assert click(widget, do="end") == "ok: ended for good"
    assert widget.status == "completed"
    assert click(widget, do="resume").startswith("no: session 'b' is completed")
    kinds = {e.kind for e in service.store.events("b") if e.who}
    assert {"budget", "time_limit", "status", "written_off"} <= kinds
    widget.close()


def test_a_click_is_answered_in_one_message(service):
    """The new state and the line that says so travel together; a refusal is one message too."""
    widget = BudgetWidget("b", service=service, controls=True, live=False)
    sent = sent_by(widget)
    click(widget, do="pause")
    click(widget, do="pause")
    assert [m["method"] for m in sent] == ["update", "update"]
    assert {"status", "said", "revision"} <= set(sent[0]["state"])
    widget.close()


def test_a_locked_session_asks_for_its_passphrase(service):
    """One line without it, one when it is wrong; the passphrase stays in no trait."""
    widget = BudgetWidget("a", service=service, controls=True, live=False)
    assert widget.locked
    missing = "no: this session is locked; type its passphrase first"
    wrong = "no: wrong passphrase, nothing was changed"
    for message in ({"do": "add_tokens", "tokens": 5}, {"do": "add_minutes", "minutes": 5}):
        assert click(widget, **message) == missing
        assert click(widget, **message, passphrase="not the right one") == wrong
        assert click(widget, **message, passphrase=PASS).startswith("ok: ")
    assert click(widget, do="pause").startswith("ok: ")
    assert click(widget, do="resume") == missing
    assert click(widget, do="resume", passphrase=PASS) == "ok: resumed"
    assert PASS not in repr(widget.get_state())
    widget.close()


def test_a_widget_without_controls_ignores_clicks(service):
    """Nobody raises a limit through a gauge that shows no buttons."""
    widget = BudgetWidget("b", service=service, live=False)
    board = SessionsWidget(service=service, controls=False, live=False)
    widget._handle_custom_msg({"do": "add_tokens", "tokens": 5, "n": 1}, [])
    board._handle_custom_msg({"do": "add_tokens", "tokens": 5, "n": 1, "session_id": "b"}, [])
    assert widget.said == board.said == {}
    assert service.get_session("b").token_budget == 2_000
    widget.close()
    board.close()


@pytest.mark.parametrize(
    "message",
    [
        {"do": "add_tokens"},
        {"do": "add_tokens", "tokens": -5},
        {"do": "add_tokens", "tokens": 1.5},
        {"do": "add_tokens", "tokens": True},
        {"do": "add_tokens", "tokens": 10**12},
        {"do": "add_minutes", "minutes": 0},
        {"do": "add_minutes", "minutes": float("nan")},
        {"do": "add_minutes", "minutes": 5},
        {"do": "resume"},
        {"do": "write_off", "reservation_id": "nothing"},
        {"do": "rm -rf"},
        {"do": None},
    ],
)
def test_a_click_that_cannot_be_done_gets_one_line_and_changes_nothing(service, message):
    """Odd numbers, wrong states and unknown controls are refused; nothing raises."""
    before = service.get_session("b").token_budget, service.totals("b")
    said = act(service, "b", message)
    assert not said.ok
    assert said.text
    assert "\n" not in said.text
    assert (service.get_session("b").token_budget, service.totals("b")) == before


def test_messages_that_are_no_clicks_are_ignored(board):
    """Whatever else a front end sends does not reach the ledger."""
    for content in ("text", None, 7, [], {}, {"kind": "anywidget-command"}, {"do": "pause"}):
        board._handle_custom_msg(content, [])
    assert board.said == {}


def test_a_saved_notebook_has_the_list(board):
    """Readers without a kernel get the page as a table and as text."""
    data, _ = board._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "3 of 3 sessions" in data["text/plain"]
    assert all(", not live." in data[f"text/{kind}"] for kind in ("html", "plain"))
    assert "<td" in data["text/html"]
    assert "Ada" in data["text/html"]


def test_the_front_end_neither_fetches_nor_runs_what_it_is_sent(board):
    """One module without imports; HTML is parsed inertly and filtered again before it is shown."""
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "fetch(", "import(", "import {"):
        assert word not in board._esm
    assert board._esm.count("export default") == 1
    assert "url(http" not in board._css
    assert "@import" not in board._css


def test_an_interview_shows_on_the_board(settings):
    """With an interview given, its ledger is the one that is shown."""
    with Interview(settings) as interview:
        interview.start("Backend engineer", candidate="Ada", client="demo")
        interview.say_sync("A token bucket.")
        board = SessionsWidget(interview=interview, live=False)
        board.selected = interview.session_id
        assert len(board.talk) == 2
        assert board.detail["turns"] == 1
        board.close()


SPENT = st.builds(
    Spent,
    st.integers(1, 60),
    st.floats(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.just(10_000),
)


@given(st.lists(SPENT, max_size=400))
def test_the_bars_and_the_line_add_up(calls):
    """Turns are summed and sorted; the line starts full, never rises, and ends with what is left."""
    used = sum(c.input_tokens + c.output_tokens for c in calls)
    bars = tokens_per_turn(calls)
    assert [b[0] for b in bars] == sorted({c.turn for c in calls})[-TURNS:]
    if len({c.turn for c in calls}) <= TURNS:
        assert sum(i + o for _, i, o in bars) == used
    points = burn_down(Session("s", "Ada", 10_000, "demo"), calls)
    assert points[0] == [0.0, 10_000, 10_000]
    assert points[-1][1] == max(0, 10_000 - used)
    assert all(a[0] <= b[0] and a[1] >= b[1] for a, b in itertools.pairwise(points))
    assert len(points) <= POINTS


def test_the_line_shows_when_the_budget_changed():
    """A raised budget is a step at its own time."""
    change = LedgerEvent("s", "budget", 60.0, "me", {"unit": "token_budget", "from": 100, "to": 300})
    session = Session("s", "Ada", 300, "demo", started_at=0.0)
    points = burn_down(session, [Spent(1, 30.0, 50, 0, 100), Spent(2, 90.0, 50, 0, 300)], [change])
    assert points == [[0.0, 100, 100], [30.0, 50, 100], [60.0, 250, 300], [90.0, 200, 300], [90.0, 200, 300]]
