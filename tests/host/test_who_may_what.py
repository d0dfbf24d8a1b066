"""What a candidate with only a code can reach: their own session, and nothing of anybody else's."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hosts import RunningHost
from wire import Wire

NOTES = "The planted secret is that the counter must be changed by one atomic increment under a lock."
TASK = "# Count\n\nWrite a counter that many threads use."
KEY = "sk-only-the-host-has-this-0123456789"


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A challenge with a private part."""
    file = tmp_path_factory.mktemp("challenge") / "count.md"
    file.write_text(f"{TASK}\n\n<!-- interviewer -->\n{NOTES}\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host with a key, whose sessions the scripted interviewer answers."""
    env = {"OPENAI_API_KEY": KEY, "IB_CLIENT": "demo"}
    with RunningHost(tmp_path_factory.mktemp("host"), env=env) as running:
        yield running


def test_a_code_lets_one_person_in_once(host: RunningHost) -> None:
    """The second use of a code is refused; a repeat of the first, whose answer was lost, answers the same."""
    code, _, address = host.invite("--candidate", "Ada").partition("@")
    asked = {"code": code.lower().replace("-", " "), "nonce": secrets.token_urlsafe(16)}
    first = Wire(address).post("/v1/join", asked)
    again = Wire(address).post("/v1/join", asked)
    assert first.status_code == 200
    assert again.json()["token"] == first.json()["token"]
    other = Wire(address).post("/v1/join", {"code": code, "nonce": secrets.token_urlsafe(16)})
    assert other.status_code == 403
    assert "ask the interviewer" in other.json()["error"]["message"]
    assert Wire(address, first.json()["token"]).get("/v1/me").status_code == 200


def test_a_new_invitation_puts_the_old_one_out(host: RunningHost) -> None:
    """ib invite --session readmits; the token that was there is worth nothing at once."""
    wire = Wire.joined(host.invite("--candidate", "Bob"))
    again = Wire.joined(host.invite("--session", wire.me["session"]["session_id"]))
    assert wire.get("/v1/me").status_code == 401
    assert again.get("/v1/me").json()["session"]["candidate"] == "Bob"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/desk/sessions", "/v1/desk/sessions/x", "/v1/desk/invitations", "/v1/desk/people",
        "/v1/desk/doctor", "/v1/desk/events", "/v1/desk/export", "/v1/whoami",
        "/v1/sessions", "/v1/me/../desk/sessions",
        "/static/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/proc/self/environ",
        "/..%2f..%2fproc/self/environ", "/openai/v1/models",
    ],
)  # fmt: skip
def test_nothing_of_the_interviewers_side_is_answered(host: RunningHost, path: str) -> None:
    """Neither lists, pages of others, SQL, files, nor /proc."""
    wire = Wire.joined(host.invite("--candidate", "Cleo"))
    answer = wire.get(path)
    assert answer.status_code in (401, 403, 404, 405)
    assert "root:" not in answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize(
    "path", ["extend", "pause", "resume", "end", "line", "note", "../../sql", "../../invitations"]
)
def test_no_control_of_the_interviewer_works(host: RunningHost, path: str) -> None:
    """Tokens, time, notes and invitations stay the interviewer's."""
    wire = Wire.joined(host.invite("--candidate", "Dan", "--budget", "7000"))
    session_id = wire.me["session"]["session_id"]
    answer = wire.post(f"/v1/desk/sessions/{session_id}/{path}", {"tokens": 10**6, "text": "x", "sql": "x"})
    assert answer.status_code in (401, 403, 404, 405)
    assert wire.get("/v1/me").json()["totals"]["token_budget"] == 7000


@pytest.mark.parametrize(
    "name", ["model", "temperature", "persona", "messages", "system", "session_id", "extra"]
)
def test_what_the_interviewer_chose_cannot_be_sent_along(host: RunningHost, name: str) -> None:
    """A question is a text and a wish for its length; all else is refused by name."""
    wire = Wire.joined(host.invite("--candidate", "Eve"))
    _, kind, data = wire.whole("Hello", **{name: "gpt-4o"})
    assert (kind, data["status"]) == ("refused", 403)
    assert name in data["error"]["message"]
    assert wire.get("/v1/me").json()["history"] == []


def test_tokens_of_one_kind_open_no_other_door(host: RunningHost) -> None:
    """A candidate's is no interviewer's, a link's is neither, and guessed ones are nothing."""
    wire = Wire.joined(host.invite("--candidate", "Finn"))
    link = host.link.partition("#")[2]
    guesses = ("", "x", "ib_c_" + "A" * 43, "ib_i_" + "A" * 43, "ib_g_" + wire.token[5:])
    for token in (link, "ib_i_" + wire.token[5:], *guesses):
        for path in ("/v1/me", "/v1/whoami"):
            assert Wire(host.address, token).get(path).status_code == 401, path
    assert wire.get("/v1/whoami").status_code == 401


def test_the_private_part_is_nowhere_a_candidate_can_read(host: RunningHost, challenge: Path) -> None:
    """Neither in what joining answers, nor in session, transcript, events or refusals; nor is the key."""
    wire = Wire.joined(host.invite("--candidate", "Gil", "--challenge", str(challenge)))
    wire.whole("Hello")
    read = json.dumps(wire.me) + wire.get("/v1/me").text + wire.get("/v1/status").text
    read += wire.post("/v1/turns", {"model": "x"}, headers={"Idempotency-Key": "abcdefgh"}).text
    assert "Write a counter" in read
    for secret in ("planted secret", "atomic increment", KEY, host.link.partition("#")[2]):
        assert secret not in read
    assert set(wire.me["session"]) & {"meta", "accommodation", "external_id"} == set()


def test_the_notice_comes_before_the_first_turn(host: RunningHost) -> None:
    """A client that did not show it gets no turn; the clock does not run before one."""
    wire = Wire.joined(host.invite("--candidate", "Hana", "--minutes", "30"), notice=False)
    _, kind, data = wire.whole("Hello")
    assert (kind, data["status"]) == ("refused", 428)
    assert "recorded" in data["error"]["message"]
    assert wire.get("/v1/me").json()["session"]["status"] == "created"
    wire.post("/v1/notice", {"version": wire.me["notice"]["version"]})
    assert wire.whole("Hello")[1] == "end"
    events = [e["kind"] for e in wire.get("/v1/me").json()["events"]]
    assert events.count("notice") == 1


def test_guessing_codes_is_slowed_down(tmp_path: Path) -> None:
    """After some tries of one address the host says how long to wait."""
    with RunningHost(tmp_path / "host") as host:
        tries = [
            Wire(host.address).post("/v1/join", {"code": "7F3K-92QX-4MDP-W8ZT", "nonce": "n" * 20})
            for _ in range(90)
        ]
        assert {t.status_code for t in tries} == {403, 429}
        assert int(tries[-1].headers["retry-after"]) >= 1


def test_a_link_signs_in_once_and_its_cookie_needs_its_page(host: RunningHost) -> None:
    """The cookie is HttpOnly, Secure, SameSite=Strict and __Host-; a write without its header is refused."""
    token = host.ib("link").partition("#")[2]
    with httpx2.Client(base_url=host.address, trust_env=False) as browser:
        answer = browser.post("/v1/link", json={"token": token})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        for mark in ("__Host-ib=ib_i_", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert mark in cookie
        assert "Domain" not in cookie
        sent = {"Cookie": cookie.partition(";")[0]}
        assert browser.get("/v1/whoami", headers=sent).json()["role"] == "coordinator"
        assert browser.post("/v1/logout", headers=sent).status_code == 403
        csrf = answer.json()["csrf"]
        other = {**sent, "X-IB-CSRF": csrf, "Origin": "http://127.0.0.1:1"}
        assert browser.post("/v1/logout", headers=other).status_code == 403
        assert browser.post("/v1/logout", headers={**sent, "X-IB-CSRF": csrf}).status_code == 200
        assert browser.get("/v1/whoami", headers=sent).status_code == 401
        assert browser.post("/v1/link", json={"token": token}).status_code == 403


def test_somebody_who_is_removed_is_out_at_once(host: RunningHost) -> None:
    """Their token, link and cookie are worth nothing."""
    link = host.ib("interviewer", "add", "Zoe").rpartition(" ")[2]
    sign_in = {"token": link.partition("#")[2], "as": "token"}
    token = Wire(host.address).post("/v1/link", sign_in).json()["token"]
    who = Wire(host.address, token).get("/v1/whoami").json()
    assert (who["name"], who["role"], who["csrf"]) == ("Zoe", "interviewer", "")
    host.ib("interviewer", "remove", "Zoe")
    assert Wire(host.address, token).get("/v1/whoami").status_code == 401


def test_the_ledger_and_the_log_have_no_token(tmp_path: Path) -> None:
    """Codes and tokens are stored as hashes; the access log has methods, paths and times only."""
    with RunningHost(tmp_path / "host", options=("--access-log",)) as host:
        line = host.invite("--candidate", "Ida")
        wire = Wire.joined(line)
        wire.whole("Hello")
        host.stop()
        said = "".join(host.said)
        assert "POST /v1/turns 200" in said
        written = b"".join(f.read_bytes() for f in host.data.rglob("*") if f.is_file())
        for secret in (line.partition("@")[0], wire.token, host.link.partition("#")[2]):
            assert secret.encode() not in written
            assert secret not in said.replace(host.link, "")
