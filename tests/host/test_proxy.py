"""Behind a proxy: what is believed of whom, over a unix socket and a port, with a real nginx."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hosts import RunningHost
from hypothesis import given, settings
from hypothesis import strategies as st
from test_turns import wait_until

from ib_kernel.errors import ConfigError
from ib_kernel.host.answers import Refused
from ib_kernel.host.host import HostOptions
from ib_kernel.host.proxy import limited_address, seen_through
from ib_kernel.host.serve import Serving, require_safe

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
URL = "https://host.example"
BEHIND = HostOptions(URL, "127.0.0.1:8899", behind_proxy=True)

CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{upstream};
            proxy_set_header Host host.example;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto {scheme};
            proxy_http_version 1.1;
            proxy_buffering off;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: str, scheme: str = "https") -> Iterator[str]:
    """Run nginx in front of *upstream*; it adds the address of its client to what that has written."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream, scheme=scheme))
    with subprocess.Popen(
        [str(NGINX), "-p", str(folder), "-c", str(file)], stderr=subprocess.PIPE
    ) as process:
        try:
            wait_until(lambda: _answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tries(address: str, count: int, own: str, **headers: str) -> list[int]:
    """Try codes from this machine's address *own* until one is refused as too many; return the answers."""
    body = {"code": "0000-0000-0000-0000", "nonce": "n" * 20}
    transport = httpx2.HTTPTransport(local_address=own)
    with httpx2.Client(base_url=address, transport=transport, timeout=60) as client:
        answers: list[int] = []
        for n in range(count):
            own_headers = {k: v.format(n=n) for k, v in headers.items()}
            answers.append(client.post("/v1/join", json=body, headers=own_headers).status_code)
            if answers[-1] == 429:
                break
        return answers


@pytest.mark.skipif(NGINX is None, reason="nginx is missing: apt-get install nginx-light")
@pytest.mark.parametrize("over", ["unix", "port"])
def test_a_forged_address_evades_no_limit(tmp_path: Path, over: str) -> None:
    """Whatever a client writes into the header, its tries are counted for the address that nginx sees."""
    path = tmp_path / "host.sock"
    listen = f"unix:{path}" if over == "unix" else "127.0.0.1:0"
    with RunningHost(
        tmp_path / "data", listen=listen, options=("--behind-proxy", "--url", URL), env={"IB_CLIENT": "demo"}
    ) as host:
        listening = f"127.0.0.1:{_port_of(host)}" if over == "port" else f"unix:{path}"
        with nginx(tmp_path / "front", listening) as front:
            forged = {"X-Forwarded-For": "203.0.113.{n}, 198.51.100.7"}
            answers = tries(front, 600, "127.0.0.1", **forged)
            assert len(answers) > 60  # on a slow machine more, since tries come back with time
            assert answers[-1] == 429
            assert set(tries(front, 5, "127.0.0.2", **forged)) == {403}
        with nginx(tmp_path / "plain", listening, scheme="http") as front:
            answer = httpx2.get(f"{front}/v1/version", trust_env=False)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "tls")
        if over == "unix":
            assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def _port_of(host: RunningHost) -> int:
    """Return the port that the host process listens at."""
    assert host.process is not None
    listed = Path(f"/proc/{host.process.pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {_socket(file) for file in Path(f"/proc/{host.process.pid}/fd").iterdir()}
    rows = [line.split() for line in listed]
    return next(int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and int(row[9]) in inodes)


def _socket(file: Path) -> int:
    """Return the number of the socket that an open file is; 0 for none, and for one that was closed since."""
    try:
        name = os.readlink(file)
    except FileNotFoundError:
        return 0
    return int(name.removeprefix("socket:[").removesuffix("]")) if name.startswith("socket:") else 0


ADDRESSES = st.ip_addresses().map(str)


def scope(peer: str | None, *forwarded: str, scheme: str = "") -> dict[str, Any]:
    """Return a request's scope from *peer* with these headers."""
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    headers += [(b"X-Forwarded-Proto", scheme.encode())] if scheme else []
    return {"type": "http", "client": (peer, 5) if peer else None, "headers": headers}


def seen(options: HostOptions, *given: Any, **more: Any) -> str:
    """Return whom the host takes for the client."""
    return str((seen_through(scope(*given, **more), options)["client"] or ("",))[0])


@settings(max_examples=50)
@given(st.lists(ADDRESSES | st.text(max_size=20), max_size=5), ADDRESSES, ADDRESSES)
def test_only_the_proxy_is_believed_and_only_its_own_word(before: list[str], seen_by: str, peer: str) -> None:
    """The header's last address is the one that the proxy saw; from anybody else the header is nothing."""
    written = ", ".join(text.encode("ascii", "ignore").decode() for text in before)
    assert seen(BEHIND, "127.0.0.1", f"{written}, {seen_by}") == seen_by
    assert seen(BEHIND, "127.0.0.1", written, seen_by) == seen_by
    assert seen(HostOptions(URL, "unix:/x", behind_proxy=True), None, f"{written}, {seen_by}") == seen_by
    if peer not in ("127.0.0.1", "::1"):
        assert seen(BEHIND, peer, f"{written}, {seen_by}") == peer
    assert seen(HostOptions(), "127.0.0.1", seen_by) == "127.0.0.1"
    named = HostOptions(URL, behind_proxy=True, named_proxies=("10.0.0.5", "10.0.0.6"))
    assert seen(named, "127.0.0.1", seen_by) == "127.0.0.1"


def test_a_chain_of_named_proxies_is_followed() -> None:
    """Each named one may stand between; what is no address is nobody's."""
    named = HostOptions(URL, behind_proxy=True, named_proxies=("10.0.0.5", "10.0.0.6"))
    assert seen(named, "10.0.0.5", "203.0.113.9, 198.51.100.7, 10.0.0.6") == "198.51.100.7"
    assert seen(named, "10.0.0.5", "203.0.113.9, who knows") == "10.0.0.5"
    assert seen(named, "10.0.0.5", "[2001:db8::1]:443") == "2001:db8::1"
    assert seen(named, "10.0.0.5", "203.0.113.9:5000") == "203.0.113.9"
    assert seen(named, "10.0.0.5") == "10.0.0.5"
    assert seen(HostOptions(behind_hub=True), "127.0.0.1", "203.0.113.9", scheme="http") == "203.0.113.9"
    with pytest.raises(Refused, match="TLS"):
        seen_through(scope("127.0.0.1", scheme="http"), BEHIND)
    seen_through(scope("192.0.2.1", scheme="http"), BEHIND)  # nobody is believed: no proxy has said so


def test_a_line_is_one_address() -> None:
    """An IPv6 line has all addresses of its network; tries are counted for the network."""

    class Asked:
        def __init__(self, host: str) -> None:
            self.client = type("Client", (), {"host": host})

    told = [limited_address(Asked(h)) for h in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")]  # type: ignore[arg-type]
    assert told[0] == told[1] != told[2]
    assert limited_address(Asked("::ffff:192.0.2.1")) == "192.0.2.1"  # type: ignore[arg-type]
    assert limited_address(Asked("odd")) == "odd"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"proxies": ("10.0.0.5",)}, "add that"),
        ({"proxies": ("proxy.example",), "behind_proxy": True, "url": URL}, "IP address"),
        ({"workers": 65}, "from 1 to 64"),
    ],
)
def test_what_cannot_be_is_one_line(given: dict[str, Any], line: str) -> None:
    """A proxy is named by its address, and for --behind-proxy."""
    with pytest.raises(ConfigError, match=line):
        require_safe(Serving(**given))
