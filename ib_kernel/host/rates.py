"""How often somebody may try: a bucket of tries for each address, and one for all of them together."""

from __future__ import annotations

import collections
import math
import threading
import time
from collections.abc import Callable

from ib_kernel.host.answers import Refused

MOST_ADDRESSES = 10_000


class RateLimit:
    """Lets through *burst* tries of one address at once and *per_minute* after them.

    Codes have 80 random bits; this keeps guessing from being work for the host, not from succeeding.
    """

    def __init__(
        self,
        per_minute: float = 60,
        burst: float = 60,  # a class behind one address joins within a minute
        *,
        all_per_minute: float = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._clock = per_minute / 60, burst, clock
        self._all_rate, self._all_burst = all_per_minute / 60, all_per_minute / 4
        self._left: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()
        self._all = (self._all_burst, clock())
        self._lock = threading.Lock()

    def require(self, address: str) -> None:
        """Count a try of *address*.

        Raises:
            Refused: 429 with the seconds to wait.
        """
        with self._lock:
            now = self._clock()
            mine = _filled(self._left.pop(address, (self._burst, now)), self._rate, self._burst, now)
            everybody = _filled(self._all, self._all_rate, self._all_burst, now)
            allowed = mine >= 1 and everybody >= 1
            self._left[address] = (mine - allowed, now)
            self._all = (everybody - allowed, now)
            while len(self._left) > MOST_ADDRESSES:
                self._left.popitem(last=False)
        if not allowed:
            wait = (1 - mine) / self._rate if mine < 1 else (1 - everybody) / self._all_rate
            raise Refused(429, "too_many", f"too many tries; the next in {math.ceil(wait)} s", wait)


def _filled(bucket: tuple[float, float], rate: float, burst: float, now: float) -> float:
    left, at = bucket
    return min(burst, left + rate * max(0.0, now - at))
