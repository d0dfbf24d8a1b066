"""What a turn asks of a client, what comes back, and what a client must do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ib_kernel.values.reported import Reported

Source = Literal["api", "counted", "upper_bound"]
"""Where a row's token numbers come from: all from the service's own usage; at least one of the two from our
count of what was sent and received; or the bound that was held."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What the pipeline wants from a model; a client turns it into the body it will send.

    `messages` are Chat Completions messages. `max_completion_tokens` caps the reply (visible and
    reasoning tokens together). `temperature` is None when it must be left out. `n` is the number of
    choices. `extra` has further body fields (tools, response_format, …) by their API names. `cache_key` names
    the conversation: a service that caches prompts finds its beginning again by it ("": none is named).
    """

    model: str
    messages: tuple[Mapping[str, Any], ...]
    max_completion_tokens: int
    temperature: float | None = None
    n: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)
    cache_key: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage as the service reports it.

    `cached_tokens` (read from the service's cache) and `cache_write_tokens` (written to it, priced apart
    by some models) are part of `input_tokens`, and `reasoning_tokens` are part of `output_tokens`: details
    are never added.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the reply's text, in the order it arrives."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the model's reasoning: progress, counted where usage is missing, never shown as reply.

    `text` is "" where a service only says that the model thinks.
    """

    text: str = ""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A sign of life without any content, such as a comment in a stream: it restarts the wait for a piece."""


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reply; always the last thing a stream yields.

    `usage` is what the service said, unchecked (the pipeline checks it): `Reported`, or `Usage` from a
    client that knows its figures; None when the service sent none. `finish_reason` is the service's own word
    ("stop", "length", …), "unknown" when it gave none and yet ended well. `service_tier` is what the service
    says it billed as, when it says so. `raw_usage` is the service's usage object as it came (JSON text), when
    it sent one and the client keeps it.
    """

    finish_reason: str
    usage: Usage | Reported | None = None
    model: str = ""
    response_id: str = ""
    created: int = 0
    service_tier: str | None = None
    raw_usage: str | None = None


ReplyStream = AsyncIterator["Piece | Thinking | KeepAlive | Done"]


@dataclass(frozen=True, slots=True)
class RateLimits:
    """One model's limits as the last answer told them (None: not told).

    Limits and remainders are requests and tokens per window, resets are seconds from `seen_at` (Unix
    time) until the remainder is full again (OpenAI's ``x-ratelimit-*`` headers, read 2026-11).
    """

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    seen_at: float = 0.0

    def wait_s(self, tokens: int, now: float | None = None) -> float:
        """Return the seconds to wait before a request of *tokens* (prompt and reply cap) fits; 0: it does.

        A request larger than the whole limit is not waited for: only the service can say what it does.
        """
        age = (time.time() if now is None else now) - self.seen_at
        waits = [0.0]
        if self.remaining_requests == 0 and self.reset_requests_s is not None:
            waits.append(self.reset_requests_s - age)
        ever_fits = self.limit_tokens is None or tokens <= self.limit_tokens
        if self.remaining_tokens is not None and self.reset_tokens_s is not None and ever_fits:
            waits.append(self.reset_tokens_s - age if tokens > self.remaining_tokens else 0.0)
        return max(waits)


@runtime_checkable
class LLMClient(Protocol):
    """Makes one attempt per call. Retrying, budgets and time limits are the pipeline's business.

    Used on one event loop only. Every error leaves as an `ib_kernel.errors.ClientError` whose `outcome`,
    `retryable` and `retry_after_s` are right; no message contains a secret. A stream that ends without
    a finish reason raises `StreamBroken`.

    Some attributes are optional: `prepare`, a coroutine function, is awaited before anything is held:
    imports, certificates and proxies belong there, so that what fails before sending costs nothing;
    `default_model` names the model to use when the user names none; `billed` (default True) is False when
    nobody bills this client's tokens, so that our count is final; `rate_limits` maps models to what the
    service last said (`RateLimits`): the pipeline waits for a short limit, and `%interview doctor` shows
    them; `passage` returns the way to the service for requests that a host passes on
    (`ib_kernel.values.passage.Passage`).
    """

    name: str

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON body that `stream` would send: pure, and exactly what is counted."""
        ...

    def stream(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[ReplyStream]:
        """Send *body*; yield `Piece`s, then one `Done`. Leaving the context ends the HTTP response.

        `Thinking` and `KeepAlive` in between say that the service is at work without text to show.
        """
        ...

    async def validate_api_key(self) -> bool:
        """Return True if the service accepts the key; costs no tokens. Raises `ClientError`."""
        ...

    async def aclose(self) -> None:
        """Close connections. The client is not used afterwards."""
        ...
