"""How much of an answer is read: bodies are unpacked here, piece by piece, up to a limit.

For authors of clients. HTTP clients unpack whatever arrives at once, and a megabyte of gzip makes gigabytes;
SDKs read error bodies whole. `bound` is a response hook for an asynchronous client of httpx or httpx2: it
runs before anybody looks at the body.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ib_kernel.errors import ServerFailed, StreamBroken

MAX_ERROR_BYTES = 256 * 1024
"""How much of an error answer is read; what is beyond is not looked at."""

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""How much an answer that came compressed may unpack to, and how long one is that nobody else limits."""

STEP_BYTES = 64 * 1024
_PAUSE_BYTES = 1024 * 1024
_PACKED = ("gzip", "x-gzip", "deflate")

ACCEPTED = "gzip, deflate"
"""The encodings that are asked for: those that can be unpacked in steps."""


async def bound(response: Any, *, unpacked: bool = False) -> None:
    """Limit what can be read of a response.

    Args:
        response: An open response of httpx or httpx2.
        unpacked: Whether good answers that do not come packed are limited, too; without it their reader
            limits them.

    Raises:
        ServerFailed: It is encoded in a way that we cannot read in steps.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    packed = encoding in _PACKED
    if packed or encoding == "identity":
        del response.headers["content-encoding"]
    elif encoding:
        raise _unreadable(encoding, response.status_code)
    refused = not response.is_success or (response.request.method == "GET" and not unpacked)
    if packed or refused or unpacked:
        limit = MAX_ERROR_BYTES if refused else MAX_UNPACKED_BYTES
        kind = _kind_for(response.stream)
        response.stream = kind(response.stream, limit, packed=packed, cut=refused)


def _unreadable(encoding: str, status: int) -> ServerFailed:
    return ServerFailed(
        f"the service's answer ({status}) is encoded as {encoding[:40]!r}, which was not asked for and "
        "cannot be read; something between here and the service repacks answers",
        outcome="unknown" if status < 400 else "rejected",
        retryable=False,
    )


def too_long(limit: int) -> StreamBroken:
    """Return the error for an answer that goes on beyond *limit* bytes."""
    return StreamBroken(
        f"the service's answer is longer than {limit // 2**20} MiB, so it is not read on", retryable=False
    )


class _Bounded:
    def __init__(self, inner: Any, limit: int, *, packed: bool, cut: bool) -> None:
        self._inner, self._limit, self._cut = inner, limit, cut
        self._unpack = _Unpacker() if packed else _as_it_is

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = paused = 0
        async for raw in self._inner:
            for piece in self._unpack(raw):
                total += len(piece)
                if total > self._limit:
                    if self._cut:
                        return
                    raise too_long(self._limit)
                yield piece
                if total - paused > _PAUSE_BYTES:  # other streams share this loop
                    paused = total
                    await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close the connection's stream."""
        await self._inner.aclose()


def _kind_for(stream: Any) -> type[_Bounded]:
    """Return `_Bounded` as the library of *stream* takes it: as a subclass of its own AsyncByteStream."""
    base = next(kind for kind in type(stream).__mro__ if kind.__name__ == "AsyncByteStream")
    if base not in _kinds:
        _kinds[base] = type("Bounded", (_Bounded, base), {})
    return _kinds[base]


_kinds: dict[type, type[_Bounded]] = {}


def _as_it_is(raw: bytes) -> Iterator[bytes]:
    yield raw


class _Unpacker:
    """Unpacks gzip and zlib in steps, and deflate without a header, which some servers send for it."""

    def __init__(self) -> None:
        self._any = False
        self._inflate = zlib.decompressobj(wbits=47)

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        while raw:
            out = self._step(raw)
            self._any = True
            raw = self._inflate.unconsumed_tail
            if out:
                yield out
            elif not raw:
                return

    def _step(self, raw: bytes) -> bytes:
        try:
            return self._inflate.decompress(raw, STEP_BYTES)
        except zlib.error:
            if self._any:
                problem = StreamBroken("the service's answer is compressed and damaged")
            else:
                self._any, self._inflate = True, zlib.decompressobj(wbits=-15)
                return self._step(raw)
        raise problem
