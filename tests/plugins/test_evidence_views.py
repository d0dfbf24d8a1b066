"""The embedded ledger's views say what happened in a planted interview, before and after rows are moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ib_duckdb.store import DuckDBStore
from ib_kernel.testing import UsageViewsContract
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message, NewSession

NOON = 1_790_000_000.0


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


def test_halves_are_rounded_as_postgresql_does(tmp_path: Path) -> None:
    """116.55 is 116.6, although the double that stands for it is a little less."""
    store = DuckDBStore(tmp_path, clock=lambda: NOON, background=False)
    store.open_session(NewSession("s", "Ada", 10_000, "m"))
    reply = Message(1, "assistant", "So.", NOON + 5_000)
    question = Message(1, "user", "And?", NOON + 5_117, asked_at=NOON + 5_116.55)
    store.charge("s", CallEnd(1, 1), call=CallStart(turn=1, model="m"), messages=[reply, question])
    assert store.sql("SELECT think_s FROM think_time").rows == [(116.6,)]
    store.close()
