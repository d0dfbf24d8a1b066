"""A stream that runs is no way around a revocation: it ends, and the turn goes on without its reader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting import Served, served
from wire import Wire

from ib_kernel.host import turns
from ib_kernel.host.tokens import hashed, new_token
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer, Step
from ib_kernel.values.host import Grant


@pytest.fixture
def host(tmp_path: Path, server: FaultServer) -> Iterator[Served]:
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key="sk-x-0123456789abcdefghij")
    with served(settings) as running:
        yield running


def test_a_running_reply_ends_when_its_token_is_revoked(
    host: Served, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidate reads no further; the reply is read to its end and kept, charged once."""
    monkeypatch.setattr(turns, "ASK_AGAIN_S", 0.0)
    server.script(Step(pieces=[f"piece{i} " for i in range(40)], delay_s=0.05))
    session = host.session()
    token, now = new_token("candidate"), time.time()
    host.host.store.add_grant(
        Grant(hashed(token), "candidate", session.session_id, now, now + 3600.0, None, "test")
    )
    wire = Wire(host.address, token)
    version = wire.get("/v1/me").json()["notice"]["version"]
    wire.post("/v1/notice", {"version": version})
    heard = []
    with wire.turn("Hello?", "request-0001") as events:
        for kind, data in events:
            heard.append((kind, data))
            if kind == "piece" and len(heard) == 3:
                host.host.store.revoke_grants(subject=session.session_id, kind="candidate", who="Grace")
    assert "end" not in [kind for kind, _ in heard]
    assert wire.get("/v1/me").status_code == 401
    for _ in range(600):
        rows = host.calls(session)
        if rows and not host.host.service.totals(session.session_id).held:
            break
        time.sleep(0.02)
    assert [row["status"] for row in rows] == ["settled"]
    said = [m.content for m in host.host.store.history(session.session_id) if m.role == "assistant"]
    assert said[0].strip().endswith("piece39")
