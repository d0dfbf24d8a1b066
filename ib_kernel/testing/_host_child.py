"""Another process of a host on the same ledger, for `HostStoreContract` (``python -m …testing._host_child``).

Arguments: ``module:callable`` of the store, the folder, what to do, and its values. Prints one JSON line when
it is ready, begins when a line arrives on standard input, and prints one JSON line for each thing it did.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ib_kernel.errors import RepeatedRequest
from ib_kernel.testing._host_base import sha, token
from ib_kernel.testing._store_child import say
from ib_kernel.values import CallEnd, CallStart


def take(store: Any, code: str, nonce: str) -> None:
    """Take an invitation; say whether that was allowed."""
    taken = store.take_invitation(sha(code), sha(nonce), [token(nonce, subject="")])
    say(taken=taken is not None)


def ask(store: Any, request_id: str, times: str) -> None:
    """Ask for the same request again and again; say how often it was admitted."""
    admitted = 0
    for _ in range(int(times)):
        try:
            held = store.reserve("s", 10, lease_s=600.0, call=CallStart(None, request_id=request_id))
            admitted += bool(held)
        except RepeatedRequest:
            pass
    say(admitted=admitted)


def answer(store: Any, request_id: str) -> None:
    """Reserve for a request and store pieces of its reply, each said when it is durable, until killed."""
    held = store.reserve("s", 10, lease_s=600.0, call=CallStart(None, request_id=request_id))
    text = ""
    for count in range(10**6):
        text += f"{count} "
        store.write_reply(held, text)
        say(length=len(text))


def spend(store: Any, nano_usd: str, times: str) -> None:
    """Reserve and settle money as fast as possible; say how often that was admitted."""
    admitted = 0
    for _ in range(int(times)):
        held = store.reserve("s", 1, lease_s=60.0, nano_usd=int(nano_usd))
        if held:
            admitted += 1
            store.settle(held, CallEnd(1, 0, cost_nano_usd=int(nano_usd)))
    say(admitted=admitted)


def run(store: Any, most: str, times: str) -> None:
    """Reserve for calls of which *most* may run; say how many were let through."""
    call = CallStart(None, most_running=int(most))
    say(admitted=sum(bool(store.reserve("s", 1, lease_s=600.0, call=call)) for _ in range(int(times))))


def speak(store: Any, kind: str) -> None:
    """Record one event."""
    from ib_kernel.values import LedgerEvent

    store.add_event(LedgerEvent("s", kind, 0.0))
    say(done=True)


def main(factory: str, folder: str, what: str, *values: str) -> None:
    """Open the store and do *what*."""
    module, _, name = factory.partition(":")
    store = getattr(importlib.import_module(module), name)(folder)
    store.totals("s")
    say(ready=True)
    sys.stdin.readline()
    works: dict[str, Any] = {"take": take, "ask": ask, "answer": answer, "spend": spend, "speak": speak}
    works["run"] = run
    works[what](store, *values)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
