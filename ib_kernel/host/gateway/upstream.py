"""Requests to the services: each is sent once, and what goes wrong on the way becomes one of our errors."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Any

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
from ib_kernel.host.gateway.wire import Answer, Wire
from ib_kernel.host.gateway.wires import Wires
from ib_kernel.values.passage import Api, Passage

MAX_ERROR_BYTES = 256 * 1024
"""How much of an error answer is read."""

MAX_WHOLE_BYTES = 11 * 1024 * 1024
"""The longest answer that is read in one piece."""

_CHECK = "check the network and base_url"


class Upstream:
    """Posts requests, each once. Made on the event loop that uses it.

    Args:
        trust: Which certificates of services are trusted; True: those that the system trusts.
    """

    def __init__(self, trust: ssl.SSLContext | bool = True) -> None:
        self._wires = Wires(trust)

    async def post(
        self, passage: Passage, api: Api, body: Mapping[str, Any], written: Callable[[], None]
    ) -> Answer:
        """Send *body* and return the open answer, which its reader gives to `release`.

        Calls *written* as soon as anything may have been sent; a wait that ends before that has cost nothing.

        Raises:
            ClientError: It was not sent, or there was no answer, or one with an error status.
        """
        problem: ClientError | None = None
        answer: Answer | None = None
        try:
            wire, request = await self._ready(passage, api, body)
            answer = wire.ask(request)
            written()
            await answer.begun()
            if answer.status != 200:
                problem = await _refusal(passage, api, answer)
            elif answer.headers.get("content-encoding", "identity").lower() != "identity":
                problem = _encoded(answer)
        except asyncio.CancelledError:
            if answer is not None:
                answer.release()
            raise
        except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
            problem = from_transport(error)
        if problem is not None:
            if answer is not None:
                answer.release()
            raise problem
        assert answer is not None  # noqa: S101 - for the type checker
        return answer

    async def _ready(self, passage: Passage, api: Api, body: Mapping[str, Any]) -> tuple[Wire, bytes]:
        """Return a connection, and the request that is to be written on it.

        Raises:
            ClientError: There is none; whatever the reason, nothing was sent.
        """
        try:
            target = self._wires.target(passage.url(api), passage.headers())
            request = target.written(write_json(body))
            return await self._wires.wire(target), request
        except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
            if isinstance(error, aiohttp.ClientHttpProxyError) and error.status == 407:
                problem = passage.refusal(api, 407, {}, b"")
            else:
                problem = unsent(error)
        raise problem

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wires.aclose()


async def read_whole(answer: Answer, limit: int = MAX_WHOLE_BYTES) -> bytes:
    """Return an answer's body. `StreamBroken` for one that does not come whole, or is too long."""
    found: list[bytes] = []
    size = 0
    problem: ClientError | None = None
    try:
        while chunk := await answer.read():
            found.append(chunk)
            size += len(chunk)
            if size > limit:
                raise StreamBroken(
                    f"the service's answer is longer than {limit // 2**20} MiB", retryable=False
                )
    except ClientError:
        raise
    except Exception as error:  # noqa: BLE001 - mapped here and raised below
        problem = from_transport(error)
    if problem is not None:
        raise problem
    return found[0] if len(found) == 1 else b"".join(found)


async def _refusal(passage: Passage, api: Api, answer: Answer) -> ClientError:
    """Return our error for an answer with an error status, which stands also where its body breaks off."""
    body = bytearray()
    with contextlib.suppress(aiohttp.ClientError):
        while len(body) <= MAX_ERROR_BYTES and (chunk := await answer.read()):
            body += chunk
    return passage.refusal(api, answer.status, answer.headers, bytes(body[:MAX_ERROR_BYTES]))


def _encoded(answer: Answer) -> ClientError:
    named = answer.headers.get("content-encoding", "")[:40]
    return ServerFailed(
        f"the service's answer is encoded as {named!r}, which was not asked for and is not unpacked",
        outcome="unknown",
        retryable=False,
    )


def unsent(error: Exception) -> ClientError:
    """Return our error for what has kept a request from being written."""
    known = from_transport(error)
    if known.outcome == "not_sent":
        return known
    if isinstance(error, TimeoutError):
        return NotConnected(f"not sent: the service could not be reached in time; {_CHECK}")
    if isinstance(error, UnicodeError):  # a name of a host that is none
        return BadRequest("the request cannot be sent; check base_url", outcome="not_sent")
    if isinstance(error, (aiohttp.ClientError, OSError)):
        status = f", {error.status}" if isinstance(error, aiohttp.ClientHttpProxyError) else ""
        why = f"{type(error).__name__}{status}"
        return NotConnected(f"not sent: no connection to the service could be made ({why}); {_CHECK}")
    return ServerFailed(
        f"the request could not be made ({type(error).__name__})", outcome="not_sent", retryable=False
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
        ours = isinstance(error, aiohttp.ClientPayloadError)
        return StreamBroken(
            f"the connection to the service was lost ({error if ours else type(error).__name__})"
        )
    return ServerFailed(f"the request failed ({type(error).__name__})", outcome="unknown", retryable=False)
