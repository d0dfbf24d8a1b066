"""The ledger for teams, on PostgreSQL 15 or newer: one database that several hosts share.

Every write is one call of one function in the database: one round trip, one transaction, its check and its
reservation in one conditional statement. Importing this package does not import psycopg.
"""

from __future__ import annotations

from ib_kernel.errors import ConfigError
from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, StoreTools
from ib_postgres.settings import PostgresSettings


def make_store(settings: Settings) -> BudgetStore:
    """Open the ledger that ``[plugins.postgres]`` names. `StoreError` when it is not there."""
    require_psycopg()
    from ib_postgres.asking import Limits
    from ib_postgres.store import PostgresStore

    mine = settings.plugin("postgres", PostgresSettings)
    return PostgresStore(
        mine.url.reveal() if mine.url else "",
        store_transcript=settings.store_transcript,
        pool_size=mine.pool_size,
        store_timeout_s=mine.store_timeout_s,
        pooler=mine.pooler,
        tick_s=mine.tick_s,
        limits=Limits(mine.query_s, mine.query_memory_mb * 1_000_000, mine.query_rows),
    )


def make_tools(settings: Settings) -> StoreTools:
    """Return what sets that ledger up, for ``ib store``."""
    require_psycopg()
    from ib_postgres.tools import PostgresTools

    mine = settings.plugin("postgres", PostgresSettings)
    url = mine.url.reveal() if mine.url else ""
    return PostgresTools(url, store_timeout_s=mine.store_timeout_s, pooler=mine.pooler)


def require_psycopg() -> None:
    """Raise `ConfigError`, with what to type, unless the client of PostgreSQL is installed."""
    from importlib.util import find_spec

    if find_spec("psycopg") is None:
        raise ConfigError(
            "the store postgres needs psycopg: pip install 'interview-buddy-kernel[postgres]' installs it"
        )


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the store ``postgres`` and its settings."""
    catalog.add_settings("postgres", PostgresSettings)
    catalog.add_store("postgres", make_store, tools=make_tools)
