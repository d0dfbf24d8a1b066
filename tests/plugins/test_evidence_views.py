"""The embedded ledger's views say what happened in a planted interview, before and after rows are moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ib_duckdb.store import DuckDBStore
from ib_kernel.testing import UsageViewsContract
from ib_kernel.values import BudgetStore


class TestViewsOfHotRows(UsageViewsContract):
    """Rows that are still in the hot ledger."""

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> BudgetStore:
        return DuckDBStore(folder, clock=clock, store_transcript=store_transcript, background=False)


class TestViewsOfMovedRows(TestViewsOfHotRows):
    """Rows that are in the record."""

    def before_asking(self, store: BudgetStore) -> None:
        store.flush()
