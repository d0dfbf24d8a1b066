"""`FaultServer`: an OpenAI-compatible service on a loopback port that fails as it is told to.

Real HTTP over a real socket, in a thread with an event loop of its own, so that any client library can be
tried against it. Each request is answered by the next scripted step, or well when none is scripted::

    with FaultServer() as server:
        server.script("429", retry_after=2)
        server.reply(pieces=["Hello", " Ada"])
        client = MyClient(server.base_url)      # its first request fails, its second is answered
        …
        assert server.requests[1].body["max_completion_tokens"] == 100

`FAULTS` lists the faults by name. What the server bills follows a rule that tests can predict: 3 tokens a
message plus one for every word of the prompt, and one for every piece of the reply that is sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from ib_kernel.testing._http import Head, Wire
from ib_kernel.testing._shapes import Answer, ChatAnswer, Frame, ResponsesAnswer
from ib_kernel.testing.faults import FAULTS, Step

T = TypeVar("T")

MODELS = ("gpt-5.4-mini", "gpt-5.4", "gpt-4o-mini")
"""What ``GET /v1/models`` lists."""

_SECRET_HEADERS = ("authorization", "api-key")


@dataclass
class Recorded:
    """One request as the server saw it, kept up to date while it is answered.

    `headers` have lower-case names and no key; `sent_key(key)` tells whether that key came. `pieces_sent`
    counts pieces of text (of choice 0), `stopped_early` says that the client closed the connection before
    its answer was complete, `complete` that the answer was sent whole. `fault` names the step.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    fault: str = ""
    status: int = 0
    pieces_sent: int = 0
    usage: Mapping[str, Any] | None = None
    stopped_early: bool = False
    complete: bool = False
    key_digest: str = field(default="", repr=False)

    def sent_key(self, key: str) -> bool:
        """Tell whether the request was sent with *key*."""
        return self.key_digest == _digest(key)


class FaultServer:
    """An OpenAI-compatible server for tests; a context manager. See the module's docstring.

    `cap_fields` are the body fields it takes for a cap (llama.cpp's server knows only ``max_tokens``),
    `api_key` the only key it accepts (None: any, or none), `headers` are added to every answer. `decide`,
    when set, is asked for the step of each request that nothing is scripted for.
    """

    def __init__(
        self,
        *,
        cap_fields: Sequence[str] = ("max_completion_tokens", "max_tokens", "max_output_tokens"),
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        decide: Callable[[Recorded], Step | None] | None = None,
    ) -> None:
        self.requests: list[Recorded] = []
        self.headers: dict[str, str] = dict(headers or {})
        self.decide = decide
        self.port = 0
        self._cap_fields = tuple(cap_fields)
        self._key = api_key
        self._steps: deque[Step] = deque()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._wires: set[Wire] = set()
        self._stop = asyncio.Event()  # belongs to the loop that first waits for it
        self._thread = threading.Thread(target=self._run, name="FaultServer", daemon=True)
        self._ready = threading.Event()

    # --- for tests ---

    @property
    def base_url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, fault: str | Step, /, **changes: Any) -> None:
        """Answer one further request with *fault*: a name of `FAULTS` or a `Step`, with *changes* to it."""
        if isinstance(fault, str) and fault not in FAULTS:
            raise ValueError(f"no fault called {fault!r}; known: {', '.join(FAULTS)}")
        step = FAULTS[fault].step if isinstance(fault, str) else fault
        with self._changed:
            self._steps.append(dataclasses.replace(step, **changes))

    def reply(self, text: str | None = None, *, pieces: Sequence[str] | None = None, **changes: Any) -> None:
        """Answer one further request well: with *text*, or *pieces*, and any other field of `Step`."""
        self.script(Step(text=text, pieces=None if pieces is None else tuple(pieces), **changes))

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[Recorded]:
        """Wait until *count* requests have arrived. `TimeoutError` after *timeout* seconds."""
        return self._wait(lambda: self.requests if len(self.requests) >= count else None, timeout)

    def wait_for_disconnect(self, timeout: float = 10.0, number: int | None = None) -> Recorded:
        """Wait until a client has left before the end of its answer (of request *number*, if given)."""

        def left() -> Recorded | None:
            gone = (r for r in reversed(self.requests) if r.stopped_early and number in (None, r.number))
            return next(gone, None)

        return self._wait(left, timeout)

    def wait_for_progress(self, headers: bool = True, timeout: float = 10.0) -> Recorded:
        """Wait until the last request has arrived, and its answer's headers were sent (unless False)."""
        return self._wait(
            lambda: next((r for r in self.requests[-1:] if r.status or not headers), None), timeout
        )

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until every connection is closed. `TimeoutError` when a client leaves one open."""
        self._wait(lambda: True if not self._wires else None, timeout)

    def open_connections(self) -> int:
        """Return how many connections clients hold open right now."""
        return len(self._wires)

    def _wait(self, found: Callable[[], T | None], timeout: float) -> T:
        until = time.monotonic() + timeout
        with self._changed:
            while (value := found()) is None:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not seen within {timeout:g} s; requests so far: {self.requests}")
                self._changed.wait(left)
            return value

    # --- life ---

    def start(self) -> Self:
        """Listen on a free loopback port."""
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        listener = await self._loop.create_server(lambda: Wire(self._serve, self._loop), "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for wire in list(self._wires):
            wire.writer.transport.abort()

    async def _serve(self, wire: Wire) -> None:
        self._wires.add(wire)
        try:
            while (head := await wire.request()) is not None:
                record = self._record(head)
                try:
                    await self._answer(wire, record, head)
                except ConnectionError:
                    self._note(record, stopped_early=True)
                    raise
                if not record.complete:
                    return
        finally:
            with self._changed:
                self._wires.discard(wire)
                self._changed.notify_all()

    # --- one request ---

    def _record(self, head: Head) -> Recorded:
        sent = head.headers.get("authorization", "").removeprefix("Bearer ") or head.headers.get(
            "api-key", ""
        )
        shown = {
            name: "[redacted]" if name in _SECRET_HEADERS else text for name, text in head.headers.items()
        }
        with self._changed:
            record = Recorded(
                len(self.requests),
                head.method,
                head.path,
                shown,
                _parsed(head.body),
                key_digest=_digest(sent),
            )
            self.requests.append(record)
            self._changed.notify_all()
        return record

    def _note(self, record: Recorded, **facts: Any) -> None:
        with self._changed:
            for name, value in facts.items():
                setattr(record, name, value)
            self._changed.notify_all()

    def _next_step(self, record: Recorded) -> Step:
        with self._changed:
            if self._steps:
                return self._steps.popleft()
        return (self.decide and self.decide(record)) or Step()

    async def _answer(self, wire: Wire, record: Recorded, head: Head) -> None:
        step = self._next_step(record)
        self._note(record, fault=step.name)
        if step.hang_at == "before":
            await self._hang(wire, record)
        elif step.status == 0:
            await self._break(wire, step)
        elif step.status != 200:
            key = head.headers.get("authorization", "").removeprefix("Bearer ")
            await self._refuse(wire, record, step, key)
        elif self._key is not None and not record.sent_key(self._key):
            await self._refuse(wire, record, FAULTS["401"].step, "sk-…")
        else:
            await self._route(wire, record, step)

    async def _route(self, wire: Wire, record: Recorded, step: Step) -> None:
        path = record.path.partition("?")[0].rstrip("/")
        if step.raw is not None:
            await self._send(wire, record, step, step.raw.encode(), step.content_type)
        elif record.method == "GET" and path.endswith("/models"):
            models = [{"id": m, "object": "model", "created": 0, "owned_by": "test"} for m in MODELS]
            await self._send_json(wire, record, step, {"object": "list", "data": models})
        elif record.method == "POST" and path.endswith(("/chat/completions", "/responses")):
            problem = check_body(record.body, path)
            if problem:
                await self._refuse(wire, record, Step(status=400, error=problem), "")
                return
            kind = ChatAnswer if path.endswith("/chat/completions") else ResponsesAnswer
            answer = kind(record.body, step, record.number, self._cap_fields)
            send = self._stream if record.body.get("stream") else self._whole
            await send(wire, record, answer)
        else:
            missing = {"error": {"message": f"Unknown request URL: {record.path}", "type": "x", "code": None}}
            await self._refuse(wire, record, Step(status=404, error=missing), "")

    async def _refuse(self, wire: Wire, record: Recorded, step: Step, key: str) -> None:
        if isinstance(step.error, str):
            await self._send(wire, record, step, step.error.encode(), "text/html")
        else:
            await self._send_json(
                wire, record, step, json.loads(json.dumps(step.error).replace("{key}", key))
            )

    async def _send_json(self, wire: Wire, record: Recorded, step: Step, value: Any) -> None:
        await self._send(wire, record, step, json.dumps(value).encode(), "application/json")

    async def _send(self, wire: Wire, record: Recorded, step: Step, data: bytes, kind: str) -> None:
        await self._head(wire, record, step, kind, len(data))
        await wire.send(data)
        self._note(record, complete=True)

    async def _head(self, wire: Wire, record: Recorded, step: Step, kind: str, length: int | None) -> None:
        extra = {"content-type": kind, "x-request-id": f"req_{record.number}", **self.headers}
        self._note(record, status=step.status)
        await wire.head(step.status, {**extra, **step.all_headers()}, length)

    async def _whole(self, wire: Wire, record: Recorded, answer: Answer) -> None:
        step = answer.step
        good = json.dumps(answer.whole(), ensure_ascii=False).encode()
        if step.trouble == "error":
            await self._send_json(wire, record, step, step.error)
            return
        if step.trouble == "junk":
            await self._send(wire, record, step, good[: len(good) // 2], "application/json")
            return
        await self._head(wire, record, step, "application/json", len(good))
        if step.hang_at == "after" or step.trouble:
            await wire.send(b"" if step.hang_at else good[: len(good) // 2])
            await (
                self._hang(wire, record)
                if step.hang_at or step.trouble == "hang"
                else self._break(wire, step)
            )
            return
        if await wire.wait(step.delay_s * len(answer.pieces)):
            self._note(record, stopped_early=True)
            return
        size = step.write_bytes or len(good)
        for at in range(0, len(good), size):
            await wire.send(good[at : at + size])
        self._note(
            record, pieces_sent=len(answer.pieces), usage=answer.usage(len(answer.pieces)), complete=True
        )

    async def _stream(self, wire: Wire, record: Recorded, answer: Answer) -> None:
        step = answer.step
        await self._head(wire, record, step, "text/event-stream; charset=utf-8", None)
        if step.hang_at == "after":
            await self._hang(wire, record)
            return
        trouble = step.trouble
        for frame in answer.frames():
            if trouble and (record.pieces_sent >= step.after or (not frame.pieces and record.pieces_sent)):
                if trouble == "hang":
                    await self._hang(wire, record)
                    return
                if trouble in ("reset", "close"):
                    await self._break(wire, step)
                    return
                await self._event(wire, step, Frame("", step.junk) if trouble == "junk" else answer.failure())
                if trouble == "error":
                    break
                trouble = ""
            if await wire.wait(step.delay_s if frame.pieces else 0):
                self._note(record, stopped_early=True)
                return
            await self._event(wire, step, frame)
            self._note(record, pieces_sent=record.pieces_sent + frame.pieces)
        usage = answer.usage(record.pieces_sent)
        await wire.send(b"0\r\n\r\n")
        self._note(record, usage=usage, complete=True)

    async def _event(self, wire: Wire, step: Step, frame: Frame) -> None:
        lines = [": keep-alive", ""] if step.comments else []
        lines += [f"event: {frame.kind}"] if frame.kind else []
        data = step.line_end.join([*lines, f"data: {frame.data}", "", ""]).encode()
        size = step.write_bytes or len(data)
        for at in range(0, len(data), size):
            await wire.chunk(data[at : at + size])
            if step.write_bytes:
                await asyncio.sleep(step.write_delay_s)

    async def _hang(self, wire: Wire, record: Recorded) -> None:
        await wire.wait(None)
        self._note(record, stopped_early=True)

    async def _break(self, wire: Wire, step: Step) -> None:
        await asyncio.sleep(0.02)  # what was sent must be read first: a reset throws away what is not
        if step.trouble == "reset":
            wire.reset()
        else:
            wire.writer.close()


def check_body(body: Any, path: str) -> dict[str, Any] | None:
    """Return the error that OpenAI sends for a malformed *body*, or None when it is good."""
    needed = "input" if path.endswith("/responses") else "messages"
    problem = ""
    if not isinstance(body, dict):
        problem = "We could not parse the JSON body of your request."
    elif not isinstance(body.get("model"), str) or not body["model"]:
        problem = "you must provide a model parameter"
    elif not body.get(needed) or (needed == "messages" and not isinstance(body["messages"], list)):
        problem = f"Missing required parameter: '{needed}'."
    elif "max_tokens" in body and "max_completion_tokens" in body:
        problem = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    error = {"message": problem, "type": "invalid_request_error", "param": None, "code": None}
    return {"error": error} if problem else None


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
