"""`make bench-host-crash`: kill -9 of a host while candidates' replies stream, then an audit.

Each round, every candidate asks; the host is killed at a random moment and started again; every candidate
comes back with the same request id. Nothing acknowledged may be lost, nothing asked twice, and each reply is
whole or marked unfinished, with what it cost in doubt; at the end the ledger adds up and its hash chain is
whole. ``ROUNDS`` and ``CANDIDATES`` say how many.
"""

from __future__ import annotations

import os
import random
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

ROUNDS, CANDIDATES = int(os.environ.get("ROUNDS", "50")), int(os.environ.get("CANDIDATES", "20"))
PIECES = tuple(f"word{n} " for n in range(60))
WHOLE = "".join(PIECES)


@dataclass
class Found:
    """What the rounds have found.

    `unfinished` has the replies that were told to be so, by candidate. `unkept` is the most characters that
    somebody had read and the ledger had not: a running reply is stored four times a second. `back_s` is the
    longest time until a host that was killed answered again.
    """

    whole: int = 0
    unfinished: Counter[int] = field(default_factory=Counter)
    unkept: int = 0
    back_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return (
            f"{self.whole} whole, {self.unfinished.total()} unfinished, "
            f"at most {self.unkept} characters read and not kept, "
            f"back within {self.back_s:.1f} s, {len(self.problems)} problems"
        )


def ask(wire: Wire, request_id: str, heard: dict[str, str], ended: set[str]) -> None:
    """Ask once and keep what arrives, until the line breaks or the reply ends."""
    try:
        with wire.turn("Go on", request_id) as events:
            for kind, data in events:
                if kind == "piece":
                    heard[request_id] = heard.get(request_id, "") + data["text"]
                elif kind == "end":
                    ended.add(request_id)
    except httpx2.HTTPError:
        return


def main() -> int:
    """Run the rounds and print what was found; 1 where a promise was broken."""
    rng, found = random.Random(12), Found()
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
            for number in range(ROUNDS):
                one_round(number, host, wires, service, rng.uniform(0.05, 2.0), found)
                print(f"round {number + 1}: {found.line}", flush=True)
            found.problems += audit(host, wires, found)
            if (turns := found.whole + found.unfinished.total()) != ROUNDS * CANDIDATES:
                found.problems.append(f"{turns} replies of {ROUNDS * CANDIDATES}")
    print("\n".join(found.problems) or "nothing lost, nothing asked twice, nothing held, the chain is whole")
    return 1 if found.problems else 0


def one_round(
    number: int, host: RunningHost, wires: list[Wire], service: FaultServer, wait_s: float, found: Found
) -> None:
    """Let everybody ask, kill the host after *wait_s* seconds, and let everybody come back."""
    heard: dict[str, str] = {}
    ended: set[str] = set()
    asked = len(service.requests)
    pairs = [(wire, f"round-{number:03}-{n:03}") for n, wire in enumerate(wires)]
    threads = [threading.Thread(target=ask, args=(wire, i, heard, ended)) for wire, i in pairs]
    for thread in threads:
        thread.start()
    time.sleep(wait_s)
    host.kill()
    for thread in threads:
        thread.join()
    sent, killed_at = len(service.requests) - asked, time.monotonic()
    host.start()
    found.back_s = max(found.back_s, time.monotonic() - killed_at)
    for n, (wire, request_id) in enumerate(pairs):
        text, kind, data = wire.whole("Go on", request_id)
        read = heard.get(request_id, "")
        found.problems += check(request_id, read, text, kind, data)
        if request_id in ended and kind != "end":
            found.problems.append(f"{request_id}: it had ended, and is {kind} now")
        found.whole += kind == "end"
        found.unfinished[n] += kind == "error"
        found.unkept = max(found.unkept, len(read) - len(text))
    again, unheard = len(service.requests) - asked - sent, sum(1 for _, i in pairs if i not in heard)
    if again > unheard:
        found.problems.append(f"round {number}: {again} asked after the crash, {unheard} had not begun")


def check(request_id: str, heard: str, text: str, kind: str, data: Any) -> list[str]:
    """Return what is wrong with a reply after the host's return."""
    if not (text.startswith(heard) or (kind == "error" and heard.startswith(text))):
        return [f"{request_id}: what was heard is not what was kept"]
    if kind == "end" and text != WHOLE:
        return [f"{request_id}: the reply ended and is not whole"]
    if kind == "error" and not WHOLE.startswith(text):
        return [f"{request_id}: the kept text is none of the reply's"]
    return [] if kind in ("end", "error") else [f"{request_id}: {kind} {data}"]


def audit(host: RunningHost, wires: list[Wire], found: Found) -> list[str]:
    """Return what is wrong with the ledger at the end.

    A reply whose words had all come and whose end had not when the host was killed is unfinished too: nobody
    knows that it was whole.
    """
    problems = []
    for n, wire in enumerate(wires):
        me = wire.get("/v1/me").json()
        replies = [m for m in me["history"] if m["role"] == "assistant"]
        turns = [call["turn"] for call in me["spent"]]
        if me["totals"]["held"]:
            problems.append(f"{n}: {me['totals']['held']} held at the end")
        if len(turns) != len(set(turns)):
            problems.append(f"{n}: a turn was charged twice: {turns}")
        if cut := [m["turn"] for m in replies if m["content"] != WHOLE and not m["partial"]]:
            problems.append(f"{n}: turns {cut} are cut and do not say so")
        if (marked := sum(m["partial"] for m in replies)) > found.unfinished[n]:
            problems.append(f"{n}: {marked} replies are marked, {found.unfinished[n]} were told unfinished")
    for word, sign in (("doctor", "adds up"), ("verify", "")):
        status, said = host.ib_any(word)
        if status or sign not in said:
            problems.append(said)
        print(f"ib {word}: {said.splitlines()[-1] if said else ''}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
