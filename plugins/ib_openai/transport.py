"""The connection: an `AsyncOpenAI` that never sees the key, and never retries.

The key is put on each request by an httpx2 auth object that has it as a `Secret`, so that neither the SDK's
client, nor its ``vars()``, nor its copies have it.
"""

from __future__ import annotations

from collections.abc import Generator

import httpx2
import openai

from ib_kernel.plugin.bodies import ACCEPTED, bound
from ib_kernel.secrets import Secret
from ib_openai.dialects import DEFAULT_URL, Dialect, split_query

CONNECT_S = 10.0
"""Seconds to wait for a connection, and for a free one of the pool."""

PLACEHOLDER = "placeholder"
"""What the SDK is given in place of the key; it is never sent."""


_THIS_MACHINE = ("all://localhost", "all://127.0.0.1", "all://[::1]")  # reached without a proxy


class _Key(httpx2.Auth):
    def __init__(self, secret: Secret | None, header: str | None) -> None:
        self._secret = secret
        self._header = header

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._secret is None:
            request.headers.pop("Authorization", None)
        else:
            request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
            if self._header:
                request.headers[self._header] = self._secret.reveal()
        yield request


def connect(
    secret: Secret | None, base_url: str | None, dialect: Dialect, read_s: float | None
) -> openai.AsyncOpenAI:
    """Return the SDK's client. *read_s* is the longest silence on an open connection, in seconds."""
    url, query = split_query(base_url or DEFAULT_URL)
    timeout = httpx2.Timeout(connect=CONNECT_S, pool=CONNECT_S, read=read_s, write=read_s)
    http = httpx2.AsyncClient(
        auth=_Key(secret, dialect.key_header),
        timeout=timeout,
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        headers={"accept-encoding": ACCEPTED},
        event_hooks={"response": [bound]},
        follow_redirects=False,  # a prompt goes where the user said, nowhere else
        mounts=dict.fromkeys(_THIS_MACHINE),
    )
    return openai.AsyncOpenAI(
        api_key=PLACEHOLDER,
        admin_api_key="",
        webhook_secret="",
        base_url=url,
        timeout=timeout,
        max_retries=0,
        default_query=query,
        http_client=http,
    )
