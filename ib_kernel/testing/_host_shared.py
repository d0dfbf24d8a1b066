"""`HostStoreContract`, third part: several hosts on one ledger, each of which may die."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.testing._host_base import HostProcesses, Ledger, go, hear
from ib_kernel.testing._store_base import Clock, begin, refused, reserve
from ib_kernel.values import CallEnd, CallStart, Message

RESULT = {"kind": "error", "data": {"turn": 1}}
SAID = (Message(1, "user", "q"), Message(1, "assistant", "hel", partial=True))


def two(**more: Any) -> CallStart:
    """Return an attempt of a session of which two may run."""
    return CallStart(None, most_running=2, **more)


class SharedLedger(HostProcesses):
    """What one host does another host goes by."""

    def test_as_many_run_as_a_call_allows(self, store: Ledger, clock: Clock) -> None:
        """Whoever has reserved; what has ended or is in doubt runs no more, and nobody else is bound."""
        begin(store)
        begin(store, session_id="t")
        first, second = reserve(store, 1, call=two()), reserve(store, 1, call=two())
        refusal = refused(store, 1, call=two())
        assert (refusal.reason, refusal.left) == ("running", 998)
        assert reserve(store, 1, call=two(), session_id="t")
        third = reserve(store, 1)
        store.settle(first, CallEnd(1, 0))
        assert refused(store, 1, call=two()).reason == "running"
        store.release(third)
        fourth = reserve(store, 1, call=two(), lease_s=10)
        store.mark_unresolved(second, "StreamBroken")
        reserve(store, 1, call=two())
        assert refused(store, 1, call=two()).reason == "running"
        clock.step(11)
        store.reservations("s")
        assert reserve(store, 1, call=two())
        store.settle(fourth, CallEnd(1, 0))
        assert refused(store, 1, call=two()).reason == "running"
        assert refused(store, 10**6, call=two()).reason == "budget"

    def test_a_dead_hosts_calls_run_no_more(self, store: Ledger, clock: Clock) -> None:
        """A refusal ends what is over, so that the next try is let through."""
        begin(store)
        reserve(store, 1, call=two(), lease_s=5)
        reserve(store, 1, call=two(), lease_s=5)
        clock.step(6)
        tries = [store.reserve("s", 1, lease_s=60.0, call=two()) for _ in range(2)]
        assert tries[-1]

    def test_processes_share_the_places(self, folder: Path) -> None:
        """Eight processes reserve at once: two are let through."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store: Any = self.make_store(folder, Clock(time.time()))
        begin(store)
        with ExitStack() as stack:
            children = [stack.enter_context(self.child(folder, "run", "2", "3")) for _ in range(8)]
            for child in children:
                go(child)
            assert sum(hear(child)["admitted"] for child in children) == 2
        store.close()

    def test_what_stays_unfinished_is_written_down_once(self, store: Ledger, clock: Clock) -> None:
        """Of all hosts that sweep, one does it; what runs or is finished is left alone."""
        begin(store)
        held = reserve(store, 10, call=CallStart(None, request_id="r"))
        store.write_reply(held, "hel", result={"question": "q"})
        assert not store.close_request("s", "r", SAID, RESULT)
        assert not store.close_request("s", "another", SAID, RESULT)
        clock.step(61)
        assert store.close_request("s", "r", SAID, RESULT)
        assert not store.close_request("s", "r", SAID, RESULT)
        request: Any = store.request("s", "r")
        assert (request.state, request.text, request.result) == ("unfinished", "hel", RESULT)
        assert [(m.role, m.content, m.partial) for m in store.history("s")] == [
            ("user", "q", False),
            ("assistant", "hel", True),
        ]
        whole = [Message(1, "user", "q"), Message(1, "assistant", "hello")]
        store.settle(held, CallEnd(1, 1), messages=whole)  # its host was only slow
        assert [m.content for m in store.history("s")] == ["q", "hel", "hello"]
        done = reserve(store, 10, call=CallStart(None, request_id="done"))
        store.write_reply(done, "hello", state="finished")
        store.settle(done, CallEnd(1, 1))
        clock.step(10**6)
        assert not store.close_request("s", "done", (), RESULT)

    def test_what_was_kept_before_is_not_kept_twice(self, store: Ledger, clock: Clock) -> None:
        """A host that marked its call and died has left the turn's messages already."""
        begin(store)
        held = reserve(store, 10, call=CallStart(None, request_id="r"))
        store.mark_unresolved(held, "StreamBroken", messages=SAID)
        assert store.close_request("s", "r", SAID, RESULT)
        assert len(store.history("s")) == 2
        slow = reserve(store, 10, call=CallStart(None, request_id="slow"), lease_s=5)
        clock.step(6)
        assert store.close_request("s", "slow", SAID, RESULT)
        store.mark_unresolved(slow, "StreamBroken", messages=SAID)
        assert len(store.history("s")) == 4

    def test_hosts_give_the_same_time_back_once(self, store: Ledger, clock: Clock) -> None:
        """Seconds that end now are given back less what anybody has given back since they began."""
        begin(store, time_limit_s=1_000.0)
        clock.step(100)
        assert store.credit_time("s", 20, "queued", ending_now=True).active_s == pytest.approx(80)
        assert store.credit_time("s", 20, "queued", ending_now=True).active_s == pytest.approx(80)
        clock.step(5)
        assert store.credit_time("s", 20, "queued", ending_now=True).active_s == pytest.approx(80)
        clock.step(50)
        assert store.credit_time("s", 20, "queued", ending_now=True).active_s == pytest.approx(110)
        assert sum(event.kind == "clock_stopped" for event in store.events("s")) == 3
