"""A real JupyterHub with its proxy, the host as its service, and the kernels of its users' servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import httpx2

CONFIG = Path(__file__).parents[2] / "deploy/jupyterhub/jupyterhub_config.py"
ADMIN = "test-admin-0123456789abcdef"
WAIT_S = 200.0

OURS = """
load_subconfig({config!r})
import sys
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.environment.update({{"IB_CONFIG": "/dev/null"}})
c.Spawner.start_timeout = c.Spawner.http_timeout = 180
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.services.append({{"name": "tests", "api_token": {admin!r}}})
c.JupyterHub.load_roles.append({{
    "name": "tests", "services": ["tests"],
    "scopes": ["admin:users", "admin:servers", "tokens", "access:servers", "inherit"],
}})
"""


class RunningHub:
    """JupyterHub on free ports; `host` is the service's address as users' servers know it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder, self._env = folder, env
        ports = _free_ports(4)
        self.url, self.own = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[3]}"
        self.host = f"{self.url}/services/interview"
        self._config = folder / "hub_config.py"
        homes = str(folder / "homes/{username}")
        self._config.write_text(
            OURS.format(config=str(CONFIG), homes=homes, hub_port=ports[1], proxy_port=ports[2], admin=ADMIN)
        )

    def __enter__(self) -> RunningHub:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_", "JUPYTERHUB_"))}
        env = {
            **kept,
            "IB_CONFIG": os.devnull,
            **self._env,
            "IB_HUB_URL": self.url,
            "IB_HUB_LISTEN": self.own,
            "IB_HUB_LEDGER": str(self.folder / "ledger"),
            "IB_HUB_INTERVIEWERS": "grace",
        }
        self._log = (self.folder / "hub.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(self._config)],
            cwd=self.folder, env=env, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            self.wait(lambda: self.api("GET", "/").status_code == 200)
            self.wait(lambda: httpx2.get(f"{self.host}/v1/version", trust_env=False).status_code == 200)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)  # the hub stops its proxy, its service and all servers
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def log(self) -> str:
        """What the hub, its proxy and the service have said."""
        return (self.folder / "hub.log").read_text(errors="replace")

    def wait(self, true: Any) -> None:
        """Wait until *true* says so, for a busy machine's time at most."""
        ends = time.monotonic() + WAIT_S
        while True:
            try:
                if true():
                    return
            except httpx2.HTTPError:
                pass
            assert self._process.poll() is None, self.log[-3000:]
            assert time.monotonic() < ends, self.log[-3000:]
            time.sleep(0.5)

    def api(self, method: str, path: str, value: Any = None) -> httpx2.Response:
        """Ask the hub's own API as its administrator."""
        headers = {"Authorization": f"token {ADMIN}"}
        return httpx2.request(
            method, f"{self.url}/hub/api{path}", json=value, headers=headers, timeout=60, trust_env=False
        )

    def user(self, name: str) -> None:
        """Make a user, unless there is one."""
        self.api("POST", f"/users/{name}")

    def token(self, name: str) -> tuple[str, str]:
        """Return the id and the text of a new token of the user, with all that the user may do."""
        self.user(name)
        made = self.api("POST", f"/users/{name}/tokens", {"note": "test"}).json()
        return made["id"], made["token"]

    def revoke(self, name: str, token_id: str) -> None:
        """Make a token of the user worthless."""
        assert self.api("DELETE", f"/users/{name}/tokens/{token_id}").status_code == 204

    def kernel(self, name: str) -> Kernel:
        """Start the user's server and a kernel in it."""
        self.user(name)
        assert self.api("POST", f"/users/{name}/server").status_code in (201, 202), self.log[-3000:]
        self.wait(lambda: self.api("GET", f"/users/{name}").json()["servers"].get("", {}).get("ready"))
        return Kernel(f"{self.url}/user/{name}")


class Kernel:
    """A kernel in a user's server, reached through the hub's proxy."""

    def __init__(self, server: str) -> None:
        self._server, self._headers = server, {"Authorization": f"token {ADMIN}"}
        made = httpx2.post(
            f"{server}/api/kernels", headers=self._headers, json={}, timeout=120, trust_env=False
        )
        assert made.status_code == 201, made.text
        self._id = made.json()["id"]

    def run(self, code: str) -> str:
        """Run a cell and return all that it showed, errors included."""
        return asyncio.run(self._run(code))

    async def _run(self, code: str) -> str:
        said: list[str] = []
        address = f"{self._server}/api/kernels/{self._id}/channels"
        async with (
            aiohttp.ClientSession(headers=self._headers) as session,
            session.ws_connect(address, max_msg_size=0) as line,
        ):
            header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "t",
                      "username": "t", "version": "5.3", "date": ""}  # fmt: skip
            content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                       "allow_stdin": False, "stop_on_error": True}  # fmt: skip
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content,
                       "channel": "shell", "buffers": []}  # fmt: skip
            await line.send_str(json.dumps(message))
            while True:
                answer = json.loads((await line.receive(WAIT_S)).data)
                if answer["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                kind, content = answer["msg_type"], answer["content"]
                said.append(content.get("text", "") if kind == "stream" else "")
                said.append(content.get("data", {}).get("text/plain", ""))
                said.append("\n".join(content.get("traceback", [])) if kind == "error" else "")
                if kind == "status" and content["execution_state"] == "idle":
                    return "\n".join(filter(None, said))


def _free_ports(count: int) -> list[int]:
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [bound.getsockname()[1] for bound in with_ports]
    for bound in with_ports:
        bound.close()
    return ports
