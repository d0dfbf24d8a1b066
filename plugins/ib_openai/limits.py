"""What the service says about its rate limits: ``x-ratelimit-*`` and the headers that ask for a pause."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime

from ib_kernel.values import RateLimits
from ib_kernel.values.reported import MOST_TOKENS

__all__ = ["RateLimits", "read_duration", "read_rate_limits", "read_retry_after"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_MAX_CHARS = 64  # a longer header is no number: float() takes any, and the pattern is quadratic on digits
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Return the limits that *headers* (lower-case names) give, or None when they give none."""
    found = RateLimits(
        limit_requests=_parse_count(headers.get("x-ratelimit-limit-requests")),
        remaining_requests=_parse_count(headers.get("x-ratelimit-remaining-requests")),
        reset_requests_s=read_duration(headers.get("x-ratelimit-reset-requests")),
        limit_tokens=_parse_count(headers.get("x-ratelimit-limit-tokens")),
        remaining_tokens=_parse_count(headers.get("x-ratelimit-remaining-tokens")),
        reset_tokens_s=read_duration(headers.get("x-ratelimit-reset-tokens")),
    )
    return None if found == RateLimits() else replace(found, seen_at=time.time())


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds *headers* (lower-case names) ask to wait; None when they do not.

    Reads ``retry-after-ms`` first, then ``Retry-After`` in seconds or as an HTTP date (RFC 9110, 10.2.3).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    raw = headers.get("retry-after")
    seconds = _number(raw)
    if seconds is not None or raw is None or len(raw) > _MAX_CHARS:
        return seconds
    try:
        when = parsedate_to_datetime(raw)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


def read_duration(text: str | None) -> float | None:
    """Return the seconds of a duration such as ``6m0s``, ``120ms`` or ``1.5``; None when it is none."""
    if text is None or len(text) > _MAX_CHARS:
        return None
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(text)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None and len(text) <= _MAX_CHARS else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < MOST_TOKENS else None


def _parse_count(text: str | None) -> int | None:
    value = _number(text)
    return None if value is None else int(value)
