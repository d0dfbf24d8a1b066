"""The interpreter's own work in a process that does nothing but serve.

How long a thread keeps the interpreter while others want it stays as it is by default, 5 ms: 0.2 ms cost a
third of the gateway's calls. Who hands something over lets go by itself (docs/decisions/0023).
"""

from __future__ import annotations

import gc

ALLOCATIONS = 20_000
"""Objects more than were freed, after which the collector looks for cycles: a call makes hundreds, keeps
none and leaves few cycles, so that looking as often as by default takes an eighth of its time."""


def tune() -> None:
    """Set the interpreter up for serving; what is loaded so far is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
