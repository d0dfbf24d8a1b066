"""HTTP/1.1 with a service: a request is written at once, and its answer read as it comes.

httptools reads the answers, as it reads uvicorn's requests; the connections are aiohttp's (`wires`). Its own
requests and answers take eight times as much of the event loop (docs/decisions/0048).
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
import httptools

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_HEAD_BYTES = 64 * 1024
"""Bytes without any of a body that are read in a row: a head, trailers, what a chunk has beside its data."""

ENOUGH_BYTES = 256 * 1024
"""Bytes that wait for their reader, from which on the connection is not read."""


class Answer:
    """One answer. `status` is 0 and there are no `headers` (names in lower case) until `begun` returns.

    `ended` says that its body has come whole, which is not to say that it has been read.
    """

    __slots__ = ("_error", "_parts", "_size", "_waiter", "_wire", "ended", "headers", "status")

    def __init__(self, wire: Wire) -> None:
        self._wire: Wire | None = wire
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: aiohttp.ClientError | None = None
        self.status, self.ended = 0, False
        self.headers: Mapping[str, str] = {}

    # --- for the reader

    async def begun(self) -> None:
        """Wait for the answer's head. Raises an `aiohttp.ClientError` when there is none."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """Return all that has come since the last read, or comes next; b"" at the end.

        Raises:
            aiohttp.ClientError: The body broke off; what had come of it has been returned before.
        """
        while not self._parts:
            if self.ended:
                return b""
            await self._more()
        parts, self._parts = self._parts, []
        if self._size >= ENOUGH_BYTES:
            self.resume()
        self._size = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def whole(self) -> bool:
        """Whether all of it has come and been read."""
        return self.ended and not self._parts

    def pause(self) -> bool:
        """Leave what comes in the connection until `resume`. Return False where nothing more comes."""
        return self._wire is not None and not self.ended and self._wire.pause()

    def resume(self) -> None:
        """Take what comes again."""
        if self._wire is not None:
            self._wire.resume()

    def release(self) -> None:
        """Leave the connection to the next request, or end it where the answer has not ended. Idempotent."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.leave()

    async def _more(self) -> None:
        """Wait until something has come."""
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # --- for the connection

    def take(self, body: bytes) -> bool:
        """Keep a piece of the body for the reader. Return True if that is enough for now."""
        self._parts.append(body)
        self._size += len(body)
        return self._size >= ENOUGH_BYTES

    def fail(self, error: aiohttp.ClientError) -> None:
        """Note that nothing more comes; of an answer that has ended nobody asks for more."""
        if self._error is None:
            self._error = error
        self.wake()

    def end_with_connection(self) -> None:
        """End an answer that tells no length (RFC 9112, 6.3, read 2026-11), unless it has failed."""
        coding = self.headers.get("transfer-encoding", "").lower()
        sized = "content-length" in self.headers or coding.endswith("chunked")
        if self.status and not sized and self._error is None and not self.ended:
            self.ended = True
            self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Wire(asyncio.Protocol):
    """One connection: requests one after the other, each when the answer before it has ended.

    Args:
        opened: aiohttp's connection, of which nobody else makes use.
        keep: Gets the connection when it can be used again.
    """

    def __init__(self, opened: Connection, keep: Callable[[Wire], None]) -> None:
        self._opened, self._before = opened, opened.protocol
        self._transport, self._keep = opened.transport, keep
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._headers: dict[str, str] = {}
        self._in_head, self._bare = True, 0
        self._ended = self._again = self._over = False
        self.idle_since = 0.0
        if self._transport is not None:
            self._transport.set_protocol(self)
            self._look = _look_at(self._transport.get_extra_info("socket").fileno())

    @property
    def free(self) -> bool:
        """Whether another request can be written, and nothing has come that it would take for its answer.

        A busy event loop may not have seen yet that the service has closed the connection or said something.
        """
        transport = self._transport
        if self._answer is not None or self._over or transport is None or transport.is_closing():
            return False
        return not self._look(0)

    def ask(self, request: bytes) -> Answer:
        """Write a whole *request* and return its answer; only where it is `free`."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self._answer = answer = Answer(self)
        self._in_head, self._bare, self._ended, self._again = True, 0, False, False
        transport.write(request)
        return answer

    def close(self) -> None:
        """End the connection at once: what has not been sent yet of a request is not sent any more."""
        if self._answer is not None:
            self._answer.fail(aiohttp.ClientPayloadError("the connection was closed here"))
        if self._transport is not None:
            self._transport.abort()
        self._opened.close()

    def leave(self) -> None:
        """Be there for another request if this one was sent and its answer has ended well, else end."""
        self._answer = None
        if self._again and self._is_sent():
            self.resume()
            self._keep(self)
        else:
            self.close()

    def _is_sent(self) -> bool:
        """Return True if the request has been written: an error may be answered before it was read."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not transport.get_write_buffer_size()

    def pause(self) -> bool:
        """Read nothing until `resume`. Return False where the connection is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.pause_reading()
        return True

    def resume(self) -> None:
        """Read again."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    # --- the transport's

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        answer = self._answer
        if answer is None or answer.ended:  # nobody has asked for that
            self.close()
            return
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break_off(answer, "the answer is no HTTP")
        else:
            if self._bare > MAX_HEAD_BYTES:
                self._break_off(answer, "the answer's head is too long")
        answer.wake()

    def eof_received(self) -> None:
        """End an answer that ends with its connection; the transport closes itself then."""
        self._over = True
        if self._answer is not None:
            self._answer.end_with_connection()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the reader, and aiohttp, that the connection is over."""
        if error is None:  # uvloop says no more of a TLS service that leaves without a farewell
            self.eof_received()
        answer = self._answer
        if answer is not None:
            if not answer.status:
                answer.fail(aiohttp.ServerDisconnectedError())
            else:
                answer.fail(aiohttp.ClientPayloadError("the answer broke off"))
        self._transport = None
        if self._before is not None:
            self._before.connection_lost(error)
        self._opened.close()

    def _break_off(self, answer: Answer, why: str) -> None:
        """End the connection; an answer that has ended before is not touched by what follows it."""
        answer.fail(aiohttp.ClientPayloadError(why))
        self.close()

    # --- the parser's

    def on_message_begin(self) -> None:
        """Begin a head. Raises for an answer that nobody has asked for."""
        if self._ended:
            raise ValueError("a second answer")
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header: of those that come twice the last; trailers say nothing that is used."""
        if self._in_head:
            self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")

    def on_headers_complete(self) -> None:
        """Tell the reader, unless the answer proper is still to come. Raises for what is no status."""
        status, answer = self._parser.get_status_code(), self._answer
        if status < 100:
            raise ValueError("no status")
        if status >= 200 and answer is not None:
            self._in_head = False
            answer.status, answer.headers = status, self._headers

    def on_body(self, body: bytes) -> None:
        """Hand a piece to the reader."""
        self._bare = 0
        if self._answer is not None and self._answer.take(body):
            self.pause()

    def on_message_complete(self) -> None:
        """Note the answer's end, and whether the connection may be used again: the parser forgets it."""
        if self._answer is not None and not self._in_head:
            self._answer.ended = self._ended = True
            self._again = self._parser.should_keep_alive()


def _look_at(number: int) -> Callable[[int], Any]:
    """Return what says whether the socket with a file descriptor has something to read, or its end."""
    if hasattr(select, "poll"):
        looking = select.poll()
        looking.register(number, select.POLLIN)
        return looking.poll
    return lambda seconds: select.select([number], [], [], seconds)[0]  # pragma: no cover - on Windows
