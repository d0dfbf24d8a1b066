"""`make bench-host-queue`: many candidates before one rate-limited key, by turns and through the gateway.

The service gives out so many requests a second, and answers 429 with ``retry-after`` to the rest. Everybody
asks at once. Nobody may starve, nobody may be refused, and the clocks stand still while candidates wait.
``CANDIDATES``, ``TURNS`` and ``RATE`` (requests a second) say how many.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "host")]

import httpx2  # noqa: E402
from hosts import RunningHost  # noqa: E402
from wire import Wire  # noqa: E402

from ib_kernel.testing import FaultServer, Step  # noqa: E402

CANDIDATES, TURNS = int(os.environ.get("CANDIDATES", "100")), int(os.environ.get("TURNS", "2"))
RATE, BURST = float(os.environ.get("RATE", "4")), 5.0
GATEWAY_EVERY = 10
"""Each tenth candidate has a tool that asks at the same time."""

REFUSED = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}


class Bucket:
    """A service's limit: `decide` takes a token, or says when the next one is there."""

    def __init__(self) -> None:
        self._lock, self._tokens, self._seen = threading.Lock(), BURST, time.monotonic()
        self.answered = self.refused = 0

    def decide(self, request: Any) -> Step:
        """Answer, or refuse with ``retry-after``."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BURST, self._tokens + (now - self._seen) * RATE)
            self._seen = now
            if self._tokens < 1.0:
                self.refused += 1
                return Step(
                    status=429, error=REFUSED, retry_after=round((1.0 - self._tokens) / RATE + 0.01, 3)
                )
            self._tokens -= 1.0
            self.answered += 1
            return Step(text="Go on.")


@dataclass
class Found:
    """Seconds that each answered request took, by kind; what was not answered; who was answered."""

    took: dict[str, list[float]] = field(default_factory=lambda: {"turns": [], "gateway": []})
    failed: list[str] = field(default_factory=list)
    waited: Counter[int] = field(default_factory=Counter)


def turns(n: int, wire: Wire, found: Found, start: threading.Event) -> None:
    """Ask turn after turn."""
    start.wait()
    for turn in range(TURNS):
        began = time.monotonic()
        try:
            _, kind, data = wire.whole("Go on", f"turn-{n:03}-{turn:03}")
        except httpx2.HTTPError as error:
            kind, data = "lost", repr(error)
        took = time.monotonic() - began
        if kind == "end":
            found.took["turns"].append(took)
            found.waited[n] += int(took * 1000)
        else:
            found.failed.append(f"candidate {n}, turn {turn}, after {took:.0f} s: {kind} {data}")


def tool(n: int, wire: Wire, found: Found, start: threading.Event) -> None:
    """Ask as a candidate's own tool does."""
    start.wait()
    body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
    headers = {"Authorization": f"Bearer {wire.gateway_token}"}
    for turn in range(TURNS):
        began = time.monotonic()
        with httpx2.Client(timeout=600, trust_env=False) as client:
            answer = client.post(f"{wire.address}/openai/v1/chat/completions", json=body, headers=headers)
        if answer.status_code == 200:
            found.took["gateway"].append(time.monotonic() - began)
        else:
            found.failed.append(f"tool {n}, call {turn}: {answer.status_code} {answer.text[:200]}")


def main() -> int:
    """Run it and print what was found; 1 where a promise was broken."""
    bucket, found = Bucket(), Found()
    with tempfile.TemporaryDirectory() as folder, FaultServer(decide=bucket.decide) as service:
        env = {"OPENAI_API_KEY": "sk-host-only-0123456789", "OPENAI_BASE_URL": service.base_url}
        with RunningHost(Path(folder) / "host", env=env) as host:
            wires = [join(host, n) for n in range(CANDIDATES)]
            before = [clock_of(wire) for wire in wires]
            start = threading.Event()
            threads = [threading.Thread(target=turns, args=(n, w, found, start)) for n, w in enumerate(wires)]
            threads += [
                threading.Thread(target=tool, args=(n, wires[n], found, start))
                for n in range(0, CANDIDATES, GATEWAY_EVERY)
            ]
            for thread in threads:
                thread.start()
            began = time.monotonic()
            start.set()
            for thread in threads:
                thread.join()
            took_s = time.monotonic() - began
            problems = [*found.failed, *clocks(wires, before, found)]
            status, said = host.ib_any("verify")
            problems += [said] if status else []
    print(
        f"{CANDIDATES} candidates, {len(threads) - CANDIDATES} of them with a tool, {RATE:g} requests "
        "a second: "
        f"{bucket.answered} answered and {bucket.refused} refused by the service in {took_s:.0f} s"
    )
    for kind, times in found.took.items():
        print(f"{kind}: {spread(times)}")
    print("\n".join(problems) or "nobody starved, nobody was refused, the clocks stood still")
    return 1 if problems else 0


def join(host: RunningHost, n: int) -> Wire:
    """Invite and join a candidate, as often as a host lets one address."""
    more = ("--gateway",) if n % GATEWAY_EVERY == 0 else ()
    line = host.invite(
        "--budget", "50000000", "--minutes", "60", "--candidate", f"Ada {n}", "--model", "gpt-5.4-mini", *more
    )
    while True:
        try:
            wire = Wire.joined(line)
            assert wire.post("/v1/begin").status_code == 200
            return wire
        except AssertionError as refused:
            if "rate" not in str(refused) and "too many" not in str(refused):
                raise
            time.sleep(1)


def clock_of(wire: Wire) -> tuple[float, float]:
    """Return the time now, and the seconds that a candidate's clock has run."""
    session = wire.get("/v1/me").json()["session"]
    return time.monotonic(), 3600.0 - session["time_left_s"]


def clocks(wires: list[Wire], before: list[tuple[float, float]], found: Found) -> list[str]:
    """Print for how long clocks ran while their candidates waited, and return whose ran too long."""
    problems, ran = [], []
    for n, (wire, (began, had_run)) in enumerate(zip(wires, before, strict=True)):
        now, has_run = clock_of(wire)
        waited = found.waited[n] / 1000
        ran.append(has_run - had_run - (now - began - waited))
        if ran[-1] > 5.0 + 0.2 * waited:
            problems.append(
                f"candidate {n}: waited {waited:.1f} s, and the clock ran for {ran[-1]:.1f} s of it"
            )
    print(f"a candidate waited: {spread([ms / 1000 for ms in found.waited.values()])}")
    print(f"of that on the clock: {spread(ran)}")
    return problems


def spread(times: list[float]) -> str:
    """Return how a few numbers of seconds are spread."""
    if not times:
        return "none"
    ordered = sorted(times)
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * q))] for name, q in (("p95", 0.95),)}
    return (
        f"{len(ordered)}, least {ordered[0]:.1f}, median {statistics.median(ordered):.1f}, "
        f"p95 {at['p95']:.1f}, most {ordered[-1]:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
