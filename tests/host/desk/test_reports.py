"""Reports at a host: each person's own view, a release that its candidate reads, judges besides."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from desks import Place

from ib_kernel.assessment.report.release import from_value
from ib_kernel.values import Session

RUBRIC = """
[[criteria]]
name = "atomic"
title = "Makes check and update one step"
anchors = ["Reads, then writes", "Sees the race when drawn", "Names a step when asked", "Unasked"]
"""


@pytest.fixture
def session(desk: Place) -> Session:
    """An interview that has ended, with criteria."""
    held = desk.session(candidate="Noor Tamm")
    desk.said(held, "One Lua script makes check and update one atomic step.", "What does it cost?")
    desk.post(f"/v1/desk/sessions/{held.session_id}/rubric", desk.person("Ada"), {"text": RUBRIC})
    return desk.host.service.complete(held.session_id)


def at(session: Session, rest: str) -> str:
    return f"/v1/desk/sessions/{session.session_id}/{rest}"


def rate(desk: Place, session: Session, who: str, level: int) -> None:
    value = {"criterion": "atomic", "level": level, "why": f"{who} says why", "turns": [1]}
    desk.post(at(session, "score"), desk.person(who), value)


def test_each_person_gets_their_own_view(desk: Place, session: Session) -> None:
    """Who has rated sees the others; a browser is told to run and fetch nothing."""
    rate(desk, session, "Bob", 3)
    ada = desk.person("Ada")
    answer = desk.client.get(at(session, "report"), headers=ada)
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "Bob says why" not in answer.text
    rate(desk, session, "Ada", 2)
    assert "Bob says why" in desk.client.get(at(session, "report"), headers=ada).text
    saved = desk.client.get(at(session, "report?as=md&save=true"), headers=ada)
    assert saved.headers["content-disposition"] == 'attachment; filename="report.md"'
    assert saved.text.startswith("# Noor Tamm")
    blind = desk.client.get(at(session, "report?blind=true"), headers=desk.person("Cleo")).text
    assert "Noor" not in blind
    assert desk.client.get(at(session, "report?as=pdf"), headers=ada).status_code == 400


def test_a_candidate_reads_what_was_released_and_nothing_before(desk: Place, session: Session) -> None:
    """Released is what somebody has read; what changed since is read again first."""
    ada, noor = desk.person("Ada"), desk.candidate(session)
    assert desk.client.get("/v1/report", headers=noor).status_code == 404
    before = desk.get(at(session, "report/state"), ada)
    assert (before["released_at"], before["unrated"]) == (None, 1)
    told = {"criterion": "atomic", "strength": "You saw the race.", "next": "Say what the step costs."}
    desk.post(at(session, "feedback"), ada, told)
    status, line = desk.refused(at(session, "release"), ada, {"edition": before["edition"]})
    assert (status, "changed" in line) == (409, True)
    now = desk.get(at(session, "report/state"), ada)
    assert desk.post(at(session, "release"), ada, {"edition": now["edition"]})["released_by"] == "Ada"
    rate(desk, session, "Ada", 3)
    desk.post(at(session, "note"), ada, {"text": "planted note"})
    found = desk.get("/v1/report", noor)
    report = from_value(found)
    assert report.criteria[0].strength == "You saw the race."
    words = json.dumps(found)
    assert not [word for word in ("Ada", "planted note", "says why", "Unasked") if word in words]
    assert desk.get(at(session, "report/state"), ada)["changed"] is True  # the turn that Ada has pointed to
    assert desk.get("/v1/report", noor) == found
    other = desk.session(candidate="Eve")
    assert desk.client.get("/v1/report", headers=desk.candidate(other)).status_code == 404


def test_an_objection_reaches_the_interviewers(desk: Place, session: Session) -> None:
    """Under the candidate's own token only; empty and long ones are refused."""
    noor, ada = desk.candidate(session), desk.person("Ada")
    assert desk.post("/v1/objections", noor, {"text": "Turn 1 was cut off."}) == {"objections": 1}
    assert "Turn 1 was cut off." in desk.client.get(at(session, "report"), headers=ada).text
    assert desk.get(at(session, "report/state"), ada)["objections"] == 1
    assert desk.refused("/v1/objections", noor, {"text": " "})[0] == 400
    assert desk.refused("/v1/objections", noor, {"text": "x" * 6_000})[0] == 413
    assert desk.refused("/v1/objections", ada, {"text": "mine"})[0] in (401, 403)


def test_none_of_it_is_a_candidates(desk: Place, session: Session) -> None:
    """Nor can a candidate release a report, write feedback or ask a judge."""
    noor = desk.candidate(session)
    for path in ("report", "report/state", "judge"):
        assert desk.client.get(at(session, path), headers=noor).status_code in (401, 403)
    for action in ("release", "feedback", "judge"):
        assert desk.refused(at(session, action), noor, {"edition": "x", "criterion": "atomic"})[0] in (
            401,
            403,
        )
    assert desk.client.get("/v1/report", headers=desk.person("Ada")).status_code in (401, 403)


def test_a_judge_is_asked_in_the_background(desk: Place, session: Session) -> None:
    """Its estimate first, then how far it is; its levels stay folded, and its session is in no list."""
    ada = desk.person("Ada")
    estimate = desk.get(at(session, "judge"), ada)
    assert (estimate["calls"], estimate["is_demo"], estimate["is_done"]) == (3, True, False)
    assert desk.post(at(session, "judge"), ada)["calls"] == 3
    state: Any = desk.get(at(session, "report/state"), ada)
    while state["judging"]["running"]:
        time.sleep(0.05)
        state = desk.get(at(session, "report/state"), ada)
    assert state["judging"] == {"running": False, "done": 3, "total": 3, "problem": "", "is_demo": True}
    assert state["judged"] is True
    assert "Proposed by" not in desk.client.get(at(session, "report"), headers=ada).text
    rate(desk, session, "Ada", 2)
    assert "Proposed by demo" in desk.client.get(at(session, "report"), headers=ada).text
    assert [row["candidate"] for row in desk.get("/v1/desk/sessions", ada)["sessions"]] == ["Noor Tamm"]
    begun = [e for e in desk.host.store.events(session.session_id) if e.kind == "judging"]
    assert [event.who for event in begun] == ["Ada"]
    assert desk.get(at(session, "judge"), ada)["is_done"] is True
    desk.post(at(session, "judge"), ada)
    state = desk.get(at(session, "report/state"), ada)
    while state["judging"]["running"]:
        time.sleep(0.05)
        state = desk.get(at(session, "report/state"), ada)
    assert "judged already" in state["judging"]["problem"]
