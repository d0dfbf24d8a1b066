"""A stream is read less often while many run, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence, Sized
from types import SimpleNamespace
from typing import Any

import pytest

from ib_kernel.host.gateway import reading
from ib_kernel.host.gateway.reading import LONGEST_S, QUICK_READS, RestingReader
from ib_kernel.host.gateway.wires import Wires

PIECES = [f"data: piece {number}\n\n".encode() for number in range(400)]


async def _serve_pairs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Two pieces close together, and a pause."""
    await _serve(reader, writer, PIECES[:20], 2.5 * LONGEST_S, 0.2 * LONGEST_S)


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pieces: Sequence[bytes] = PIECES,
    pause: float = 0,
    between: float = 0,
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for number, piece in enumerate(pieces):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(pause if number % 2 else between)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def _ended(rests: list[float]) -> bytes:
    """Read an answer of which everything has come, as one of many that come in quickly."""

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    wires = Wires()
    target = wires.target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {})
    async with server, contextlib.aclosing(wires):
        answer = (await wires.wire(target)).ask(target.written(b""))
        while not answer.ended:
            await asyncio.sleep(0.01)
        resting = RestingReader(answer, range(1_000))
        resting._quick = QUICK_READS
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "asyncio", SimpleNamespace(sleep=sleep))
            return await resting.read()


async def _read(
    running: Sized, rests: list[float], cancel: bool = False, serve: Callable[..., Any] = _serve
) -> bytes:
    """Read the whole stream beside *running* calls; *cancel*: the first rest is cancelled."""
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if cancel and len(rests) == 1:
            raise asyncio.CancelledError
        await real(seconds)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = b""
    wires = Wires()
    target = wires.target(f"http://127.0.0.1:{port}/", {})
    async with server, contextlib.aclosing(wires):
        answer = (await wires.wire(target)).ask(target.written(b""))
        await answer.begun()
        resting = RestingReader(answer, running)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "asyncio", SimpleNamespace(sleep=sleep))
            while True:
                try:
                    chunk = await resting.read()
                except asyncio.CancelledError:
                    continue
                if not chunk:
                    break
                found += chunk
    await real(0.01)  # both ends close
    return found


def test_a_stream_alone_is_read_as_it_comes() -> None:
    """Nothing is gained by waiting where nobody else runs."""
    rests: list[float] = []
    assert asyncio.run(_read(range(1), rests)) == b"".join(PIECES)
    assert rests == []


def test_one_of_many_streams_comes_whole_in_fewer_reads() -> None:
    """Between two reads the connection keeps what comes, for no longer than anybody sees."""
    rests: list[float] = []
    assert asyncio.run(_read(range(1_000), rests)) == b"".join(PIECES)
    assert set(rests) == {LONGEST_S}


def test_a_stream_with_pauses_is_read_as_it_comes() -> None:
    """Pieces that come two at a time, as a person is shown them, wait for nothing."""
    rests: list[float] = []
    assert asyncio.run(_read(range(1_000), rests, serve=_serve_pairs)) == b"".join(PIECES[:20])
    assert rests == []


def test_a_rest_that_is_cancelled_leaves_the_connection_readable() -> None:
    """Whoever ends a call may still want the end of its answer."""
    assert asyncio.run(_read(range(1_000), [], cancel=True)) == b"".join(PIECES)


def test_an_answer_of_which_everything_has_come_is_read_at_once() -> None:
    """There is nothing to rest for, and its connection may be closed by now."""
    rests: list[float] = []
    assert asyncio.run(_ended(rests)) == b"".join(PIECES)
    assert rests == []
