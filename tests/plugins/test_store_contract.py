"""The ledger's contract, kept by the embedded default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel.testing import BudgetStoreContract, HostStoreContract
from ib_kernel.values import BudgetStore


class TestDuckDBStore(BudgetStoreContract):
    """SQLite in front, DuckDB behind."""

    process_factory = "ib_duckdb.store:DuckDBStore"

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> BudgetStore:
        """Open a ledger whose rows move when the test says so."""
        return DuckDBStore(folder, clock=clock, store_transcript=store_transcript, background=False)


class TestDuckDBStoreForAHost(HostStoreContract):
    """The same ledger, as a host uses it."""

    process_factory = TestDuckDBStore.process_factory

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> BudgetStore:
        """Open a ledger whose rows move when the test says so."""
        return DuckDBStore(folder, clock=clock, store_transcript=store_transcript, background=False)


def test_overriding_a_contract_test_needs_a_reason() -> None:
    """A subclass that replaces a test is refused unless it is an xfail that says why."""
    with pytest.raises(TypeError, match="xfail"):
        type("Cheat", (BudgetStoreContract,), {"test_it_is_a_store": lambda self: None})

    @pytest.mark.xfail(reason="an example")
    def honest(self: object) -> None: ...

    type("Honest", (BudgetStoreContract,), {"test_it_is_a_store": honest})
