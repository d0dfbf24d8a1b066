"""How long fuzz targets run: a few examples in every test run, many with ``make fuzz`` (`IB_FUZZ` examples).

A target feeds one parser with whatever comes and asks for the same things each time: no error but ours, in
one line; an answer whose size is bounded; nothing that steers a reader's screen.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

fuzzed = settings(
    max_examples=int(os.environ.get("IB_FUZZ", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
"""The decorator of every fuzz target."""
