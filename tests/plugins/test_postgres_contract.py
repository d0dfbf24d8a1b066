"""The ledger's contract on PostgreSQL 18: directly, through pgbouncer, and under SERIALIZABLE.

`make test` runs all of it directly and, on the other two, what many write at once; with POSTGRES_WHOLE=1
(`make test-postgres`) all of it runs on all three.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, PgBouncer, PostgresServer

from ib_kernel.testing import BudgetStoreContract, HostStoreContract
from ib_kernel.testing._host_people import Invitations
from ib_kernel.testing._host_requests import Ceilings, Requests
from ib_kernel.testing._store_owners import Owners, Turns
from ib_kernel.testing._store_reservations import Admission, Endings
from ib_kernel.testing._store_shared import Threads

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.store import PostgresStore

WHOLE = bool(os.environ.get("POSTGRES_WHOLE"))
PARTS: Any = (Admission, Endings, Turns, Owners, Threads)
HOST_PARTS: Any = (Requests, Ceilings, Invitations)


class OnPostgres:
    """How a contract's tests get a ledger: an empty database for each folder."""

    process_factory = "postgres_ledgers:open_store"
    pooler = False
    histories = 10

    @pytest.fixture
    def ledgers_here(self, ledgers: Databases) -> Databases:
        """Empty ledgers on the run's server."""
        return ledgers

    @pytest.fixture(autouse=True)
    def databases(
        self, ledgers_here: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        """Databases for the test's folders; other processes find the module that opens them."""
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        self.ledgers = ledgers_here
        yield
        ledgers_here.give_back(tmp_path)

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


class ThroughPgBouncer(OnPostgres):
    """Each transaction may meet another connection of the server."""

    pooler = True

    @pytest.fixture(autouse=True)
    def through(self, bouncer: PgBouncer) -> None:
        """The run's pgbouncer."""
        self.bouncer = bouncer

    def url(self, database: str) -> str:
        """Return the address of a database through pgbouncer."""
        return self.bouncer.url(database)


class Serializable(OnPostgres):
    """A database whose transactions are serializable unless they say otherwise."""

    @pytest.fixture
    def ledgers_here(self, serializable: Databases) -> Databases:
        """Empty ledgers whose default isolation is SERIALIZABLE."""
        return serializable


@pytest.fixture(scope="module")
def bouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """One pgbouncer in transaction mode."""
    running = PgBouncer(postgres)
    yield running
    running.remove()


@pytest.fixture(scope="module")
def serializable(postgres: PostgresServer) -> Databases:
    """Ledgers under SERIALIZABLE on the run's server."""
    return Databases(postgres, "serial", ["default_transaction_isolation = 'serializable'"])


if WHOLE:

    class TestThroughPgBouncer(ThroughPgBouncer, BudgetStoreContract):
        """pgbouncer in transaction mode."""

    class TestThroughPgBouncerForAHost(ThroughPgBouncer, HostStoreContract):
        """The same, as a host uses it."""

    class TestSerializable(Serializable, BudgetStoreContract):
        """SERIALIZABLE by default."""

    class TestSerializableForAHost(Serializable, HostStoreContract):
        """The same, as a host uses it."""

else:
    # what many write at once; processes only on the direct way
    TestThroughPgBouncer: Any = type(
        "TestThroughPgBouncer", (ThroughPgBouncer, *PARTS, *HOST_PARTS), {"process_factory": ""}
    )
    TestSerializable: Any = type(
        "TestSerializable", (Serializable, *PARTS, Ceilings), {"process_factory": ""}
    )
