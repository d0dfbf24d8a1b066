"""The ledger's contract on PostgreSQL 18: directly, through pgbouncer, and under SERIALIZABLE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_servers import Databases

from ib_kernel.testing import BudgetStoreContract, HostStoreContract

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.store import PostgresStore


class OnPostgres:
    """How a contract's tests get a ledger: an empty database for each folder."""

    process_factory = "postgres_ledgers:open_store"
    answers_sql = False
    pooler = False

    @pytest.fixture(autouse=True)
    def databases(
        self, ledgers: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        """Empty ledgers on the run's server; other processes find the module that opens them."""
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        self.ledgers = ledgers
        yield
        ledgers.give_back(tmp_path)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return self.ledgers.server.url(database)

    def make_store(
        self, folder: Path, clock: Callable[[], float], *, store_transcript: bool = True
    ) -> PostgresStore:
        """Open the ledger that stands for *folder*."""
        url = self.url(self.ledgers.take(folder))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "url").write_text(f"{url}\n{'pooler' if self.pooler else ''}", encoding="utf-8")
        return PostgresStore(
            url,
            clock=clock,
            store_transcript=store_transcript,
            pooler=self.pooler,
            store_timeout_s=30,
            background=False,
        )


class TestPostgresStore(OnPostgres, BudgetStoreContract):
    """PostgreSQL itself."""


class TestPostgresStoreForAHost(OnPostgres, HostStoreContract):
    """The same ledger, as a host uses it."""
