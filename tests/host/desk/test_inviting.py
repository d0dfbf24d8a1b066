"""Inviting from the page: one line, told once; and who may let in whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from desks import Place

FORM = {
    "candidate": "Ilse",
    "role": "Backend engineer",
    "challenge": "rate-limiter",
    "token_budget": 25_000,
    "minutes": 45,
}


def test_an_invitation_is_one_line_that_nobody_can_read_again(desk: Place) -> None:
    """The answer has the code; the list, the session and the ledger's rows have not."""
    ada = desk.person("Ada")
    made = desk.post("/v1/desk/invitations", ada, FORM)
    assert made["line"].startswith("%interview join ")
    assert made["session"]["status"] == "created"
    assert (made["session"]["budget"], made["session"]["time_limit_s"]) == (25_000, 2_700)
    code = made["line"].split()[-1].split("@")[0]
    for path in ("/v1/desk/invitations", f"/v1/desk/sessions/{made['session']['id']}", "/v1/desk/sessions"):
        assert code not in desk.client.get(path, headers=ada).text
    (listed,) = desk.get("/v1/desk/invitations", ada)["invitations"]
    assert (listed["state"], listed["created_by"], listed["candidate"]) == ("open", "Ada", "Ilse")


def test_a_new_line_takes_the_old_ones_place(desk: Place) -> None:
    """The old code stops working; the session is the same."""
    ada = desk.person("Ada")
    first = desk.post("/v1/desk/invitations", ada, FORM)
    second = desk.post("/v1/desk/invitations", ada, {"session_id": first["session"]["id"]})
    assert second["session"]["id"] == first["session"]["id"]
    states = [one["state"] for one in desk.get("/v1/desk/invitations", ada)["invitations"]]
    assert sorted(states) == ["open", "withdrawn"]


def test_a_line_is_withdrawn_once(desk: Place) -> None:
    """A second time says that nothing was changed."""
    ada = desk.person("Ada")
    desk.post("/v1/desk/invitations", ada, FORM)
    (one,) = desk.get("/v1/desk/invitations", ada)["invitations"]
    path = f"/v1/desk/invitations/{one['id']}/revoke"
    assert [i["state"] for i in desk.post(path, ada)["invitations"]] == ["withdrawn"]
    assert desk.refused(path, ada)[0] == 409


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": "no such"},
        {"model": "no-such-model"},
        {"minutes": -5},
        {"token_budget": -5},
        {"gateway": True},
        {"gateway": "yes"},
    ],
)
def test_a_form_that_cannot_be_used_opens_nothing(desk: Place, change: dict[str, object]) -> None:
    """One line, no session and no invitation."""
    ada = desk.person("Ada")
    status, line = desk.refused("/v1/desk/invitations", ada, {**FORM, **change})
    assert status == 400
    assert line
    assert "\n" not in line
    assert desk.get("/v1/desk/sessions", ada)["total"] == 0
    assert desk.get("/v1/desk/invitations", ada)["invitations"] == []


def test_no_file_of_the_host_is_a_challenge(desk: Place, tmp_path: Path) -> None:
    """Somebody far away learns neither what a file says nor whether it is there."""
    file, folder = tmp_path / "private.md", tmp_path / "folder"
    file.write_text("# A file of the host's\n\nNobody reads this.", encoding="utf-8")
    folder.mkdir()
    (folder / "challenge.md").write_text("# A folder of the host's\n\nNobody reads this.", encoding="utf-8")
    ada = desk.person("Ada")
    for path in (file, folder, tmp_path / "missing.md"):
        status, line = desk.refused("/v1/desk/invitations", ada, {**FORM, "challenge": str(path)})
        assert status == 400
        assert "offers no challenge" in line
    assert desk.get("/v1/desk/sessions", ada)["total"] == 0


def test_the_form_offers_what_there_is(desk: Place) -> None:
    """Challenges without their private part, models, personas; and why the gateway cannot be opened."""
    choices = desk.get("/v1/desk/choices", desk.person("Ada"))
    named = {c["name"] for c in choices["challenges"]}
    assert "rate-limiter" in named
    assert all(set(c) == {"name", "title", "level", "roles", "task"} for c in choices["challenges"])
    assert choices["personas"][0] == choices["defaults"]["persona"]
    assert choices["gateway"] is False
    assert "openai" in choices["gateway_why"]


def test_only_coordinators_let_people_in_and_keep_them_out(desk: Place) -> None:
    """An interviewer makes a link for themselves; a removed person's token is worth nothing at once."""
    ada, grace = desk.person("Ada", "coordinator"), desk.person("Grace")
    assert desk.refused("/v1/desk/people/add", grace, {"name": "Mallory", "role": "coordinator"})[0] == 403
    assert desk.refused("/v1/desk/people/link", grace, {"name": "Ada"})[0] == 403
    assert desk.refused("/v1/desk/people/remove", grace, {"name": "Ada"})[0] == 403
    assert "#ib_l_" in desk.post("/v1/desk/people/link", grace, {"name": "Grace"})["link"]
    added = desk.post("/v1/desk/people/add", ada, {"name": "Linus", "role": "interviewer"})
    assert [p["name"] for p in added["people"]] == ["Ada", "Grace", "Linus"]
    assert desk.refused("/v1/desk/people/remove", ada, {"name": "Ada"})[0] == 409
    desk.post("/v1/desk/people/remove", ada, {"name": "Grace"})
    assert desk.client.get("/v1/desk/sessions", headers=grace).status_code == 401


def test_a_link_signs_in_once_and_the_page_can_write_with_its_header(desk: Place) -> None:
    """The cookie is no script's to read; without the header a write is refused."""
    ada = desk.person("Ada", "coordinator")
    link = desk.post("/v1/desk/people/add", ada, {"name": "Linus", "role": "interviewer"})["link"]
    signed_in = desk.client.post("/v1/link", json={"token": link.partition("#")[2]})
    cookie = signed_in.headers["set-cookie"]
    assert all(word in cookie for word in ("__Host-ib=", "HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    assert desk.client.post("/v1/link", json={"token": link.partition("#")[2]}).status_code == 403
    jar = {"Cookie": cookie.split(";")[0]}
    me = desk.get("/v1/whoami", jar)
    session = desk.session()
    path = f"/v1/desk/sessions/{session.session_id}/pause"
    assert desk.refused(path, jar)[0] == 403
    assert desk.post(path, {**jar, "X-IB-CSRF": me["csrf"]})["session"]["status"] == "paused"
    assert desk.host.store.events(session.session_id)[-1].who == "Linus"


def test_a_token_for_notebooks_is_its_maker_s_and_ends(desk: Place) -> None:
    """It acts under the same name, for the days that were asked for."""
    ada = desk.person("Ada")
    made = desk.post("/v1/desk/tokens", ada, {"days": 1})
    own = {"Authorization": f"Bearer {made['token']}"}
    assert desk.get("/v1/whoami", own)["name"] == "Ada"
    assert made["expires_at"] - desk.host.clock() <= 86_400
    assert desk.refused("/v1/desk/tokens", ada, {"days": 1_000})[0] == 400


def test_the_doctor_never_shows_a_key(desk: Place) -> None:
    """Whether there is one, and whether the ledger adds up."""
    report = desk.get("/v1/desk/doctor", desk.person("Ada"))
    lines = {line["name"]: line for section in report["sections"] for line in section["lines"]}
    assert lines["audit"]["state"] == "good"
    assert lines["key"]["value"] in ("set", "not set")
    assert lines["in doubt"]["value"] == "none"
