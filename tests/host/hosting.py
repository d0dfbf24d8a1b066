"""A host over a real socket for tests: uvicorn in a thread, a ledger of its own, tokens for candidates."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from ib_kernel.budget.service import TokenService
from ib_kernel.host import people
from ib_kernel.host.app import build_app
from ib_kernel.host.host import Host, HostOptions
from ib_kernel.host.one_write import OneWriteProtocol
from ib_kernel.host.tokens import hashed, new_token
from ib_kernel.settings import Settings
from ib_kernel.values import Session
from ib_kernel.values.host import Grant

KEY = "sk-host-0123456789abcdefghij"


class Served:
    """A running host: its `address`, the `host` itself, and what tests do with it."""

    def __init__(self, host: Host, address: str) -> None:
        self.host, self.address = host, address

    @property
    def base_url(self) -> str:
        """What a tool is given as ``OPENAI_BASE_URL``."""
        return f"{self.address}/openai/v1"

    def session(self, **changes: Any) -> Session:
        """Return a new, active session of the openai client."""
        given = {"candidate": "Ada", "token_budget": 100_000, "model": "gpt-5.4-mini", "client": "openai"}
        return self.host.service.create_session(**{**given, **changes})

    def token(self, session: Session, *, lasts_s: float = 3600.0) -> str:
        """Return a gateway token of *session*."""
        token, now = new_token("gateway"), time.time()
        self.host.store.add_grant(
            Grant(hashed(token), "gateway", session.session_id, now, now + lasts_s, None, "test")
        )
        return token

    def calls(self, session: Session) -> list[dict[str, Any]]:
        """Return the rows of the session's calls, the oldest first."""
        rows = self.host.store.sql(f"FROM calls WHERE session_id = '{session.session_id}' ORDER BY seq")
        return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]

    def wait_until_idle(self, session: Session, timeout: float = 60.0) -> None:
        """Wait until no call of the session runs and nothing of it is held."""
        until, service = time.monotonic() + timeout, self.host.service
        while len(self.host.gateway.running) or service.totals(session.session_id).held:
            if time.monotonic() > until:
                raise TimeoutError("a call still runs")
            time.sleep(0.01)


@contextmanager
def served(settings: Settings, store: Any = None) -> Iterator[Served]:
    """Run a host for *settings* on a free loopback port."""
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    options = HostOptions(address=address, listen=f"127.0.0.1:{port}")
    host = Host(settings, TokenService(settings, store=store), options)
    config = uvicorn.Config(
        build_app(host), http=OneWriteProtocol, log_level="error", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield Served(host, address)
    finally:
        server.should_exit = True
        thread.join(30)
        bound.close()
        host.close()


@contextmanager
def served_to(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Run a host in *folder*, with the token of an interviewer *name* where a notebook looks for it."""
    with served(Settings(data_dir=folder)) as host:
        people.add_person(host.host, name, "interviewer")
        monkeypatch.setenv("IB_HOST_TOKEN", people.grant_token(host.host, "interviewer", name, 3600))
        yield host
