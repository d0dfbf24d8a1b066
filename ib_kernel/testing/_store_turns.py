"""`BudgetStoreContract`: what a turn reads at once is what the single methods say (`TurnStore`, optional)."""

from __future__ import annotations

import pytest

from ib_kernel.testing._store_base import Clock, StoreBase, begin, reserve, spend
from ib_kernel.values import BudgetStore, CallEnd, CallStart, LedgerEvent, Message, Reservation, Status
from ib_kernel.values.turn_view import PHASE, Standing, TurnStore, TurnView


class TurnViews(StoreBase):
    """A store that offers none of `TurnStore` is asked method by method, and skips these."""

    @pytest.fixture
    def at_once(self, store: BudgetStore) -> TurnStore:
        """The store, if it tells at once what a turn needs."""
        if not isinstance(store, TurnStore):
            pytest.skip("this store tells a turn what it needs method by method")
        return store

    def test_a_view_is_what_the_methods_say(
        self, store: BudgetStore, at_once: TurnStore, clock: Clock
    ) -> None:
        """Session, sums, transcript, figures and phase, of a session that has all of them."""
        begin(store, 5_000, time_limit_s=600.0, meta={"a": ["é"]})
        assert at_once.turn_view("s", turns=2) == TurnView(
            store.session("s"), store.totals("s"), at_once.standing("s").events, [], []
        )
        for turn in range(1, 5):
            clock.step(5)
            call = CallStart(turn=None, model="gpt-5.4-mini", counted_tokens=10)
            held = reserve(store, 100, call=call)
            said = [Message(turn, "user", f"q{turn}"), Message(turn, "assistant", "é" * turn)]
            assert store.settle(held, CallEnd(10 * turn, turn), messages=said)
            store.add_event(LedgerEvent("s", PHASE, clock.now, "me", {"phase": f"p{turn}"}))
        spend(store, 7, 0)
        reserve(store, 50, call=CallStart(turn=None))
        clock.step(3)
        view = at_once.turn_view("s", turns=2)
        events = at_once.standing("s").events
        assert at_once.standing("s") == Standing(store.session("s"), store.totals("s"), events)
        assert events in (None, len(store.events("s")))
        assert (view.session, view.totals) == (store.session("s"), store.totals("s"))
        assert list(view.history) == store.history("s")
        assert [spent.turn for spent in view.spent] == [1, 3, 4]
        assert view.phase == [event for event in store.events("s") if event.kind == PHASE][-1]
        assert at_once.turn_view("s", turns=2, known=view) == view
        store.add_event(LedgerEvent("s", PHASE, clock.now, "me", {"phase": "last"}))
        renewed = at_once.turn_view("s", turns=2, known=view).phase
        assert renewed is not None
        assert renewed.detail == {"phase": "last"}

    def test_what_is_over_is_applied(self, store: BudgetStore, at_once: TurnStore, clock: Clock) -> None:
        """A lease and a time limit that have ended are seen by whatever reads first."""
        for name in ("standing", "turn_view"):
            begin(store, session_id=name, time_limit_s=60.0)
            reserve(store, 100, session_id=name, lease_s=30.0)
        clock.step(40)
        assert at_once.standing("standing").totals.in_doubt == 100
        assert at_once.turn_view("turn_view", turns=1).totals.in_doubt == 100
        clock.step(40)
        assert at_once.standing("standing").session.status is Status.EXPIRED
        assert at_once.turn_view("turn_view", turns=1).session.status is Status.EXPIRED

    def test_settling_tells_how_it_left_the_session(
        self, store: BudgetStore, at_once: TurnStore, clock: Clock
    ) -> None:
        """The answer is that of `settle`, first and repeated, and the session as it then is."""
        begin(store, 1_000, time_limit_s=60.0)
        held = reserve(store, 100, call=CallStart(turn=None))
        said = [Message(1, "user", "q"), Message(1, "assistant", "a")]
        clock.step(10)
        assert at_once.settle_turn(held, CallEnd(60, 20), messages=said) == (True, at_once.standing("s"))
        assert [message.content for message in store.history("s")] == ["q", "a"]
        assert (store.totals("s").used, store.totals("s").held) == (80, 0)
        assert at_once.settle_turn(held, CallEnd(60, 20)) == (True, at_once.standing("s"))
        assert at_once.settle_turn(held, CallEnd(60, 21)) == (False, at_once.standing("s"))
        assert store.totals("s").used == 80

    def test_a_settle_after_the_end_tells_that_it_has_ended(
        self, store: BudgetStore, at_once: TurnStore, clock: Clock
    ) -> None:
        """The time ran out while the call did, and another call's lease with it."""
        begin(store, 1_000, time_limit_s=60.0)
        held, other = (reserve(store, 100, lease_s=30.0) for _ in range(2))
        clock.step(70)
        same, standing = at_once.settle_turn(held, CallEnd(60, 20))
        assert isinstance(other, Reservation)
        assert same
        assert standing.session.status is Status.EXPIRED
        assert (standing.totals.used, standing.totals.held, standing.totals.in_doubt) == (80, 0, 100)
        assert standing == at_once.standing("s")
