"""What a turn reads of a ledger that does not tell it at once: the same, put together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import TokenService
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, LedgerEvent
from ib_kernel.values.turn_view import PHASE

AT_ONCE = {"standing", "turn_view", "settle_turn", "spent_lately"}


class Less:
    """A ledger that lacks some of what it may have."""

    def __init__(self, store: DuckDBStore, lacks: set[str]) -> None:
        self._store, self._lacks = store, lacks

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(name)
        return getattr(self._store, name)


@pytest.fixture
def store(settings: Settings) -> Iterator[DuckDBStore]:
    """A ledger with a session that has had two turns and two phases."""
    made = DuckDBStore(settings.data_dir, background=False)
    service = TokenService(settings, store=made)
    service.create_session("Ada", 1_000, session_id="s")
    for turn, phase in ((1, "warm-up"), (2, "design")):
        service.record(LedgerEvent("s", PHASE, float(turn), detail={"phase": phase}))
        service.settle_call(service.reserve_tokens("s", 100), CallEnd(10 * turn, 5))
    service.record(LedgerEvent("s", "note", 3.0))
    yield made
    made.close()


def service_of(settings: Settings, store: DuckDBStore, lacks: set[str]) -> TokenService:
    """Return a service over the ledger without some of its methods."""
    less: Any = Less(store, lacks)
    return TokenService(settings, store=less)


def test_a_ledger_that_tells_less_at_once_is_read_the_same(settings: Settings, store: DuckDBStore) -> None:
    """Session, sums, what turns used and the newest phase, however it is asked for."""
    plain, whole = (service_of(settings, store, lacks).turn_view("s") for lacks in (AT_ONCE, set[str]()))
    assert plain.phase is not None
    assert plain.phase.detail == {"phase": "design"}
    assert plain.session.session_id == whole.session.session_id == "s"
    assert (plain.totals, plain.phase) == (whole.totals, whole.phase)
    assert [used.input_tokens for used in plain.spent] == [10, 20]


def test_a_ledger_that_cannot_say_what_turns_used_foretells_none(
    settings: Settings, store: DuckDBStore
) -> None:
    """And one in which no phase was entered has none."""
    service = service_of(settings, store, {*AT_ONCE, "spent"})
    service.create_session("Bob", 100, session_id="o")
    assert list(service.turn_view("s").spent) == []
    assert service.turn_view("o").phase is None
