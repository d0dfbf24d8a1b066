"""Text that can be sent: JSON is UTF-8, and UTF-8 has no lone surrogates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sendable(body: dict[str, Any]) -> dict[str, Any]:
    """Return *body* with lone surrogates replaced by U+FFFD; the very object when it has none."""
    return body if _encodes(body) else {key: _replaced(value) for key, value in body.items()}


def _encodes(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, Mapping):
        return all(_encodes(key) and _encodes(item) for key, item in value.items())
    return not isinstance(value, (list, tuple)) or all(map(_encodes, value))


def _replaced(value: Any) -> Any:
    if isinstance(value, str):  # through UTF-16, which joins a high and a low surrogate to one character
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_replaced(key): _replaced(item) for key, item in value.items()}
    return [_replaced(item) for item in value] if isinstance(value, (list, tuple)) else value
