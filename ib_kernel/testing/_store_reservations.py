"""`BudgetStoreContract`, first part: admission, and each way a reservation can end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_kernel.errors import ConfigError, ReservationError, UnknownSession
from ib_kernel.testing._store_base import Clock, StoreBase, begin, hold, refused, spend
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message, NewSession, Status

HUGE = 2**53
"""The largest whole number that a float, and so JSON, can carry."""


class Admission(StoreBase):
    """Checking and holding are one conditional write."""

    def test_a_hold_counts_against_the_budget(self, store: BudgetStore) -> None:
        """What is held cannot be held again, and the last token can."""
        begin(store, 1_000)
        hold(store, 600)
        refusal = refused(store, 401)
        assert (refusal.reason, refusal.left) == ("budget", 400)
        hold(store, 400)
        assert (store.totals("s").held, store.totals("s").left) == (1_000, 0)

    def test_a_reservation_says_what_it_is(self, store: BudgetStore, clock: Clock) -> None:
        """The reservation carries its session, tokens, lease, owner and what is known about the call."""
        begin(store)
        call = CallStart(3, 2, "demo", "gpt-5.4-mini", 70, True, "interviewer-1")
        held = hold(store, 100, lease_s=30.0, owner="kernel 7", call=call)
        assert (held.session_id, held.tokens, held.lease_until) == ("s", 100, clock.now + 30.0)
        assert (held.owner, held.call, held.in_doubt, held.created_at) == ("kernel 7", call, False, clock.now)
        assert store.reservations("s") == store.reservations() == [held]

    def test_nothing_is_held_for_an_unknown_session(self, store: BudgetStore) -> None:
        """Reserving in a session that does not exist is refused; everything else raises."""
        assert refused(store, 1, session_id="nobody").reason == "unknown_session"
        for ask in (store.session, store.totals, store.history, store.events, store.reservations):
            with pytest.raises(UnknownSession):
                ask("nobody")
        with pytest.raises(UnknownSession):
            store.charge("nobody", CallEnd(1, 1))

    @pytest.mark.parametrize("status", [Status.CREATED, Status.PAUSED, Status.COMPLETED, Status.CANCELLED])
    def test_nothing_is_held_unless_the_session_is_active(self, store: BudgetStore, status: Status) -> None:
        """A session that is not active refuses and says what it is."""
        if status == Status.CREATED:
            store.open_session(NewSession("s", "Ada", 1_000, "gpt-5.4-mini"))
        else:
            begin(store)
            store.set_status("s", status)
        refusal = refused(store, 1)
        assert (refusal.reason, refusal.status) == ("inactive", status.value)

    @pytest.mark.parametrize("tokens", [-1, True, 1.5, "7", None])
    def test_a_hold_is_a_whole_number(self, store: BudgetStore, tokens: Any) -> None:
        """Anything but a whole number of at least 0 is a `ConfigError`, and nothing is held."""
        begin(store)
        with pytest.raises(ConfigError):
            store.reserve("s", tokens, lease_s=60.0)
        assert store.totals("s").held == 0

    def test_a_budget_of_nothing_admits_nothing(self, store: BudgetStore) -> None:
        """With a budget of 0, one token is refused and a hold of 0 is allowed."""
        begin(store, 0)
        assert refused(store, 1).left == 0
        hold(store, 0)

    def test_huge_numbers_are_exact(self, store: BudgetStore) -> None:
        """Budgets and usage of 2^53 are added without rounding."""
        begin(store, HUGE)
        spend(store, HUGE - 2, 1)
        assert (store.totals("s").used, store.totals("s").left) == (HUGE - 1, 1)
        refused(store, 2)
        hold(store, 1)

    def test_money_is_held_beside_tokens(self, store: BudgetStore) -> None:
        """A money budget refuses what its nano-dollars do not cover, however many tokens are left."""
        if not self.budgets_money:
            pytest.skip("this store says that it has no money budgets")
        begin(store, 1_000, budget_nano_usd=100)
        first = hold(store, 10, nano_usd=60)
        assert refused(store, 10, nano_usd=41).reason == "money"
        assert store.totals("s").held_nano_usd == 60
        store.settle(first.reservation_id, CallEnd(5, 5, cost_nano_usd=7))
        totals = store.totals("s")
        assert (totals.cost_nano_usd, totals.held_nano_usd, totals.unpriced_calls) == (7, 0, 0)
        hold(store, 10, nano_usd=93)
        assert refused(store, 1, nano_usd=1).reason == "money"


class Endings(StoreBase):
    """A reservation ends exactly once; what is not known stays charged."""

    def test_settling_replaces_the_hold_by_what_was_used(self, store: BudgetStore) -> None:
        """Details of tokens are stored beside the sums, never added to them."""
        begin(store)
        held = hold(store, 500, call=CallStart(turn=1))
        end = CallEnd(100, 50, cached_tokens=80, reasoning_tokens=40, cost_nano_usd=3)
        assert store.settle(held.reservation_id, end)
        totals = store.totals("s")
        assert (totals.input_tokens, totals.output_tokens, totals.used) == (100, 50, 150)
        assert (totals.cached_tokens, totals.reasoning_tokens) == (80, 40)
        assert (totals.held, totals.in_doubt, totals.left) == (0, 0, 850)
        assert (totals.calls, totals.turns, totals.cost_nano_usd, totals.unpriced_calls) == (1, 1, 3, 0)
        assert store.reservations("s") == []

    def test_settling_twice_changes_nothing(self, store: BudgetStore) -> None:
        """The second settle says False, whatever it brings along."""
        begin(store)
        held = hold(store, 500)
        assert store.settle(held.reservation_id, CallEnd(10, 10), messages=[Message(1, "user", "a")])
        before = store.totals("s")
        again = store.settle(held.reservation_id, CallEnd(99, 99), messages=[Message(1, "user", "b")])
        assert not again
        assert store.totals("s") == before
        assert [m.content for m in store.history("s")] == ["a"]

    def test_an_overdraft_is_recorded_not_clipped(self, store: BudgetStore) -> None:
        """Usage beyond what was held, and beyond the budget, is kept as it is."""
        begin(store, 100)
        held = hold(store, 100)
        store.settle(held.reservation_id, CallEnd(90, 60))
        totals = store.totals("s")
        assert (totals.used, totals.left, totals.overdraft) == (150, 0, 50)
        assert refused(store, 1).left == 0

    def test_a_charge_needs_no_hold(self, store: BudgetStore) -> None:
        """Usage that nothing was held for is recorded in full and returned with the sums."""
        begin(store, 100)
        assert store.charge("s", CallEnd(70, 50)).used == 120
        assert store.totals("s").overdraft == 20

    def test_releasing_frees_and_can_be_repeated(self, store: BudgetStore) -> None:
        """A release gives the tokens back once; it can be repeated, and the hold cannot be settled."""
        begin(store)
        held = hold(store, 700)
        assert store.release(held.reservation_id)
        assert not store.release(held.reservation_id)
        assert store.totals("s").left == 1_000
        with pytest.raises(ReservationError):
            store.settle(held.reservation_id, CallEnd(1, 1))
        failed = hold(store, 700)
        assert store.release(failed.reservation_id, CallEnd(0, 0, error="NotConnected"))
        assert not store.release(failed.reservation_id)
        assert (store.totals("s").left, store.totals("s").calls) == (1_000, 0)

    def test_releasing_what_was_settled_changes_nothing(self, store: BudgetStore) -> None:
        """A clean-up that comes after the settle is harmless."""
        begin(store)
        held = hold(store, 700)
        store.settle(held.reservation_id, CallEnd(1, 1))
        assert not store.release(held.reservation_id)
        assert not store.doubt(held.reservation_id, "late")
        assert store.totals("s").used == 2

    def test_a_reservation_nobody_made_is_an_error(self, store: BudgetStore) -> None:
        """Every way to end an unknown reservation raises, and renewing it renews nothing."""
        begin(store)
        with pytest.raises(ReservationError):
            store.settle("nobody", CallEnd(1, 1))
        with pytest.raises(ReservationError):
            store.release("nobody")
        with pytest.raises(ReservationError):
            store.doubt("nobody", "why")
        with pytest.raises(ReservationError):
            store.write_off("nobody", who="Ada")
        assert store.renew(["nobody"], lease_s=60.0) == set()

    @pytest.mark.parametrize("tokens", [-1, True, 2.5])
    def test_usage_is_whole_numbers(self, store: BudgetStore, tokens: Any) -> None:
        """Usage that is not a whole number is a `ConfigError`, and the hold stays."""
        begin(store)
        held = hold(store, 100)
        with pytest.raises(ConfigError):
            store.settle(held.reservation_id, CallEnd(tokens, 0))
        assert store.totals("s").held == 100

    def test_calls_without_a_price_are_counted_apart(self, store: BudgetStore) -> None:
        """No price is not a price of 0: the cost is None until some call has one."""
        begin(store)
        spend(store, 10, 10)
        assert (store.totals("s").cost_nano_usd, store.totals("s").unpriced_calls) == (None, 1)
        spend(store, 10, 10, cost_nano_usd=0)
        assert (store.totals("s").cost_nano_usd, store.totals("s").unpriced_calls) == (0, 1)

    def test_turns_are_counted_once(self, store: BudgetStore) -> None:
        """Several attempts of one turn are one turn; an attempt that used nothing is no call."""
        begin(store)
        for turn, used in ((1, 5), (1, 5), (2, 5), (3, 0)):
            held = hold(store, 10, call=CallStart(turn=turn))
            store.settle(held.reservation_id, CallEnd(used, 0))
        assert (store.totals("s").calls, store.totals("s").turns) == (3, 2)


class Doubt(StoreBase):
    """A lease that is over, or an outcome nobody knows, stays charged until somebody decides."""

    def test_doubt_stays_charged_until_it_is_settled(self, store: BudgetStore) -> None:
        """A hold in doubt counts in full, cannot be doubted twice, and a late settle is accepted."""
        begin(store)
        held = hold(store, 600)
        assert store.doubt(held.reservation_id, "connection lost", messages=[Message(1, "user", "q")])
        assert not store.doubt(held.reservation_id, "again", messages=[Message(1, "user", "q")])
        totals = store.totals("s")
        assert (totals.held, totals.in_doubt, totals.left, totals.messages) == (0, 600, 400, 1)
        (listed,) = store.reservations("s")
        assert (listed.in_doubt, listed.doubt_reason) == (True, "connection lost")
        refused(store, 401)
        assert store.settle(held.reservation_id, CallEnd(20, 30))
        assert (store.totals("s").in_doubt, store.totals("s").used) == (0, 50)

    def test_doubt_cannot_be_released(self, store: BudgetStore) -> None:
        """What may have been billed is not given back by saying that it cost nothing."""
        begin(store)
        held = hold(store, 600)
        store.doubt(held.reservation_id, "timeout")
        with pytest.raises(ReservationError):
            store.release(held.reservation_id)
        assert store.totals("s").in_doubt == 600

    def test_a_write_off_is_a_decision_with_a_name(self, store: BudgetStore) -> None:
        """Only a hold in doubt can be written off, by somebody, once; then it cannot be settled."""
        begin(store)
        held = hold(store, 600)
        with pytest.raises(ReservationError):
            store.write_off(held.reservation_id, who="Ada")
        store.doubt(held.reservation_id, "timeout")
        with pytest.raises(ConfigError):
            store.write_off(held.reservation_id, who="")
        assert store.write_off(held.reservation_id, who="Ada", reason="bill checked")
        assert not store.write_off(held.reservation_id, who="Ada")
        assert store.totals("s").left == 1_000
        with pytest.raises(ReservationError):
            store.settle(held.reservation_id, CallEnd(1, 1))
        (event,) = [e for e in store.events("s") if e.kind == "written_off"]
        assert (event.who, event.detail["tokens"], event.detail["reason"]) == ("Ada", 600, "bill checked")

    def test_a_lease_that_is_over_is_doubt_not_freedom(self, store: BudgetStore, clock: Clock) -> None:
        """When its owner stops renewing, a hold becomes in doubt and stays charged."""
        begin(store)
        held = hold(store, 600, lease_s=60.0)
        clock.step(61)
        assert refused(store, 500).left == 400
        assert (store.totals("s").held, store.totals("s").in_doubt) == (0, 600)
        (listed,) = store.reservations("s")
        assert listed.in_doubt
        assert store.renew([held.reservation_id], lease_s=60.0) == set()
        assert store.settle(held.reservation_id, CallEnd(5, 5))
        assert store.totals("s").left == 990

    @pytest.mark.parametrize("look", ["totals", "reservations"])
    def test_reading_notices_leases_that_are_over(self, store: BudgetStore, clock: Clock, look: str) -> None:
        """No reserve is needed for a dead owner's hold to show as in doubt."""
        begin(store)
        hold(store, 600, lease_s=60.0)
        clock.step(60)
        getattr(store, look)("s")
        assert [r.in_doubt for r in store.reservations()] == [True]
        assert store.totals("s").in_doubt == 600

    def test_renewing_keeps_a_hold_alive(self, store: BudgetStore, clock: Clock) -> None:
        """A renewed lease counts from now; the ids that are still held come back."""
        begin(store)
        kept, lost = hold(store, 100, lease_s=60.0), hold(store, 200, lease_s=60.0)
        clock.step(50)
        assert store.renew([kept.reservation_id], lease_s=60.0) == {kept.reservation_id}
        clock.step(50)
        assert (store.totals("s").held, store.totals("s").in_doubt) == (100, 200)
        assert {r.reservation_id for r in store.reservations() if r.in_doubt} == {lost.reservation_id}

    def test_an_owner_that_comes_back_may_release(self, store: BudgetStore, clock: Clock) -> None:
        """A hold in doubt only because its lease is over can still be released by who knows better."""
        begin(store)
        held = hold(store, 600, lease_s=60.0)
        clock.step(61)
        assert store.totals("s").in_doubt == 600
        assert store.release(held.reservation_id)
        assert store.totals("s").left == 1_000

    def test_a_clock_that_steps_back_frees_nothing(self, store: BudgetStore, clock: Clock) -> None:
        """Reservations, doubt and usage survive a clock set back by a day; no duration becomes negative."""
        begin(store, time_limit_s=1_000.0)
        clock.step(100)
        held, doubtful = hold(store, 100), hold(store, 200)
        store.doubt(doubtful.reservation_id, "timeout")
        clock.step(-86_400)
        assert (store.totals("s").held, store.totals("s").in_doubt) == (100, 200)
        session = store.session("s")
        assert session.active_s >= 100
        assert session.time_left_s is not None
        assert session.time_left_s <= 900
        assert store.settle(held.reservation_id, CallEnd(1, 1))
        ended = store.set_status("s", Status.COMPLETED)
        assert ended.started_at is not None
        assert ended.ended_at is not None
        assert ended.created_at <= ended.started_at <= ended.ended_at

    def test_transcripts_can_be_switched_off(self, folder: Path, clock: Clock) -> None:
        """Without transcripts no message is kept, and tokens are recorded either way."""
        store = self.make_store(folder, clock, store_transcript=False)
        begin(store)
        held = hold(store, 100)
        store.settle(held.reservation_id, CallEnd(1, 1), messages=[Message(1, "user", "secret plans")])
        store.charge("s", CallEnd(1, 1), messages=[Message(2, "user", "secret plans")])
        assert (store.history("s"), store.totals("s").messages, store.totals("s").used) == ([], 0, 4)
        store.close()
