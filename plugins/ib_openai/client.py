"""`OpenAIClient`: one attempt per call, streamed, with every error mapped to ours."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ib_kernel.errors import AuthFailed, ClientError, ConfigError, NoKey
from ib_kernel.plugin.environment import not_ready, proxy_for
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed_value
from ib_kernel.values import ChatRequest, ReplyStream
from ib_openai import chat, responses
from ib_openai.answers import AnswerReader
from ib_openai.dialects import Dialect, detect
from ib_openai.limits import RateLimits, read_rate_limits
from ib_openai.mapping import Asked, from_status, from_transport
from ib_openai.passage import OpenAIPassage
from ib_openai.reading import end, read_reply
from ib_openai.values import read_json

if TYPE_CHECKING:
    import httpx2
    import openai

NO_KEY = "the openai client was chosen but OPENAI_API_KEY is not set. Try %interview start --client demo."
"""The one line for a missing key."""

MOST_REDIRECTS = 2
"""How often one request follows the service to another address of the same origin."""


class OpenAIClient:
    """The ``openai`` client. Implements `ib_kernel.values.LLMClient`.

    `NoKey` when there is no key and the service is OpenAI's or Azure's; another base URL alone is taken for a
    server that wants no key. `rate_limits` is what the service last said about each model's limits.
    `dialect` is the kind of server (see `ib_openai.dialects`), `api` is "chat" or "responses".

    For authors of other clients: `stream` is an async context manager, because an abandoned generator goes
    on being billed. Map errors outside ``except`` blocks, so that no raw error, with a key in it, hangs
    on ours as ``__context__``. Then inherit `ib_kernel.testing.LLMClientContract`.
    """

    name = "openai"

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.api_key
        self._base_url = settings.base_url
        _check_key(self._secret)
        _check_url(self._base_url)
        self.dialect = _as_set(detect(self._base_url, settings.dialect), settings)
        if self._secret is None and (self._base_url is None or self.dialect.needs_key):
            raise NoKey(NO_KEY)
        self.api: str = settings.api
        self._models = settings.models
        self.rate_limits: dict[str, RateLimits] = {}
        # The pipeline's own limits come first; this one only ends what nobody is watching.
        self._read_s = 1.25 * max(settings.first_piece_s, settings.gap_s) or None
        self._sdk: openai.AsyncOpenAI | None = None

    def __repr__(self) -> str:
        host = urlsplit(self._base_url or "").hostname or "api.openai.com"
        return f"OpenAIClient({host}, dialect={self.dialect.name}, api={self.api})"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON body that `stream` would send for *request*. Pure.

        Lone surrogates, which no JSON text can carry, become U+FFFD.
        """
        if self.api == "responses":
            return well_formed_value(responses.responses_body(request, self.dialect))
        own = self._models.get(request.model)
        field = own.get("cap_field") if isinstance(own, Mapping) else None
        return well_formed_value(chat.chat_body(request, self.dialect, field))

    @contextlib.asynccontextmanager
    async def stream(self, body: Mapping[str, Any]) -> AsyncIterator[ReplyStream]:
        """Send *body*, once; yield `Piece`s, then one `Done`. Leaving the context ends the HTTP response.

        With ``"stream": false`` in *body* the whole reply is one piece. A body with ``input`` goes to the
        Responses API, any other to Chat Completions.
        """
        reader: AnswerReader
        if "input" in body:
            path, reader = responses.PATH, responses.ResponsesReader(self._secret, chat.ChatReader)
        else:
            path, reader = chat.PATH, chat.ChatReader(self._secret, responses.ResponsesReader)
        response = await self._send(path, body)
        reply = read_reply(response, reader)
        try:
            yield reply
        finally:
            await end(response, reply)

    def passage(self) -> OpenAIPassage:
        """Return the way to the service for requests that a host passes on (`ib_kernel.values.passage`)."""
        return OpenAIPassage(self._base_url, self.dialect, self._secret, self._models)

    async def prepare(self) -> None:
        """Import the SDK and set the connection up; what fails here was not sent."""
        await self._connected()

    async def validate_api_key(self) -> bool:
        """Ask for the list of models: True when the key is accepted, False on 401. Costs no tokens."""
        try:
            response = await self._send("/models", None)
        except AuthFailed as error:
            if error.status == 401:
                return False
            raise
        await end(response)
        return True

    async def aclose(self) -> None:
        """Close connections. Idempotent."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    async def _connected(self) -> openai.AsyncOpenAI:
        problem: Exception | None = None
        if self._sdk is None:
            try:
                transport = await asyncio.to_thread(_transport)  # importing takes 0.4 s: not on the loop
                if self._sdk is None:
                    self._sdk = transport.connect(self._secret, self._base_url, self.dialect, self._read_s)
            except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
                problem = not_ready(error)
        if problem is not None:
            raise problem
        assert self._sdk is not None  # noqa: S101 - for the type checker
        sdk: openai.AsyncOpenAI = self._sdk
        return sdk

    async def _send(self, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
        """Return the open response to one request; *body* None makes it a GET."""
        sdk = await self._connected()
        import httpx2
        import openai

        # With `stream` and this `cast_to` the SDK hands out the response unread; its types do not say so.
        raw: dict[str, Any] = {
            "cast_to": httpx2.Response,
            "stream": True,
            "stream_cls": openai.AsyncStream[Any],
        }
        target = path
        for _ in range(MOST_REDIRECTS + 1):
            try:
                response: httpx2.Response
                if body is None:
                    response = await sdk.get(target, **raw)
                else:
                    response = await sdk.post(target, body=dict(body), **raw)
            except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
                target = _moved(error)
                problem = self._problem(error, path, body)
            else:
                self._note_limits(body, response.headers)
                return response
            if not target:
                break
        raise problem

    def _problem(self, error: Exception, path: str, body: Mapping[str, Any] | None) -> ClientError:
        import openai

        asked = Asked(path, proxy_for(self._base_url))

        if isinstance(error, openai.APIStatusError):
            self._note_limits(body, error.response.headers)
            answer = read_json(error.response.text) or error.response.text
            return from_status(
                error.status_code, error.response.headers, answer, key=self._secret, asked=asked
            )
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
        return from_transport(cause or error, key=self._secret, asked=asked)

    def _note_limits(self, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> None:
        limits = read_rate_limits(headers)
        if body is not None and limits is not None:
            self.rate_limits[str(body.get("model", ""))] = limits


def _as_set(dialect: Dialect, settings: Settings) -> Dialect:
    """Return *dialect* as the settings change it."""
    asks = dialect.usage_in_stream if settings.usage_in_stream is None else settings.usage_in_stream
    role = settings.system_role or dialect.system_role
    developer = dialect.developer_role or role == "developer"
    return dataclasses.replace(dialect, usage_in_stream=asks, system_role=role, developer_role=developer)


def _moved(error: Exception) -> str:
    """Return the address of a redirect (307, 308) within the same origin; "" when *error* is none.

    A prompt goes where the user said, nowhere else: not to another host, scheme or port.
    """
    import openai

    if not isinstance(error, openai.APIStatusError) or error.status_code not in (307, 308):
        return ""
    here = error.request.url
    try:
        there = here.join(error.response.headers.get("location", "")[:2000])
    except ValueError:
        return ""
    same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
    return str(there) if same and there != here else ""


def _transport() -> Any:
    from ib_openai import transport

    return transport


def _check_key(secret: Secret | None) -> None:
    key = secret.reveal() if secret is not None else "none"
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("api_key contains a space, a line break or a letter that no key has; copy it again")


def _check_url(url: str | None) -> None:
    try:
        good = url is None or (urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname))
    except ValueError:
        good = False
    if not good:
        raise ConfigError("base_url is not an address; write it like http://localhost:8080/v1")
