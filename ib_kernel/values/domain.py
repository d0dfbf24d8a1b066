"""What every ledger takes: each value is checked, or made fit, before it is written anywhere."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.text import well_formed

MOST = 2**53
"""The largest number of tokens or nano-dollars, exact in JSON and in a float; a thousand fit 64 bits."""

MOST_SMALL = 2**31 - 1
"""The largest number of a turn or an attempt (INTEGER in every database)."""

LATEST = 253_402_300_800.0
"""The end of the year 9999 in seconds since 1970; a moment beyond it was given in milli- or microseconds."""


def clean(text: str) -> str:
    """Return *text* with lone surrogates, which no file can store, replaced by U+FFFD."""
    if type(text) is str and text.isascii():  # nearly always, and asked a dozen times for each call
        return text
    if not isinstance(text, str):
        raise ConfigError(f"what is recorded here must be text, not {_shown(text)}")
    return well_formed(text)


def whole(name: str, value: Any, *, low: int = 0, high: int = MOST) -> int:
    """Return *value* as an `int` if it is a whole number from *low* to *high*; `ConfigError` otherwise."""
    if type(value) is int and low <= value <= high:
        return value
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        raise ConfigError(f"{name} must be a whole number from {low:,} to {high:,}, not {_shown(value)}")
    return number


def checked_seconds(name: str, value: Any) -> float:
    """Return *value* if it is a finite number of seconds, 0 or more; `ConfigError` otherwise."""
    number = _real(value)
    if number is None or number < 0:
        raise ConfigError(f"{name} must be a number of seconds, 0 or more, not {_shown(value)}")
    return number


def moment(name: str, value: Any) -> float:
    """Return *value* if it is a time in seconds since 1970; `ConfigError` otherwise."""
    if type(value) is float and 0 <= value < LATEST:
        return value
    number = _real(value)
    if number is None or not 0 <= number < LATEST:
        raise ConfigError(f"{name} must be a time in seconds since 1970, not {_shown(value)}")
    return number


def measured(name: str, value: Any) -> float | None:
    """Return *value* if it is a number of at most `MOST` either way, or None; `ConfigError` otherwise."""
    number = None if value is None else _real(value)
    if value is not None and (number is None or abs(number) > MOST):
        raise ConfigError(f"{name} must be a number up to {MOST:,}, or None, not {_shown(value)}")
    return number


def to_json(detail: Mapping[str, Any]) -> str:
    """Write *detail* as JSON that every reader takes. `ConfigError` for what JSON cannot write."""
    try:
        return clean(json.dumps(dict(detail), ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"this cannot be recorded as JSON: {error}") from None


def _real(value: Any) -> float | None:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
