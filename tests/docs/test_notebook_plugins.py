"""What notebook 04 teaches passes the contracts that it advertises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from ib_kernel.settings import Settings
from ib_kernel.testing import BudgetStoreContract, TokenCounterContract
from ib_kernel.values import BudgetStore, TokenCounter

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_write_a_plugin.ipynb"


def taught() -> dict[str, Any]:
    """Run the notebook's cells that define plugins, and return what they define."""
    names: dict[str, Any] = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if "plugin" in cell.metadata.get("tags", []):
            exec(compile(cell.source, NOTEBOOK.name, "exec"), names)
    return names


class TestWordCounter(TokenCounterContract):
    """The counter of notebook 04."""

    def make_counter(self) -> TokenCounter:
        counter: TokenCounter = taught()["WordCounter"]()
        return counter


class TestMemoryStore(BudgetStoreContract):
    """The ledger of notebook 04: one process, no SQL."""

    answers_sql = False

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> BudgetStore:
        settings = Settings(store_transcript=store_transcript)
        store: BudgetStore = taught()["MemoryStore"](settings, clock=clock)
        return store
