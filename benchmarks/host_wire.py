"""Part of benchmarks/host.py: an upstream and a load generator that cost little beside what is measured.

Both speak just enough HTTP/1.1 over asyncio protocols. The upstream answers Chat Completions with constant
bytes: `events` chunks, one write each, `gap_s` apart, or one JSON body.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

MODEL = "gpt-5.4-mini"
EVENTS = 54


def chunk(content: str | None, **more: Any) -> bytes:
    """Return one event as OpenAI sends it."""
    delta = {} if content is None else {"content": content}
    value = {
        "id": "chatcmpl-CzKq1vXyZ0aBcDeFgHiJkLmNoPqRs",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "obfuscation": "aB3dE5f",
        **more,
    }
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


USAGE = {"prompt_tokens": 26, "completion_tokens": EVENTS, "total_tokens": 26 + EVENTS}
_STOP = [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
PIECES = [_framed(chunk(f" word{number % 10}")) for number in range(EVENTS)]
LAST = (
    _framed(chunk(None, choices=_STOP))
    + _framed(chunk(None, choices=[], usage=USAGE))
    + _framed(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BODY = json.dumps(
    {
        "id": "chatcmpl-CzKq1vXyZ0aBcDeFgHiJkLmNoPqRs",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * EVENTS, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
        "service_tier": "default",
    }
).encode()
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY) + _BODY
)


class Upstream(asyncio.Protocol):
    """One connection of the service. `gap_s` lies between two pieces, `idle_s` closes an idle connection."""

    gap_s = 0.0
    idle_s: float | None = None

    def __init__(self) -> None:
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._idle()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, mark, body = self._data.partition(b"\r\n\r\n")
        if not mark:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._data = body[length:]
        if self._timer is not None:
            self._timer.cancel()
        if b'"stream": true' in body or b'"stream":true' in body:
            self._transport.write(STREAM_HEAD)
            self._piece(0)
        else:
            self._transport.write(WHOLE)
            self._idle()

    def _piece(self, number: int) -> None:
        if self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        if number == EVENTS:
            self._transport.write(LAST)
            self._idle()
            return
        self._transport.write(PIECES[number])
        if self.gap_s:
            self._timer = loop.call_later(self.gap_s, self._piece, number + 1)
        else:
            loop.call_soon(self._piece, number + 1)

    def _idle(self) -> None:
        if self.idle_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self.idle_s, self._transport.close)


def serve(pipe: Any, gap_s: float, idle_s: float | None) -> None:
    """Answer until the pipe closes (in a process of its own)."""
    kind = type("Chosen", (Upstream,), {"gap_s": gap_s, "idle_s": idle_s})

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(kind, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)
        server.close()

    run(main())


def run(work: Any) -> Any:
    """Run a coroutine on uvloop where it is installed, as uvicorn does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


@dataclass
class Load:
    """What a load has seen: milliseconds to the first chunk, gaps between chunks, calls, chunks, failures."""

    seconds: float = 0.0
    calls: int = 0
    chunks: int = 0
    failures: int = 0
    first_ms: list[float] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)
    said: str = ""

    def p50_first(self) -> float:
        """Return the median time to the first chunk."""
        return statistics.median(self.first_ms) if self.first_ms else float("nan")

    def p95_gap(self) -> float:
        """Return the 95th percentile of the gaps."""
        ordered = sorted(self.gaps_ms)
        return ordered[int(0.95 * (len(ordered) - 1))] if ordered else float("nan")


class _Client(asyncio.Protocol):
    """One connection that makes calls, one after the other."""

    def __init__(self, load: Load, request: bytes, stream: bool) -> None:
        self._load, self._request, self._stream = load, request, stream
        self._done: asyncio.Future[bool] | None = None
        self._data = bytearray()
        self._at = self._last = 0.0
        self.open = False

    def connection_made(self, transport: Any) -> None:
        self._transport, self.open = transport, True

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._end(False)

    async def call(self) -> bool:
        """Make one call; return whether it was answered well and whole."""
        self._done = asyncio.get_running_loop().create_future()
        self._data.clear()
        self._last, self._at = 0.0, time.perf_counter()
        self._transport.write(self._request)
        return await self._done

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._stream and b"data: " in data:
            load = self._load
            load.chunks += data.count(b"data: ")
            if self._last:
                load.gaps_ms.append((now - self._last) * 1000)
            else:
                load.first_ms.append((now - self._at) * 1000)
            self._last = now
        self._data += data
        if self._stream:
            if self._data.endswith(b"0\r\n\r\n"):
                self._end(b"[DONE]" in self._data[-300:] and self._data.startswith(b"HTTP/1.1 200"))
            elif not self._data.startswith(b"HTTP/1.1 200") and len(self._data) > 16:
                self._load.said = bytes(self._data[-300:]).decode("latin-1")
                self._end(False)
            return
        head, mark, body = self._data.partition(b"\r\n\r\n")
        if not mark:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        whole = (
            len(body) >= int(lower[at + 15 :].partition(b"\r\n")[0])
            if at >= 0
            else body.endswith(b"0\r\n\r\n")
        )
        if whole:
            good = head.startswith(b"HTTP/1.1 200")
            if not good:
                self._load.said = bytes(body[:300]).decode("latin-1")
            self._end(good)

    def _end(self, good: bool) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(good)


def request(path: str, port: int, token: str, stream: bool) -> bytes:
    """Return a request as the openai package writes it."""
    body = {
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that answers briefly and well."},
            {"role": "user", "content": "What does a token bucket do when two requests come at once?"},
        ],
        "model": MODEL,
        "max_tokens": 400,
        "stream": stream,
        **({"stream_options": {"include_usage": True}} if stream else {}),
    }
    data = json.dumps(body).encode()
    head = (
        f"POST {path}/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


async def drive(
    port: int, path: str, tokens: list[str], *, at_once: int, stream: bool, seconds: float, each: int = 0
) -> Load:
    """Keep *at_once* calls going for *seconds*, or make *each* calls on every connection."""
    load = Load()
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    began = time.perf_counter()

    async def one(number: int) -> None:
        sent = request(path, port, tokens[number % len(tokens)], stream)
        client: _Client | None = None
        made = 0
        while made < each if each else time.perf_counter() < until:
            if client is None or not client.open:
                _, client = await loop.create_connection(
                    lambda: _Client(load, sent, stream), "127.0.0.1", port
                )
            made += 1
            good = await client.call()
            load.calls += good
            load.failures += not good
            if not good:
                client._transport.close()
                client = None
        if client is not None:
            client._transport.close()

    await asyncio.gather(*map(one, range(at_once)))
    load.seconds = time.perf_counter() - began
    return load
