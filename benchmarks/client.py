"""What a turn costs beside other clients: CPU per call and per chunk, interrupts, and a storm of faults.

    python benchmarks/client.py [--rounds 15] [--calls 20] [--litellm OTHER/bin/python] [--out FILE]

All clients talk to the same loopback server in another process and take turns in one run, so that the
machine's moods meet all of them. CPU is of the whole client process, threads included. Ours is a whole `ask`:
prompt built, counted, held, sent, streamed, settled, durable. A peer that is not installed is skipped:
``pip install langchain-openai 'pydantic-ai-slim[openai]'``; LiteLLM needs an environment of its own.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client_peers import CAP, MODEL, PEERS, Peer

from ib_kernel import Interview, Settings
from ib_kernel.interview.prompts import build_messages
from ib_kernel.testing import FAULTS, FaultServer, Step

ROOT = Path(__file__).resolve().parent.parent
SMALL, LARGE = 2, 200
TEXT = "I would start with a token bucket for every user, kept in Redis."
NEEDS = {"LangChain": "langchain_openai", "pydantic-ai": "pydantic_ai", "LiteLLM": "litellm"}
PACKAGES = ("openai", "httpx2", "langchain-openai", "pydantic-ai-slim")


def serve(pieces: int, pipe: Any) -> None:
    """Answer every request with *pieces* pieces until the pipe closes (in a process of its own)."""
    with FaultServer(decide=lambda request: Step(pieces=("red ", "blue ") * (pieces // 2))) as server:
        pipe.send(server.base_url)
        pipe.recv()


@contextmanager
def server(pieces: int) -> Iterator[str]:
    """Run the server in another process and yield its base URL."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(pieces, theirs), daemon=True)
    process.start()
    yield ours.recv()
    ours.send("end")
    process.join()


class Ours:
    """The whole pipeline, asked from this thread as a notebook cell does."""

    def __init__(self, url: str, folder: str) -> None:
        settings = Settings(
            data_dir=folder, base_url=url, api_key="sk-bench-0123456789", model=MODEL, store_transcript=False
        )
        self.buddy = Interview(settings)
        self.buddy.start("Backend engineer", candidate="Ada", token_budget=10**9)
        self.messages = [dict(m) for m in build_messages(self.buddy.session, None, [], TEXT)]

    def round(self, calls: int) -> float:
        """Make *calls* turns and return the CPU milliseconds of each."""
        start = time.process_time()
        for _ in range(calls):
            with self.buddy.ask(TEXT, max_tokens=CAP) as reply:
                for _ in reply:
                    pass
        return (time.process_time() - start) / calls * 1000


def costs(pieces: int, rounds: int, calls: int, other: str | None) -> dict[str, list[float]]:
    """Return the CPU milliseconds per call of each round, by client; the clients take turns."""
    found: dict[str, list[float]] = {}
    with server(pieces) as url, tempfile.TemporaryDirectory() as folder:
        ours = Ours(url, folder)
        clients: dict[str, Any] = {
            name: Peer(name, url, ours.messages)
            for name in PEERS
            if name not in NEEDS or (name != "LiteLLM" and importlib.util.find_spec(NEEDS[name]))
        }
        clients["Interview.ask"] = ours
        for client in clients.values():
            client.round(calls)
        for _ in range(rounds):
            for name, client in clients.items():
                found.setdefault(name, []).append(client.round(calls))
        if other:
            environment = {**os.environ, "IB_BENCH_MESSAGES": json.dumps(ours.messages)}
            command = [other, str(Path(__file__).with_name("client_peers.py")), "LiteLLM", url, str(calls)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
            if done.returncode == 0:
                found["LiteLLM"] = json.loads(done.stdout)
            else:
                print(done.stderr[-500:], file=sys.stderr)
        ours.buddy.close()
    return found


def interrupts(kind: str, times: int) -> tuple[list[float], int]:
    """Interrupt *times* turns with SIGINT while *kind*; return the milliseconds until control is back.

    Also returns how many open streams the server has seen closed.
    """
    step = {
        "streaming": Step(pieces=("word ",) * 2000, delay_s=0.01),
        "waiting for the first piece": FAULTS["hang-after-headers"].step,
        "waiting for a retry": Step(status=429, error=FAULTS["429"].step.error, retry_after=30),
    }[kind]
    back, ended = [], 0
    with (
        FaultServer(decide=lambda request: step) as running,
        tempfile.TemporaryDirectory() as folder,
        Interview(
            Settings(data_dir=folder, base_url=running.base_url, api_key="sk-x1234567", model=MODEL)
        ) as buddy,
    ):
        for number in range(times):
            buddy.start(token_budget=10**6)
            sent: list[float] = []

            def press(number: int = number, sent: list[float] = sent) -> None:
                running.wait_for_requests(number + 1)
                running.wait_for_progress()
                time.sleep(0.05)
                sent.append(time.perf_counter())
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=press, daemon=True).start()
            try:
                with buddy.ask(TEXT, max_tokens=CAP) as reply:
                    for _ in reply:
                        pass
            except KeyboardInterrupt:
                pass
            back.append((time.perf_counter() - sent[0]) * 1000)
            if kind != "waiting for a retry":
                running.wait_for_disconnect(number=number)
            ended += 1
            assert buddy.service.totals(buddy.session.session_id).held == 0
    return back, ended


def storm(calls: int) -> list[str]:
    """Run the tests' storm of random faults and return what it left behind, as lines."""
    sys.path.insert(0, str(ROOT / "tests"))
    from storm import brew

    lines = []
    for budget in (10_000_000, 60_000):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            seen = brew(calls, 30, Path(folder), seed=7, budget=budget)
        endings = ", ".join(f"{name} {count}" for name, count in seen.endings.most_common())
        left = len(seen.tasks_left) + len(seen.threads_left) + seen.sockets_left + len(seen.complaints)
        lines.append(
            f"- {calls:,} calls, 30 in flight, budget {budget:,}: {time.perf_counter() - start:.1f} s, "
            f"{seen.requests:,} requests; held at the end {seen.held}; overdraft {seen.overdraft:,} of "
            f"{seen.over_reported:,} tokens that the service over-reported; tasks, threads, sockets and "
            f"complaints left {left}; audit {seen.problems or 'adds up'}. Endings: {endings}."
        )
    return lines


def table(small: dict[str, list[float]], large: dict[str, list[float]]) -> list[str]:
    """Return the comparison as Markdown: medians, and ratios to the SDK."""
    lines = [
        "| client | ms per call | above the SDK | least | above the SDK | ms per chunk | chunk, SDK = 1 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    base, chunk_base = statistics.median(small["openai SDK"]), _per_chunk(small, large, "openai SDK")
    least = min(small["openai SDK"])
    for name in small:
        call, chunk = statistics.median(small[name]), _per_chunk(small, large, name)
        best = min(small[name])
        lines.append(
            f"| {name} | {call:.2f} | {call - base:+.2f} | {best:.2f} | {best - least:+.2f} | {chunk:.4f} | "
            f"{chunk / chunk_base:.2f} |"
        )
    return lines


def _per_chunk(small: dict[str, list[float]], large: dict[str, list[float]], name: str) -> float:
    return (statistics.median(large[name]) - statistics.median(small[name])) / (LARGE - SMALL)


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--litellm", help="Python of an environment that has LiteLLM")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "client.md")
    options = parser.parse_args()
    os.environ["IB_CONFIG"] = os.devnull
    storms = storm(1_000) if options.times else []  # first: peers' leftovers are not ours
    small = costs(SMALL, options.rounds, options.calls, options.litellm)
    large = costs(LARGE, options.rounds, max(2, options.calls // 4), options.litellm)
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES if _installed(p))
    lines = [
        "# A turn beside other clients",
        "",
        f"{datetime.datetime.now(datetime.UTC).date()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.system()}; {versions}. Written by "
        "`make bench-client`; ratios are what counts.",
        "",
        f"CPU of the client process, median and least of {options.rounds} alternated rounds; a call streams "
        f"{SMALL} pieces, chunks are measured against replies of {LARGE}. `Interview.ask` is the whole turn: "
        "prompt, count, hold, call, settle, durable.",
        "",
        *table(small, large),
        "",
        "## Interrupts",
        "",
        "| while | times | median ms | slowest ms | within 250 ms | server saw the end |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind in ("streaming", "waiting for the first piece", "waiting for a retry") if options.times else ():
        back, ended = interrupts(kind, options.times)
        within = sum(one <= 250 for one in back)
        lines.append(
            f"| {kind} | {len(back)} | {statistics.median(back):.0f} | {max(back):.0f} | {within} | {ended} |"
        )
    lines += ["", "## A storm of random faults", ""]
    lines += storms
    print("\n".join(lines))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
