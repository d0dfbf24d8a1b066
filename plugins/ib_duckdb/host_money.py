"""What all sessions together may cost, per day and in all: checked in the reserve's own write.

While there is a ceiling, a trigger (``host.sql``) adds up what is held and settled, in the same write.
"""

from __future__ import annotations

from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_kernel.values import Ceiling
from ib_kernel.values.domain import clean, whole

FITS = """NOT EXISTS (SELECT 1 FROM ceiling
        WHERE total_spent + held + :n > coalesce(total_nano_usd, 9223372036854775807)
            OR (CASE WHEN day = ledger_day() THEN day_spent ELSE 0 END) + held + :n
                > coalesce(day_nano_usd, 9223372036854775807))"""
"""SQL that is true when `:n` more nano-dollars fit under the ceiling, or there is none."""

_SPENT = """
SELECT ledger_day(),
    coalesce((SELECT sum(cost_nano_usd) FROM calls
        WHERE status = 'settled' AND ended_at >= ledger_day() * 86400), 0),
    coalesce(sum(cost_nano_usd), 0), coalesce(sum(held_nano_usd), 0)
FROM sessions"""

_CEILING = """
SELECT day_nano_usd, total_nano_usd, CASE WHEN day = ledger_day() THEN day_spent ELSE 0 END, total_spent, held
FROM ceiling"""


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
            return _ceiling(db)

    def ceiling(self) -> Ceiling:
        """Return the ceiling and what counts towards it; zeros while there is none."""
        with self._hot.read() as db:
            return _ceiling(db)


def _ceiling(db: apsw.Connection) -> Ceiling:
    row: Any = db.execute(_CEILING).fetchone()
    return Ceiling(*row) if row else Ceiling()
