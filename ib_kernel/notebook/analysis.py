"""The ledger for other tools: one DuckDB connection that JupySQL, pandas, polars or Ibis can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.hiding import owner_reader
from ib_kernel.assessment.sight import opened_by
from ib_kernel.budget.access import actor
from ib_kernel.errors import StoreError
from ib_kernel.settings import Settings
from ib_kernel.values import LedgerTarget, UsageFormat

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService


def connect_usage(
    settings: Settings | None = None, *, host: str | None = None, passphrase: str | None = None
) -> Any:
    """Return a DuckDB connection with the ledger's tables and views (see docs/sql.md).

    It is a private, read-only copy of what had been settled when it was made: interviews and the moving of
    rows go on while it is open, nothing done on it reaches the ledger, and one that is never closed is freed
    with its last reference. Of a ledger on PostgreSQL it is an export, made when this is called.

    Args:
        settings: Whose ledger; by default this notebook's, else that of the settings looked up now.
        host: The address of a host, such as ``https://host.example`` ("": that of ``IB_HOST``), whose ledger
            is copied instead. For interviewers: ``IB_HOST_TOKEN`` says who asks. Needs pyarrow.
        passphrase: Of locked sessions, whose levels and notes are else left out.

    Returns:
        A `duckdb.DuckDBPyConnection`.

    Raises:
        StoreError: The ledger in use cannot be read with DuckDB.
        StoreBusy: Another process has it open for writing.
        ConfigError: No host is named, no token is there, or pyarrow is not installed.
    """
    service = _service(settings)
    if host is not None:
        return _copied(service, host, settings)
    store = service.store
    connect = getattr(store, "connect", _exported(service))
    if connect is None:
        raise StoreError(
            f"the ledger {store.name!r} offers no connection for other tools; %%usage answers SQL"
        )
    opened = opened_by(service, passphrase) if passphrase else ()
    return connect(reader=owner_reader(actor(), opened))


def _exported(service: TokenService) -> Callable[..., Any] | None:
    """Return what connects to a copy of a ledger that has a server; None where it cannot be copied."""
    store, form = service.store, _duckdb(service)
    if form is None or not isinstance(store, LedgerTarget):
        return None
    return lambda reader: form.connect(store.usage_rows(reader=reader))


def _copied(service: TokenService, host: str, settings: Settings | None) -> Any:
    from ib_kernel.remote import usage
    from ib_kernel.remote.desk import Desk

    store, form = service.store, _duckdb(service)
    connect = getattr(store, "connect_tables", form.connect_tables if form else None)
    if connect is None:
        raise StoreError(
            f"the ledger {store.name!r} makes no database of a host's tables; use %%usage --host"
        )
    return connect(usage.tables(Desk.at(host, settings or Settings())))


def _duckdb(service: TokenService) -> UsageFormat | None:
    service.plugins.load()
    return service.plugins.catalog.usage_formats.offered("duckdb")


def _service(settings: Settings | None) -> TokenService:
    from ib_kernel.budget.service import get_token_service

    if settings is None:
        from ib_kernel.notebook.engine import current_engine

        engine = current_engine()
        if engine is not None:
            return engine.service
    return get_token_service(settings)
