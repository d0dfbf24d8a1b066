"""What the parts of `BudgetStoreContract` share: a clock that the test moves, a store, a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.values import (
    BudgetStore,
    CallEnd,
    NewSession,
    Refusal,
    Reservation,
    Session,
    Status,
)

NOON = 1_790_000_000.0
"""When a contract test begins: seconds since 1970."""


class Clock:
    """A clock that stands still until the test moves it, also backwards."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> None:
        """Move by *seconds*; a negative number steps back."""
        self.now += seconds


class StoreBase:
    """How the tests get a store. `make_store` is the one thing a plugin author must write."""

    answers_sql = True
    """False when `sql` is not supported (it must then raise `StoreError`)."""

    budgets_money = True
    """False when money budgets are not supported."""

    process_factory = ""
    """``"module:callable"`` that opens the same ledger in another process, given the folder as text.
    Empty: one process only, and the tests with several are skipped."""

    single_process_reason = "this store says that it serves one process only"

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> BudgetStore:
        """Return a store whose ledger lives in *folder* and whose time is *clock*. Override this."""
        raise NotImplementedError("define make_store(self, folder, clock, *, store_transcript=True)")

    def open_again(self, folder: Path, clock: Callable[[], float]) -> BudgetStore | None:
        """Return another store on the ledger in *folder*, or None when a ledger dies with its store."""
        return self.make_store(folder, clock) if self.process_factory else None

    @pytest.fixture
    def clock(self) -> Clock:
        """The time of the test's store."""
        return Clock()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the test's ledger lives."""
        return tmp_path / "ledger"

    @pytest.fixture
    def store(self, folder: Path, clock: Clock) -> Iterator[BudgetStore]:
        """A store; when the test is over its totals must still follow from its rows."""
        store = self.make_store(folder, clock)
        yield store
        assert store.check() == []
        store.close()

    def again(self, folder: Path, clock: Callable[[], float]) -> BudgetStore:
        """Open the ledger a second time, or skip the test."""
        store = self.open_again(folder, clock)
        if store is None:
            pytest.skip("this store's ledger dies with it")
        return store


def begin(store: BudgetStore, budget: int = 1_000, session_id: str = "s", **facts: Any) -> Session:
    """Open a session and make it active."""
    store.open_session(NewSession(session_id, "Ada", budget, "gpt-5.4-mini", **facts))
    return store.set_status(session_id, Status.ACTIVE)


def reserve(
    store: BudgetStore, tokens: int, *, session_id: str = "s", lease_s: float = 60.0, **more: Any
) -> Reservation:
    """Reserve tokens; the test fails when that is refused."""
    held = store.reserve(session_id, tokens, lease_s=lease_s, **more)
    assert isinstance(held, Reservation), held
    return held


def refused(store: BudgetStore, tokens: int, *, session_id: str = "s", **more: Any) -> Refusal:
    """Try to reserve tokens; the test fails when that is allowed."""
    refusal = store.reserve(session_id, tokens, lease_s=60.0, **more)
    assert isinstance(refusal, Refusal), refusal
    assert not refusal
    return refusal


def spend(
    store: BudgetStore, input_tokens: int, output_tokens: int, *, session_id: str = "s", **more: Any
) -> None:
    """Reserve exactly what is then settled."""
    held = reserve(store, input_tokens + output_tokens, session_id=session_id)
    assert store.settle(held, CallEnd(input_tokens, output_tokens, **more))


def listed(store: BudgetStore, reservation: Reservation) -> Reservation:
    """Return *reservation* as the ledger lists it: without what makes its holder the owner."""
    return next(r for r in store.reservations() if r.reservation_id == reservation.reservation_id)
