"""An OpenAI-compatible door to the interview's budget, for tools that candidates bring along."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount, Route

from ib_kernel.errors import BuddyError
from ib_kernel.host.answers import Refused
from ib_kernel.host.gateway.asked import NoSuchModel, invited_models, read_asked
from ib_kernel.host.gateway.call import WHOLE, GatewayCall
from ib_kernel.host.gateway.errors import answer_to
from ib_kernel.host.gateway.known import Known, KnownTokens
from ib_kernel.host.gateway.leaving import Leaving
from ib_kernel.host.gateway.observers import Observers
from ib_kernel.host.gateway.quota import Quota
from ib_kernel.host.gateway.running import Running
from ib_kernel.host.gateway.upstream import Upstream
from ib_kernel.host.openapi import TEXT, array, fields, operation
from ib_kernel.models.prices import price_call
from ib_kernel.values import Session, Usage
from ib_kernel.values.passage import Api

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ib_kernel.host.host import Host

log = logging.getLogger(__name__)

MAX_BODY = 4_000_000
"""Bytes of a request at most."""


class Gateway:
    """What the calls of one host share. Its parts are made at the first call, on the server's loop."""

    def __init__(self, host: Host) -> None:
        self.host, self.service, self.pacing = host, host.service, host.pacing
        self.running, self._leaving = Running(host.service), Leaving()
        self.quota = Quota(host.service)
        self._upstream: Upstream | None = None
        self._tokens = KnownTokens(host, self.quota)
        self.observers = Observers(host.service)
        self._warming: asyncio.Task[None] | None = None

    @property
    def upstream(self) -> Upstream:
        """The connections to the services."""
        if self._upstream is None:
            self._upstream = Upstream()
        return self._upstream

    def _warm(self) -> None:
        """Load what the first call would keep all others waiting for: the counter's tables, prices."""
        settings = self.service.settings
        counts_as = settings.model
        with contextlib.suppress(BuddyError):
            info = self.service.plugins.model(settings.model, settings, settings.client_name)
            counts_as = info.counts_as or info.name
            price_call(info, Usage(1, 1))
        self.service.counter.count_request({"messages": [{"role": "user", "content": "Hi"}]}, counts_as)

    async def aclose(self) -> None:
        """End what runs, and close the connections."""
        self._tokens.close()
        await self.running.aclose()
        if self._upstream is not None:
            await self._upstream.aclose()

    # --- who asks

    async def entered(self, scope: Scope, receive: Receive) -> Known:
        """Return what is known of the request's token.

        Raises:
            Refused: The token is not valid, or the session's client cannot pass requests on.
        """
        known = await self._tokens.entered(scope, receive)
        if self._warming is None:
            self._warming = asyncio.create_task(asyncio.to_thread(self._warm))
        if not self._warming.done():
            await asyncio.shield(self._warming)
        return known

    # --- for calls

    def holds_money(self, session: Session) -> bool:
        """Return True if a call must hold money beside its tokens."""
        return session.budget_nano_usd is not None or self.service.has_ceiling()

    def log_unexpected(self, error: BaseException) -> None:
        """Log what nobody meant to raise."""
        if not isinstance(error, BuddyError):
            log.error("a call of the gateway failed unexpectedly", exc_info=error)

    # --- routes

    async def serve(self, api: Api, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of *api*."""
        try:
            known = await self.entered(scope, receive)
            raw = await _read_body(receive)
            asked = read_asked(raw, api, known.session)
        except Exception as error:  # noqa: BLE001 - each becomes one line for the client
            self.log_unexpected(error)
            await _refuse(error, send)
            return
        call = GatewayCall(self, known, asked, send)
        self._leaving.add(call.running, receive)
        try:
            await call.run(len(raw))
        finally:
            self._leaving.remove(call.running)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer which models the session was invited to, or one of them."""
        try:
            known = await self.entered(scope, receive)
            value = _models(known.session, scope.get("path_params", {}).get("model"))
        except Exception as error:  # noqa: BLE001 - each becomes one line for the client
            self.log_unexpected(error)
            await _refuse(error, send)
            return
        await _answer(200, WHOLE, json.dumps(value).encode(), send)


class _Endpoint:
    """An ASGI application of one route: without a request object and a response's task group."""

    def __init__(self, serve: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


_ASKED: Mapping[Api, Mapping[str, Any]] = {
    "chat": {"messages": array({"type": "object"})},
    "responses": {"input": {}},
}


def doors(host: Host) -> dict[tuple[str, str], ASGIApp]:
    """Return what is asked with every call, by method and path: it needs no routing."""

    def door(api: Api) -> ASGIApp:
        return lambda scope, receive, send: host.gateway.serve(api, scope, receive, send)

    return {
        ("POST", "/openai/v1/chat/completions"): door("chat"),
        ("POST", "/openai/v1/responses"): door("responses"),
    }


def routes(host: Host) -> Sequence[BaseRoute]:
    """Return the gateway's routes, under ``/openai/v1``."""
    gateway = host.gateway

    def calls(api: Api) -> _Endpoint:
        asks = _Endpoint(lambda scope, receive, send: gateway.serve(api, scope, receive, send))
        taken = {"model": TEXT, **_ASKED[api]}
        line = "As OpenAI's: streamed or whole, from the session's budget"
        return operation(line, who="gateway", body=fields(taken), refusals=(400, 401, 429))(asks)

    models = operation("The models that the session may use", who="gateway")(_Endpoint(gateway.models))
    return [
        Mount(
            "/openai/v1",
            routes=[
                Route("/chat/completions", calls("chat"), methods=["POST"]),
                Route("/responses", calls("responses"), methods=["POST"]),
                Route("/models", models, methods=["GET"]),
                Route("/models/{model:path}", models, methods=["GET"]),
            ],
        )
    ]


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _limited(message.get("body", b""))
    parts, size = [], 0
    while True:
        if message["type"] != "http.request":
            raise Refused(400, "cut", "the request ended before its end")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            break
        if not message.get("more_body"):
            break
        message = await receive()
    return _limited(b"".join(parts))


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise Refused(413, "too_large", f"a request has at most {MAX_BODY:,} bytes here")
    return body


def _models(session: Session, wanted: str | None) -> dict[str, Any]:
    names = invited_models(session)
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "interview"} for name in names]
    if wanted is None:
        return {"object": "list", "data": listed}
    if wanted not in names:
        raise NoSuchModel(
            f"this interview was not invited to the model {wanted[:60]!r}; it has {', '.join(names)}",
            outcome="not_sent",
        )
    return listed[names.index(wanted)]


async def _refuse(error: BaseException, send: Send) -> None:
    answered = answer_to(error)
    await _answer(answered.status, answered.headers(), answered.body(), send)


async def _answer(status: int, headers: list[tuple[bytes, bytes]], body: bytes, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
