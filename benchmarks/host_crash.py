"""`make bench-host-crash`: kill -9 of a host while candidates' replies stream, then an audit.

Each round, every candidate asks; the host is killed at a random moment and started again; every candidate
comes back with the same request id. Nothing acknowledged may be lost, nothing asked twice, and each reply is
whole or marked unfinished, with what it cost in doubt. ``ROUNDS`` and ``CANDIDATES`` say how many.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "host")]

import httpx2  # noqa: E402
from hosts import RunningHost  # noqa: E402
from wire import Wire  # noqa: E402

from ib_kernel.testing import FaultServer, Step  # noqa: E402

ROUNDS, CANDIDATES = int(os.environ.get("ROUNDS", "50")), int(os.environ.get("CANDIDATES", "20"))
PIECES = tuple(f"word{n} " for n in range(60))
WHOLE = "".join(PIECES)


def ask(wire: Wire, request_id: str, heard: dict[str, str]) -> None:
    """Ask once and keep what arrives, until the line breaks or the reply ends."""
    try:
        with wire.turn("Go on", request_id) as events:
            for kind, data in events:
                if kind == "piece":
                    heard[request_id] = heard.get(request_id, "") + data["text"]
    except httpx2.HTTPError:
        return


def main() -> int:
    """Run the rounds and print what was found; 1 where a promise was broken."""
    rng, problems = random.Random(12), []
    whole = cut = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultServer(decide=lambda request: Step(pieces=PIECES, delay_s=0.02)) as service,
    ):
        env = {
            "OPENAI_API_KEY": "sk-host-only-0123456789",
            "OPENAI_BASE_URL": service.base_url,
            "IB_LEASE_S": "2",
        }
        with RunningHost(Path(folder) / "host", env=env) as host:
            wires = [Wire.joined(host.invite("--budget", "50000000")) for _ in range(CANDIDATES)]
            for turn in range(ROUNDS):
                heard: dict[str, str] = {}
                asked = len(service.requests)
                ids = [f"round-{turn:03}-{n:03}" for n in range(CANDIDATES)]
                pairs = list(zip(wires, ids, strict=True))
                threads = [threading.Thread(target=ask, args=(w, i, heard)) for w, i in pairs]
                for thread in threads:
                    thread.start()
                time.sleep(rng.uniform(0.05, 2.0))
                host.kill()
                for thread in threads:
                    thread.join()
                sent = len(service.requests) - asked
                host.start()
                for wire, request_id in pairs:
                    text, kind, data = wire.whole("Go on", request_id)
                    problems += check(request_id, heard.get(request_id, ""), text, kind, data)
                    whole += kind == "end"
                    cut += kind == "error"
                again = len(service.requests) - asked - sent
                unheard = sum(1 for i in ids if i not in heard)
                if again > unheard:
                    problems.append(f"round {turn}: {again} asked after the crash, {unheard} had not begun")
                print(
                    f"round {turn + 1}: {whole} whole, {cut} unfinished, {len(problems)} problems", flush=True
                )
            held = [w.get("/v1/status").json()["totals"]["held"] for w in wires]
            if any(held):
                problems.append(f"held at the end: {held}")
            problems += host.ib("doctor").splitlines()[5:] if "adds up" not in host.ib("doctor") else []
    print("\n".join(problems) or "nothing lost, nothing asked twice, nothing held")
    return 1 if problems else 0


def check(request_id: str, heard: str, text: str, kind: str, data: object) -> list[str]:
    """Return what is wrong with a reply after the host's return."""
    if not text.startswith(heard) and kind == "end":
        return [f"{request_id}: what was heard is not what was kept"]
    if kind == "end" and text != WHOLE:
        return [f"{request_id}: the reply ended and is not whole"]
    if kind == "error" and not WHOLE.startswith(text):
        return [f"{request_id}: the kept text is none of the reply's"]
    return [] if kind in ("end", "error") else [f"{request_id}: {kind} {data}"]


if __name__ == "__main__":
    sys.exit(main())
