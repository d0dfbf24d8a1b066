"""Another process on the same ledger, for `BudgetStoreContract` (``python -m …testing._store_child``).

Arguments: ``module:callable`` of the store, the folder, what to do, how often. Prints one JSON line when it
is ready, begins when a line arrives on standard input, and prints one JSON line for each thing it has done.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from ib_kernel.values import BudgetStore, CallEnd, CallStart


def say(**what: Any) -> None:
    """Print one JSON line at once."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def race(store: BudgetStore, times: int) -> None:
    """Reserve 100 tokens and settle 60 of them, *times* times, as fast as possible."""
    settled = refused = 0
    for _ in range(times):
        held = store.reserve("s", 100, lease_s=60.0)
        if held:
            settled += store.settle(held, CallEnd(40, 20))
        else:
            refused += 1
    say(settled=settled, refused=refused)


def reserve(store: BudgetStore, times: int) -> None:
    """Reserve *times* tokens and wait until killed."""
    held = store.reserve("s", times, lease_s=60.0)
    say(held=held.reservation_id if held else None)
    sys.stdin.read()


def acknowledge(store: BudgetStore, times: int) -> None:
    """Settle calls and print each one that is acknowledged, until killed."""
    for _ in range(times):
        held = store.reserve("s", 2, lease_s=60.0)
        if held and store.settle(held, CallEnd(1, 1)):
            say(settled=held.reservation_id)


def number(store: BudgetStore, times: int) -> None:
    """Have *times* turns, some of them failed and tried again; say which numbers they were given."""
    turns = []
    for count in range(times):
        held = store.reserve("s", 1, lease_s=60.0, call=CallStart(turn=None))
        if not held:
            continue
        turns.append(held.turn)
        if count % 3 == 0:
            store.release(held, CallEnd(0, 0, error="ServerFailed"))
            held = store.reserve("s", 1, lease_s=60.0, call=CallStart(turn=held.turn, attempt=2)) or held
        store.settle(held, CallEnd(1, 0))
    say(turns=turns)


def main(factory: str, folder: str, what: str, times: str) -> None:
    """Open the store and do *what*."""
    module, _, name = factory.partition(":")
    store: BudgetStore = getattr(importlib.import_module(module), name)(folder)
    store.totals("s")
    say(ready=True)
    sys.stdin.readline()
    {"race": race, "reserve": reserve, "acknowledge": acknowledge, "number": number}[what](store, int(times))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
