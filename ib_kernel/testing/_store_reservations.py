"""`BudgetStoreContract`, first part: admission, and each way a reservation can end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ib_kernel.errors import ConfigError, ReservationError, UnknownSession
from ib_kernel.testing._store_base import Clock, StoreBase, begin, refused, reserve, spend
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message, NewSession, Reservation, Status

HUGE = 2**53
"""The largest whole number that a float, and so JSON, can carry."""


class Admission(StoreBase):
    """Checking and holding are one conditional write."""

    def test_what_is_held_counts_against_the_budget(self, store: BudgetStore) -> None:
        """What is held cannot be held again, and the last token can."""
        begin(store, 1_000)
        reserve(store, 600)
        refusal = refused(store, 401)
        assert (refusal.reason, refusal.left) == ("budget", 400)
        reserve(store, 400)
        assert (store.totals("s").held, store.totals("s").left) == (1_000, 0)

    def test_a_reservation_says_what_it_is(self, store: BudgetStore, clock: Clock) -> None:
        """The reservation carries its session, tokens, lease, owner and what is known about the call."""
        begin(store)
        call = CallStart(3, 2, "demo", "gpt-5.4-mini", 70, True, "interviewer-1")
        held = reserve(store, 100, lease_s=30.0, owner="kernel 7", call=call)
        assert (held.turn, held.call) == (3, call)
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
    def test_what_is_held_is_a_whole_number(self, store: BudgetStore, tokens: Any) -> None:
        """Anything but a whole number of at least 0 is a `ConfigError`, and nothing is held."""
        begin(store)
        with pytest.raises(ConfigError):
            store.reserve("s", tokens, lease_s=60.0)
        assert store.totals("s").held == 0

    def test_a_budget_of_nothing_admits_nothing(self, store: BudgetStore) -> None:
        """With a budget of 0, one token is refused and a reservation of 0 is allowed."""
        begin(store, 0)
        assert refused(store, 1).left == 0
        reserve(store, 0)

    def test_huge_numbers_are_exact(self, store: BudgetStore) -> None:
        """Budgets and usage of 2^53 are added without rounding."""
        begin(store, HUGE)
        spend(store, HUGE - 2, 1)
        assert (store.totals("s").used, store.totals("s").left) == (HUGE - 1, 1)
        refused(store, 2)
        reserve(store, 1)

    def test_money_is_held_beside_tokens(self, store: BudgetStore) -> None:
        """A money budget refuses what its nano-dollars do not cover, however many tokens are left."""
        if not self.budgets_money:
            pytest.skip("this store says that it has no money budgets")
        begin(store, 1_000, budget_nano_usd=100)
        first = reserve(store, 10, nano_usd=60)
        assert refused(store, 10, nano_usd=41).reason == "money"
        assert store.totals("s").held_nano_usd == 60
        store.settle(first, CallEnd(5, 5, cost_nano_usd=7))
        totals = store.totals("s")
        assert (totals.cost_nano_usd, totals.held_nano_usd, totals.unpriced_calls) == (7, 0, 0)
        reserve(store, 10, nano_usd=93)
        assert refused(store, 1, nano_usd=1).reason == "money"


class Endings(StoreBase):
    """A reservation ends exactly once; what is not known stays charged."""

    def test_settling_replaces_what_was_held_by_what_was_used(self, store: BudgetStore) -> None:
        """Details of tokens are stored beside the sums, never added to them."""
        begin(store)
        held = reserve(store, 500, call=CallStart(turn=1))
        end = CallEnd(100, 50, cached_tokens=80, reasoning_tokens=40, cost_nano_usd=3)
        assert store.settle(held, end)
        totals = store.totals("s")
        assert (totals.input_tokens, totals.output_tokens, totals.used) == (100, 50, 150)
        assert (totals.cached_tokens, totals.reasoning_tokens) == (80, 40)
        assert (totals.held, totals.in_doubt, totals.left) == (0, 0, 850)
        assert (totals.calls, totals.turns, totals.cost_nano_usd, totals.unpriced_calls) == (1, 1, 3, 0)
        assert store.reservations("s") == []

    def test_a_repeated_settle_answers_truthfully(self, store: BudgetStore) -> None:
        """True if the reservation is settled by these figures: a lost answer can be asked for again."""
        begin(store)
        held = reserve(store, 500)
        end = CallEnd(10, 10, cached_tokens=5, reasoning_tokens=3, cost_nano_usd=7, latency_ms=1.0)
        assert store.settle(held, end)
        before, events = store.totals("s"), store.events("s")
        assert store.settle(held, replace(end, latency_ms=2.0))
        assert (store.totals("s"), store.events("s")) == (before, events)

    @pytest.mark.parametrize(
        "other",
        [
            {"input_tokens": 11},
            {"output_tokens": 99},
            {"cached_tokens": 0},
            {"reasoning_tokens": 9},
            {"cost_nano_usd": None},
        ],
    )
    def test_a_second_different_settle_is_an_event(self, store: BudgetStore, other: dict[str, Any]) -> None:
        """It changes no figure, is told apart from the first, and its figures are kept."""
        begin(store)
        held = reserve(store, 500, call=CallStart(turn=None))
        end = CallEnd(10, 10, cached_tokens=5, reasoning_tokens=3, cost_nano_usd=7)
        store.settle(held, end, messages=[Message(0, "user", "a")])
        before = store.totals("s")
        assert not store.settle(held, replace(end, **other), messages=[Message(0, "user", "b")])
        assert store.totals("s") == before
        assert [m.content for m in store.history("s")] == ["a"]
        event = store.events("s")[-1]
        assert (event.kind, event.detail["reservation_id"]) == ("settled_again", held.reservation_id)
        assert {name: event.detail[name] for name in other} == other

    def test_the_messages_of_a_second_settle_are_kept_once(self, store: BudgetStore) -> None:
        """A turn that has no messages yet gets those of the later settle, under its number."""
        begin(store)
        held = reserve(store, 500, call=CallStart(turn=None))
        store.settle(held, CallEnd(10, 10))
        for text in ("late", "later"):
            assert not store.settle(held, CallEnd(9, 9), messages=[Message(0, "user", text)])
        assert [(m.turn, m.content) for m in store.history("s")] == [(1, "late")]

    def test_an_overdraft_is_recorded_not_clipped(self, store: BudgetStore) -> None:
        """Usage beyond what was held, and beyond the budget, is kept as it is."""
        begin(store, 100)
        held = reserve(store, 100)
        store.settle(held, CallEnd(90, 60))
        totals = store.totals("s")
        assert (totals.used, totals.left, totals.overdraft) == (150, 0, 50)
        assert refused(store, 1).left == 0

    def test_a_charge_needs_no_reservation(self, store: BudgetStore) -> None:
        """Usage that nothing was held for is recorded in full and returned with the sums."""
        begin(store, 100)
        assert store.charge("s", CallEnd(70, 50)).used == 120
        assert store.totals("s").overdraft == 20

    def test_releasing_frees_and_can_be_repeated(self, store: BudgetStore) -> None:
        """A release gives the tokens back once; it can be repeated, and cannot be settled after it."""
        begin(store)
        held = reserve(store, 700)
        assert store.release(held)
        assert not store.release(held)
        assert store.totals("s").left == 1_000
        with pytest.raises(ReservationError):
            store.settle(held, CallEnd(1, 1))
        failed = reserve(store, 700)
        assert store.release(failed, CallEnd(0, 0, error="NotConnected"))
        assert not store.release(failed)
        assert (store.totals("s").left, store.totals("s").calls) == (1_000, 0)

    def test_releasing_what_was_settled_changes_nothing(self, store: BudgetStore) -> None:
        """A clean-up that comes after the settle is harmless."""
        begin(store)
        held = reserve(store, 700)
        store.settle(held, CallEnd(1, 1))
        assert not store.release(held)
        assert not store.mark_unresolved(held, "late")
        assert store.totals("s").used == 2

    def test_a_reservation_nobody_made_is_an_error(self, store: BudgetStore) -> None:
        """Every way to end an unknown reservation raises, and renewing it renews nothing."""
        begin(store)
        nobody = Reservation("nobody", "s", 10, 0.0, owner_token="made up")  # noqa: S106 (of nothing)
        with pytest.raises(ReservationError):
            store.settle(nobody, CallEnd(1, 1))
        with pytest.raises(ReservationError):
            store.release(nobody)
        with pytest.raises(ReservationError):
            store.mark_unresolved(nobody, "why")
        with pytest.raises(ReservationError):
            store.resolve("nobody", CallEnd(1, 1), who="Ada")
        with pytest.raises(ReservationError):
            store.write_off("nobody", who="Ada")
        assert store.renew([nobody], lease_s=60.0) == set()

    @pytest.mark.parametrize("tokens", [-1, True, 2.5])
    def test_usage_is_whole_numbers(self, store: BudgetStore, tokens: Any) -> None:
        """Usage that is not a whole number is a `ConfigError`, and the reservation stays."""
        begin(store)
        held = reserve(store, 100)
        with pytest.raises(ConfigError):
            store.settle(held, CallEnd(tokens, 0))
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
        for turn, attempt, used in ((1, 1, 5), (1, 2, 5), (2, 1, 5), (3, 1, 0)):
            held = reserve(store, 10, call=CallStart(turn=turn, attempt=attempt))
            store.settle(held, CallEnd(used, 0))
        assert (store.totals("s").calls, store.totals("s").turns) == (3, 2)

    def test_what_was_spent_lately_is_part_of_what_was_spent(self, store: BudgetStore) -> None:
        """A store that offers both gives the first answered turn's calls and the newest turns' in order."""
        spent, lately = (getattr(store, name, None) for name in ("spent", "spent_lately"))
        if spent is None or lately is None:
            pytest.skip("the store does not offer the optional `spent` and `spent_lately`")
        begin(store)
        for turn, attempt, given in (
            (1, 1, 0),
            (2, 1, 5),
            (2, 2, 6),
            (3, 1, 7),
            (4, 1, 8),
            (5, 1, 9),
            (6, 1, 0),
        ):
            held = reserve(store, 10, call=CallStart(turn=turn, attempt=attempt))
            store.settle(held, CallEnd(3, given))
        spend(store, 10, 10)  # outside any turn
        answered = [call for call in spent("s") if call.turn and call.output_tokens]
        assert [call.turn for call in lately("s", 2)] == [2, 2, 4, 5]
        assert lately("s", 2) == [call for call in answered if call.turn != 3]
        assert lately("s", 8) == answered
        assert lately("s", 1)[-1] == answered[-1]
