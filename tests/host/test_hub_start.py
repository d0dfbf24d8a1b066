"""`ib host --hub` where no hub is, and the seconds that a revoked token still has."""

from __future__ import annotations

import os

import pytest

from ib_kernel.cli import main
from ib_kernel.host.gateway.known import KNOWN_S
from ib_kernel.host.hub import CACHE_S, REVOKED_S
from ib_kernel.host.serve import DEFAULT_LISTEN, listen_of


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a hub would have set."""
    for name in [n for n in os.environ if n.startswith("JUPYTERHUB_")]:
        monkeypatch.delenv(name)


def test_a_host_that_no_hub_has_started_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """`--hub` by hand is one line."""
    assert main(["host", "--hub"]) == 1
    line = capsys.readouterr().err.strip()
    assert "deploy/jupyterhub" in line
    assert "\n" not in line


@pytest.mark.parametrize("prefix", ["", "/", "services/interview", "/services/../interview/"])
def test_a_service_without_a_path_of_its_own_is_no_service(
    prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the host could not tell the hub's address from its own."""
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "x" * 32)
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://127.0.0.1:9/hub/api")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", prefix)
    assert main(["host", "--hub"]) == 1
    assert "deploy/jupyterhub" in capsys.readouterr().err


def test_it_listens_where_the_hub_expects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is told otherwise, or no hub is there."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:7788")
    assert listen_of("", hub=True) == "127.0.0.1:7788"
    assert listen_of("127.0.0.1:5", hub=True) == "127.0.0.1:5"
    assert listen_of("", hub=False) == DEFAULT_LISTEN


def test_what_is_remembered_of_a_token_is_forgotten_in_time() -> None:
    """The gateway remembers what the hub's memory has said: both together stay within the promise."""
    assert CACHE_S + KNOWN_S <= REVOKED_S == 15
