"""The connections to the services, by aiohttp: a pool for each host process, on the server's event loop."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ib_kernel.errors import (
    BadRequest,
    ClientError,
    NotConnected,
    ServerFailed,
    StreamBroken,
    TimedOut,
)
from ib_kernel.host.gateway.quick_json import write_json
from ib_kernel.values.passage import Api, Passage

CONNECT_S = 10.0
"""Seconds to wait for a connection."""

MAX_ERROR_BYTES = 256 * 1024
"""How much of an error answer is read."""

MAX_WHOLE_BYTES = 11 * 1024 * 1024
"""The longest answer that is read in one piece."""

_CHECK = "check the network and base_url"


class Upstream:
    """Posts requests, each once. Made on the event loop that uses it."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._proxies: dict[str, str | None] = {}

    async def post(self, passage: Passage, api: Api, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """Send *body* and return the open answer, which its reader releases.

        Releasing it ends its connection too, unless it was read to its end.

        Raises:
            ClientError: It was not sent, or there was no answer, or one with an error status.
        """
        problem: ClientError | None = None
        response: aiohttp.ClientResponse | None = None
        url = passage.url(api)
        try:
            response = await self._http.post(
                url,
                data=aiohttp.BytesPayload(write_json(body)),  # as aiohttp would make of it
                headers=passage.headers(),
                allow_redirects=False,
                proxy=self._proxy(url),
            )
            if response.status != 200:
                problem = await _refusal(passage, api, response)
            elif response.headers.get("Content-Encoding", "identity").lower() != "identity":
                problem = _encoded(response)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
            problem = from_transport(error)
        if problem is not None:
            if response is not None:
                response.close()
            raise problem
        assert response is not None  # noqa: S101 - for the type checker
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.close()

    def _proxy(self, url: str) -> str | None:
        """Return the proxy that the environment names for *url*; looked up once, as it does not change."""
        if url not in self._proxies:
            parts, found = urlsplit(url), urllib.request.getproxies_environment()
            here = parts.hostname in ("localhost", "127.0.0.1", "::1")
            none = here or urllib.request.proxy_bypass(parts.hostname or "")
            self._proxies[url] = None if none else found.get(parts.scheme) or found.get("all")
        return self._proxies[url]


async def read_whole(response: aiohttp.ClientResponse, limit: int = MAX_WHOLE_BYTES) -> bytes:
    """Return an answer's body. `StreamBroken` for one that does not come whole, or is too long."""
    found: list[bytes] = []
    size = 0
    problem: ClientError | None = None
    content = response.content
    try:
        while chunk := await content.readany():
            found.append(chunk)
            size += len(chunk)
            if size > limit:
                raise StreamBroken(
                    f"the service's answer is longer than {limit // 2**20} MiB", retryable=False
                )
            if content.at_eof():
                break
    except ClientError:
        raise
    except Exception as error:  # noqa: BLE001 - mapped here and raised below
        problem = from_transport(error)
    if problem is not None:
        raise problem
    return found[0] if len(found) == 1 else b"".join(found)


async def _refusal(passage: Passage, api: Api, response: aiohttp.ClientResponse) -> ClientError:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ERROR_BYTES:
            break
    headers = {name.lower(): value for name, value in response.headers.items()}
    return passage.refusal(api, response.status, headers, bytes(body[:MAX_ERROR_BYTES]))


def _encoded(response: aiohttp.ClientResponse) -> ClientError:
    named = response.headers.get("Content-Encoding", "")[:40]
    return ServerFailed(
        f"the service's answer is encoded as {named!r}, which was not asked for and is not unpacked",
        outcome="unknown",
        retryable=False,
    )


def from_transport(error: BaseException) -> ClientError:
    """Return our error for what aiohttp raised while a request was sent or its answer read.

    A write to a connection that is gone already means that the request had not been written whole: it was
    not sent. Whatever ends a connection after that leaves unknown what the service has done.
    """
    if isinstance(error, ClientError):
        return error
    if isinstance(error, aiohttp.ClientConnectionResetError):
        return NotConnected("not sent: the service had closed the connection")
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotConnected(f"not sent: cannot connect to the service; {_CHECK}")
    if isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.ClientProxyConnectionError)):
        return NotConnected(f"not sent: the service could not be reached in time; {_CHECK}")
    if isinstance(error, aiohttp.InvalidURL):
        return BadRequest("the request cannot be sent; check base_url", outcome="not_sent")
    if isinstance(error, (TimeoutError, aiohttp.ServerTimeoutError)):
        return TimedOut("the request was sent and the service stopped answering")
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return StreamBroken(f"the connection to the service was lost ({type(error).__name__})")
    return ServerFailed(f"the request failed ({type(error).__name__})", outcome="unknown", retryable=False)
