"""An interviewer and a candidate before one app, in this process, with a ledger of the test's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient

from ib_kernel.budget.service import TokenService
from ib_kernel.host import people
from ib_kernel.host.app import build_app
from ib_kernel.host.host import Host
from ib_kernel.host.tokens import hashed, new_token
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Message, Reservation, Session
from ib_kernel.values.host import Grant

BASE = "http://127.0.0.1:8899"


class Place:
    """A host, and whoever asks it."""

    def __init__(self, host: Host, client: TestClient) -> None:
        self.host, self.client = host, client

    def person(self, name: str, role: Any = "interviewer") -> dict[str, str]:
        """Return the headers of somebody on the interviewers' side."""
        if all(p.name != name for p in people.present(self.host)):
            people.add_person(self.host, name, role)
        return bearer(people.grant_token(self.host, "interviewer", name, 3600))

    def session(self, **changes: Any) -> Session:
        """Return a new session, active unless *start* says otherwise."""
        given = {
            "candidate": "Noor",
            "token_budget": 10_000,
            "model": "demo",
            "client": "demo",
            "time_limit_s": 600,
        }
        return self.host.service.create_session(**{**given, **changes})

    def candidate(self, session: Session) -> dict[str, str]:
        """Return the headers of the session's candidate."""
        token, now = new_token("candidate"), time.time()
        grant = Grant(hashed(token), "candidate", session.session_id, now, now + 3600, None, "test")
        self.host.store.add_grant(grant)
        return bearer(token)

    def said(self, session: Session, question: str, reply: str, tokens: tuple[int, int] = (100, 50)) -> None:
        """Record a turn."""
        held = self.host.service.reserve(session.session_id, sum(tokens), call=CallStart(turn=None))
        assert held
        now = time.time()
        messages = [
            Message(held.turn, "user", question, now, asked_at=now),
            Message(held.turn, "assistant", reply, now),
        ]
        self.host.service.settle_call(held, CallEnd(*tokens), messages=messages)

    def in_doubt(self, session: Session, tokens: int) -> Reservation:
        """Return a call of which nobody knows what it cost."""
        held = self.host.service.reserve(
            session.session_id, tokens, call=CallStart(turn=None, counted_tokens=60)
        )
        assert held
        self.host.service.mark_unresolved(held, "timeout")
        return held

    def host_routes(self) -> list[str]:
        """Return every address of the app that a GET may have, without those with parameters."""
        from ib_kernel.host.openapi import described

        routes = described(self.client.app.routes)  # type: ignore[attr-defined]
        found = [path for path, methods, _ in routes if "GET" in methods and "{" not in path]
        apart = ("/events", "/openapi.json")  # a stream without an end; what everybody may read
        return [path for path in found if path.startswith("/v1/") and not path.endswith(apart)]

    def get(self, path: str, who: dict[str, str]) -> Any:
        """Return the answer to a good request."""
        answer = self.client.get(path, headers=who)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, who: dict[str, str], value: Any = None) -> Any:
        """Return the answer to a good request."""
        answer = self.client.post(path, headers=who, json=value or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, who: dict[str, str], value: Any = None) -> tuple[int, str]:
        """Return the status and the line of a refused request."""
        answer = self.client.post(path, headers=who, json=value or {})
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["error"]["message"]


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries *token*."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def place(settings: Settings) -> Iterator[Place]:
    """Yield a host without a key, so that the demo answers."""
    host = Host(settings, TokenService(settings))
    with TestClient(build_app(host), base_url=BASE) as client:
        yield Place(host, client)
    host.close()
