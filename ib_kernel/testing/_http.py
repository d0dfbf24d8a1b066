"""Just enough HTTP/1.1, over asyncio streams, to misbehave on purpose. For `FaultServer` only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first line and headers (names in lower case), and its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Wire(asyncio.StreamReaderProtocol):
    """One connection. `gone` is set when the client has closed or reset it."""

    def __init__(self, serve: Callable[[Wire], Awaitable[None]], loop: asyncio.AbstractEventLoop) -> None:
        self.reader = asyncio.StreamReader(limit=MAX_HEAD, loop=loop)
        self.gone = asyncio.Event()
        self.writer: asyncio.StreamWriter
        self._serve = serve
        super().__init__(self.reader, self._connected, loop=loop)

    def eof_received(self) -> bool | None:
        """Note that the client has closed its side."""
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self.gone.set()
        super().connection_lost(exc)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            await self._serve(self)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client went away, which is what many tests are about
        finally:
            writer.close()

    async def request(self) -> Head | None:
        """Return the next request, or None when the client has closed the connection."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = raw.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await self.reader.readexactly(int(headers.get("content-length") or 0))
        return Head(method, path, headers, body)

    async def wait(self, seconds: float | None) -> bool:
        """Wait that long (None: without end); return True if the client has gone away."""
        if seconds is None or seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), seconds)
        return self.gone.is_set()

    async def head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        """Send the status line and headers; *length* None announces chunks."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unofficial"
        size = {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in {**headers, **size}.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Send one chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        sock: socket.socket | None = self.writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
