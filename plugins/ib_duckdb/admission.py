"""What admits a reservation: `used + held + in doubt + new ≤ budget`, in each currency, and more.

The one place that says so, for a caller alone and for many in one transaction. The ledger is held alone from
where a session was read until its sums are written: check and reservation are one durable write.
"""

from __future__ import annotations

from typing import Any

import apsw

from ib_duckdb.rows import Row, elapsed
from ib_kernel.values import Ceiling, Status
from ib_kernel.values.ledger import Reason

_CEILING = """
SELECT day_nano_usd, total_nano_usd, CASE WHEN day = ledger_day() THEN day_spent ELSE 0 END, total_spent, held
FROM ceiling"""


def refused(session: Row, asked: Row, running: int, ceiling: Ceiling | None, now: float) -> Reason | None:
    """Return why nothing may be reserved; None when it may.

    Args:
        session: The session's row.
        asked: The reservation's `tokens`, `billed_tokens`, `nano_usd` and `most_running` (None: any number).
        running: How many attempts of the session are held.
        ceiling: What all sessions together may cost, None for any amount.
        now: Seconds since 1970.
    """
    if session["status"] == Status.EXPIRED or elapsed(session, now):
        return "expired"
    if session["status"] != Status.ACTIVE:
        return "inactive"
    if charged(session) + asked["tokens"] > session["token_budget"]:
        return "budget"
    most = session["billed_ceiling"]
    if most is not None and billed(session) + asked["billed_tokens"] > most:
        return "billed"
    if asked["most_running"] is not None and running >= asked["most_running"]:
        return "running"
    money = session["budget_nano_usd"]
    if money is not None and session["cost_nano_usd"] + session["held_nano_usd"] + asked["nano_usd"] > money:
        return "money"
    if ceiling is not None and not fits(ceiling, asked["nano_usd"]):
        return "ceiling"
    return None


def left(session: Row) -> int:
    """Return the tokens of a session that may still be held."""
    return max(0, int(session["token_budget"] - charged(session)))


def charged(session: Row) -> int:
    """Return what a session was charged and may yet be charged for what is held and in doubt."""
    return int(session["charged_tokens"] + session["held"] + session["in_doubt"])


def billed(session: Row) -> int:
    """Return what a session was billed and may yet be billed for what is held and in doubt."""
    return int(session["input_tokens"] + session["output_tokens"] + session["held_billed"])


def fits(ceiling: Ceiling, nano_usd: int) -> bool:
    """Return True if *nano_usd* more may be spent by all sessions together."""
    new = ceiling.held + nano_usd
    day, total = ceiling.day_nano_usd, ceiling.total_nano_usd
    return (total is None or ceiling.total_spent + new <= total) and (
        day is None or ceiling.day_spent + new <= day
    )


def read_ceiling(db: apsw.Connection) -> Ceiling | None:
    """Return the ceiling and what counts towards it; None while there is none."""
    row: Any = db.execute(_CEILING).fetchone()
    return Ceiling(*row) if row else None
