"""What the parts of `LLMClientContract` share: the service, the expectations, one way to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from ib_kernel import errors
from ib_kernel.testing.faults import FAULTS
from ib_kernel.testing.server import FaultServer, Recorded
from ib_kernel.values import ChatRequest, Done, LLMClient, Piece, Thinking, Usage

T = TypeVar("T")

KEY = "sk-contract-0123456789abcdef"
"""The key every contract client is made with; it may show up nowhere."""

LIMIT_S = 20.0
"""Seconds after which a contract test gives up waiting; no test waits for a time to pass."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How a faulty attempt must end: an error of one of `kinds`, with these properties.

    `whole_outcome` is the outcome where the answer was not streamed (None: the same; "" left to the client),
    and `whole_retry_is_free` leaves it to the client whether such an answer is asked for again.
    """

    kinds: tuple[type[errors.ClientError], ...]
    outcome: str = "rejected"
    retryable: bool | None = False
    retry_after_s: float | None = None
    whole_outcome: str | None = None
    whole_retry_is_free: bool = False


_RATE, _DOWN = (errors.RateLimited,), (errors.ServerFailed,)
_BROKEN = (errors.StreamBroken, errors.ServerFailed)

EXPECTED: dict[str, Expected] = {
    "429": Expected(_RATE, retryable=True),
    "429-seconds": Expected(_RATE, retryable=True, retry_after_s=2.0),
    "429-ms": Expected(_RATE, retryable=True, retry_after_s=0.15),
    "429-date": Expected(_RATE, retryable=True, retry_after_s=0.0),
    "429-long": Expected(_RATE, retryable=True, retry_after_s=600.0),
    "429-no-retry": Expected(_RATE),
    "quota": Expected((errors.QuotaExceeded,)),
    "context": Expected((errors.ContextTooLong,)),
    "400": Expected((errors.BadRequest,)),
    "401": Expected((errors.AuthFailed,)),
    "403": Expected((errors.AuthFailed,)),
    "404": Expected((errors.BadRequest,)),
    "500": Expected(_DOWN, retryable=True),
    "502": Expected(_DOWN, retryable=True),
    "503": Expected(_DOWN, retryable=True, retry_after_s=1.0),
    "529": Expected(_DOWN, retryable=True),
    "close-before-headers": Expected(_BROKEN, "unknown", True),
    "reset": Expected(_BROKEN, "unknown", True),
    "close": Expected(_BROKEN, "unknown", True),
    "no-finish": Expected(_BROKEN, "unknown", True, whole_retry_is_free=True),
    "malformed": Expected(_BROKEN, "unknown", True),
    "error-event": Expected(_DOWN, "unknown", True, whole_outcome=""),
    "filtered-prompt": Expected((errors.ContentFiltered,), "prompt_billed"),
    "not-json": Expected((errors.BadRequest, *_BROKEN), "", None),
    "not-json-text": Expected(_BROKEN, "unknown", None),
}
"""Faults that must end in an error. An empty `outcome` and a `retryable` of None are left to the client."""

HANGS = ("hang-before-headers", "hang-after-headers", "stall")
"""Faults that only the pipeline's patience, or the user's, ends: by cancelling."""

GOOD = tuple(name for name in FAULTS if name not in EXPECTED and name not in HANGS)
"""Faults that a careful client reads as good answers."""


@dataclass
class Heard:
    """What a client made of one answer."""

    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    done: Done | None = None

    @property
    def text(self) -> str:
        """The reply's text so far."""
        return "".join(self.pieces)

    @property
    def usage(self) -> Usage | None:
        """The main figures of the usage that came, and its details; None when there was none."""
        said = self.done.usage if self.done is not None else None
        if said is None:
            return None
        return Usage(
            said.input_tokens or 0,
            said.output_tokens or 0,
            cached_tokens=said.cached_tokens or 0,
            reasoning_tokens=said.reasoning_tokens or 0,
        )


async def listen(client: LLMClient, body: dict[str, Any], heard: Heard | None = None) -> Heard:
    """Send *body* and read the reply to its end; `Done` must be the last thing it yields."""
    heard = heard if heard is not None else Heard()
    async with client.stream(body) as reply:
        async for event in reply:
            assert heard.done is None, "something came after Done"
            if isinstance(event, Piece):
                heard.pieces.append(event.text)
            elif isinstance(event, Thinking):
                heard.thoughts.append(event.text)
            elif isinstance(event, Done):
                heard.done = event
    assert heard.done is not None, "the stream ended without Done"
    return heard


class ClientBase:
    """How a client is made, run and asked.

    `modes`: ("stream",), or ("stream", "whole") when a body with ``"stream": false`` is understood too.
    `choices`: False when the client cannot ask for several choices.
    """

    modes: Sequence[str] = ("stream",)
    choices = True

    def make_client(self, base_url: str, api_key: str) -> LLMClient:
        """Return a new client for the service at *base_url*."""
        raise NotImplementedError("define make_client(base_url, api_key) in your subclass")

    @pytest.fixture
    def server(self) -> Iterator[FaultServer]:
        """Run a fresh service for each test."""
        with FaultServer() as server:
            yield server

    @pytest.fixture(params=["stream", "whole"])
    def mode(self, request: pytest.FixtureRequest) -> str:
        """Run a test once for every way an answer can come."""
        if request.param not in self.modes:
            pytest.skip(f"this client does not do {request.param}")
        return str(request.param)

    def run(self, server: FaultServer, scene: Callable[[LLMClient], Awaitable[T]]) -> T:
        """Play *scene* with a new client on a new loop; no task and no connection may be left behind."""

        async def play() -> T:
            client = self.make_client(server.base_url, KEY)
            try:
                async with asyncio.timeout(LIMIT_S):
                    return await scene(client)
            finally:
                await client.aclose()
                left = asyncio.all_tasks() - {asyncio.current_task()}
                if left:  # what is just ending may end
                    _, left = await asyncio.wait(left, timeout=1)
                assert not left, f"tasks are left running: {left}"

        result = asyncio.run(play())
        server.wait_until_idle()
        return result

    def body(self, client: LLMClient, mode: str = "stream", **changes: Any) -> dict[str, Any]:
        """Return the client's own body for a small request."""
        messages = (
            {"role": "system", "content": "You are an interviewer."},
            {"role": "user", "content": "I would start with a token bucket for every user."},
        )
        fields = {"model": "gpt-5.4-mini", "messages": messages, "max_completion_tokens": 100, **changes}
        body = client.body(ChatRequest(**fields))
        if mode == "whole":
            body = {name: value for name, value in body.items() if name != "stream_options"}
            body["stream"] = False
        return body

    def hear(self, server: FaultServer, mode: str = "stream", **changes: Any) -> tuple[Heard, Recorded]:
        """Ask once; return what the client heard and what the server saw. It must have been asked once."""
        heard = self.run(server, lambda client: listen(client, self.body(client, mode, **changes)))
        assert len(server.requests) == 1, "a call must be exactly one request"
        return heard, server.requests[0]
