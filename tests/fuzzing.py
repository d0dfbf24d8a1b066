"""How long fuzz targets run: a few examples in every test run, `FUZZ_EXAMPLES` of them with ``make fuzz``.

A target feeds one parser with whatever comes and asks for the same things each time: no error but ours, in
one line; an answer whose size is bounded; nothing that steers a reader's screen.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
"""The decorator of every fuzz target."""
