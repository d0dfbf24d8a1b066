"""What the AI is told, from the page: personas and presets by name only, phases, and how long it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import Place, place

from ib_kernel.settings import Settings

FORM = {"candidate": "Ilse", "role": "Backend engineer", "token_budget": 25_000}

OWN = "+++\nname = 'house'\n[phases]\nduel = 'Zebrafink once.'\n+++\nAsk $candidate zebrafink questions."


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The host's own persona."""
    path = tmp_path / "house.md"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture
def desk(settings: Settings, own: Path) -> Iterator[Place]:
    """A host with a persona and presets of its own."""
    presets = {
        "senior": {"level": "senior", "minutes": 60, "as": str(own), "keep_days": 90, "budget": 30_000},
        "broken": {"minuets": 60},
    }
    with place(settings.replace(persona=str(own), presets=presets)) as running:
        yield running


def test_files_are_for_whoever_runs_the_host(desk: Place, own: Path) -> None:
    """By name: shipped ones, and the host's own setting; a path is refused, whether it is there or not."""
    ada = desk.person("Ada")
    for path in (str(own), "/etc/passwd", "../x.md", "nobody"):
        status, line = desk.refused("/v1/desk/invitations", ada, {**FORM, "persona": path})
        assert status == 400
        assert "offers no persona" in line
        assert "zebrafink" not in line
    for name, found in (("assistant", "assistant"), ("house", "house"), ("", "house")):
        made = desk.post("/v1/desk/invitations", ada, {**FORM, "persona": name})
        assert desk.get(f"/v1/desk/sessions/{made['session']['id']}", ada)["persona"] == found


def test_a_canary_in_a_persona_is_held_back(settings: Settings, tmp_path: Path) -> None:
    """With a challenge or without one; other words of a persona may be what the AI is to say."""
    own = tmp_path / "canary.md"
    own.write_text("Welcome people to the interview at our house. ib-canary-abc123xyz", encoding="utf-8")
    with place(settings.replace(persona=str(own))) as running:
        ada = running.person("Ada")
        for form in (FORM, {**FORM, "challenge": "rate-limiter"}):
            made = running.post("/v1/desk/invitations", ada, form)["session"]
            private = running.host.sight.private_text(running.host.service.get_session(made["id"]))
            assert private.find("it says ib-canary-abc123xyz") is not None
            assert private.find("Welcome people to the interview at our house.") is None


def test_a_preset_fills_the_form_and_brings_what_is_a_file(desk: Place) -> None:
    """What the form shows of it has no path; a preset that cannot be used is not offered."""
    ada = desk.person("Ada")
    choices = desk.get("/v1/desk/choices", ada)
    (offered,) = choices["presets"]
    assert offered["name"] == "senior"
    assert offered["fields"] == {
        "level": "senior", "persona": "", "minutes": "60", "keep_days": "90", "token_budget": "30000"
    }  # fmt: skip
    assert "house" in choices["personas"]
    sent = {**FORM, "preset": "senior", "persona": "", "minutes": 45, "keep_days": 90}
    made = desk.post("/v1/desk/invitations", ada, sent)["session"]
    session = desk.host.service.get_session(made["id"])
    assert (session.level, session.persona, session.time_limit_s) == ("senior", "house", 2_700)
    assert (session.token_budget, session.meta["preset"]) == (25_000, "senior")
    assert session.keep_until is not None
    assert "no preset called" in desk.refused("/v1/desk/invitations", ada, {**FORM, "preset": "juniro"})[1]


def test_the_notice_says_until_when(desk: Place) -> None:
    """For the session it is shown for; without a date it says that, too."""
    ada = desk.person("Ada")
    for days, words in ((1, "then it is due to be erased"), (None, "until somebody erases it")):
        form = FORM if days is None else {**FORM, "keep_days": days}
        made = desk.post("/v1/desk/invitations", ada, form)["session"]
        session = desk.host.service.get_session(made["id"])
        assert words in desk.get("/v1/me", desk.candidate(session))["notice"]["text"]


def test_a_phase_is_chosen_here_and_candidates_read_its_name_only(desk: Place) -> None:
    """Recorded under who chose it; what the model is told is in nothing that a candidate reads."""
    ada = desk.person("Ada")
    made = desk.post("/v1/desk/invitations", ada, FORM)["session"]
    session = desk.host.service.get_session(made["id"])
    path = f"/v1/desk/sessions/{session.session_id}"
    assert desk.refused(f"{path}/phase", ada, {"phase": "nothing"})[0] == 400
    desk.post(f"{path}/phase", ada, {"phase": "duel"})
    shown = desk.get(path, ada)
    assert (shown["phase"], "duel" in shown["phases"]) == ("duel", True)
    moment = next(one for one in shown["moments"] if one["kind"] == "phase")
    assert (moment["who"], moment["detail"]["phase"]) == ("Ada", "duel")
    event = desk.host.store.events(session.session_id)[-1]
    assert (event.kind, event.who, event.detail["phase"]) == ("phase", "Ada", "duel")
    candidate = desk.candidate(session)
    me = desk.client.get("/v1/me", headers=candidate)
    assert {"kind": "phase", "detail": {"phase": "duel"}}.items() <= me.json()["events"][-1].items()
    assert "ebrafink" not in me.text
    assert desk.client.post(f"{path}/phase", headers=candidate, json={"phase": "off"}).status_code in (
        401,
        403,
    )
