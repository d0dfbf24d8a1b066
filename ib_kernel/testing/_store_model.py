"""Any history at all: hypothesis drives a store and the ten-line model below, which must always agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from ib_kernel.errors import BudgetRefused, ReservationError
from ib_kernel.testing._store_base import Clock, begin
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Reservation

LEASE_S = 60.0


class Model:
    """The invariants: what is charged fits at admission, and each reservation ends once."""

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self.open: dict[str, int] = {}

    def admits(self, tokens: int) -> bool:
        """Return True if a reservation of *tokens* fits."""
        return self.used + sum(self.open.values()) + tokens <= self.budget

    def end(self, rid: str, used: int) -> bool:
        """End a reservation with what it used; return True if it was open."""
        known = rid in self.open
        if known:
            del self.open[rid]
            self.used += used
        return known


def machine(make: Callable[[Clock], BudgetStore]) -> type[RuleBasedStateMachine]:
    """Return a state machine over the stores that *make* returns."""
    amounts = st.integers(0, 60)

    class Histories(RuleBasedStateMachine):
        """Reserve, end in every way, charge, change the budget, let time pass."""

        held = Bundle("held")

        def __init__(self) -> None:
            super().__init__()
            self.clock = Clock()
            self.store, self.model = make(self.clock), Model(100)
            self.settled: dict[str, int] = {}
            self.turns: list[int] = []
            begin(self.store, 100)

        @rule(target=held, tokens=amounts, turn=st.sampled_from([None, 0]))
        def reserve(self, tokens: int, turn: int | None) -> Any:
            got = self.store.reserve("s", tokens, lease_s=LEASE_S, call=CallStart(turn=turn))
            assert bool(got) == self.model.admits(tokens)
            if not isinstance(got, Reservation):
                return multiple()
            self.model.open[got.reservation_id] = tokens
            if turn is None:
                self.turns.append(got.turn)
            return got

        @rule(reservation=held, used=amounts)
        def settle(self, reservation: Reservation, used: int) -> None:
            rid = reservation.reservation_id
            try:
                same = self.store.settle(reservation, CallEnd(used, 0))
            except ReservationError:
                assert rid not in self.model.open
                assert rid not in self.settled
                return
            if self.model.end(rid, used):
                self.settled[rid] = used
            assert same == (self.settled[rid] == used)

        @rule(reservation=held, used=amounts)
        def somebody_else_settles(self, reservation: Reservation, used: int) -> None:
            with pytest.raises(ReservationError):
                self.store.settle(replace(reservation, owner_token=""), CallEnd(used, 0))

        @rule(reservation=held, used=amounts)
        def resolve(self, reservation: Reservation, used: int) -> None:
            rid = reservation.reservation_id
            if self._is_unresolved(rid):
                assert self.store.resolve(rid, CallEnd(used, 0), who="Ada")
                assert self.model.end(rid, used)
                self.settled[rid] = used

        @rule(reservation=consumes(held))
        def release(self, reservation: Reservation) -> None:
            rid = reservation.reservation_id
            try:
                ended = self.store.release(reservation)
            except ReservationError:
                assert rid in self.model.open  # in doubt: it stays charged
                return
            assert ended == self.model.end(rid, 0)

        @rule(reservation=held)
        def mark_unresolved(self, reservation: Reservation) -> None:
            self.store.mark_unresolved(reservation, "timeout")

        @rule(reservation=held)
        def write_off(self, reservation: Reservation) -> None:
            if self._is_unresolved(reservation.reservation_id):
                assert self.store.write_off(reservation.reservation_id, who="Ada")
                assert self.model.end(reservation.reservation_id, 0)

        def _is_unresolved(self, rid: str) -> bool:
            return rid in {r.reservation_id for r in self.store.reservations("s") if r.in_doubt}

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
            assert self.turns == list(range(1, len(self.turns) + 1))

        def teardown(self) -> None:
            assert self.store.check() == []
            self.store.close()

    return Histories
