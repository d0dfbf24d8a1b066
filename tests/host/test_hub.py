"""The host as a service of a real JupyterHub behind its real proxy: people by the hub's tokens."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from ib_kernel.cli import main
from ib_kernel.errors import BuddyError
from ib_kernel.host.answers import Refused
from ib_kernel.host.hub import Hub
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote import kept as keeping
from ib_kernel.remote.connection import Connection, HostRefused
from ib_kernel.remote.desk import Desk
from ib_kernel.remote.joining import Joined, join
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer

pytest.importorskip("jupyterhub", reason="JupyterHub is missing: pip install -e '.[host,hub,lab]'")
if shutil.which("configurable-http-proxy") is None:
    pytest.skip(
        "JupyterHub's proxy is missing: npm install -g configurable-http-proxy", allow_module_level=True
    )
if sys.platform == "win32":
    pytest.skip("JupyterHub does not run on Windows", allow_module_level=True)

from hub_runs import ADMIN, RunningHub

KEY = "sk-host-only-0123456789"

ASK = """
import openai
with openai.OpenAI() as client:
    reply = client.chat.completions.create(model="gpt-5.4-mini", messages=[{"role": "user", "content": "Hi"}])
print("answered", reply.usage.total_tokens)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub whose service is the host, configured as ``deploy/jupyterhub`` says; grace is an interviewer."""
    with FaultServer(api_key=KEY) as service:
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": service.base_url}
        with RunningHub(tmp_path_factory.mktemp("hub"), env) as running:
            yield running


@pytest.fixture(scope="module")
def desk(hub: RunningHub) -> Iterator[Desk]:
    """Grace's place at the host: her token of the hub has the scope."""
    with Desk.with_token(hub.host, hub.token("grace")[1], Settings()) as place:
        yield place


def as_server_of(monkeypatch: pytest.MonkeyPatch, hub: RunningHub, name: str, token: str) -> None:
    """Set what the hub sets in a user's server."""
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", f"/user/{name}/")
    monkeypatch.setenv("IB_HOST", hub.host)


def joined(folder: Path) -> Joined:
    """Join without a code, as a notebook does whose data directory is *folder*."""
    found = join("", Settings(data_dir=folder), Plugins())
    found.interview.notice_was_shown()
    return found


def ask(token: str, hub: RunningHub, path: str) -> httpx2.Response:
    """Ask the host through the hub's proxy."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{hub.host}{path}", headers=headers, trust_env=False, timeout=60)


def test_a_users_server_joins_without_a_code_and_asks(hub: RunningHub, desk: Desk) -> None:
    """From the interviewer's invitation to a reply in the kernel that the hub has started."""
    desk.invite("Backend engineer", candidate="Ada", candidate_id="ada", token_budget=30_000, gateway=True)
    kernel = hub.kernel("ada")
    assert "Joined: Ada · Backend engineer" in kernel.run("%load_ext ib_kernel\n%interview join")
    reply = kernel.run("%%interview\nI would use a token bucket.")
    assert "turn 1" in reply
    assert "of 30,000 left" in reply
    assert "OPENAI_BASE_URL" in kernel.run("%interview tools")
    assert "answered" in kernel.run(ASK)
    assert KEY not in kernel.run("import os; print(dict(os.environ))")
    (row,) = [s for s in desk.connection.get("/v1/desk/sessions")["sessions"] if s["candidate"] == "Ada"]
    assert row["status"] == "active"


def test_who_is_not_invited_is_told_what_to_ask_for(
    hub: RunningHub, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody else's invitation is not theirs."""
    desk.invite("Backend engineer", candidate="Bob", candidate_id="bob")
    as_server_of(monkeypatch, hub, "mallory", hub.token("mallory")[1])
    with pytest.raises(HostRefused, match="--candidate-id mallory"):
        joined(tmp_path)


def test_a_token_that_the_hub_revokes_opens_nothing_any_more(
    hub: RunningHub, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A kept token is worth nothing without the hub's; a new server of the same user goes on."""
    desk.invite("Backend engineer", candidate="Cleo", candidate_id="cleo", gateway=True)
    token_id, token = hub.token("cleo")
    as_server_of(monkeypatch, hub, "cleo", token)
    interview = joined(tmp_path).interview
    with interview.ask("Hello") as reply:
        assert "".join(reply)
    kept = keeping.last(tmp_path)
    assert kept is not None
    assert ask(kept.sent(kept.token), hub, "/v1/me").status_code == 200
    assert ask(kept.token, hub, "/v1/me").status_code == 401
    others = hub.token("mallory")[1]
    assert ask(f"{kept.token}.{others}", hub, "/v1/me").status_code == 401
    tools = kept.sent(kept.gateway_token)
    assert ask(tools, hub, "/openai/v1/models").status_code == 200

    hub.revoke("cleo", token_id)
    hub.wait(lambda: ask(kept.sent(kept.token), hub, "/v1/me").status_code == 401)
    hub.wait(lambda: ask(tools, hub, "/openai/v1/models").status_code == 401)
    with pytest.raises(BuddyError, match="hub does not know this token"):
        interview.me()
    interview.close()

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", hub.token("cleo")[1])
    found = joined(tmp_path)
    assert found.again
    assert len(found.interview.history()) >= 2
    found.interview.close()


def test_an_interviewer_is_whose_token_has_the_scope(hub: RunningHub, desk: Desk) -> None:
    """Others are refused at every address of the desk, and the hub's interviewers are no coordinators."""
    _, candidates = hub.token("dan")
    for path in ("/v1/desk/sessions", "/v1/desk/people", "/v1/desk/doctor"):
        refused = ask(candidates, hub, path)
        assert refused.status_code == 403
        assert "custom:ib:interviewer" in refused.json()["error"]["message"]
    assert ask("nobody-0123456789abcdef", hub, "/v1/desk/sessions").status_code == 401
    assert ask(ADMIN, hub, "/v1/desk/sessions").status_code == 401  # a service is nobody
    assert desk.connection.get("/v1/whoami")["name"] == "grace@hub"
    with pytest.raises(HostRefused, match="make another at the hub"):
        desk.connection.post("/v1/desk/tokens", {})
    with pytest.raises(HostRefused, match="only a coordinator"):
        desk.connection.post("/v1/desk/people/add", {"name": "Eve", "role": "coordinator"})


def test_who_was_readmitted_elsewhere_is_out_here(
    hub: RunningHub, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An invitation lets one person in at one place; a code that was used is no way in for the hub's user."""
    desk.invite("Backend engineer", candidate="Finn", candidate_id="finn")
    as_server_of(monkeypatch, hub, "finn", hub.token("finn")[1])
    here = joined(tmp_path / "here").interview
    line = desk.readmit(here.session_id).removeprefix("%interview join ")
    with pytest.raises(HostRefused, match="not valid here"):
        here.me()
    there = join(line, Settings(data_dir=tmp_path / "there"), Plugins()).interview
    assert there.session_id == here.session_id
    with pytest.raises(HostRefused, match="not any more"):
        joined(tmp_path / "again")
    here.close()
    there.close()


def test_the_page_is_not_at_the_hubs_address(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    """Users' servers have that origin: neither the page, nor a cookie, nor another page's request."""
    assert ask("x", hub, "/").status_code == 404
    assert ask("x", hub, "/static/app.js").status_code == 404
    assert httpx2.get(f"{hub.own}/", trust_env=False).status_code == 200
    headers = {"Origin": hub.url}
    refused = httpx2.get(f"{hub.host}/v1/version", headers=headers, trust_env=False)
    assert refused.status_code == 403
    assert main(["link", "--data", str(hub.folder / "ledger")]) == 0
    token = capsys.readouterr().out.strip().rpartition("#")[2]
    with httpx2.Client(trust_env=False) as browser:
        cookie = browser.post(f"{hub.own}/v1/link", json={"token": token}).headers["set-cookie"].split(";")[0]
        assert browser.get(f"{hub.own}/v1/whoami", headers={"Cookie": cookie}).status_code == 200
        assert browser.get(f"{hub.host}/v1/whoami", headers={"Cookie": cookie}).status_code == 401
    with closing(Connection(hub.host)) as line:
        assert line.get("/v1/version")["version"]


def test_the_key_and_the_ledger_are_the_services(hub: RunningHub) -> None:
    """The folder is its owner's only, and no token stands in what hub, proxy and host have said."""
    ledger = hub.folder / "ledger"
    assert ledger.stat().st_mode & 0o077 == 0
    assert not any(secret in hub.log for secret in ("ib_c_", "ib_g_", "ib_l_", KEY))


def test_a_hub_that_does_not_answer_lets_nobody_in() -> None:
    """That is no word about the token: the line says to try again, and the status that it is not theirs."""
    from jupyterhub.services.auth import HubAuth

    silent = Hub("/services/x/", HubAuth(api_url="http://127.0.0.1:9/hub/api", api_token="x"))
    with pytest.raises(Refused, match="try again") as refused:
        asyncio.run(silent.user("0123456789abcdef0123456789abcdef"))
    assert refused.value.status == 503
