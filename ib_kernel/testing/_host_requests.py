"""`HostStoreContract`, second part: requests that may be repeated, and money for all sessions together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.errors import RepeatedRequest, ReservationError
from ib_kernel.testing._host_base import HostProcesses, Ledger, go, hear
from ib_kernel.testing._store_base import Clock, begin, listed, refused, reserve
from ib_kernel.values import CallEnd, CallStart, Message, Reservation, StoredRequest


def ask(store: Any, request_id: str = "r", body: str = "b", **more: Any) -> Reservation:
    """Reserve for a request."""
    call = CallStart(turn=None, request_id=request_id, request_sha=body)
    return reserve(store, 10, call=call, **more)


def found(store: Any, request_id: str = "r", session_id: str = "s") -> StoredRequest:
    """Return the request of that id, which must be there."""
    request = store.request(session_id, request_id)
    assert isinstance(request, StoredRequest)
    return request


class Requests(HostProcesses):
    """A request is admitted once, whatever becomes of its connection, its client or its host."""

    def test_a_repeated_request_reserves_nothing(self, store: Ledger) -> None:
        """It is told what is known about the first one, also when the budget would not allow another."""
        begin(store, 10)
        held = ask(store)
        with pytest.raises(RepeatedRequest) as repeated:
            ask(store, body="another")
        told = repeated.value.request
        assert (told.body_sha, told.turn, told.reservation_id, told.state) == (
            "b",
            held.turn,
            held.reservation_id,
            "running",
        )
        assert (store.totals("s").held, len(store.reservations())) == (10, 1)

    def test_ids_are_each_sessions_own(self, store: Ledger) -> None:
        """The same id in another session, and no id at all, is another request."""
        begin(store)
        begin(store, session_id="t")
        ask(store)
        ask(store, session_id="t")
        reserve(store, 10, call=CallStart(None))
        reserve(store, 10, call=CallStart(None))
        assert found(store).session_id == "s"
        assert found(store, session_id="t").session_id == "t"
        assert store.request("s", "") is None

    def test_a_refusal_is_not_remembered(self, store: Ledger) -> None:
        """The same request is admitted once there is room."""
        begin(store, 5)
        refused(store, 10, call=CallStart(None, request_id="r"))
        assert store.request("s", "r") is None
        store.extend_budget("s", 5)
        assert ask(store)

    def test_a_retry_goes_on_with_its_request(self, store: Ledger) -> None:
        """The next attempt of the same turn passes the id on; its reply is the request's."""
        begin(store)
        first = ask(store)
        assert store.release(first, CallEnd(0, 0, error="ServerFailed"))
        assert found(store).state == "running"
        with pytest.raises(RepeatedRequest):
            ask(store)
        second = reserve(store, 10, call=CallStart(first.turn, 2, request_id="r", request_sha="b"))
        assert store.write_reply(second, "hello")
        assert not store.write_reply(first, "late")
        assert (found(store).text, found(store).reservation_id) == ("hello", second.reservation_id)

    def test_a_reply_is_kept_while_it_comes(self, store: Ledger, folder: Path, clock: Clock) -> None:
        """Whoever opens the ledger next finds what was written last; a finished one stays as it is."""
        begin(store)
        held = ask(store)
        assert store.write_reply(held, "hel")
        clock.step(1)
        assert store.write_reply(held, "hello", state="finished", result={"footer": "10 tokens"})
        again: Any = self.again(folder, clock)
        request = found(again)
        assert (request.text, request.state, request.result) == ("hello", "finished", {"footer": "10 tokens"})
        assert request.updated_at == clock.now
        again.close()
        assert not store.write_reply(held, "other")
        assert found(store).text == "hello"

    def test_only_the_owner_writes_a_reply(self, store: Ledger) -> None:
        """A listing has no owner's token; a reservation without a request has no reply."""
        begin(store)
        held = ask(store)
        with pytest.raises(ReservationError):
            store.write_reply(listed(store, held), "forged")
        assert not store.write_reply(reserve(store, 10), "nowhere")
        assert found(store).text == ""

    def test_a_settled_request_is_finished(self, store: Ledger) -> None:
        """Also when its worker died before it could say so: the transcript has the reply."""
        begin(store)
        held = ask(store)
        store.write_reply(held, "hel")
        said = [Message(1, "user", "q"), Message(1, "assistant", "hello")]
        store.settle(held, CallEnd(1, 2), messages=said)
        assert (found(store).state, found(store).text) == ("finished", "hello")

    def test_what_nobody_works_on_is_unfinished(self, store: Ledger, clock: Clock) -> None:
        """When its lease is over, when it is marked unresolved, and minutes after an attempt was released."""
        begin(store)
        ask(store, "lease")
        store.mark_unresolved(ask(store, "marked"), "StreamBroken")
        assert (found(store, "lease").state, found(store, "marked").state) == ("running", "unfinished")
        clock.step(61)
        store.release(ask(store, "released"), CallEnd(0, 0, error="ServerFailed"))
        assert (found(store, "lease").state, found(store, "released").state) == ("unfinished", "running")
        clock.step(3600)
        assert found(store, "released").state == "unfinished"

    def test_transcripts_that_are_not_kept_keep_no_replies(self, folder: Path, clock: Clock) -> None:
        """Then a request is known by its figures only."""
        store: Any = self.make_store(folder, clock, store_transcript=False)
        begin(store)
        store.write_reply(ask(store), "private", state="finished", result={"tokens": 3})
        assert (found(store).text, found(store).result) == ("", {"tokens": 3})
        store.close()

    def test_processes_admit_a_request_once(self, folder: Path) -> None:
        """Eight processes ask for the same one at once: one reservation."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store: Any = self.make_store(folder, Clock(time.time()))
        begin(store)
        with ExitStack() as stack:
            children = [stack.enter_context(self.child(folder, "ask", "r", "5")) for _ in range(8)]
            for child in children:
                go(child)
            assert sum(hear(child)["admitted"] for child in children) == 1
        assert store.totals("s").held == 10
        store.close()

    def test_a_killed_host_loses_no_text_it_has_stored(self, folder: Path) -> None:
        """What was acknowledged is there after `kill -9`; nothing is asked twice."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store: Any = self.make_store(folder, Clock(time.time()))
        begin(store)
        with self.child(folder, "answer", "r") as host:
            go(host)
            told = max(hear(host)["length"] for _ in range(20))
            host.kill()
            host.wait(60)
        assert len(found(store).text) >= told
        with pytest.raises(RepeatedRequest):
            ask(store)
        later: Any = self.again(folder, Clock(time.time() + 601))
        assert (found(later).state, later.totals("s").in_doubt) == ("unfinished", 10)
        later.close()
        store.close()


class Ceilings(HostProcesses):
    """What all sessions together may cost."""

    def test_without_a_ceiling_nothing_is_refused(self, store: Ledger) -> None:
        """And it reads as zeros."""
        begin(store)
        reserve(store, 1, nano_usd=10**15)
        assert (store.ceiling().total_nano_usd, store.ceiling().held) == (None, 0)

    def test_all_sessions_share_it(self, store: Ledger) -> None:
        """What is held counts, settling replaces it by what it cost, and what does not fit is refused."""
        begin(store)
        begin(store, session_id="t")
        first = reserve(store, 1, nano_usd=40)
        spent = reserve(store, 1, nano_usd=30)
        store.settle(spent, CallEnd(1, 0, cost_nano_usd=20))
        ceiling = store.set_ceiling(total_nano_usd=100, who="Grace")
        assert (ceiling.total_spent, ceiling.day_spent, ceiling.held) == (20, 20, 40)
        assert refused(store, 1, session_id="t", nano_usd=41).reason == "ceiling"
        second = reserve(store, 1, session_id="t", nano_usd=40)
        store.release(first)
        store.settle(second, CallEnd(1, 0, cost_nano_usd=50))
        assert (store.ceiling().total_spent, store.ceiling().held) == (70, 0)
        assert refused(store, 1, nano_usd=31).reason == "ceiling"
        store.set_ceiling()
        assert reserve(store, 1, nano_usd=31)

    def test_unresolved_money_counts(self, store: Ledger, clock: Clock) -> None:
        """Until somebody decides what it was."""
        begin(store)
        store.set_ceiling(total_nano_usd=100)
        held = reserve(store, 1, nano_usd=90)
        clock.step(61)
        assert refused(store, 1, nano_usd=11).reason == "ceiling"
        store.write_off(held.reservation_id, who="Grace")
        assert reserve(store, 1, nano_usd=100)

    def test_a_day_begins_at_midnight(self, store: Ledger, clock: Clock) -> None:
        """In UTC; what is still held counts for the new day too."""
        begin(store)
        store.set_ceiling(day_nano_usd=100)
        store.settle(reserve(store, 1, nano_usd=90, lease_s=10**6), CallEnd(1, 0, cost_nano_usd=90))
        held = reserve(store, 1, nano_usd=10, lease_s=10**6)
        assert refused(store, 1, nano_usd=1).reason == "ceiling"
        clock.step(86_400 - clock.now % 86_400)
        assert (store.ceiling().day_spent, store.ceiling().total_spent) == (0, 90)
        assert refused(store, 1, nano_usd=91).reason == "ceiling"
        store.settle(held, CallEnd(1, 0, cost_nano_usd=10))
        assert (store.ceiling().day_spent, store.ceiling().total_spent) == (10, 100)
        assert reserve(store, 1, nano_usd=90)

    def test_the_sessions_own_limits_are_named_first(self, store: Ledger) -> None:
        """A refusal says what this session lacks before what all lack."""
        begin(store, 10, budget_nano_usd=50)
        store.set_ceiling(total_nano_usd=10)
        assert refused(store, 11, nano_usd=60).reason == "budget"
        assert refused(store, 1, nano_usd=60).reason == "money"
        assert refused(store, 1, nano_usd=11).reason == "ceiling"

    def test_processes_never_exceed_it(self, folder: Path) -> None:
        """Four processes spend at once: never more than the ceiling, and all of it."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store: Any = self.make_store(folder, Clock(time.time()))
        begin(store, 10**6)
        store.set_ceiling(total_nano_usd=700)
        with ExitStack() as stack:
            children = [stack.enter_context(self.child(folder, "spend", "7", "60")) for _ in range(4)]
            for child in children:
                go(child)
            assert sum(hear(child)["admitted"] for child in children) == 100
        assert (store.ceiling().total_spent, store.ceiling().held) == (700, 0)
        assert store.check() == []
        store.close()
