"""How `FaultServer` answers one request: well, badly, or not at all, as its step says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.testing._http import Head, Wire
from ib_kernel.testing._shapes import Answer, ChatAnswer, Frame, ResponsesAnswer
from ib_kernel.testing.faults import FAULTS, Step

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
        """Return True if the request was sent with *key*."""
        return self.key_digest == _digest(key)


class Service:
    """Answers requests and records them. The state is guarded by `changed`, which tells who waits."""

    def __init__(self, cap_fields: tuple[str, ...], key: str | None, headers: Mapping[str, str]) -> None:
        self.requests: list[Recorded] = []
        self.headers: dict[str, str] = dict(headers)
        self.decide: Callable[[Recorded], Step | None] | None = None
        self.on_hang: Callable[[Recorded], None] | None = None
        self.steps: deque[Step] = deque()
        self.changed = threading.Condition()
        self.cap_fields = cap_fields
        self.key = key

    async def serve(self, wire: Wire) -> None:
        """Answer one connection's requests until the client, or a fault, ends it.

        Args:
            wire: The connection.
        """
        while (head := await wire.request()) is not None:
            record = self._record(head)
            try:
                await self._answer(wire, record, head)
            except ConnectionError:
                self._note(record, stopped_early=True)
                raise
            if not record.complete:
                return

    def _record(self, head: Head) -> Recorded:
        sent = head.headers.get("authorization", "").removeprefix("Bearer ") or head.headers.get(
            "api-key", ""
        )
        shown = {
            name: "[redacted]" if name in _SECRET_HEADERS else text for name, text in head.headers.items()
        }
        with self.changed:
            record = Recorded(
                len(self.requests),
                head.method,
                head.path,
                shown,
                _parsed(head.body),
                key_digest=_digest(sent),
            )
            self.requests.append(record)
            self.changed.notify_all()
        return record

    def _note(self, record: Recorded, **facts: Any) -> None:
        with self.changed:
            for name, value in facts.items():
                setattr(record, name, value)
            self.changed.notify_all()

    def _next_step(self, record: Recorded) -> Step:
        with self.changed:
            if self.steps:
                return self.steps.popleft()
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
        elif self.key is not None and not record.sent_key(self.key):
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
            answer = kind(record.body, step, record.number, self.cap_fields)
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
        ended = False
        for frame in answer.frames():
            due = record.pieces_sent >= step.after or (not frame.pieces and record.pieces_sent)
            if trouble and (ended if step.tail else due):
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
            ended = ended or frame.ends
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
        if self.on_hang is not None:
            await asyncio.to_thread(self.on_hang, record)
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
