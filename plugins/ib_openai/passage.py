"""Passing requests on: where they go, with which key, and how their answers are read on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ib_kernel.errors import ClientError
from ib_kernel.secrets import Secret
from ib_kernel.text import well_formed_value
from ib_kernel.values import ChatRequest, RateLimits
from ib_kernel.values.passage import Api
from ib_openai import chat, responses
from ib_openai.dialects import DEFAULT_URL, Dialect, split_query
from ib_openai.limits import read_rate_limits
from ib_openai.mapping import Asked, from_status
from ib_openai.passing import PassingChat, PassingResponses
from ib_openai.values import core, read_json

_PATHS: dict[Api, str] = {"chat": chat.PATH, "responses": responses.PATH}


class OpenAIPassage:
    """Implements `ib_kernel.values.passage.Passage` for one service and key."""

    def __init__(
        self, base_url: str | None, dialect: Dialect, secret: Secret | None, models: Mapping[str, Any]
    ) -> None:
        self._dialect, self._secret, self._models = dialect, secret, models
        address, query = split_query(base_url or DEFAULT_URL)
        tail = f"?{urlencode(query)}" if query else ""
        self._urls = {api: address.rstrip("/") + path + tail for api, path in _PATHS.items()}

    def __repr__(self) -> str:
        return f"OpenAIPassage({self._dialect.name})"

    def url(self, api: Api) -> str:
        """Return where requests of *api* are posted to, query included."""
        return self._urls[api]

    def headers(self) -> dict[str, str]:
        """Return the headers of a request, the key among them. Not to be shown or logged."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._secret is not None:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
            if self._dialect.key_header:
                headers[self._dialect.key_header] = self._secret.reveal()
        return headers

    def chat_body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the Chat Completions body that the service is sent for *request*."""
        own = self._models.get(request.model)
        field = own.get("cap_field") if isinstance(own, Mapping) else None
        return _well_formed(chat.chat_body(request, self._dialect, field))

    def responses_body(self, body: Mapping[str, Any], cap: int) -> dict[str, Any]:
        """Return a Responses *body* as the service is sent it, capped at *cap* tokens."""
        sent = {"store": False, **body, "max_output_tokens": cap}
        if not self._dialect.reasoning_effort:
            sent.pop("reasoning", None)
        return _well_formed(sent)

    def answer(self, api: Api) -> PassingChat | PassingResponses:
        """Return a reader of one answer."""
        return PassingChat(self._secret) if api == "chat" else PassingResponses(self._secret)

    def refusal(self, api: Api, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
        """Return our error for an answer with an error *status* (header names in lower case)."""
        text = body.decode("utf-8", "replace")
        answer = read_json(text) or text
        return from_status(status, headers, answer, key=self._secret, asked=Asked(_PATHS[api]))

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        """Return the limits that an answer's headers tell (names in lower case), None for none."""
        return read_rate_limits(headers)


def _well_formed(body: dict[str, Any]) -> dict[str, Any]:
    """Return *body*, which came out of JSON, with every text `well_formed`."""
    try:  # what can be written as UTF-8 holds no surrogate; a quarter of the time
        core().to_json(body)
    except ValueError:
        return well_formed_value(body)
    return body
