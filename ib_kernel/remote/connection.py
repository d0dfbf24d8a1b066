"""The line to a host: TLS as the join line asks for it, one token, short answers, and one-line errors.

What a host sends is somebody else's: answers are capped in bytes and time, redirects are not followed, and
errors become lines of our own kinds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from ib_kernel import errors
from ib_kernel.errors import BuddyError, NotConnected, SessionInactive
from ib_kernel.remote.places import Place, Places
from ib_kernel.remote.tls import context_for
from ib_kernel.secrets import Secret
from ib_kernel.text import cut
from ib_kernel.values.sse import Decoder, Event
from ib_kernel.values.version import VERSION

ANSWER_S = 15.0
"""Seconds for a whole short answer."""

CONNECT_S = 10.0
"""Seconds to wait for a connection to the one host there is."""

NEXT_S = 3.0
"""Seconds to wait for a connection where there is another host to go on at."""

SILENCE_S = 45.0
"""Seconds without a byte after which a stream is taken for lost; a host pulses every 10 to 15."""

MAX_ANSWER = 32 * 2**20
"""Bytes of an answer at most."""

REPEATABLE = frozenset({"/v1/join", "/v1/notice", "/v1/begin", "/v1/estimate", "/v1/recording"})
"""What may be sent again when nobody knows whether it arrived: it changes nothing the second time."""

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
_BROKEN = (httpx2.HTTPError, OSError)

_KNOWN: Mapping[str, type[BuddyError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, BuddyError) and kind is not errors.NameClash
}


class HostRefused(BuddyError):
    """The host refused; `status` is the answer's, `code` the host's own word."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Connection:
    """One interview's line, one token; safe from several threads.

    Where the host has told of others on its ledger, the line goes on at the next one when a host is away: at
    once for what was not sent or changes nothing when it is sent twice, with the next request for the rest.

    Args:
        address: Scheme, name and port of the host that was joined.
        token: Whose requests these are; None before joining.
        fingerprint: SHA-256 of the host's certificate in hex, "" where an authority has signed it.
        ca_file: Certificates of further authorities (PEM).
        others: Other hosts, as a host tells them (see `Places.learn`).
    """

    def __init__(
        self,
        address: str,
        token: Secret | None = None,
        *,
        fingerprint: str = "",
        ca_file: Path | None = None,
        others: Sequence[str] = (),
    ) -> None:
        self.token, self._ca_file = token, ca_file
        self.places = Places(Place(address, fingerprint), list(others))
        self._lock = threading.Lock()
        self._contexts: dict[Place, ssl.SSLContext | bool] = {}
        self._clients: dict[Place, httpx2.Client] = {}
        self._async_clients: dict[Place, httpx2.AsyncClient] = {}
        self._stream: Any = None

    def with_token(self, token: Secret) -> Connection:
        """Return the same line for the owner of *token*."""
        other = Connection(self.address, token, ca_file=self._ca_file)
        other.places, other._contexts = self.places, self._contexts
        return other

    @property
    def address(self) -> str:
        """Where the host is that is asked."""
        return self.places.now.address

    async def aline(self) -> tuple[Place, httpx2.AsyncClient]:
        """Return the host to ask and the client for one event loop, whose owner closes it there."""
        place = self.places.now
        if place not in self._async_clients:
            await asyncio.to_thread(self._context, place)
            self._async_clients[place] = httpx2.AsyncClient(**self._options(place))
        return place, self._async_clients[place]

    async def aclose(self) -> None:
        """Close what `aline` has opened, on its loop."""
        clients = list(self._async_clients.values())
        self._async_clients.clear()
        for client in clients:
            await client.aclose()

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to ``GET path``.

        Raises:
            BuddyError: The host cannot be reached, or refuses.
        """
        return self._ask("GET", path, None)

    def post(self, path: str, value: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to ``POST path`` with *value* as JSON (see `get`)."""
        return self._ask("POST", path, value or {})

    def post_whole(self, path: str, value: Mapping[str, Any], limit: int) -> bytes:
        """Return the bytes of an answer that may be long: at most *limit*, as slowly as they come.

        Raises:
            BuddyError: The host cannot be reached, refuses, or sends more.
        """
        place = self.places.now
        with (
            self._said(place),
            httpx2.Client(**self._options(place)) as client,
            client.stream("POST", path, json=value, headers={"Connection": "close"}) as response,
        ):
            body = _whole(response, limit)
            if response.status_code != 200:
                raise self._error(place, response.status_code, body)
        return body

    @contextlib.contextmanager
    def events(self, path: str, last_id: int = 0) -> Iterator[Iterator[Event]]:
        """Hand out the events of a stream while entered; what breaks it lets the next one begin elsewhere."""
        headers = {"Last-Event-ID": str(last_id)} if last_id else {}
        place = self.places.now
        client, timeout = self._client(place), self.stream_timeout()
        with self._said(place), client.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.status_code != 200:
                if response.status_code >= 500:
                    self.places.leave(place)
                raise self._error(place, response.status_code, _whole(response))
            self._stream = response.extensions.get("network_stream")
            yield _events(response)
            self.places.leave(place)  # it has ended its stream: it stops, or takes us no more

    def close(self) -> None:
        """Close connections, the one that somebody reads in another thread first. Idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        with self._lock:
            clients = list(self._clients.values())
        for client in clients:
            client.close()

    def stream_timeout(self) -> httpx2.Timeout:
        """Return how long a stream is waited for: for the connection, and then for each byte."""
        return httpx2.Timeout(SILENCE_S, connect=self._connect_s())

    def _ask(self, method: str, path: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
        for last in range(len(self.places) - 1, -1, -1):
            place = self.places.now
            try:
                return self._ask_at(place, method, path, value)
            except (*_BROKEN, NotConnected) as error:
                if isinstance(error, NotConnected) and not error.retryable:
                    raise
                self.places.leave(place)
                unsent = isinstance(error, (*_NOT_SENT, NotConnected))
                if not last or not (unsent or method == "GET" or path in REPEATABLE):
                    raise error if isinstance(error, NotConnected) else self.lost(place, error) from None
        raise AssertionError("unreachable")

    def _ask_at(
        self, place: Place, method: str, path: str, value: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        timeout = httpx2.Timeout(ANSWER_S, connect=self._connect_s())
        with self._client(place).stream(method, path, json=value, timeout=timeout) as response:
            body = _whole(response)
            if response.status_code != 200:
                raise self._error(place, response.status_code, body)
        return _object(body)

    @contextlib.contextmanager
    def _said(self, place: Place) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            self.places.leave(place)
            raise self.lost(place, error) from None

    def lost(self, place: Place, error: BaseException) -> NotConnected:
        """Return the line for a connection to *place* that failed."""
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            reason = (
                "its certificate is signed by nobody this machine knows; copy the whole join line, or name "
                "the authority's file in IB_CA_FILE"
            )
        return NotConnected(f"the host {place.address} cannot be reached: {reason}", retryable=True)

    def error_of(self, place: Place, status: int, body: bytes) -> BuddyError:
        """Return the error that an answer of *status* with *body* stands for."""
        return self._error(place, status, body)

    def _error(self, place: Place, status: int, body: bytes) -> BuddyError:
        try:
            return error_from(_object(body), status)
        except BuddyError:
            return HostRefused(f"the host {place.address} answered {status} without saying why", status)

    def _client(self, place: Place) -> httpx2.Client:
        options = self._options(place)
        with self._lock:
            if place not in self._clients:
                self._clients[place] = httpx2.Client(**options)
            return self._clients[place]

    def _connect_s(self) -> float:
        return CONNECT_S if len(self.places) == 1 else NEXT_S

    def _context(self, place: Place) -> ssl.SSLContext | bool:
        if place not in self._contexts:
            self._contexts[place] = context_for(
                place.address, place.fingerprint, self._ca_file, self._connect_s()
            )
        return self._contexts[place]

    def _options(self, place: Place) -> dict[str, Any]:
        headers = {"IB-Version": VERSION, "Accept-Encoding": "identity"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return {
            "base_url": place.address,
            "headers": headers,
            "verify": self._context(place),
            "timeout": self.stream_timeout(),
            "follow_redirects": False,
            "trust_env": not place.is_here,
        }


def error_from(value: Mapping[str, Any], status: int = 0) -> BuddyError:
    """Return the error that a host's ``{"error": …}`` stands for: one of our own kinds, with its line."""
    error = value.get("error")
    if not isinstance(error, Mapping):
        raise HostRefused("the host answered something else than expected", status)
    line = cut(str(error.get("message") or "the host does not say why"), 2_000)
    kind = _KNOWN.get(str(error.get("type")))
    if kind is not None and issubclass(kind, SessionInactive):
        return kind(line, str(error.get("status") or "")[:20])
    if kind is not None and kind is not errors.RepeatedRequest:
        return kind(line)
    return HostRefused(line, status, str(error.get("code") or "")[:50])


def _whole(response: httpx2.Response, limit: int = MAX_ANSWER) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit:
            raise HostRefused(f"the host answered more than {limit // 2**20} MiB", response.status_code)
    return bytes(body)


def _events(response: httpx2.Response) -> Iterator[Event]:
    decoder = Decoder()
    for chunk in response.iter_raw():
        yield from decoder.feed(chunk)


async def async_events(response: httpx2.Response) -> AsyncIterator[Event]:
    """Yield the events of a response as they come."""
    decoder = Decoder()
    async for chunk in response.aiter_raw():
        for event in decoder.feed(chunk):
            yield event


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return JSON text as an object. `HostRefused` for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise HostRefused("the host answered something else than JSON; is it the right address?") from None
    if not isinstance(value, dict):
        raise HostRefused("the host answered something else than expected")
    return value


def _object(body: bytes) -> dict[str, Any]:
    return parse_object(body)
