"""Reads one open response to its end, and closes it however the reader leaves.

The body decides what it is, not its label: JSON (one answer, or one chunk a line), a web page, or events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from ib_kernel.errors import ClientError, StreamBroken
from ib_kernel.values import Done, KeepAlive
from ib_kernel.values.sse import MAX_EVENT_BYTES, Decoder, Event
from ib_openai.answers import AnswerReader, Heard
from ib_openai.mapping import from_transport, not_an_answer
from ib_openai.values import read_json

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

TAIL_S = 5.0
"""Seconds to wait, after the finish reason, for usage and the end of the stream, whatever else comes."""

DRAIN_S = 0.1
"""Seconds to wait for the end of a complete response, so that its connection can be used again."""

MAX_STREAM_BYTES = 256 * 1024 * 1024
"""The longest stream that is read; a long reply of 100,000 chunks has a tenth of it."""

SHOWN_BYTES = 4096
"""How much is looked at of a body that is no answer."""

Reply = AsyncGenerator[Heard | KeepAlive | Done, None]

_KEEP_ALIVE = KeepAlive()
_BLANK = b" \t\r\n\xef\xbb\xbf"


class _Bytes:
    """The chunks of one body, counted; `tail` ends them when the reply has ended and the rest is late."""

    def __init__(self, response: httpx2.Response, reader: AnswerReader) -> None:
        self.raw: AsyncIterator[bytes] = response.aiter_bytes()
        self._reader, self._total = reader, 0
        self._until: float | None = None

    async def next(self) -> bytes | None:
        """Return the next bytes, or None at the end; after a good end any end is a good end."""
        reader = self._reader
        if reader.finished and self._until is None:
            self._until = time.monotonic() + TAIL_S
        left = None if not reader.finished or self._until is None else self._until - time.monotonic()
        if left is not None and left <= 0:
            return None
        problem: ClientError
        try:
            if left is None:
                chunk = await anext(self.raw)
            else:
                async with asyncio.timeout(left):
                    chunk = await anext(self.raw)
            self._total += len(chunk)
            if self._total <= MAX_STREAM_BYTES:
                return chunk
            problem = StreamBroken("the service's answer does not end, so it is not read on", retryable=False)
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
            problem = from_transport(error, key=reader.key)
        if reader.finished:
            log.debug("the stream's tail was lost after its finish reason: %s", problem)
            return None
        raise reader.lost(problem)


async def read_reply(response: httpx2.Response, reader: AnswerReader) -> Reply:
    """Yield what *response* says, then its end."""
    chunks = _Bytes(response, reader)
    try:
        start = b""
        while not start.lstrip(_BLANK):  # a byte order mark, or blanks that keep a connection open
            chunk = await chunks.next()
            if chunk is None:
                break
            start = (start + chunk)[-SHOWN_BYTES - len(chunk) :]
            yield _KEEP_ALIVE
        first = start.lstrip(_BLANK)[:1]
        reading = _read_json if first in (b"{", b"[") else _read_page if first == b"<" else _read_events
        async with contextlib.aclosing(reading(start, chunks, reader, response)) as said:
            async for one in said:
                yield one
        yield reader.done()
    finally:
        if reader.complete:  # read to its very end, a connection can be used again
            with contextlib.suppress(Exception):
                async with asyncio.timeout(DRAIN_S):
                    async for _ in chunks.raw:
                        pass
        await chunks.raw.aclose()  # type: ignore[attr-defined]


async def _read_events(
    chunk: bytes | None, chunks: _Bytes, reader: AnswerReader, response: httpx2.Response
) -> AsyncGenerator[Heard | KeepAlive, None]:
    decoder = Decoder()
    shown = chunk or b""
    while not reader.complete:
        said = False
        for event in decoder.finish() if chunk is None else decoder.feed(chunk):
            for heard in _feed(reader, event):
                said = True
                yield heard
            if reader.complete:
                break
        if chunk is None:
            if not decoder.any_field and shown.strip(_BLANK):
                raise _no_answer(shown, response)
            return
        if not said:
            yield _KEEP_ALIVE
        if not reader.complete:
            chunk = await chunks.next()


async def _read_json(
    start: bytes, chunks: _Bytes, reader: AnswerReader, response: httpx2.Response
) -> AsyncGenerator[Heard | KeepAlive, None]:
    parts, size = [start], len(start)
    while (chunk := await chunks.next()) is not None:
        size += len(chunk)
        if size > MAX_EVENT_BYTES:
            raise StreamBroken(
                f"the service's answer is longer than {MAX_EVENT_BYTES // 2**20} MiB", retryable=False
            )
        parts.append(chunk)
        yield _KEEP_ALIVE
    body = b"".join(parts)
    del parts
    text = body.decode("utf-8-sig", "replace").strip()
    answer = read_json(text)
    if isinstance(answer, (dict, list)):
        for heard in reader.whole(answer):
            yield heard
        return
    try:
        lines = reader.feed(Event("", text))
    except StreamBroken:
        lines = None
    if lines is None:
        raise _no_answer(body, response)
    for heard in lines:
        yield heard


async def _read_page(
    start: bytes, chunks: _Bytes, reader: AnswerReader, response: httpx2.Response
) -> AsyncGenerator[Heard | KeepAlive, None]:
    while len(start) < SHOWN_BYTES and (chunk := await chunks.next()) is not None:
        start += chunk
        yield _KEEP_ALIVE
    raise _no_answer(start, response)


def _no_answer(body: bytes, response: httpx2.Response) -> ClientError:
    return not_an_answer(body[:SHOWN_BYTES].decode("utf-8", "replace"), body[:1] in (b"{", b"["))


def _feed(reader: AnswerReader, event: Event) -> list[Heard]:
    """Return what *event* says; junk after a good end ends the reply instead of failing it."""
    if not reader.finished:
        return reader.feed(event)
    try:
        return reader.feed(event)
    except StreamBroken as error:
        log.debug("ignored after the finish reason: %s", error)
        reader.complete = True
        return []


async def end(response: httpx2.Response, reply: Reply | None = None) -> None:
    """Close *response*, whatever happens and even while being cancelled."""
    import anyio

    with anyio.CancelScope(shield=True):
        for close in (reply.aclose if reply is not None else response.aread, response.aclose):
            try:
                await close()
            except Exception as error:  # noqa: BLE001 - the answer is complete already, or given up
                log.debug("while closing a response: %s", type(error).__name__)
