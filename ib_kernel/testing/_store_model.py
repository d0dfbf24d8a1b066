"""Any history at all: hypothesis drives a store and the ten-line model below, which must always agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from ib_kernel.errors import BudgetRefused, ReservationError
from ib_kernel.testing._store_base import Clock, begin
from ib_kernel.values import BudgetStore, CallEnd

LEASE_S = 60.0


class Model:
    """The invariants: what is charged fits at admission, and each hold ends once."""

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self.open: dict[str, int] = {}

    def admits(self, tokens: int) -> bool:
        """Return True if a hold of *tokens* fits."""
        return self.used + sum(self.open.values()) + tokens <= self.budget

    def end(self, rid: str, used: int) -> bool:
        """End a hold with what it used; tell whether it was open."""
        known = rid in self.open
        if known:
            del self.open[rid]
            self.used += used
        return known


def machine(make: Callable[[Clock], BudgetStore]) -> type[RuleBasedStateMachine]:
    """Return a state machine over the stores that *make* returns."""
    amounts = st.integers(0, 60)

    class Histories(RuleBasedStateMachine):
        """Reserve, settle, release, doubt, write off, charge, change the budget, let time pass."""

        held = Bundle("held")

        def __init__(self) -> None:
            super().__init__()
            self.clock = Clock()
            self.store, self.model = make(self.clock), Model(100)
            self.settled: set[str] = set()
            begin(self.store, 100)

        @rule(target=held, tokens=amounts)
        def reserve(self, tokens: int) -> Any:
            got = self.store.reserve("s", tokens, lease_s=LEASE_S)
            assert bool(got) == self.model.admits(tokens)
            if not got:
                return multiple()
            self.model.open[got.reservation_id] = tokens
            return got.reservation_id

        @rule(rid=held, used=amounts)
        def settle(self, rid: str, used: int) -> None:
            try:
                ended = self.store.settle(rid, CallEnd(used, 0))
            except ReservationError:
                assert rid not in self.model.open
                assert rid not in self.settled
                return
            assert ended == self.model.end(rid, used)
            self.settled.add(rid)

        @rule(rid=consumes(held))
        def release(self, rid: str) -> None:
            try:
                ended = self.store.release(rid)
            except ReservationError:
                assert rid in self.model.open  # in doubt: it stays charged
                return
            assert ended == self.model.end(rid, 0)

        @rule(rid=held)
        def doubt(self, rid: str) -> None:
            self.store.doubt(rid, "timeout")

        @rule(rid=held)
        def write_off(self, rid: str) -> None:
            doubtful = {r.reservation_id for r in self.store.reservations("s") if r.in_doubt}
            if rid in doubtful:
                assert self.store.write_off(rid, who="Ada")
                assert self.model.end(rid, 0)

        @rule(used=amounts)
        def charge(self, used: int) -> None:
            self.store.charge("s", CallEnd(0, used))
            self.model.used += used

        @rule(budget=st.integers(0, 400))
        def set_budget(self, budget: int) -> None:
            fits = budget >= self.model.used + sum(self.model.open.values())
            try:
                self.store.set_budget("s", tokens=budget)
            except BudgetRefused:
                assert not fits
            else:
                assert fits
                self.model.budget = budget

        @rule(seconds=st.sampled_from([-3_600.0, -1.0, 1.0, LEASE_S, 3_600.0]))
        def time_passes(self, seconds: float) -> None:
            self.clock.step(seconds)

        @invariant()
        def agrees(self) -> None:
            totals = self.store.totals("s")
            assert totals.used == self.model.used
            assert totals.held + totals.in_doubt == sum(self.model.open.values())
            assert {r.reservation_id for r in self.store.reservations("s")} == set(self.model.open)

        def teardown(self) -> None:
            assert self.store.check() == []
            self.store.close()

    return Histories
