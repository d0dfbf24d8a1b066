"""`make bench-host-stops`: how soon the service's stream ends when a candidate stops a reply through a host.

A candidate asks, reads a random number of pieces and leaves the reply, as the kernel's interrupt and the
Stop button do. Timed is from the stop until the service sees its connection closed; with it, until the
candidate has the turn's figures. At the end nothing is held and every stopped turn is charged once. ``STOPS``
says how many.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "host")]

from hosts import RunningHost, joined  # noqa: E402

from ib_kernel.testing import FaultServer, Step  # noqa: E402

STOPS = int(os.environ.get("STOPS", "100"))
MOST_S = 0.25
PIECES = tuple(f"word{n} " for n in range(400))


class Watch:
    """Notes when the service saw a connection close."""

    def __init__(self, service: FaultServer, number: int) -> None:
        self.at, self._service, self._number = 0.0, service, number
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        self._service.wait_for_disconnect(number=self._number)
        self.at = time.monotonic()

    def join(self) -> float:
        """Return the moment."""
        self._thread.join()
        return self.at


def main() -> int:
    """Stop replies and print how long it took; 1 where a promise was broken."""
    rng, upstream, figures = random.Random(12), [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultServer(decide=lambda request: Step(pieces=PIECES, delay_s=0.02)) as service,
    ):
        env = {"OPENAI_API_KEY": "sk-host-only-0123456789", "OPENAI_BASE_URL": service.base_url}
        with RunningHost(Path(folder) / "host", env=env) as host:
            there = joined(host.invite("--budget", "50000000"), Path(folder) / "seat").interview
            for _ in range(STOPS):
                reply, wanted = there.ask("Go on"), rng.randint(1, 20)
                with reply:
                    for n, _ in enumerate(reply, 1):
                        if n >= wanted:
                            break
                    watch = Watch(service, service.requests[-1].number)
                    stopped = time.monotonic()
                figures.append(time.monotonic() - stopped)
                upstream.append(watch.join() - stopped)
            totals = there.service.totals(there.session_id)
    for what, times in (("upstream closed", upstream), ("figures known", figures)):
        p95 = statistics.quantiles(times, n=20)[18]
        late = sum(t > MOST_S for t in times)
        print(
            f"{what} after, ms: p50 {1000 * statistics.median(times):.0f}, p95 {1000 * p95:.0f}, "
            f"max {1000 * max(times):.0f}; {late} of {len(times)} above {1000 * MOST_S:.0f}"
        )
    print(f"turns {totals.turns}, held {totals.held}, in doubt {totals.in_doubt}")
    return int(max(upstream) > MOST_S or totals.held + totals.in_doubt > 0 or totals.turns != STOPS)


if __name__ == "__main__":
    sys.exit(main())
