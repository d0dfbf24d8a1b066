"""The host as an ASGI application: routes of all rooms behind one border.

The border checks Host and Origin, caps a request's body in bytes and in time, and adds the headers that
every answer has. It logs what was asked without anything secret: method, path, status and milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.errors import BuddyError
from ib_kernel.host import desk, entry, gateway, hub, join, page, report, turns, work
from ib_kernel.host.answers import Refused, answer, error_response
from ib_kernel.host.openapi import TEXT, fields, operation
from ib_kernel.host.proxy import seen_through
from ib_kernel.host.slow_bodies import SlowBodies
from ib_kernel.values.joining import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ib_kernel.host.host import Host

access = logging.getLogger("ib_kernel.host.access")

MOST_BYTES = 4_000_000
"""Bytes of any request's body at most; routes have smaller limits of their own."""

BODY_S = 30.0
"""Seconds in which a request's body has to arrive."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)

SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def build_app(host: Host) -> Starlette:
    """Return the application that serves *host*; the caller closes the host."""
    app = HostApp(
        routes=all_routes(host),
        exception_handlers={BuddyError: _failed, 404: _not_found, 405: _not_found},
        lifespan=_lifespan,
    )
    app.state.host = host
    return app


class HostApp(Starlette):
    """The routes of a host behind its border, which answers whatever goes wrong inside."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the border around the routes; it answers for itself what they do not.

        So there is no other middleware: what Starlette would put around it answers errors in its own words.
        """
        if self.user_middleware:
            raise RuntimeError("a host's application takes no further middleware")
        host: Host = self.state.host
        routed = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        return Border(routed, host, gateway.doors(host))


def all_routes(host: Host) -> list[BaseRoute]:
    """Return the routes of every room."""
    return [
        Route("/v1/health", health),
        Route("/v1/version", version),
        *gateway.routes(host),
        *join.routes(host),
        *hub.routes(host),
        *turns.routes(host),
        *work.routes(host),
        *report.routes(host),
        *entry.routes(host),
        *desk.routes(host),
        *page.routes(host),
    ]


@operation(
    "Whether the host runs and its ledger can be read",
    who="anybody",
    answers=fields({"status": TEXT, "version": TEXT}),
    refusals=(503,),
)
async def health(request: Request) -> Response:
    """Answer that the host runs and its ledger can be read; 503 where it cannot."""
    host: Host = request.app.state.host
    await run_in_threadpool(host.store.sessions, limit=1)
    return answer({"status": "ok", "version": host.version})


@operation("The host's version", who="anybody", answers=fields({"version": TEXT}))
async def version(request: Request) -> Response:
    """Answer the host's version."""
    host: Host = request.app.state.host
    return answer({"version": host.version})


class Border:
    """The middleware around all routes (see the module's docstring).

    *doors* are asked before the routes, by method and path: what is asked often and answered by itself.
    """

    def __init__(self, app: ASGIApp, host: Host, doors: Mapping[tuple[str, str], ASGIApp]) -> None:
        self._app, self._host, self._doors = app, host, doors
        names = allowed_names(host.options.address, host.options.listen)
        self._names = {name.encode("latin-1", "replace") for _, name in names}
        self._origins = {f"{scheme}://{name}".encode("latin-1", "replace") for scheme, name in names}
        self._headers = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
        self._headers.append((b"ib-version", host.version.encode()))
        if host.options.is_secure:
            self._headers.append((b"strict-transport-security", b"max-age=31536000"))
        self._own = frozenset(name for name, _ in self._headers)
        self._slow = SlowBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, asked = time.monotonic(), 0, scope

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                have = self._own.intersection([key.lower() for key, _ in headers])
                extra = [pair for pair in self._headers if pair[0] not in have] if have else self._headers
                message = {**message, "headers": [*headers, *extra]}
            await send(message)

        try:
            scope = seen_through(scope, self._host.options)
            inner = self._host.hub.inner(scope) if self._host.hub is not None else None
            refusal = self._refusal(scope) if inner is None else _too_large(inner)
            if refusal is not None:
                await error_response(refusal)(scope, receive, send_with_headers)
            else:
                scope = inner or scope
                app = self._doors.get((scope["method"], scope["path"]), self._app)
                await app(scope, _limited(receive, self._slow), send_with_headers)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is one line to whoever asked
            failed = error_response(error)
            if not status:
                await failed(scope, receive, send_with_headers)
        finally:
            if access.isEnabledFor(logging.INFO):
                took = 1000 * (time.monotonic() - started)
                access.info("%s %s %d %.0f ms", scope["method"], _path(asked), status, took)

    def _refusal(self, scope: Scope) -> Refused | None:
        name = origin = b""
        length: bytes | None = None
        for key, value in scope["headers"]:
            key = key.lower()
            if key == b"host":
                name = value.lower()
            elif key == b"origin":
                origin = value.lower()
            elif key == b"content-length" and length is None:
                length = value
        if name not in self._names:
            return Refused(421, "host", "this host does not serve that name; use the address it was given")
        if origin and origin not in self._origins:
            return Refused(403, "origin", "requests from other pages are not answered")
        return _too_long(b"0" if length is None else length)


def _too_large(scope: Scope) -> Refused | None:
    return _too_long(
        next((value for key, value in scope["headers"] if key.lower() == b"content-length"), b"0")
    )


def _too_long(length: bytes) -> Refused | None:
    if not length.isdigit() or int(length[:20]) > MOST_BYTES:
        return Refused(413, "too_large", f"a request has at most {MOST_BYTES:,} bytes here")
    return None


def _path(scope: Scope) -> str:
    return "".join(c if c.isprintable() and c != " " else "?" for c in str(scope["path"])[:200])


def _limited(receive: Receive, slow: SlowBodies) -> Receive:
    """Return *receive* with a cap on the body's bytes, and on the seconds until it is there."""
    size, ends, whole = 0, time.monotonic() + BODY_S, False

    async def read() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            message = await slow.read(receive, ends)
        except TimeoutError:
            raise Refused(408, "slow", f"the request did not arrive within {BODY_S:.0f} s") from None
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                raise Refused(413, "too_large", f"a request has at most {MOST_BYTES:,} bytes here")
            whole = not message.get("more_body", False)
        return message

    return read


def allowed_names(address: str, listen: str) -> set[tuple[str, str]]:
    """Return the scheme and Host header of each name that the host answers to."""
    parts = urlsplit(address)
    usual = {"http": "80", "https": "443"}[parts.scheme]
    name, port = parts.netloc.lower(), str(parts.port or usual)
    names = {
        name,
        f"{parts.hostname}:{port}" if ":" not in str(parts.hostname) else f"[{parts.hostname}]:{port}",
    }
    if is_loopback(parts.hostname or "") and not listen.startswith("unix:"):
        bound = listen.rpartition(":")[2]
        names |= {f"{own}:{bound}" for own in ("127.0.0.1", "localhost", "[::1]")}
    return {(parts.scheme, known) for known in names}


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    host: Host = app.state.host
    await run_in_threadpool(lambda: host.secret)  # a ledger that cannot be opened ends it here
    host.watch.start()
    try:
        yield
    finally:
        await host.turns.close()
        await host.watch.close()
        await host.gateway.aclose()
        await run_in_threadpool(host.withdraw)


async def _failed(request: Request, error: Exception) -> Response:
    return error_response(error)


async def _not_found(request: Request, error: Exception) -> Response:
    code = getattr(error, "status_code", 404)
    lines = {404: "there is nothing at this address", 405: "this address does not take that method"}
    return error_response(Refused(code, "not_found" if code == 404 else "method", lines.get(code, str(code))))
