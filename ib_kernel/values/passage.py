"""What a client offers so that a host can pass on requests of the candidate's own tools to its service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from ib_kernel.errors import ClientError
from ib_kernel.values.calls import ChatRequest, Done, RateLimits

Api = Literal["chat", "responses"]
"""OpenAI's two APIs: Chat Completions and Responses."""


class PassingAnswer(Protocol):
    """Reads one answer while its bytes are passed on as they are.

    `pieces` is the text that a reader sees, `others` what else was generated (reasoning, tool calls, further
    choices); both are billed. `finished` says that a good end stands, `complete` that nothing more follows.
    """

    pieces: list[str]
    others: list[str]

    @property
    def finished(self) -> bool:
        """Whether a good end stands, so that losing what is left of the stream does no harm."""
        ...

    @property
    def complete(self) -> bool:
        """Whether nothing more can follow."""
        ...

    def plain(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the texts of the events from *at* on that hold nothing else, and where they end.

        Nothing is noted: whoever passes them on adds the texts to `pieces`. ``([], at)`` is always right.
        """
        ...

    def feed(self, events: bytes) -> None:
        """Read some whole events of a stream. Raises a `ClientError` for an error event or junk."""
        ...

    def whole(self, body: bytes) -> None:
        """Read an answer that was not streamed. Raises a `ClientError`."""
        ...

    def done(self) -> Done:
        """Return how the answer ended. A `ClientError` when it has not ended well."""
        ...

    def lost(self, error: ClientError) -> ClientError:
        """Return *error*, a connection's, with the usage that had come."""
        ...

    def is_usage_only(self, event: bytes) -> bool:
        """Return True if a whole event has the usage and nothing else, which not every client asks for."""
        ...

    def cut_short(self) -> bytes:
        """Return the events that end the answer here as a service does at the reply's cap."""
        ...


class Passage(Protocol):
    """The way to a client's service: what an `LLMClient` returns from its optional ``passage()``."""

    def url(self, api: Api) -> str:
        """Return where requests of *api* are posted to, query included."""
        ...

    def headers(self) -> dict[str, str]:
        """Return the headers of a request, the key among them. Not to be shown or logged."""
        ...

    def chat_body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the Chat Completions body that the service is sent for *request*."""
        ...

    def responses_body(self, body: Mapping[str, Any], cap: int) -> dict[str, Any]:
        """Return a Responses *body* as the service is sent it, capped at *cap* tokens."""
        ...

    def answer(self, api: Api) -> PassingAnswer:
        """Return a reader of one answer."""
        ...

    def refusal(self, api: Api, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
        """Return our error for an answer with an error *status* (header names in lower case)."""
        ...

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        """Return the limits that an answer's headers tell (names in lower case), None for none."""
        ...
