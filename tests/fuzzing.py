"""How long fuzz targets run: a few examples in every test run, `FUZZ_EXAMPLES` of them with ``make fuzz``.

A target feeds one parser with whatever comes and asks for the same things each time: no error but ours, in
one line; an answer whose size is bounded; nothing that steers a reader's screen. With ``make fuzz``, examples
may take no more time and memory than `CPU_S` and `MEMORY`: an ordinary run measures neither.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

CPU_S = 2.0
"""Seconds of processor time for one example at most; one second is promised, if the machine is idle."""

MEMORY = 200 * 2**20
"""Bytes that a target's examples may add to the process at most."""

BOUNDED = "FUZZ_EXAMPLES" in os.environ

_settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def fuzzed(target: Any) -> Any:
    """Decorate a fuzz target, above `@given`."""
    if BOUNDED:
        target.hypothesis.inner_test = bounded(target.hypothesis.inner_test)
    return _settings(target)


def bounded(example: Callable[..., None]) -> Callable[..., None]:
    """Return *example* that also fails when a run of it takes too long, or all of them too much memory."""
    began: list[int] = []

    @functools.wraps(example)
    def run(*args: Any, **kwargs: Any) -> None:
        if not began:
            began.append(peak())
        start = time.process_time()
        example(*args, **kwargs)
        seconds, grown = time.process_time() - start, peak() - began[0]
        assert seconds <= CPU_S, f"{seconds:.1f} s of processor time for one example"
        assert grown <= MEMORY, f"memory grew by {grown / 2**20:,.0f} MB"

    return run


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
