"""The ledger for other tools: one DuckDB connection that JupySQL, pandas, polars or Ibis can use."""

from __future__ import annotations

from typing import Any

from ib_kernel.errors import StoreError
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore


def connect_usage(settings: Settings | None = None, *, host: str | None = None) -> Any:
    """Return a DuckDB connection with the ledger's tables and views (see docs/sql.md).

    It is a private, read-only copy of what had been settled when it was made: interviews and the moving of
    rows go on while it is open, nothing done on it reaches the ledger, and one that is never closed is freed
    with its last reference.

    Args:
        settings: Whose ledger; by default this notebook's, else that of the settings looked up now.
        host: The address of a host, such as ``https://host.example`` ("": that of ``IB_HOST``), whose ledger
            is copied instead. For interviewers: ``IB_HOST_TOKEN`` says who asks. Needs pyarrow.

    Returns:
        A `duckdb.DuckDBPyConnection`.

    Raises:
        StoreError: The ledger in use cannot be read with DuckDB.
        StoreBusy: Another process has it open for writing.
        ConfigError: No host is named, no token is there, or pyarrow is not installed.
    """
    store = _store(settings)
    if host is not None:
        return _copied(store, host, settings)
    connect = getattr(store, "connect", None)
    if connect is None:
        raise StoreError(
            f"the ledger {store.name!r} offers no connection for other tools; %%usage answers SQL"
        )
    return connect()


def _copied(store: BudgetStore, host: str, settings: Settings | None) -> Any:
    from ib_kernel.remote import usage
    from ib_kernel.remote.desk import Desk

    connect = getattr(store, "connect_tables", None)
    if connect is None:
        raise StoreError(
            f"the ledger {store.name!r} makes no database of a host's tables; use %%usage --host"
        )
    return connect(usage.tables(Desk.at(host, settings or Settings())))


def _store(settings: Settings | None) -> BudgetStore:
    from ib_kernel.budget.service import get_token_service

    if settings is None:
        from ib_kernel.notebook.engine import current_engine

        engine = current_engine()
        if engine is not None:
            return engine.service.store
    return get_token_service(settings).store
