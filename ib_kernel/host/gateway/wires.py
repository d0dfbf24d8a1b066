"""The connections to services: opened by aiohttp, and kept for the next request while they are idle."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import ssl
import time
import urllib.request
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from ib_kernel.errors import BadRequest, NotConnected
from ib_kernel.host.gateway.wire import Wire

CONNECT_S = 10.0
"""Seconds to wait for a connection with one address."""

READY_S = 30.0
"""Seconds until a connection must be there: names, several addresses, and the tunnel of a proxy too."""

TARGETS = 256
"""Addresses of which it is remembered how they are asked."""

KEEP_S = 15.0
"""Seconds for which an idle connection is kept."""

CONNECTS = 3
"""Connections in a row that may be closed before anything was asked: a busy loop may come too late to one."""

_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Where requests with the same headers go.

    `request` is what aiohttp connects for, `head` all of a request before its length, `key` what its
    connections have in common. Keys and passwords stand in them: it has no repr of its own.
    """

    headers: Mapping[str, str]
    request: aiohttp.ClientRequest
    head: bytes
    key: tuple[str, URL | None]

    def written(self, body: bytes) -> bytes:
        """Return a request with *body* as it is sent."""
        return b"%bContent-Length: %d\r\n\r\n%b" % (self.head, len(body), body)


class Wires:
    """The connections of one event loop.

    Args:
        trust: Which certificates are trusted; True: those that the system trusts.
    """

    def __init__(self, trust: ssl.SSLContext | bool = True) -> None:
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, ssl=trust)
        self._timeout = aiohttp.ClientTimeout(total=None, connect=READY_S, sock_connect=CONNECT_S)
        self._targets: dict[str, Target] = {}
        self._idle: dict[tuple[str, URL | None], list[Wire]] = {}
        self._open: weakref.WeakSet[Wire] = weakref.WeakSet()
        self._timer: asyncio.TimerHandle | None = None

    def target(self, url: str, headers: Mapping[str, str]) -> Target:
        """Return where a POST to *url* goes.

        Raises:
            aiohttp.InvalidURL: Nothing can be posted there.
            BadRequest: A header cannot be sent, or the proxy cannot be used.
        """
        found = self._targets.get(url)
        if found is None or found.headers != headers:
            found = _target(url, headers)
            if len(self._targets) >= TARGETS:
                self._targets.clear()
            self._targets[url] = found
        return found

    async def wire(self, target: Target) -> Wire:
        """Return a connection that is free, an idle one where there is any.

        Raises:
            aiohttp.ClientError: There is none.
            NotConnected: The service speaks before it is asked.
        """
        idle = self._idle.get(target.key)
        while idle:
            wire = idle.pop()
            if wire.free:
                return wire
            wire.close()
        for _ in range(CONNECTS):
            opened = await self._connector.connect(target.request, [], self._timeout)
            if not opened.closed:
                break
            opened.close()
        else:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        if opened.protocol is None or opened.protocol.should_close:  # what has come would be lost
            opened.close()
            raise NotConnected("not sent: what answers there speaks before it is asked; check base_url")
        wire = Wire(opened, functools.partial(self._keep, target.key))
        self._open.add(wire)
        return wire

    async def aclose(self) -> None:
        """Close all connections."""
        if self._timer is not None:
            self._timer.cancel()
        for wire in list(self._open):
            wire.close()
        await self._connector.close()

    def _keep(self, key: tuple[str, URL | None], wire: Wire) -> None:
        """Take back what can be used again."""
        wire.idle_since = time.monotonic()
        self._idle.setdefault(key, []).append(wire)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for long; nothing says that a service has given it up, if a wall did."""
        self._timer, old = None, time.monotonic() - KEEP_S
        for key, idle in list(self._idle.items()):
            for wire in idle:
                if wire.idle_since <= old:
                    wire.close()
            self._idle[key] = [wire for wire in idle if wire.free]
            if not self._idle[key]:
                del self._idle[key]
        if self._idle:
            self._timer = asyncio.get_running_loop().call_later(KEEP_S, self._sweep)


def _target(url: str, headers: Mapping[str, str]) -> Target:
    try:
        to = URL(url)
    except ValueError:
        raise aiohttp.InvalidURL(url) from None
    if to.scheme not in ("http", "https"):
        raise aiohttp.InvalidURL(url)
    via = _proxy(to)
    passed = None
    if via is not None and via.user is not None:
        passed = {"Proxy-Authorization": aiohttp.encode_basic_auth(via.user, via.password or "")}
    request = aiohttp.ClientRequest(
        "POST", to, headers=headers, proxy=via.with_user(None) if via else None, proxy_headers=passed
    )
    sent = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    path = to.raw_path_qs
    if via is not None and to.scheme == "http":
        path = str(to.with_fragment(None).with_user(None))
        sent |= passed or {}
    if any(_UNSENDABLE.search(part) for pair in sent.items() for part in pair):
        raise BadRequest("the request cannot be sent; check the key", outcome="not_sent")
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), ""]
    return Target(dict(headers), request, "\r\n".join(lines).encode(), (str(to.origin()), via))


def _proxy(url: URL) -> URL | None:
    """Return the proxy that the environment names for *url*. `BadRequest` for one that cannot be used."""
    if url.host in ("localhost", "127.0.0.1", "::1") or urllib.request.proxy_bypass(url.host or ""):
        return None
    found = urllib.request.getproxies_environment()
    named = found.get(url.scheme) or found.get("all")
    if not named:
        return None
    with contextlib.suppress(ValueError):
        via = URL(named if "://" in named else f"http://{named}")
        if via.scheme in ("http", "https") and via.host:
            return via
    raise BadRequest(
        f"the request cannot be sent: {url.scheme.upper()}_PROXY or ALL_PROXY names no proxy that can be "
        "used; write http://host:port",
        outcome="not_sent",
    )
