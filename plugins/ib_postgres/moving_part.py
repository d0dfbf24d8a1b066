"""The store's side of moving: another ledger is taken in whole (`ib_kernel.values.moving.LedgerTarget`)."""

from __future__ import annotations

from ib_kernel.values.moving import LedgerSource, Moved
from ib_postgres.base import Part


class Moving(Part):
    """What a ledger takes over from another one."""

    def take(self, source: LedgerSource) -> Moved:
        """Take all of *source*, exactly once, also when an earlier try was killed (see `moving.take`)."""
        from ib_postgres import moving

        with self._database.dedicated() as conn:
            conn.autocommit = True
            conn.execute("SET statement_timeout = 0")
            return moving.take(conn, source)
