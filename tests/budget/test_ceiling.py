"""Whether a ledger limits what all its sessions may cost: asked now and then, not with every call."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import TokenService
from ib_kernel.budget.ceiling import KNOWN_S
from ib_kernel.errors import StoreError
from ib_kernel.settings import Settings
from ib_kernel.values import Ceiling


@pytest.mark.parametrize("ceiling", [{"day_nano_usd": 1_000}, {"total_nano_usd": 1_000}])
def test_a_ceiling_of_either_kind_is_one(settings: Settings, ceiling: dict[str, int]) -> None:
    """Per day, or in all; without one there is none."""
    store = DuckDBStore(settings.data_dir, background=False)
    assert not TokenService(settings, store=store).has_ceiling()
    store.set_ceiling(**ceiling, who="Grace")
    assert TokenService(settings, store=store).has_ceiling()
    store.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the moment that it is, which stands until the test changes it."""
    moment = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


class Counted:
    """A ledger that counts how often it is asked, and answers as it is told."""

    def __init__(self, found: Ceiling | Exception) -> None:
        self.found, self.asked = found, 0

    def ceiling(self) -> Ceiling:
        """Return the ceiling, or raise."""
        self.asked += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_the_answer_is_taken_as_it_was_for_a_while(settings: Settings, now: list[float]) -> None:
    """A host asks with every call."""
    store: Any = Counted(Ceiling(total_nano_usd=5))
    service = TokenService(settings, store=store)
    assert all(service.has_ceiling() for _ in range(3))
    assert store.asked == 1
    store.found = Ceiling()
    now[0] += KNOWN_S
    assert not service.has_ceiling()
    assert store.asked == 2


def test_a_ledger_that_cannot_be_read_changes_no_answer(settings: Settings, now: list[float]) -> None:
    """The reserve's own write decides then; before the first answer there is none."""
    away: Any = Counted(StoreError("away"))
    assert not TokenService(settings, store=away).has_ceiling()
    store: Any = Counted(StoreError("away"))
    service = TokenService(settings, store=store)
    assert not service.has_ceiling()
    store.found = Ceiling(day_nano_usd=5)
    now[0] += KNOWN_S
    assert service.has_ceiling()
    store.found = StoreError("away")
    now[0] += KNOWN_S
    assert service.has_ceiling()


def test_a_ledger_that_serves_no_host_has_no_ceiling(settings: Settings) -> None:
    """It has no method to be asked by."""
    store: Any = object()
    assert not TokenService(settings, store=store).has_ceiling()
