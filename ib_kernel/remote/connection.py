"""The line to a host: TLS as the join line asks for it, one token, short answers, and one-line errors.

What a host sends is somebody else's: answers are capped in bytes and time, redirects are not followed, and
errors become lines of our own kinds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ib_kernel import errors
from ib_kernel.errors import BuddyError, ConfigError, NotConnected, SessionInactive
from ib_kernel.secrets import Secret
from ib_kernel.text import cut
from ib_kernel.values.joining import is_loopback
from ib_kernel.values.sse import Decoder, Event
from ib_kernel.values.version import VERSION

ANSWER_S = 15.0
"""Seconds for a whole short answer."""

CONNECT_S = 10.0
SILENCE_S = 45.0
"""Seconds without a byte after which a stream is taken for lost; a host pulses every 10 to 15."""

MAX_ANSWER = 32 * 2**20
"""Bytes of an answer at most."""

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
    """One host, one token; safe from several threads.

    Args:
        address: Scheme, name and port.
        token: Whose requests these are; None before joining.
        fingerprint: SHA-256 of the host's certificate in hex, "" where an authority has signed it.
        ca_file: Certificates of further authorities (PEM).

    Raises:
        ConfigError: The file cannot be used.
        NotConnected: The host cannot be reached to compare its certificate, or has another one.
    """

    def __init__(
        self, address: str, token: Secret | None = None, *, fingerprint: str = "", ca_file: Path | None = None
    ) -> None:
        self.address, self.token = address, token
        self._verify = _tls(address, fingerprint, ca_file)
        self._stream: Any = None
        self._client = httpx2.Client(**self._options())

    def with_token(self, token: Secret) -> Connection:
        """Return the same line for the owner of *token*."""
        other = object.__new__(Connection)
        other.address, other.token, other._verify, other._stream = self.address, token, self._verify, None
        other._client = httpx2.Client(**other._options())
        return other

    @functools.cached_property
    def async_client(self) -> httpx2.AsyncClient:
        """The client for the line on one event loop, whose owner closes it there."""
        return httpx2.AsyncClient(**self._options())

    async def aclose(self) -> None:
        """Close what `async_client` has opened, on its loop."""
        if "async_client" in self.__dict__:
            await self.async_client.aclose()

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
        with (
            self._said(),
            httpx2.Client(**self._options()) as client,
            client.stream("POST", path, json=value, headers={"Connection": "close"}) as response,
        ):
            body = _whole(response, limit)
            if response.status_code != 200:
                raise self._error(response.status_code, body)
        return body

    @contextlib.contextmanager
    def events(self, path: str, last_id: int = 0) -> Iterator[Iterator[Event]]:
        """Hand out the events of a stream while entered."""
        headers = {"Last-Event-ID": str(last_id)} if last_id else {}
        with self._said(), self._client.stream("GET", path, headers=headers) as response:
            if response.status_code != 200:
                raise self._error(response.status_code, _whole(response))
            self._stream = response.extensions.get("network_stream")
            yield _events(response)

    def close(self) -> None:
        """Close connections, the one that somebody reads in another thread first. Idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._client.close()

    def _ask(self, method: str, path: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
        with self._said(), self._client.stream(method, path, json=value, timeout=ANSWER_S) as response:
            body = _whole(response)
            if response.status_code != 200:
                raise self._error(response.status_code, body)
        return _object(body)

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            raise self.lost(error) from None
        except (OSError, ssl.SSLError) as error:
            raise self.lost(error) from None

    def lost(self, error: BaseException) -> NotConnected:
        """Return the line for a connection that failed."""
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            reason = (
                "its certificate is signed by nobody this machine knows; copy the whole join line, or name "
                "the authority's file in IB_CA_FILE"
            )
        return NotConnected(f"the host {self.address} cannot be reached: {reason}", retryable=True)

    def error_of(self, status: int, body: bytes) -> BuddyError:
        """Return the error that an answer of *status* with *body* stands for."""
        return self._error(status, body)

    def _error(self, status: int, body: bytes) -> BuddyError:
        try:
            return error_from(_object(body), status)
        except BuddyError:
            return HostRefused(f"the host {self.address} answered {status} without saying why", status)

    def _options(self) -> dict[str, Any]:
        headers = {"IB-Version": VERSION, "Accept-Encoding": "identity"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        name = urlsplit(self.address).hostname or ""
        return {
            "base_url": self.address,
            "headers": headers,
            "verify": self._verify,
            "timeout": httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            "follow_redirects": False,
            "trust_env": not is_loopback(name),
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


def _tls(address: str, fingerprint: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    if not address.startswith("https://"):
        return False  # this machine's own: no certificate is asked for, and building a context takes a while
    if fingerprint:
        return _pinned(address, fingerprint)
    if ca_file is None:
        return httpx2.create_ssl_context()
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "it has no certificates"
        raise ConfigError(f"ca_file {ca_file} cannot be used: {reason}") from None
    return context


def _pinned(address: str, fingerprint: str) -> ssl.SSLContext:
    """Return a context that accepts the one certificate with that fingerprint, and no authority."""
    parts = urlsplit(address)
    where = (parts.hostname or "", parts.port or 443)
    try:
        pem = ssl.get_server_certificate(where, timeout=CONNECT_S)
    except (OSError, ssl.SSLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise NotConnected(f"the host {address} cannot be reached: {reason}") from None
    if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != fingerprint:
        raise NotConnected(
            f"the host {address} has another certificate than the join line says; somebody may stand between "
            "you and it: ask the interviewer for a new line",
            retryable=False,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate itself is what was promised
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem)
    return context


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
