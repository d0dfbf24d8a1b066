"""What all sessions together may cost, per day and in all: checked in the reserve's own write.

While there is a ceiling, a trigger (``host.sql``) adds up what is held and settled, in the same write.
"""

from __future__ import annotations

from typing import Any

from ib_duckdb.admission import read_ceiling
from ib_duckdb.base import Part
from ib_kernel.values import Ceiling
from ib_kernel.values.domain import clean, whole

_SPENT = """
SELECT ledger_day(),
    coalesce((SELECT sum(cost_nano_usd) FROM calls
        WHERE status = 'settled' AND ended_at >= ledger_day() * 86400), 0),
    coalesce(sum(cost_nano_usd), 0), coalesce(sum(held_nano_usd), 0)
FROM sessions"""


class Money(Part):
    """The ceiling of `ib_kernel.values.HostStore`."""

    def set_ceiling(
        self, *, day_nano_usd: int | None = None, total_nano_usd: int | None = None, who: str = ""
    ) -> Ceiling:
        """Set what all sessions together may cost (see `HostStore.set_ceiling`)."""
        day = None if day_nano_usd is None else whole("the day's ceiling", day_nano_usd)
        total = None if total_nano_usd is None else whole("the ceiling", total_nano_usd)
        with self._hot.write() as db:
            db.execute("DELETE FROM ceiling")
            if day is not None or total is not None:
                spent: Any = next(iter(db.execute(_SPENT)))
                values = (day, total, *spent, clean(who), self._now())
                db.execute("INSERT INTO ceiling VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            return read_ceiling(db) or Ceiling()

    def ceiling(self) -> Ceiling:
        """Return the ceiling and what counts towards it; zeros while there is none."""
        with self._hot.read() as db:
            return read_ceiling(db) or Ceiling()
