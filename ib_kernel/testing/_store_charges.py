"""`BudgetStoreContract`: what a session charges, beside what the service bills."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_kernel.errors import BudgetRefused, ConfigError
from ib_kernel.testing._store_base import Clock, StoreBase, begin, refused, reserve
from ib_kernel.values import BudgetStore, CallEnd, NewSession, Reservation


def use(store: BudgetStore, billed: tuple[int, int], charged: int | None, held: int = 100) -> Reservation:
    """Reserve, and settle what was billed and what of it is charged."""
    reservation = reserve(store, held, billed_tokens=sum(billed))
    assert store.settle(reservation, CallEnd(*billed, charged_tokens=charged))
    return reservation


class Charging(StoreBase):
    """Sessions that charge what is billed, and sessions that charge what is new."""

    def test_billed_is_the_default(self, store: BudgetStore) -> None:
        """Then all that the service bills is charged, whatever the caller says."""
        begin(store)
        use(store, (300, 20), 40, held=400)
        totals = store.totals("s")
        assert (totals.used, totals.charged_tokens, totals.billed, totals.left) == (320, 320, 320, 680)
        assert (totals.billed_ceiling, store.session("s").charge) == (None, "billed")

    def test_only_what_is_new_is_charged(self, store: BudgetStore) -> None:
        """The budget goes by charged tokens; what was billed is kept beside it."""
        begin(store, charge="new")
        use(store, (300, 20), 40)
        use(store, (500, 30), None, held=600)  # nobody says how much of it is new
        totals = store.totals("s")
        assert (totals.used, totals.billed, totals.left) == (570, 850, 430)
        assert refused(store, 431, billed_tokens=1).reason == "budget"
        assert reserve(store, 430, billed_tokens=1)

    def test_what_may_be_billed_has_a_ceiling(self, store: BudgetStore) -> None:
        """Ten times the budget where none is given; what is held and in doubt counts for it."""
        begin(store, 100, charge="new")
        use(store, (900, 0), 10)
        held = reserve(store, 10, billed_tokens=60)
        assert store.totals("s").held_billed == 60
        refusal = refused(store, 10, billed_tokens=41)
        assert (refusal.reason, refusal.left) == ("billed", 40)
        store.mark_unresolved(held, "TimedOut")
        assert refused(store, 10, billed_tokens=41).reason == "billed"
        store.extend_budget("s", 1)
        assert store.session("s").billed_ceiling == 1_010
        assert reserve(store, 10, billed_tokens=50)

    def test_a_ceiling_of_ones_own(self, store: BudgetStore) -> None:
        """Under either policy; a budget in charged tokens is named first."""
        begin(store, 100, charge="new", billed_ceiling=150)
        assert refused(store, 101, billed_tokens=151).reason == "budget"
        assert refused(store, 100, billed_tokens=151).reason == "billed"
        begin(store, 100, session_id="t", billed_ceiling=50)
        assert refused(store, 51, session_id="t").reason == "billed"
        assert reserve(store, 50, session_id="t").billed_tokens == 50

    def test_however_it_ends_nothing_stays_held(self, store: BudgetStore, clock: Clock) -> None:
        """Settled, released, written off, resolved: what may be billed is given back too."""
        begin(store, charge="new")
        settled, released, lost, resolved = (reserve(store, 10, billed_tokens=100) for _ in range(4))
        store.settle(settled, CallEnd(90, 5, charged_tokens=8))
        store.release(released)
        clock.step(61)
        assert store.totals("s").held_billed == 200
        store.write_off(lost.reservation_id, who="Grace")
        store.resolve(resolved.reservation_id, CallEnd(80, 0, charged_tokens=3), who="Grace")
        totals = store.totals("s")
        assert (totals.held, totals.in_doubt, totals.held_billed) == (0, 0, 0)
        assert (totals.used, totals.billed) == (11, 175)

    def test_calls_outside_reservations_are_charged(self, store: BudgetStore) -> None:
        """As billed, unless the caller says how much of it is new."""
        begin(store, charge="new")
        assert store.charge("s", CallEnd(30, 10)).used == 40
        assert store.charge("s", CallEnd(30, 10, charged_tokens=1)).used == 41

    def test_a_repeated_settle_compares_what_is_charged(self, store: BudgetStore) -> None:
        """Other figures are an event, also when only the charge differs; nothing changes."""
        begin(store, charge="new")
        held = use(store, (300, 20), 40)
        assert store.settle(held, CallEnd(300, 20, charged_tokens=40))
        assert not store.settle(held, CallEnd(300, 20, charged_tokens=41))
        assert store.totals("s").used == 40
        assert [e.kind for e in store.events("s")].count("settled_again") == 1

    def test_a_budget_covers_what_was_charged(self, store: BudgetStore) -> None:
        """It can be set below what was billed, never below what was charged."""
        begin(store, charge="new")
        use(store, (300, 20), 40)
        assert store.set_budget("s", tokens=40).token_budget == 40
        with pytest.raises(BudgetRefused):
            store.set_budget("s", tokens=39)

    def test_an_overdraft_is_what_was_charged(self, store: BudgetStore) -> None:
        """A reply that was longer than what was held is charged all the same."""
        begin(store, 50, charge="new")
        use(store, (300, 70), 80, held=50)
        assert store.totals("s").overdraft == 30

    @pytest.mark.parametrize("charged", [-1, 321, 1.5, True])
    def test_no_more_is_charged_than_billed(self, store: BudgetStore, charged: int) -> None:
        """And nothing that is no number of tokens."""
        begin(store, charge="new")
        held = reserve(store, 100)
        with pytest.raises(ConfigError):
            store.settle(held, CallEnd(300, 20, charged_tokens=charged))
        assert store.settle(held, CallEnd(300, 20, charged_tokens=320))

    def test_a_policy_is_one_of_two(self, store: BudgetStore) -> None:
        """Anything else is one line."""
        with pytest.raises(ConfigError, match="billed or new"):
            store.open_session(NewSession("s", "Ada", 1, "m", charge="free"))  # type: ignore[arg-type]

    def test_what_was_charged_is_in_each_row(self, store: BudgetStore, folder: Path, clock: Clock) -> None:
        """For whoever asks in SQL, and for who opens the ledger next."""
        begin(store, charge="new")
        use(store, (300, 20), 40)
        if self.answers_sql:
            rows = store.sql("SELECT total_tokens, charged_tokens FROM calls").rows
            assert rows == [(320, 40)]
        again = self.again(folder, clock)
        assert again.totals("s") == store.totals("s")
        again.close()
