"""`ib store init | migrate | check` for a ledger on PostgreSQL (`ib_kernel.values.StoreTools`)."""

from __future__ import annotations

from ib_kernel.errors import StoreError
from ib_postgres.address import Address
from ib_postgres.audit import check
from ib_postgres.database import Database
from ib_postgres.migrate import applied, known, migrate, require_current
from ib_postgres.proof import verify
from ib_postgres.server import about


class PostgresTools:
    """Sets a database up, and looks at what is in it.

    Args:
        url: Where it is, as psql takes it; of a role that may create the schema ``ib``.
        store_timeout_s: Seconds that connecting may take.
        pooler: It is reached through pgbouncer in transaction mode.
    """

    def __init__(self, url: str, *, store_timeout_s: float = 5.0, pooler: bool = False) -> None:
        address = Address(url)
        self._database = Database(address, size=1, timeout_s=store_timeout_s, pooler=pooler)
        self._where = str(address)

    def init(self) -> list[str]:
        """Make the ledger; refuses where there is one."""
        with self._database.dedicated() as db:
            if applied(db):
                raise StoreError(f"{self._where} has a ledger; ib store migrate brings it forward")
            migrate(db)
        return [
            f"{self._where} has an empty ledger ({known()[-1].name})",
            'choose it with --store postgres, or store = "postgres" in config.toml',
        ]

    def migrate(self) -> list[str]:
        """Bring the ledger forward. `StoreError` where there is none, or a newer one."""
        with self._database.dedicated() as db:
            if not applied(db):
                raise StoreError(f"{self._where} has no ledger yet; ib store init makes one")
            done = migrate(db)
        return [f"applied {name}" for name in done] or [f"{self._where} is up to date ({known()[-1].name})"]

    def check(self) -> tuple[list[str], list[str]]:
        """Look at the schema, rebuild every sum from its rows, and recompute every chain."""
        with self._database.dedicated() as db:
            require_current(db)
            told = [line for line, _ in about(db)]
        wrong = check(self._database)
        proof = verify(self._database)
        told.append(f"{proof.sessions:,} sessions, {proof.rows:,} rows in their chains")
        self._database.close()
        return [f"{self._where}: {line}" for line in told], [*wrong, *proof.differences]
