"""Times as one person on the interviewers' side reads them.

Coordinators read them as the clock ran. For anybody else they are relative to the usual limit, so that a
session with an accommodation looks like any other.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ib_kernel.values.accommodation import time_factor

if TYPE_CHECKING:
    from ib_kernel.values import Person, Session

_TIMES = ("time_limit_s", "time_limit_at_start_s", "time_left_s", "active_s")


def factor_for(person: Person, session: Session) -> float:
    """Return what *person* reads times of *session* divided by."""
    return 1.0 if person.role == "coordinator" else time_factor(session)


def relative(session: Session, factor: float) -> Session:
    """Return *session* with its limits and times divided by *factor*."""
    if factor == 1.0:
        return session
    values = ((name, getattr(session, name)) for name in _TIMES)
    changes: dict[str, Any] = {
        name: None if value is None else round(value / factor, 6) for name, value in values
    }
    return dataclasses.replace(session, **changes)
