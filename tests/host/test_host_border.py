"""The border of the host: which names and pages it answers, how much it reads, what every answer says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import ConfigError
from ib_kernel.host.app import build_app
from ib_kernel.host.host import Host
from ib_kernel.host.idle import IdleConnections
from ib_kernel.host.serve import Serving, require_safe
from ib_kernel.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of an app in this process, at the address that the host was given."""
    host = Host(settings, TokenService(settings))
    with TestClient(build_app(host), base_url="http://127.0.0.1:8899") as running:
        yield running
    host.close()


def test_health_says_that_the_ledger_can_be_read(client: TestClient) -> None:
    """Whoever watches the host needs no token for it, and learns the version."""
    answer = client.get("/v1/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.headers["ib-version"] == answer.json()["version"]


def test_another_host_name_is_not_served(client: TestClient) -> None:
    """A page that points its own name at this address (DNS rebinding) gets nothing."""
    answer = client.get("/v1/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "host"


def test_another_origin_is_not_answered(client: TestClient) -> None:
    """A page of another port on this machine is another origin."""
    assert client.get("/v1/health", headers={"Origin": "http://127.0.0.1:8888"}).status_code == 403
    assert client.get("/v1/health", headers={"Origin": "http://127.0.0.1:8899"}).status_code == 200


def test_a_request_that_announces_too_much_is_not_read(client: TestClient) -> None:
    """The length is looked at before the body."""
    answer = client.post("/v1/health", headers={"Content-Length": "99999999999"})
    assert answer.status_code == 413


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    """Errors too: none may be framed, sniffed or kept."""
    for path in ("/v1/health", "/nothing"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "serving",
    [
        Serving(listen="0.0.0.0:8899"),
        Serving(listen="192.0.2.1:8899", tls_cert="cert.pem"),
        Serving(listen="127.0.0.1:8899", behind_proxy=True),
        Serving(listen="unix:/tmp/ib.sock"),
    ],
)
def test_tokens_never_travel_in_the_clear(serving: Serving) -> None:
    """Another machine is reached over TLS only, and the line says what to add."""
    with pytest.raises(ConfigError, match=r"--tls|--behind-proxy"):
        require_safe(serving)


def test_a_connection_that_never_asks_is_closed() -> None:
    """Headers that do not end hold a connection for some time only; a running answer is left alone."""
    now = [0.0]

    class Connection:
        def __init__(self, cycle: object) -> None:
            self.cycle, self.transport, self.closed = cycle, self, False

        def close(self) -> None:
            self.closed = True

    class Cycle:
        response_complete = False

    silent, streaming = Connection(None), Connection(Cycle())
    idle = IdleConnections(clock=lambda: now[0])
    for now[0] in (0.0, 30.0, 41.0):
        idle.close_old([silent, streaming])
    assert silent.closed
    assert not streaming.closed
