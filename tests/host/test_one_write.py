"""An answer of the host is written at once, head and body, and a head alone does not wait for its body."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from ib_kernel.host.one_write import OneWriteProtocol

Send = Callable[[dict[str, Any]], Awaitable[None]]
START = {"type": "http.response.start", "status": 200, "headers": [(b"x-is", b"there")]}


class Told(OneWriteProtocol):
    """The protocol, and what is written below it."""

    writes: list[bytes]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        real = transport.write

        class Below:
            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                Told.writes.append(data)
                real(data)

        super().connection_made(Below())  # type: ignore[arg-type]


def answers(app: Callable[[Send], Awaitable[None]], *requests: bytes) -> tuple[bytes, list[bytes]]:
    """Return what a client gets for its *requests*, and the writes that brought it."""
    Told.writes = []

    async def asgi(scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "http":
            await receive()
            await app(send)

    async def main() -> bytes:
        bound = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(asgi, http=Told, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        found = b""
        for request in requests:
            writer.write(request)
            with contextlib.suppress(TimeoutError):
                while True:
                    data = await asyncio.wait_for(reader.read(65_536), 0.5)
                    found += data
                    if not data:
                        break
        writer.close()
        server.should_exit = True
        await serving
        return found

    return asyncio.run(main()), Told.writes


ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _whole(send: Send) -> None:
    await send({**START, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_a_whole_answer_is_one_write() -> None:
    said, writes = answers(_whole, ASK, ASK)
    assert said.count(b"\r\n\r\nhello") == 2
    assert [one.startswith(b"HTTP/1.1 200") and one.endswith(b"hello") for one in writes] == [True, True]


def test_a_head_does_not_wait_for_its_body() -> None:
    """Whoever reads a stream of news sees that it has begun."""

    async def app(send: Send) -> None:
        await send(START)
        while not Told.writes:
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"hello", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    said, writes = answers(app, ASK)
    assert writes[0].endswith(b"\r\n\r\n")
    assert said.endswith(b"5\r\nhello\r\n0\r\n\r\n")


def test_pieces_are_written_as_they_are_sent() -> None:
    """A piece that looks like a head is written, too, in its place."""

    async def app(send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"27")]})
        for piece in (b"HTTP/1.1 a", b"HTTP/1.1 b", b"the end"):
            await send({"type": "http.response.body", "body": piece, "more_body": piece != b"the end"})

    said, _ = answers(app, ASK)
    assert said.endswith(b"\r\n\r\nHTTP/1.1 aHTTP/1.1 bthe end")


def test_what_was_kept_back_is_written_before_the_connection_ends() -> None:
    async def app(send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"0"), (b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})

    said, writes = answers(app, ASK)
    assert said.startswith(b"HTTP/1.1 200")
    assert b"".join(writes) == said


def test_a_request_that_is_no_http_is_told_so() -> None:
    """uvicorn writes that and closes the connection at once."""
    said, _ = answers(_whole, b"junk\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400")
