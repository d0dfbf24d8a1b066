"""How long a call waits for its service: from its last sign on, and for the end of what is complete."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import openai
import pytest
from hosting import Served, served
from test_gateway import HI, MODEL, hosted, raw_service, tool

from ib_kernel.host.gateway import call as call_module
from ib_kernel.host.gateway import running as running_module
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
PAUSE_S = 0.1
"""Seconds in which whoever watches the calls looks at them many times."""


class Script(raw_service):
    """A service that answers with *parts* as they are, and calls what stands between them."""

    def __init__(self, parts: Sequence[bytes | Callable[[], None]]) -> None:
        super().__init__([b"", b""], 0.0)
        self._script = parts
        self.connections = 0

    def _serve(self, wire: socket.socket) -> None:
        self.connections += 1
        super()._serve(wire)

    def _answer(self, wire: socket.socket, stream: bool) -> None:
        for part in self._script:
            if callable(part):
                part()
            else:
                wire.sendall(part)


class Clock:
    """A clock that is put forward by hand, for the calls and for who watches them. *stands*: and only so."""

    def __init__(self, patch: pytest.MonkeyPatch, *, stands: bool = False) -> None:
        self._ahead, began = 0.0, time.monotonic()
        known = SimpleNamespace(
            monotonic=lambda: (began if stands else time.monotonic()) + self._ahead, time=time.time
        )
        for module in (call_module, running_module):
            patch.setattr(module, "time", known)
        patch.setattr(running_module, "TICK_S", 0.01)

    def passes(self, seconds: float, until: Callable[[], bool] | None = None) -> Callable[[], None]:
        """Return what lets *seconds* pass, and whoever watches look, *until* it has been seen."""

        def work() -> None:
            self._ahead += seconds
            time.sleep(PAUSE_S)
            for _ in range(1_000):
                if until is None or until():
                    return
                time.sleep(0.01)

        return work


def chunk(data: bytes) -> bytes:
    """Return a piece of a body in chunks."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str = "", finish: str | None = None) -> bytes:
    """Return one event of a stream, as a chunk."""
    delta = {"content": text} if text else {}
    value = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


DONE = chunk(b"data: [DONE]\n\n")


def streamed(host: Served) -> str:
    """Return the text of a streamed call of a new session."""
    session = host.session()
    with tool(host, session, max_retries=0) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=HI, stream=True))
    host.wait_until_idle(session)
    assert [row["finish_reason"] for row in host.calls(session)] == ["stop"]
    return "".join(one.choices[0].delta.content or "" for one in chunks)


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """Ten seconds without a sign are too long, a thousand in all."""
    with FaultServer() as service:
        return hosted(settings, service, first_piece_s=10.0, gap_s=10.0, deadline_s=1_000.0, attempts=1)


def test_a_service_that_shows_now_and_then_that_it_works_is_waited_for(
    patient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head and each piece of its answer begin the wait anew."""
    wait = Clock(monkeypatch).passes(7)
    script = Script([wait, HEAD, wait, event("a"), wait, event("b"), wait, event("c", "stop"), DONE, END])
    with script as address, served(patient.replace(base_url=address)) as host:
        assert streamed(host) == "abc"


def test_a_service_that_falls_silent_is_given_up(patient: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had come of its answer has been passed on by then."""
    clock = Clock(monkeypatch)
    script = Script([HEAD, event("a"), clock.passes(7), event("b"), clock.passes(11), clock.passes(0)])
    with script as address, served(patient.replace(base_url=address)) as host:
        session = host.session()
        said = []
        with tool(host, session, max_retries=0) as client, pytest.raises(openai.APIError, match="stalled"):
            for one in client.chat.completions.create(model=MODEL, messages=HI, stream=True):
                said.append(one.choices[0].delta.content)
        host.wait_until_idle(session)
    assert said == ["a", "b"]


def test_the_end_of_a_complete_answer_is_waited_for(
    patient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes a little later than the last event, and then the connection can be used again."""
    monkeypatch.setattr(call_module, "DRAIN_S", 30.0)
    script = Script([HEAD, event("a", "stop"), DONE, lambda: time.sleep(PAUSE_S), END])
    with script as address, served(patient.replace(base_url=address)) as host:
        assert [streamed(host), streamed(host)] == ["a", "a"]
    assert script.connections == 1


def test_a_complete_answer_whose_end_does_not_come_is_not_waited_for(
    patient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool has its answer, and the connection goes."""
    monkeypatch.setattr(call_module, "DRAIN_S", 0.01)
    script = Script([HEAD, event("a", "stop"), DONE])
    with script as address, served(patient.replace(base_url=address)) as host:
        assert [streamed(host), streamed(host)] == ["a", "a"]
    assert script.connections == 2


def test_the_session_of_a_call_is_looked_at_once_a_second(
    patient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before the call has run for so long: its own reservation has found the session active."""
    looked: list[set[str]] = []
    seen: list[int] = []
    real = running_module.Running._states

    def states(running: running_module.Running, ids: set[str]) -> dict[str, str]:
        looked.append(ids)
        return real(running, ids)

    monkeypatch.setattr(running_module.Running, "_states", states)
    clock = Clock(monkeypatch, stands=True)
    parts: list[bytes | Callable[[], None]] = [HEAD, event("a")]
    for number in (0, 1, 1, 2):
        parts += [clock.passes(0.5, lambda number=number: len(looked) >= number)]  # type: ignore[misc]
        parts += [lambda: seen.append(len(looked))]
    script = Script([*parts, event("b", "stop"), DONE, END])
    with script as address, served(patient.replace(base_url=address)) as host:
        assert streamed(host) == "ab"
    assert seen == [0, 1, 1, 2]
    assert all(len(ids) == 1 for ids in looked)
