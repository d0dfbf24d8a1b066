"""What interviewers read of sessions, and what they do to them."""

from __future__ import annotations

import json

import pytest
from clock import eventually
from desks import Place
from starlette.routing import Route

from ib_kernel.host.desk.controls import BODIES
from ib_kernel.host.desk.course import ActiveClock
from ib_kernel.host.desk.rows import session_row
from ib_kernel.values import Check, LedgerEvent, Session, Status


def test_the_list_has_every_session_with_figures_that_add_up(desk: Place) -> None:
    """Used, held, in doubt and left are the budget; the newest comes first."""
    ada = desk.person("Ada")
    first, second = desk.session(candidate="Noor"), desk.session(candidate="Tomasz")
    desk.said(first, "Hello", "Go on")
    desk.in_doubt(first, 500)
    listed = desk.get("/v1/desk/sessions", ada)
    assert [row["id"] for row in listed["sessions"]] == [second.session_id, first.session_id]
    row = listed["sessions"][1]
    assert row["used"] + row["held"] + row["in_doubt"] + row["left"] == row["budget"] == 10_000
    assert (row["used"], row["in_doubt"], row["turns"]) == (150, 500, 1)
    assert [doubt["tokens"] for doubt in row["doubts"]] == [500]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=noor", 1),
        ("q=noor+tomasz", 0),
        ("status=paused", 1),
        ("status=open", 2),
        ("status=invited", 1),
        ("q=", 3),
    ],
)
def test_the_list_is_narrowed_by_words_and_state(desk: Place, query: str, found: int) -> None:
    """Every word must be somewhere; a state or a group of states."""
    desk.session(candidate="Noor")
    desk.host.service.pause(desk.session(candidate="Tomasz").session_id)
    desk.session(candidate="Ilse", start=False)
    assert desk.get(f"/v1/desk/sessions?{query}", desk.person("Ada"))["found"] == found


def test_a_line_that_is_kept_is_the_one_that_would_be_read_now(desk: Place) -> None:
    """After everything that can happen to a session, while others stay as they are."""
    ada, session, other = desk.person("Ada"), desk.session(candidate="Noor"), desk.session()
    service, session_id = desk.host.service, session.session_id

    def listed() -> dict[str, dict[str, object]]:
        rows = desk.get("/v1/desk/sessions", ada)["sessions"]
        return {
            row["id"]: {k: v for k, v in row.items() if k not in ("active_s", "time_left_s")} for row in rows
        }

    before = listed()
    for act in (
        lambda: desk.said(session, "Hello", "Go on"),
        lambda: service.update_consumption(session_id, 100, 23),
        lambda: service.store.add_event(LedgerEvent(session_id, "hint", 0.0, "Noor", {"rung": 1, "of": 2})),
        lambda: service.store.add_check(Check(session_id, "visible", 1, 3)),
        lambda: service.extend_budget(session_id, 5_000),
        lambda: service.set_time_limit(session_id, 600.0),
        lambda: service.pause(session_id),
        lambda: service.resume(session_id),
        lambda: desk.in_doubt(session, 500),
        lambda: service.complete(session_id),
    ):
        assert listed() == before
        act()
        now = listed()
        assert now[session_id] != before[session_id]
        assert now[other.session_id] == before[other.session_id]
        row = session_row(service, service.get_session(session_id), service.store.reservations(session_id))
        assert now[session_id] == {k: row[k] for k in now[session_id]}
        before = now


def test_a_page_asks_for_what_has_changed_only(desk: Place) -> None:
    """Rows by id, for pages that have the others."""
    wanted, _ = desk.session(), desk.session()
    listed = desk.get(f"/v1/desk/sessions?ids={wanted.session_id}", desk.person("Ada"))
    assert [row["id"] for row in listed["sessions"]] == [wanted.session_id]


def test_a_session_has_its_conversation_as_safe_html(desk: Place) -> None:
    """Code has classes, nothing has a style or runs; a page gets the words that it lacks."""
    ada, session = desk.person("Ada"), desk.session()
    desk.said(session, "```python\nx = 1\n```", "<script>alert(1)</script> **bold**")
    path = f"/v1/desk/sessions/{session.session_id}"
    one = desk.get(path, ada)
    question, reply = one["messages"]
    assert 't-number">1<' in question["html"]
    assert "style=" not in question["html"]
    assert "<script" not in reply["html"]
    assert "<strong>bold</strong>" in reply["html"]
    assert reply["tokens"] == 150
    later = desk.get(f"{path}?known=1", ada)["messages"]
    assert ["html" in message for message in later] == [False, True]


def test_every_action_is_recorded_under_the_name_of_who_did_it(desk: Place) -> None:
    """Two people steer one interview, and the record says who did what."""
    ada, grace, session = desk.person("Ada"), desk.person("Grace"), desk.session()
    path = f"/v1/desk/sessions/{session.session_id}"
    row = desk.post(f"{path}/extend", ada, {"tokens": 500, "minutes": 2})["session"]
    assert (row["budget"], row["time_limit_s"], row["given_tokens"], row["given_s"]) == (
        10_500,
        720,
        500,
        120,
    )
    desk.post(f"{path}/pause", grace)
    desk.post(f"{path}/resume", ada)
    desk.post(f"{path}/line", grace, {"text": "Ten more minutes."})
    desk.post(f"{path}/note", ada, {"text": "asked first"})
    assert desk.post(f"{path}/end", grace)["session"]["status"] == "completed"
    events = desk.host.store.events(session.session_id)
    assert [(e.kind, e.who) for e in events if e.who in ("Ada", "Grace")] == [
        ("budget", "Ada"), ("time_limit", "Ada"), ("status", "Grace"), ("status", "Ada"), ("line", "Grace"),
        ("note", "Ada"), ("status", "Grace"),
    ]  # fmt: skip


def test_a_line_stands_in_the_transcript_under_its_own_role(desk: Place) -> None:
    """Outside any turn, as the interviewer's words."""
    ada, session = desk.person("Ada"), desk.session()
    desk.post(f"/v1/desk/sessions/{session.session_id}/line", ada, {"text": "Take your time."})
    (message,) = desk.host.store.history(session.session_id)
    assert (message.role, message.turn, message.content) == ("interviewer", 0, "Take your time.")


def test_more_time_lets_an_interview_go_on_whose_time_was_up(desk: Place) -> None:
    """Whoever adds minutes means it to go on."""
    ada, session = desk.person("Ada"), desk.session(time_limit_s=0.001)
    path = f"/v1/desk/sessions/{session.session_id}"
    eventually(lambda: desk.get(path, ada)["session"]["status"] == "expired")
    assert desk.post(f"{path}/extend", ada, {"minutes": 5})["session"]["status"] == "active"


def test_what_is_in_doubt_is_charged_or_given_back(desk: Place) -> None:
    """All that was set aside is charged, or nothing; each is decided once."""
    ada, session = desk.person("Ada"), desk.session()
    charged, freed = desk.in_doubt(session, 500), desk.in_doubt(session, 300)
    path = f"/v1/desk/sessions/{session.session_id}/resolve"
    row = desk.post(path, ada, {"reservation_id": charged.reservation_id, "decision": "charge"})["session"]
    assert (row["used"], row["in_doubt"]) == (500, 300)
    row = desk.post(path, ada, {"reservation_id": freed.reservation_id, "decision": "free"})["session"]
    assert (row["used"], row["in_doubt"], row["left"]) == (500, 0, 9_500)
    again = {"reservation_id": freed.reservation_id, "decision": "free"}
    assert desk.refused(path, ada, again) == (409, "that is not in doubt any more")


@pytest.mark.parametrize(
    ("action", "value", "line"),
    [
        ("extend", {}, "give tokens or minutes"),
        ("extend", {"tokens": 0}, "a whole number from 1"),
        ("extend", {"tokens": True}, "a whole number from 1"),
        ("extend", {"tokens": 1.5}, "a whole number from 1"),
        ("extend", {"minutes": -1}, "above 0"),
        ("extend", {"tokens": 5, "minutes": "x"}, "above 0"),
        ("line", {"text": " \u202e "}, "nothing to send"),
        ("line", {"text": "x" * 5_000}, "at most 4,000"),
        ("line", {}, "text must be a text"),
        ("note", {"text": 5}, "text must be a text"),
        ("resolve", {"reservation_id": "x", "decision": "free"}, "not in doubt"),
        ("resume", {"passphrase": 5}, "a passphrase is a text"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    desk: Place, action: str, value: object, line: str
) -> None:
    """One line, and no event."""
    ada, session = desk.person("Ada"), desk.session()
    before = desk.host.store.events(session.session_id)
    status, said = desk.refused(f"/v1/desk/sessions/{session.session_id}/{action}", ada, value)
    assert 400 <= status < 500
    assert line in said
    assert desk.host.store.events(session.session_id) == before


def test_an_interview_that_has_not_begun_is_not_begun_by_resuming_it(desk: Place) -> None:
    """Its clock is the candidate's to start; it can be cancelled."""
    ada, session = desk.person("Ada"), desk.session(start=False)
    path = f"/v1/desk/sessions/{session.session_id}"
    assert desk.refused(f"{path}/resume", ada)[0] == 409
    assert desk.post(f"{path}/end", ada)["session"]["status"] == "cancelled"


def test_a_candidate_reads_nothing_here_and_no_note_anywhere(desk: Place) -> None:
    """A candidate's token is no interviewer's, and what it may read has no note."""
    ada, session = desk.person("Ada"), desk.session()
    desk.said(session, "Hello", "Go on")
    desk.post(f"/v1/desk/sessions/{session.session_id}/note", ada, {"text": "weak on clocks"})
    noor = desk.candidate(session)
    app = desk.client.app
    for route in app.routes:  # type: ignore[attr-defined]
        if not isinstance(route, Route) or not route.path.startswith("/v1/"):
            continue
        path = route.path.replace("{session_id}", session.session_id).replace("{invitation_id}", "x")
        for method in (route.methods or set()) & {"GET", "POST"}:
            if path.startswith("/v1/desk"):
                answer = desk.client.request(
                    method, path, headers=noor, json={} if method == "POST" else None
                )
                assert answer.status_code == 401, path
    for path in ("/v1/me", "/v1/health", "/v1/openapi.json"):
        assert "weak on clocks" not in desk.client.get(path, headers=noor).text
    assert "weak on clocks" in json.dumps(desk.get(f"/v1/desk/sessions/{session.session_id}", ada))


def test_a_locked_session_is_changed_with_its_passphrase_only(desk: Place) -> None:
    """A ledger may hold sessions that were locked before there was a host."""
    ada, session = desk.person("Ada"), desk.session(passphrase="open sesame")
    path = f"/v1/desk/sessions/{session.session_id}/extend"
    assert desk.refused(path, ada, {"tokens": 5})[0] == 403
    row = desk.post(path, ada, {"tokens": 5, "passphrase": "open sesame"})["session"]
    assert (row["locked"], row["budget"]) == (True, 10_005)


def test_every_control_is_described_and_served(desk: Place) -> None:
    """What a body may have stands in the document."""
    paths = desk.client.get("/v1/openapi.json").json()["paths"]
    for name in BODIES:
        assert "post" in paths[f"/v1/desk/sessions/{{session_id}}/{name}"]


def test_the_course_is_told_in_active_time() -> None:
    """A pause and stopped time do not move anything on the axis."""

    def event(kind: str, at: float, **detail: object) -> LedgerEvent:
        return LedgerEvent("s", kind, at, "", detail)

    session = Session("s", "Ada", 100, "demo", created_at=0, started_at=100, status=Status.ACTIVE)
    clock = ActiveClock(
        session,
        [
            event("status", 100, to="active"),
            event("status", 160, to="paused"),
            event("status", 260, to="active"),
            event("clock_stopped", 300, seconds=20),
        ],
    )
    assert [clock.seconds(at) for at in (50, 100, 130, 160, 200, 260, 290, 310)] == [
        0,
        0,
        30,
        60,
        60,
        60,
        90,
        90,
    ]


def test_before_it_begins_an_interview_s_clock_stands_at_zero() -> None:
    """However long ago it was made."""
    session = Session("s", "Ada", 100, "demo", created_at=100, status=Status.CREATED)
    assert ActiveClock(session, [LedgerEvent("s", "joined", 150)]).seconds(200) == 0


def test_what_changed_after_a_session_ended_is_in_its_line(desk: Place) -> None:
    """A decision about what was in doubt when it ended, and an end that came after it was listed."""
    ada, session = desk.person("Ada"), desk.session(start=False)
    path = f"/v1/desk/sessions/{session.session_id}"

    def row() -> dict[str, object]:
        (listed,) = desk.get("/v1/desk/sessions", ada)["sessions"]
        return dict(listed)

    assert row()["status"] == "created"
    desk.post(f"{path}/extend", ada, {"tokens": 500})
    assert row()["budget"] == 10_500
    desk.host.service.start(session.session_id)
    doubt = desk.in_doubt(session, 300)
    desk.post(f"{path}/end", ada)
    assert (row()["status"], row()["in_doubt"]) == ("completed", 300)
    desk.post(f"{path}/resolve", ada, {"reservation_id": doubt.reservation_id, "decision": "charge"})
    assert (row()["used"], row()["in_doubt"]) == (300, 0)
    assert row()["used"] == 300
