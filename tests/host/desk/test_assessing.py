"""Rating and comparing over HTTP: under one's own name, and what is hidden is never sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from desks import Place

from ib_kernel.assessment.rubric import parse_rubric
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.values import Invitation, LedgerEvent, Score, Session

PLANTED = "planted-reason"
RUBRIC = """
[[criteria]]
name = "races"
title = "Finds the lost update"
anchors = ["Not seen", "Seen when shown", "Named when asked", "Named unasked"]
"""


def rated(desk: Place) -> tuple[Session, str]:
    """Return a session that Ben has rated and noted on, and its path."""
    session = desk.session(candidate="Noor Tan", external_id="c-17", challenge="rate-limiter")
    Scorecards(desk.host.engine).give_rubric(session.session_id, parse_rubric(RUBRIC))
    desk.said(session, "I am Noor", "Hello Noor Tan")
    path = f"/v1/desk/sessions/{session.session_id}"
    ben = desk.person("Ben")
    body = {"criterion": "races", "level": 3, "why": PLANTED, "turns": [1]}
    desk.post(f"{path}/score", ben, body)
    desk.post(f"{path}/note", ben, {"text": "planted-note"})
    desk.host.store.add_score(Score(session.session_id, "races", "judge", "model", level=1, reason=PLANTED))
    return session, path


def test_a_rater_who_peeks_finds_nothing_on_any_path(desk: Place) -> None:
    """Card, comparison, session, SQL: the level of another is not among what is sent."""
    session, path = rated(desk)
    ann = desk.person("Ann")
    card = desk.get(f"{path}/scorecard", ann)
    assert card["rated"][0]["others"] == []
    assert card["may_unfold"] is False
    for address in (
        path,
        f"{path}/replay",
        f"{path}/scorecard",
        "/v1/desk/compare?challenge=rate-limiter",
        "/v1/desk/sessions",
        *(f"{path}/report?as={kind}" for kind in ("html", "md", "json")),
    ):
        assert PLANTED not in desk.client.get(address, headers=ann).text
    assert desk.refused(f"{path}/unfold", ann)[0] == 403
    assert desk.client.get("/v1/desk/export", headers=ann).status_code == 403
    asked = desk.client.post("/v1/desk/sql", headers=ann, json={"query": "SELECT * FROM scores"})
    assert PLANTED.encode() not in asked.content
    after = desk.post(f"{path}/score", ann, {"criterion": "races", "level": 2})
    assert {(s["rater"], s["level"]) for s in after["rated"][0]["others"]} == {("Ben", 3), ("judge", 1)}
    asked = desk.client.post("/v1/desk/sql", headers=ann, json={"query": "SELECT * FROM scores"})
    assert PLANTED.encode() in asked.content
    assert [s.saw_model for s in desk.host.store.scores(session.session_id)] == [False, False, False]


def test_a_judge_s_own_session_opens_with_the_last_level(desk: Place) -> None:
    """Its conversation, replay, report and what is being written: its words are levels, too."""
    session, path = rated(desk)
    own = desk.session(candidate="judge", persona="judge", meta={"about": session.session_id})
    desk.said(own, "What level?", f"{PLANTED}: level 1")
    ann, judges = desk.person("Ann"), f"/v1/desk/sessions/{own.session_id}"
    for address in (judges, f"{judges}/replay", f"{judges}/writing", f"{judges}/report?format=json"):
        answer = desk.client.get(address, headers=ann)
        assert answer.status_code == 403, address
        assert PLANTED not in answer.text
    desk.post(f"{path}/score", ann, {"criterion": "races", "level": 0})
    assert PLANTED in desk.client.get(judges, headers=ann).text


def test_a_coordinator_rates_first_or_looks_and_does_not_rate(desk: Place) -> None:
    """No role sees levels by itself; looking is recorded under the name of who did it."""
    session, path = rated(desk)
    cara = desk.person("Cara", "coordinator")
    assert desk.get(f"{path}/scorecard", cara)["rated"][0]["others"] == []
    assert PLANTED.encode() not in desk.client.get("/v1/desk/export", headers=cara).content
    card = desk.post(f"{path}/unfold", cara)
    assert len(card["rated"][0]["others"]) == 2
    assert (card["is_open"], card["may_unfold"]) == (False, False)
    status, line = desk.refused(f"{path}/score", cara, {"criterion": "races", "level": 3})
    assert status == 400
    assert "not one's own" in line
    events = desk.host.store.events(session.session_id)
    assert [e.who for e in events if e.kind == "unfolded"] == ["Cara"]


def test_a_candidate_reads_no_level_note_or_criterion_on_any_path(desk: Place) -> None:
    """Whatever a candidate's token may ask; rating changes nothing that it shows but the chain's head."""
    session, _ = rated(desk)
    desk.host.store.add_event(LedgerEvent(session.session_id, "judged", 0.0, "", {"why": PLANTED}))
    noor = desk.candidate(session)
    words = (PLANTED, "planted-note", "races", "lost update", "Named unasked", "unfolded", "Ben", "judge")
    for route in desk.host_routes():
        answer = desk.client.get(route, headers=noor)
        assert not [word for word in words if word in answer.text], route
    for name in ("scorecard", "score", "rubric", "unfold"):
        path = f"/v1/desk/sessions/{session.session_id}/{name}"
        for method in ("GET", "POST"):
            assert desk.client.request(method, path, headers=noor, json={}).status_code in (401, 405)
    assert desk.client.get("/v1/desk/compare", headers=noor).status_code == 401


def test_names_are_replaced_wherever_they_are_shown(desk: Place) -> None:
    """In the session, its conversation, its replay, the card, both editions and lists, until all is rated."""
    session, path = rated(desk)
    ann = desk.person("Ann")
    now = desk.host.clock()
    line = Invitation("i-1", session.session_id, "a" * 64, "Ben", now, now + 3_600)
    desk.host.store.add_invitation(line)
    listed = ("/v1/desk/sessions", "/v1/desk/compare?challenge=rate-limiter", "/v1/desk/invitations")
    editions = (f"{path}/report", f"{path}/report?for=candidate")
    addresses = (path, f"{path}/replay", f"{path}/scorecard", *editions, *listed)
    for address in addresses:
        blind = f"{address}{'&' if '?' in address else '?'}blind=1"
        text = desk.client.get(blind, headers=ann).text
        assert "noor" not in text.casefold(), address
        assert "c-17" not in text, address
        assert "Noor" in desk.client.get(address, headers=ann).text
    desk.post(f"{path}/score", ann, {"criterion": "races", "level": 2})
    assert "Noor Tan" in desk.client.get(f"{path}?blind=1", headers=ann).text


def test_an_accommodation_is_a_coordinator_s_to_give_and_to_see(desk: Place) -> None:
    """Everybody else reads minutes of the usual limit, and gives them so."""
    ann, cara = desk.person("Ann"), desk.person("Cara", "coordinator")
    form = {"candidate": "Ilse", "challenge": "rate-limiter", "minutes": 40, "accommodation": "time=1.25"}
    status, line = desk.refused("/v1/desk/invitations", ann, form)
    assert (status, "coordinator" in line) == (403, True)
    made = desk.post("/v1/desk/invitations", cara, form)
    sid = made["session"]["id"]
    assert made["session"]["time_limit_s"] == 3_000
    desk.host.service.start(sid)
    path = f"/v1/desk/sessions/{sid}"
    seen = desk.get(path, ann)
    assert (seen["session"]["time_limit_s"], seen["accommodation"]) == (2_400, "")
    assert seen["session"]["time_left_s"] <= 2_400
    assert desk.get(path, cara)["accommodation"] == "time=1.25"
    after = desk.post(f"{path}/extend", ann, {"minutes": 10})["session"]
    assert (after["time_limit_s"], after["given_s"]) == (3_000, 600)
    assert desk.host.service.get_session(sid).time_limit_s == 3_750
    for address in (path, f"{path}/replay", "/v1/desk/sessions", "/v1/desk/compare?challenge=rate-limiter"):
        text = desk.client.get(address, headers=ann).text
        assert "1.25" not in text, address
        assert not [word for word in ("3750", 'accommodation":"t') if word in text], address
    assert "time=1.25" in desk.client.get("/v1/desk/compare?challenge=rate-limiter", headers=cara).text
    own = desk.client.get("/v1/me", headers=desk.candidate(desk.host.service.get_session(sid))).json()
    assert own["session"]["time_limit_s"] == 3_750  # the person's own clock
    assert "1.25" not in json.dumps(own["session"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"client": "no-such"}, "no-such"),
        ({"accomodation": "time=2"}, "an invitation has no 'accomodation'"),
        ({"budget_usd": "free"}, "budget"),
        ({"charge": "none"}, "charge"),
        ({"hours": -1}, "hours"),
    ],
)
def test_a_form_says_what_it_cannot_use(desk: Place, more: dict[str, Any], said: str) -> None:
    """An unknown client or field is refused with one line, and nothing is opened."""
    status, line = desk.refused("/v1/desk/invitations", desk.person("Ann"), {"candidate": "Ilse", **more})
    assert status == 400
    assert said in line
    assert desk.host.store.sessions() == []


@pytest.mark.parametrize(
    "body",
    [
        {"criterion": "races", "level": 4},
        {"criterion": "races", "level": "3"},
        {"criterion": "races", "level": True},
        {"criterion": "races"},
        {"criterion": 3, "level": 1},
        {"criterion": "races", "level": 1, "turns": [9]},
        {"criterion": "races", "level": 1, "turns": "1"},
        {"criterion": "races", "level": 1, "quotes": ["words"]},
        {"criterion": "races", "level": 1, "quotes": [{"turn": 1, "words": 3}]},
        {"criterion": "races", "level": 1, "why": "x" * 5_000},
    ],
)
def test_a_level_that_is_none_is_refused_with_one_line(desk: Place, body: dict[str, Any]) -> None:
    """Nothing is recorded."""
    session, path = rated(desk)
    before = desk.host.store.scores(session.session_id)
    status, line = desk.refused(f"{path}/score", desk.person("Ann"), body)
    assert status in (400, 413)
    assert line
    assert "\n" not in line
    assert desk.host.store.scores(session.session_id) == before


def test_a_rubric_given_on_the_page_takes_the_challenge_s_place(desk: Place) -> None:
    """And one that is none is refused."""
    session = desk.session(challenge="rate-limiter")
    path = f"/v1/desk/sessions/{session.session_id}"
    ann = desk.person("Ann")
    card = desk.post(f"{path}/rubric", ann, {"text": RUBRIC})
    assert [one["criterion"]["name"] for one in card["rated"]] == ["races"]
    assert desk.refused(f"{path}/rubric", ann, {"text": "criteria = 1"})[0] == 400


def test_comparing_names_the_challenges_there_are(desk: Place) -> None:
    """Without a name, and in the line about one that nobody had."""
    rated(desk)
    ann = desk.person("Ann")
    assert desk.get("/v1/desk/compare", ann) == {"challenges": {"rate-limiter": 1}, "comparison": None}
    answer = desk.client.get("/v1/desk/compare?challenge=none", headers=ann)
    assert answer.status_code == 400
    assert "rate-limiter (1)" in answer.json()["error"]["message"]


def test_a_notebook_far_away_reads_the_same_card(desk: Place) -> None:
    """The values of the wire are read back whole."""
    from ib_kernel.assessment.card import Scorecard
    from ib_kernel.values.wire import read

    _, path = rated(desk)
    card = read(Scorecard, desk.get(f"{path}/scorecard", desk.person("Ben")))
    assert card.rated[0].own is not None
    assert (card.rated[0].own.level, card.rated[0].own.quotes[0]["turn"]) == (3, 1)
    assert card.rated[0].others[0].rater_kind == "model"
    assert card.notes[0].text == "planted-note"
