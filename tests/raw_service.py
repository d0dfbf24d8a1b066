"""A loopback service that writes exactly the bytes it is told to, well made or not."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GOOD = (
    'data: {"id": "good", "model": "m", "choices": [{"index": 0, "delta": {"content": "Go on."}, '
    '"finish_reason": null}]}\n\n'
    'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], '
    '"usage": {"prompt_tokens": 90, "completion_tokens": 2, "total_tokens": 92}}\n\ndata: [DONE]\n\n'
)
GOOD_RESPONSES = (
    'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "delta": "Go on."}\n\n'
    'event: response.completed\ndata: {"type": "response.completed", "response": {"status": "completed", '
    '"usage": {"input_tokens": 90, "output_tokens": 2, "total_tokens": 92}}}\n\n'
)


@dataclass
class Answer:
    """What is written: a status, headers, then `parts` in order (text, bytes, seconds or an event to await).

    `end`: *keep* the connection, *close* it, *cut* it without the last chunk, or *reset* it.
    """

    parts: tuple[str | bytes | float | threading.Event, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    chunked: bool = True
    end: str = "keep"

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Answer:
        """Return the answer that a case's JSON describes."""
        parts = [
            part
            if isinstance(part, str)
            else base64.b64decode(part["base64"])
            if "base64" in part
            else float(part["sleep_s"])
            for part in raw.get("parts", ())
        ]
        return cls(tuple(parts), raw["status"], raw.get("headers", {}), raw.get("chunked", True), raw["end"])


class RawService:
    """Answers every request with `answer`. A context manager; `requests` holds the bodies that came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Any] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> RawService:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as incoming:
            while first := incoming.readline():
                length = 0
                while (line := incoming.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = incoming.read(length)
                self.requests.append(json.loads(body) if body else first)
                if not self._write(connection, self.answer):
                    return

    def _write(self, connection: socket.socket, answer: Answer) -> bool:
        """Write *answer*; return whether the connection is kept."""
        waits = (float, threading.Event)
        whole = b"".join(_bytes(part) for part in answer.parts if not isinstance(part, waits))
        headers = {"transfer-encoding": "chunked"} if answer.chunked else {"content-length": str(len(whole))}
        headers = {**answer.headers, **headers}
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{k}: {v}" for k, v in headers.items())]
        if answer.status == 204:
            lines = lines[:1]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        for part in answer.parts:
            if isinstance(part, float):
                time.sleep(part)
            elif isinstance(part, threading.Event):
                part.wait()
            elif raw := _bytes(part):
                connection.sendall(b"%x\r\n%b\r\n" % (len(raw), raw) if answer.chunked else raw)
        if answer.end == "reset":
            time.sleep(0.05)  # what was sent must be read first: a reset throws away what is not
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if answer.chunked and answer.status != 204 and answer.end != "cut":
            connection.sendall(b"0\r\n\r\n")
        return answer.end == "keep"


def _bytes(part: str | bytes | float) -> bytes:
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else bytes(part)  # type: ignore[arg-type]
