"""A ledger that cannot be written for a moment: nothing is forgotten, and nothing is charged twice."""

from __future__ import annotations

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel.budget.service import TokenService
from ib_kernel.errors import StoreError
from ib_kernel.settings import Settings


def writable(store: DuckDBStore, yes: bool) -> None:
    """Let the hot ledger refuse every write, as a full disk does, or take them again."""
    with store._hot.read() as db:
        db.execute(f"PRAGMA query_only = {'OFF' if yes else 'ON'}").fetchall()


@pytest.mark.parametrize("by", ["update_consumption", "settle", "release"])
def test_an_end_that_could_not_be_written_is_written_once_later(settings: Settings, by: str) -> None:
    """When the ledger can be written again the same reservation ends: charged once, nothing held."""
    store = DuckDBStore(settings.data_dir, background=False)
    service = TokenService(settings, store=store)
    session = service.create_session("Ada", token_budget=10_000).session_id
    held = service.reserve_tokens(session, 500)
    assert held is not None

    def end() -> None:
        if by == "settle":
            service.settle(held, input_tokens=100, output_tokens=50)
        elif by == "release":
            service.release(held)
        else:
            service.update_consumption(session, 100, 50)

    writable(store, False)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be written"):
            end()
    assert service.totals(session).held == 500
    writable(store, True)
    if by != "update_consumption":
        service.update_consumption(session, 100, 50)  # settles what is still its own
    else:
        end()
    totals = service.totals(session)
    assert (totals.used, totals.held, totals.calls) == (150, 0, 1)
    assert store.check() == []
    store.close()
