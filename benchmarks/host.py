"""The gateway beside bare pass-throughs and its peers, and a turn through the host beside a local one.

    python benchmarks/host.py [--rounds 5] [--seconds 4] [--hardcap ITS/bin/python] [--litellm ITS/bin/python]

One upstream, one load generator, one server at a time: three processes. All servers take turns in one run,
so that the machine's moods meet all of them; CPU is of the server's process. The bases are bare Starlette +
aiohttp, the same with the request's JSON parsed and written, hardcap (needs a Redis on port 6379) and
LiteLLM's proxy; a peer that is not there is skipped with a line.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import multiprocessing
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_peers import PEERS, Started, started
from host_turns import turns
from host_wire import EVENTS, Load, drive, run, serve

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE, STREAMS, GAP_S, IDLE_S = 64, 200, 0.05, 1.0
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """What was measured of one server, one value a round."""

    first_ms: list[float] = field(default_factory=list)
    cpu_call_ms: list[float] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)
    cpu_chunk_us: list[float] = field(default_factory=list)
    chunks_s: list[float] = field(default_factory=list)
    gap_p95_ms: list[float] = field(default_factory=list)
    failures: int = 0
    idle_failures: int = 0
    idle_mb: float = float("nan")
    said: str = ""

    def of(self, name: str) -> float:
        """Return the median of one figure."""
        values = getattr(self, name)
        return statistics.median(values) if values else float("nan")


@contextmanager
def upstream(gap_s: float = 0.0, idle_s: float | None = None) -> Iterator[int]:
    """Run the service in another process and yield its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, gap_s, idle_s), daemon=True)
    process.start()
    yield ours.recv()
    ours.send("end")
    process.join(10)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far, its children included."""
    found = 0.0
    for one in [pid, *children(pid)]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / TICK
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def load(server: Started, **given: Any) -> Load:
    """Drive one server."""
    return run(drive(server.port, server.path, server.tokens, **given))


def first_chunk(servers: dict[str, Started], found: dict[str, Figures], calls: int) -> None:
    """One stream after the other: milliseconds to the first chunk."""
    for name, server in servers.items():
        seen = load(server, at_once=1, stream=True, seconds=0, each=calls)
        found[name].first_ms.append(seen.p50_first())


def whole_calls(servers: dict[str, Started], found: dict[str, Figures], seconds: float) -> None:
    """64 calls at once, each answered in one piece."""
    for name, server in servers.items():
        before = cpu_s(server.pid)
        seen = load(server, at_once=AT_ONCE, stream=False, seconds=seconds)
        figures = found[name]
        figures.calls_s.append(seen.calls / seen.seconds)
        if seen.calls:
            figures.cpu_call_ms.append((cpu_s(server.pid) - before) / seen.calls * 1000)
        figures.failures += seen.failures
        figures.said = figures.said or seen.said


def flat_out(servers: dict[str, Started], found: dict[str, Figures], each: int) -> None:
    """200 streams at once as fast as they go."""
    for name, server in servers.items():
        before = cpu_s(server.pid)
        seen = load(server, at_once=STREAMS, stream=True, seconds=0, each=each)
        figures = found[name]
        figures.chunks_s.append(seen.chunks / seen.seconds)
        figures.cpu_chunk_us.append((cpu_s(server.pid) - before) / max(1, seen.chunks) * 1e6)
        figures.failures += seen.failures
        figures.said = figures.said or seen.said


def steady(servers: dict[str, Started], found: dict[str, Figures], each: int, *, idle: bool) -> None:
    """200 streams with a piece every 50 ms."""
    for name, server in servers.items():
        seen = load(server, at_once=STREAMS, stream=True, seconds=0, each=each)
        figures = found[name]
        if idle:
            figures.idle_failures += seen.failures
        else:
            figures.gap_p95_ms.append(seen.p95_gap())
            figures.failures += seen.failures
        figures.said = figures.said or seen.said


def measure(options: argparse.Namespace) -> tuple[dict[str, Figures], list[str]]:
    """Return the figures of all servers, and a line for each peer that was skipped."""
    found: dict[str, Figures] = {}
    skipped: list[str] = []

    @contextmanager
    def all_on(port: int) -> Iterator[dict[str, Started]]:
        with contextlib.ExitStack() as stack:
            servers = {"direct": Started("direct", port, "/v1", ["none"], 0)}
            for name in PEERS:
                try:
                    servers[name] = stack.enter_context(started(name, port, options))
                except RuntimeError as error:
                    line = f"{name} was skipped: {error}"
                    if line not in skipped:
                        skipped.append(line)
                        print(line, file=sys.stderr)
            for name in servers:
                found.setdefault(name, Figures())
            yield servers

    with upstream() as port, all_on(port) as servers:
        for name, server in servers.items():
            if server.pid:
                found[name].idle_mb = rss_mb(server.pid)
            load(server, at_once=4, stream=True, seconds=0, each=3)
            load(server, at_once=4, stream=False, seconds=0, each=10)
        for _ in range(options.rounds):
            first_chunk(servers, found, options.calls)
            whole_calls(servers, found, options.seconds)
            flat_out(servers, found, options.each)
    with upstream(gap_s=GAP_S) as port, all_on(port) as servers:
        for _ in range(max(1, options.rounds // 2)):
            steady(servers, found, 1, idle=False)
    with upstream(gap_s=GAP_S, idle_s=IDLE_S) as port, all_on(port) as servers:
        steady(servers, found, 2, idle=True)
    return found, skipped


def table(found: dict[str, Figures]) -> list[str]:
    """Return the figures as Markdown."""
    lines = [
        "| | added ms to first chunk | CPU ms a call | calls/s | CPU µs a chunk | chunks/s | gap p95 ms | "
        "failures | with idle closes | idle MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    base = found["direct"].of("first_ms")
    for name, one in found.items():
        own = name != "direct"
        lines.append(
            f"| {name} | {one.of('first_ms') - base:.2f} | {one.of('cpu_call_ms'):.3f} | "
            f"{one.of('calls_s'):,.0f} | {one.of('cpu_chunk_us') if own else 0:.1f} | "
            f"{one.of('chunks_s'):,.0f} | {one.of('gap_p95_ms'):.1f} | {one.failures} | "
            f"{one.idle_failures} | {one.idle_mb:.0f} |"
        )
    return lines


def targets(found: dict[str, Figures], turn_ms: float) -> list[str]:
    """Return each target of the gateway with what was measured."""
    ours, bare, parsing, direct = (found[name] for name in ("gateway", "bare", "parsing", "direct"))
    base = direct.of("first_ms")
    rows: list[tuple[str, float, float, bool]] = [
        (
            "added time to the first chunk, × bare",
            (ours.of("first_ms") - base) / (bare.of("first_ms") - base),
            2,
            False,
        ),
        ("CPU a chunk, × bare", ours.of("cpu_chunk_us") / bare.of("cpu_chunk_us"), 1.5, False),
        ("chunks/s with 200 streams, × bare", ours.of("chunks_s") / bare.of("chunks_s"), 0.9, True),
        ("calls/s, 64 at once", ours.of("calls_s"), 888, True),
        ("calls/s, × the one that parses", ours.of("calls_s") / parsing.of("calls_s"), 0.6, True),
        ("CPU ms a call", ours.of("cpu_call_ms"), 0.6, False),
        ("gap p95 at 50 ms, × direct", ours.of("gap_p95_ms") / direct.of("gap_p95_ms"), 1.1, False),
        ("failures", ours.failures, 0, False),
        ("failures when idle connections are closed", ours.idle_failures, 0, False),
        ("idle memory, × bare", ours.idle_mb / bare.idle_mb, 2.5, False),
        ("/v1/turns: added ms to the first piece over a local Interview", turn_ms, 5, False),
    ]
    if "LiteLLM" in found:
        rows.append(("calls/s, × LiteLLM", ours.of("calls_s") / found["LiteLLM"].of("calls_s"), 8, True))
    lines = ["| target | measured | |", "|---|---:|---|"]
    for what, value, goal, at_least in rows:
        met = value >= goal if at_least else value <= goal
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        lines.append(
            f"| {what} {'≥' if at_least else '≤'} {goal:g} | {shown} | {'met' if met else 'MISSED'} |"
        )
    return lines


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--hardcap", help="Python of an environment that has hardcap and uvicorn")
    parser.add_argument("--litellm", help="Python of an environment that has litellm[proxy]")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "host.md")
    options = parser.parse_args()
    os.environ["IB_CONFIG"] = os.devnull
    found, skipped = measure(options)
    print("\n".join(table(found)), file=sys.stderr)  # what comes next may fail, and this took long
    added, turn_lines = turns(started, options)
    lines = [
        "# The gateway beside pass-throughs and peers",
        "",
        f"{datetime.datetime.now(datetime.UTC).date()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.system()}. Written by `make bench-host`; ratios are what counts.",
        "",
        f"Medians of {options.rounds} alternated rounds; a stream has {EVENTS} pieces. Calls: {AT_ONCE} at "
        f"once; chunks: {STREAMS} streams flat out; gaps: {STREAMS} streams, {GAP_S * 1000:.0f} ms between "
        f"pieces; idle closes: the upstream closes connections idle for {IDLE_S:g} s. The gateway's "
        "ledger is durable.",
        "",
        *table(found),
        "",
        *targets(found, added),
        "",
        *turn_lines,
        *skipped,
    ]
    print("\n".join(lines))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
