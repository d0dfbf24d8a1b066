"""A candidate's client that is not ours: raw requests, events as they come, lines that break."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from ib_kernel.values.sse import Decoder

Events = Iterator[tuple[str, Any]]


@dataclass
class Wire:
    """One token at one host."""

    address: str
    token: str = ""
    me: Any = None
    gateway_token: str = ""

    @classmethod
    def joined(cls, line: str, *, notice: bool = True) -> Wire:
        """Join with the line, and say that the notice was seen."""
        code, _, address = line.partition("@")
        wire = cls(address)
        answer = wire.post("/v1/join", {"code": code, "nonce": secrets.token_urlsafe(16)})
        assert answer.status_code == 200, answer.text
        wire.token, wire.me = answer.json()["token"], answer.json()["me"]
        wire.gateway_token = answer.json().get("gateway_token") or ""
        if notice:
            assert wire.post("/v1/notice", {"version": wire.me["notice"]["version"]}).status_code == 200
        return wire

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Ask with the token."""
        return self._ask("GET", path, **options)

    def post(self, path: str, value: Any = None, **options: Any) -> httpx2.Response:
        """Send JSON with the token."""
        return self._ask("POST", path, json=value if value is not None else {}, **options)

    def _ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {**self._headers(), **options.pop("headers", {})}
        with httpx2.Client(base_url=self.address, timeout=60, trust_env=False, verify=False) as client:
            return client.request(method, path, headers=headers, **options)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @contextmanager
    def turn(self, text: str, request_id: str, at: int = 0, **more: Any) -> Iterator[Events]:
        """Hand out the events of a turn, as (kind, data); leaving breaks the line."""
        headers = {**self._headers(), "Idempotency-Key": request_id, "Last-Event-ID": str(at)}
        with (
            httpx2.Client(base_url=self.address, timeout=60, trust_env=False, verify=False) as client,
            client.stream("POST", "/v1/turns", json={"text": text, **more}, headers=headers) as response,
        ):
            if response.status_code != 200:
                response.read()
                yield iter([("refused", {"status": response.status_code, **response.json()})])
                return
            yield _events(response)

    def whole(
        self, text: str, request_id: str | None = None, at: int = 0, **more: Any
    ) -> tuple[str, str, Any]:
        """Ask and read to the end: the text from *at* on, the last event's kind and its data."""
        said = ""
        with self.turn(text, request_id or secrets.token_hex(8), at, **more) as events:
            for kind, data in events:
                if kind == "piece":
                    said += data["text"]
                elif kind in ("end", "error", "refused"):
                    return said, kind, data
        return said, "lost", None


def _events(response: httpx2.Response) -> Events:
    decoder = Decoder()
    for chunk in response.iter_raw():
        for event in decoder.feed(chunk):
            yield event.kind, json.loads(event.data)
