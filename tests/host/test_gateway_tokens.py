"""What the gateway remembers of its tokens, and for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2 as httpx
import pytest
from hosting import Served, served

from ib_kernel.host.gateway import known
from ib_kernel.host.hub import REVOKED_S
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer


@pytest.fixture
def host(tmp_path: Path, server: FaultServer) -> Iterator[Served]:
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key="sk-x-0123456789abcdefghij")
    with served(settings) as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the gateway's memory goes by; a test puts them forward."""
    now = [time.monotonic()]
    monkeypatch.setattr(known, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def status(host: Served, token: str) -> int:
    """Ask for the models, and return the answer's status."""
    return httpx.get(f"{host.base_url}/models", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_in_use_is_looked_up_again_while_its_calls_go_on(host: Served, clock: list[float]) -> None:
    """The call that finds it old is served and has it looked up; one that comes after that is refused."""
    session = host.session()
    token = host.token(session)
    assert status(host, token) == 200
    host.host.store.revoke_grants(subject=session.session_id, kind="gateway", who="Grace")
    assert status(host, token) == 200
    clock[0] += known.KNOWN_S + 1
    status(host, token)
    for _ in range(500):
        if status(host, token) == 401:
            break
        time.sleep(0.01)
    assert status(host, token) == 401


def test_a_token_that_was_not_in_use_waits_for_the_ledger(host: Served, clock: list[float]) -> None:
    """What was known is too old to serve a single call: nobody is let in later than is promised."""
    session = host.session()
    token = host.token(session)
    assert status(host, token) == 200
    host.host.store.revoke_grants(subject=session.session_id, kind="gateway", who="Grace")
    clock[0] += 2 * known.KNOWN_S + 0.1
    assert status(host, token) == 401
    assert 2 * known.KNOWN_S <= REVOKED_S


def test_tokens_that_are_looked_up_together_are_judged_apart(
    host: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong ones, revoked ones and those of other kinds spoil nothing for the others."""
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(known, "KNOWN_S", 0.0)
    sessions = [host.session() for _ in range(6)]
    good = [host.token(session) for session in sessions]
    host.host.store.revoke_grants(subject=sessions[0].session_id, kind="gateway", who="Grace")
    wrong = ["ib_g_wrong", "ib_c_wrong", "-", good[1] + "x"]
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda token: status(host, token), [*good, *wrong]))
    assert found == [401, 200, 200, 200, 200, 200, 401, 401, 401, 401]
