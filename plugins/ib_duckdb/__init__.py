"""The embedded ledger: a small SQLite front for the calls, one DuckDB file for the people who query.

A call only ever writes to the *hot ledger* (``hot.sqlite3``): a durable write of well under a millisecond
that many kernels can share. What is final is moved, exactly once, into the *record* (``usage.duckdb``),
which is opened only for moments, so that any other tool may read it. Importing this package imports
neither SQLite nor DuckDB.
"""

from __future__ import annotations

from ib_duckdb.archive import DuckDBFormat
from ib_duckdb.settings import DuckDBSettings
from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore


def make_store(settings: Settings) -> BudgetStore:
    """Open the ledger in ``settings.data_dir``, creating it when it is not there. Raises `StoreError`."""
    from ib_duckdb.limits import Limits
    from ib_duckdb.store import DuckDBStore

    mine = settings.plugin("duckdb", DuckDBSettings)
    return DuckDBStore(
        settings.data_dir,
        store_transcript=settings.store_transcript,
        allow_network=settings.allow_network_fs,
        limits=Limits(mine.query_s, mine.query_memory_mb * 1_000_000, mine.query_rows),
        tick_s=mine.tick_s,
    )


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the store ``duckdb``, its settings, and DuckDB files of other stores' ledgers."""
    catalog.add_settings("duckdb", DuckDBSettings)
    catalog.add_store("duckdb", make_store)
    catalog.add_usage_format("duckdb", DuckDBFormat())
