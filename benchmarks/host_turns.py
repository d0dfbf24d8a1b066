"""Part of benchmarks/host.py: a turn through the host, the whole engine, beside a local `Interview`."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_bases import KEY, settings_of
from host_peers import Started
from host_wire import MODEL

from ib_kernel.interview.interview import Interview
from ib_kernel.testing import FaultServer, Step

TEXT = "I would start with a token bucket for every user, kept in Redis."


def serve(pipe: Any) -> None:
    """Answer every request in a few pieces until the pipe closes (in a process of its own)."""
    with FaultServer(decide=lambda request: Step(pieces=("red ", "blue ") * 4)) as server:
        pipe.send(server.port)
        pipe.recv()


@contextmanager
def service() -> Iterator[int]:
    """Run the service in another process and yield its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    ours.send("end")
    process.join(10)


def first_piece_ms(port: int, token: str) -> float:
    """Ask through the host; return the milliseconds until the first piece was there."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.connect()
    start = time.perf_counter()
    line.request(
        "POST",
        "/v1/turns",
        json.dumps({"text": TEXT, "max_tokens": 100}),
        {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        },
    )
    answer = line.getresponse()
    took = 0.0
    while row := answer.readline():
        if not took and row.startswith(b"event: piece"):
            took = (time.perf_counter() - start) * 1000
    line.close()
    if not took:
        raise RuntimeError(f"no piece came ({answer.status})")
    return took


def local_ms(buddy: Interview) -> float:
    """Ask here; return the milliseconds until the first piece was there."""
    start = time.perf_counter()
    took = 0.0
    with buddy.ask(TEXT, max_tokens=100) as reply:
        for _ in reply:
            took = took or (time.perf_counter() - start) * 1000
    return took


def turns(started: Any, options: Any) -> tuple[float, list[str]]:
    """Return what a host adds to the first piece at the median, in milliseconds, and lines about it.

    Sessions change every ten turns on both sides, so that prompts stay as long.
    """
    local: list[float] = []
    remote: list[float] = []
    with service() as port, started("turns", port, options) as host:
        assert isinstance(host, Started)
        with (
            tempfile.TemporaryDirectory() as folder,
            Interview(settings_of(Path(folder), port).replace(api_key=KEY)) as buddy,
        ):
            for number in range(4 * options.rounds):
                buddy.start("Backend engineer", candidate="Ada", token_budget=10**9, model=MODEL)
                token = host.tokens[number % len(host.tokens)]
                for turn in range(10):
                    here, there = local_ms(buddy), first_piece_ms(host.port, token)
                    if number or turn > 2:  # the first ones load what is loaded once
                        local.append(here)
                        remote.append(there)
    added = statistics.median(remote) - statistics.median(local)
    lines = [
        f"`/v1/turns`, the whole engine, {len(remote)} turns one after the other: first piece after "
        f"{statistics.median(remote):.1f} ms (p50); a local `Interview` {statistics.median(local):.1f} ms.",
    ]
    return added, lines
