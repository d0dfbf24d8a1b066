"""What was adapted for one person: more time, written down as ``time=1.25``, seen by coordinators only.

The session's own limit is the longer one; everybody else reads its minutes relative to that limit, as if the
clock had run slower. So equal conditions stay equal.
"""

from __future__ import annotations

import math

from ib_kernel.errors import ConfigError
from ib_kernel.values.session import NewSession

MOST = 4.0
"""How many times the usual time may be given at most."""


def parse_accommodation(text: str) -> str:
    """Return an accommodation in its one form, such as "time=1.25"; "" for none.

    Args:
        text: What was typed.

    Raises:
        ConfigError: It is none that is known.
    """
    typed = "".join(text.split())
    if not typed:
        return ""
    name, _, value = typed.partition("=")
    try:
        factor = float(value.replace(",", "."))
    except ValueError:
        factor = math.nan
    if name != "time" or not 1 < factor <= MOST:
        raise ConfigError(
            f"an accommodation cannot be {text[:40]!r}; give time=FACTOR above 1, at most {MOST:g}, such as "
            "time=1.25 for a quarter more time"
        )
    return f"time={factor:g}"


def time_factor(session: NewSession) -> float:
    """Return how many times the usual time *session* has: 1.0 without an accommodation."""
    name, _, value = session.accommodation.partition("=")
    try:
        factor = float(value) if name == "time" else 1.0
    except ValueError:
        return 1.0
    return factor if 1 < factor <= MOST else 1.0
