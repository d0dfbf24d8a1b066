"""Opening a test's ledger on PostgreSQL, in this process and in others."""

from __future__ import annotations

from pathlib import Path

from ib_postgres.store import PostgresStore


def open_store(folder: str) -> PostgresStore:
    """Open the ledger whose address stands in *folder*, on the server's time."""
    url, _, pooler = (Path(folder) / "url").read_text(encoding="utf-8").partition("\n")
    return PostgresStore(url, pooler=pooler == "pooler", store_timeout_s=30, background=False)
