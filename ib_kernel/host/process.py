"""The interpreter's own work in a process that does nothing but serve."""

from __future__ import annotations

import gc
import sys

ALLOCATIONS = 20_000
"""Objects more than were freed, after which the collector looks for cycles: a call makes hundreds, keeps
none and leaves few cycles, so that looking as often as by default takes an eighth of its time."""

SWITCH_S = 0.0002
"""Seconds for which a thread keeps the interpreter while others want it: the ledger's thread wants it between
any two statements, and everybody waits for its commit; and the server's wants it for each piece that a turn's
thread has read. With 1 ms a turn's first piece comes 1 ms later, and calls of the gateway cost the same."""


def tune() -> None:
    """Set the interpreter up for serving; what is loaded so far is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
    sys.setswitchinterval(SWITCH_S)
