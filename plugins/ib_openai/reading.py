"""Reads one open response to its end, and closes it however the reader leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from ib_kernel.errors import ClientError
from ib_kernel.secrets import Secret
from ib_kernel.values import Done, Piece
from ib_openai.mapping import from_transport, not_an_answer
from ib_openai.sse import Decoder, Event
from ib_openai.values import read_json

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

TAIL_S = 5.0
"""Seconds to wait, after the finish reason, for usage and the end of the stream."""

DRAIN_S = 0.1
"""Seconds to wait for the end of a complete response, so that its connection can be used again."""

Reply = AsyncGenerator[Piece | Done, None]


class Reader(Protocol):
    """What reads the answers of one API (see `ib_openai.chat.ChatReader`)."""

    key: Secret | None
    finished: bool
    complete: bool

    def feed(self, event: Event) -> list[str]:
        """Return the texts of *event*."""
        ...

    def whole(self, answer: dict[str, Any]) -> list[str]:
        """Return the texts of an answer that was not streamed."""
        ...

    def done(self) -> Done:
        """Return the end of the reply, or raise when it has not ended well."""
        ...


def read_reply(response: httpx2.Response, reader: Reader, *, streamed: bool) -> Reply:
    """Return the pieces of *response*; some servers answer a request for a stream with one JSON text."""
    kind = response.headers.get("content-type", "").lower()
    whole = not streamed or "json" in kind or "html" in kind
    return _read_whole(response, reader) if whole else _read_stream(response, reader)


async def _read_stream(response: httpx2.Response, reader: Reader) -> Reply:
    decoder = Decoder()
    chunks = response.aiter_bytes()
    try:
        chunk: bytes | None = b""
        while chunk is not None and not reader.complete:
            chunk = await _next(chunks, reader)
            for event in decoder.finish() if chunk is None else decoder.feed(chunk):
                for text in _feed(reader, event):
                    yield Piece(text)
                if reader.complete:
                    break
        yield reader.done()
    finally:
        if reader.complete:  # read to its very end, a connection can be used again
            with contextlib.suppress(Exception):
                async with asyncio.timeout(DRAIN_S):
                    async for _ in chunks:
                        pass
        await chunks.aclose()


async def _next(chunks: AsyncIterator[bytes], reader: Reader) -> bytes | None:
    """Return the next bytes, or None at the end; after the finish reason any end is a good end."""
    try:
        async with asyncio.timeout(TAIL_S if reader.finished else None):
            return await anext(chunks)
    except StopAsyncIteration:
        return None
    except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
        problem = from_transport(error, key=reader.key)
    if reader.finished:
        log.debug("the stream's tail was lost after its finish reason: %s", problem)
        return None
    raise problem


def _feed(reader: Reader, event: Event) -> list[str]:
    """Return the texts of *event*; junk after the finish reason ends the reply instead of failing it."""
    if not reader.finished:
        return reader.feed(event)
    try:
        return reader.feed(event)
    except ClientError as error:
        log.debug("ignored after the finish reason: %s", error)
        reader.complete = True
        return []


async def _read_whole(response: httpx2.Response, reader: Reader) -> Reply:
    problem: ClientError | None = None
    try:
        await response.aread()
    except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
        problem = from_transport(error, key=reader.key)
    if problem is not None:
        raise problem
    answer = read_json(response.text)
    if not isinstance(answer, dict):
        raise not_an_answer(response.text, response.headers.get("content-type", ""))
    for text in reader.whole(answer):
        yield Piece(text)
    yield reader.done()


async def end(response: httpx2.Response, reply: Reply | None = None) -> None:
    """Close *response*, whatever happens and even while being cancelled."""
    import anyio

    with anyio.CancelScope(shield=True):
        for close in (reply.aclose if reply is not None else response.aread, response.aclose):
            try:
                await close()
            except Exception as error:  # noqa: BLE001 - the answer is complete already, or given up
                log.debug("while closing a response: %s", type(error).__name__)
