"""What callers may hand to the budget service, and the line that says what is allowed instead."""

from __future__ import annotations

import math
from typing import Any

from ib_kernel.errors import ConfigError, SessionInactive
from ib_kernel.models.limits import ModelInfo
from ib_kernel.values import Session, Status

LONGEST_NAME = 500
"""Characters of a candidate's name, a role or a level at most: they stand in tables and prompts."""


def parse_name(name: str, value: Any) -> str:
    """Return *value* if it is text of at most `LONGEST_NAME` characters; else raise `ConfigError`."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} cannot be of type {type(value).__name__}; give a text")
    if len(value) > LONGEST_NAME:
        raise ConfigError(f"{name} has {len(value):,} characters; give at most {LONGEST_NAME}")
    return value


def parse_tokens(name: str, value: Any) -> int:
    """Return *value* if it is a whole number of tokens, 0 or more; else raise `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} cannot be {value!r}; give a whole number of tokens, 0 or more")
    return value


def parse_time_limit(value: Any) -> float | None:
    """Return *value* if it is seconds above 0, or None for no limit; else raise `ConfigError`."""
    if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
        raise ConfigError(
            f"time_limit_s cannot be {value!r}; give seconds above 0, or leave it out for no limit"
        )
    return None if value is None else float(value)


def parse_id(session_id: Any) -> str:
    """Return *session_id* if it is text; else raise `ConfigError`."""
    if not isinstance(session_id, str):
        raise ConfigError(f"session_id cannot be {session_id!r}; pass the session's session_id (text)")
    return session_id


def parse_nano_usd(budget_usd: Any) -> int:
    """Return US dollars as whole nano-dollars. `ConfigError` for what is no sum of money."""
    from ib_kernel.settings import parsing

    try:
        return int(parsing.parse_usd(budget_usd) * 10**9)
    except parsing.REFUSED:
        raise ConfigError(
            f"a budget in money cannot be {budget_usd!r}; allowed: {parsing.parse_usd.__doc__}"
        ) from None


def require_price(model: ModelInfo) -> None:
    """Refuse a budget in money for a model without a known price; a scripted model costs nothing."""
    from ib_kernel.models import prices

    if not model.counts_as and prices.worst_case(model, 0, 0) is None:
        raise ConfigError(
            f"a budget in money needs a price, and none is known for {model.name}; leave --budget-usd out, "
            "or choose another model (%interview models)"
        )


def require_active(session: Session) -> None:
    """Raise `SessionInactive` unless *session* is active."""
    if session.status is not Status.ACTIVE:
        raise SessionInactive(
            f"session {session.session_id} is {session.status}, not active; resume it or start another",
            session.status,
        )
