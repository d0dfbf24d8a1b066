"""`BudgetStoreContract`: what nobody knows the outcome of stays charged until somebody decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.testing._store_base import Clock, StoreBase, begin, refused, reserve
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message, Status


class Unresolved(StoreBase):
    """A lease that is over, or an outcome nobody knows, stays charged until somebody decides."""

    def test_it_stays_charged_until_it_is_settled(self, store: BudgetStore) -> None:
        """It counts in full, is marked once, and its owner may still settle it."""
        begin(store)
        held = reserve(store, 600)
        assert store.mark_unresolved(held, "connection lost", messages=[Message(1, "user", "q")])
        assert not store.mark_unresolved(held, "again", messages=[Message(1, "user", "q")])
        totals = store.totals("s")
        assert (totals.held, totals.in_doubt, totals.left, totals.messages) == (0, 600, 400, 1)
        (listed,) = store.reservations("s")
        assert (listed.in_doubt, listed.doubt_reason) == (True, "connection lost")
        refused(store, 401)
        assert store.settle(held, CallEnd(20, 30))
        assert (store.totals("s").in_doubt, store.totals("s").used) == (0, 50)

    def test_it_cannot_be_released(self, store: BudgetStore) -> None:
        """What may have been billed is not given back by saying that it cost nothing."""
        begin(store)
        held = reserve(store, 600)
        store.mark_unresolved(held, "timeout")
        with pytest.raises(ReservationError):
            store.release(held)
        assert store.totals("s").in_doubt == 600

    def test_somebody_decides_what_it_has_cost(self, store: BudgetStore) -> None:
        """Only what is unresolved can be resolved, by somebody with a name, and that is an event."""
        begin(store)
        held = reserve(store, 600)
        with pytest.raises(ReservationError):
            store.resolve(held.reservation_id, CallEnd(1, 1), who="Ada")
        store.mark_unresolved(held, "timeout")
        with pytest.raises(ConfigError):
            store.resolve(held.reservation_id, CallEnd(1, 1), who="")
        assert store.resolve(held.reservation_id, CallEnd(30, 20), who="Ada", reason="bill")
        assert (store.totals("s").used, store.totals("s").in_doubt) == (50, 0)
        event = store.events("s")[-1]
        assert (event.kind, event.who, event.detail["reason"]) == ("resolved", "Ada", "bill")
        assert (event.detail["input_tokens"], event.detail["output_tokens"]) == (30, 20)
        assert store.resolve(held.reservation_id, CallEnd(30, 20), who="Ada")
        assert not store.resolve(held.reservation_id, CallEnd(31, 20), who="Ben")
        assert [(e.kind, e.who) for e in store.events("s")[-2:]] == [
            ("resolved", "Ada"),
            ("settled_again", "Ben"),
        ]

    def test_an_owner_that_settles_after_the_decision_changes_nothing(self, store: BudgetStore) -> None:
        """Its figures are an event, and what it knows of the conversation is kept."""
        begin(store)
        held = reserve(store, 600, call=CallStart(turn=None))
        store.mark_unresolved(held, "timeout")
        store.resolve(held.reservation_id, CallEnd(30, 20), who="Ada")
        assert not store.settle(held, CallEnd(40, 50), messages=[Message(0, "user", "late")])
        assert store.totals("s").used == 50
        assert [(m.turn, m.content) for m in store.history("s")] == [(1, "late")]

    def test_a_write_off_is_a_decision_with_a_name(self, store: BudgetStore) -> None:
        """Only an unresolved reservation can be written off, by somebody, once; then it cannot be settled."""
        begin(store)
        held = reserve(store, 600)
        with pytest.raises(ReservationError):
            store.write_off(held.reservation_id, who="Ada")
        store.mark_unresolved(held, "timeout")
        with pytest.raises(ConfigError):
            store.write_off(held.reservation_id, who="")
        assert store.write_off(held.reservation_id, who="Ada", reason="bill checked")
        assert not store.write_off(held.reservation_id, who="Ada")
        assert store.totals("s").left == 1_000
        with pytest.raises(ReservationError):
            store.settle(held, CallEnd(1, 1))
        (event,) = [e for e in store.events("s") if e.kind == "written_off"]
        assert (event.who, event.detail["tokens"], event.detail["reason"]) == ("Ada", 600, "bill checked")

    def test_a_lease_that_is_over_frees_nothing(self, store: BudgetStore, clock: Clock) -> None:
        """When its owner stops renewing, a reservation becomes unresolved and stays charged."""
        begin(store)
        held = reserve(store, 600, lease_s=60.0)
        clock.step(61)
        assert refused(store, 500).left == 400
        assert (store.totals("s").held, store.totals("s").in_doubt) == (0, 600)
        (listed,) = store.reservations("s")
        assert listed.in_doubt
        assert store.renew([held], lease_s=60.0) == set()
        assert store.settle(held, CallEnd(5, 5))
        assert store.totals("s").left == 990

    @pytest.mark.parametrize("look", ["totals", "reservations"])
    def test_reading_notices_leases_that_are_over(self, store: BudgetStore, clock: Clock, look: str) -> None:
        """No reserve is needed for a dead owner's reservation to show as unresolved."""
        begin(store)
        reserve(store, 600, lease_s=60.0)
        clock.step(60)
        getattr(store, look)("s")
        assert [r.in_doubt for r in store.reservations()] == [True]
        assert store.totals("s").in_doubt == 600

    def test_renewing_keeps_it_alive(self, store: BudgetStore, clock: Clock) -> None:
        """A renewed lease counts from now; the ids that are still held come back."""
        begin(store)
        kept, lost = reserve(store, 100, lease_s=60.0), reserve(store, 200, lease_s=60.0)
        clock.step(50)
        assert store.renew([kept], lease_s=60.0) == {kept.reservation_id}
        clock.step(50)
        assert (store.totals("s").held, store.totals("s").in_doubt) == (100, 200)
        assert {r.reservation_id for r in store.reservations() if r.in_doubt} == {lost.reservation_id}

    def test_an_owner_that_comes_back_may_release(self, store: BudgetStore, clock: Clock) -> None:
        """While only the lease is over, its owner, who knows better, can release it."""
        begin(store)
        held = reserve(store, 600, lease_s=60.0)
        clock.step(61)
        assert store.totals("s").in_doubt == 600
        assert store.release(held)
        assert store.totals("s").left == 1_000

    def test_a_clock_that_steps_back_frees_nothing(self, store: BudgetStore, clock: Clock) -> None:
        """All sums survive a clock set back by a day, and no duration becomes negative."""
        begin(store, time_limit_s=1_000.0)
        clock.step(100)
        held, doubtful = reserve(store, 100), reserve(store, 200)
        store.mark_unresolved(doubtful, "timeout")
        clock.step(-86_400)
        assert (store.totals("s").held, store.totals("s").in_doubt) == (100, 200)
        session = store.session("s")
        assert session.active_s >= 100
        assert session.time_left_s is not None
        assert session.time_left_s <= 900
        assert store.settle(held, CallEnd(1, 1))
        ended = store.set_status("s", Status.COMPLETED)
        assert ended.started_at is not None
        assert ended.ended_at is not None
        assert ended.created_at <= ended.started_at <= ended.ended_at

    def test_transcripts_can_be_switched_off(self, folder: Path, clock: Clock) -> None:
        """Without transcripts no message is kept, and tokens are recorded either way."""
        store = self.make_store(folder, clock, store_transcript=False)
        begin(store)
        held = reserve(store, 100)
        store.settle(held, CallEnd(1, 1), messages=[Message(1, "user", "secret plans")])
        store.charge("s", CallEnd(1, 1), messages=[Message(2, "user", "secret plans")])
        assert (store.history("s"), store.totals("s").messages, store.totals("s").used) == ([], 0, 4)
        store.close()
