"""Values in and out of JSON: text that can be sent, and what a service sends, trusted with nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.values.reported import tokens_of
from ib_kernel.values.text import well_formed

NAME_CHARS = 200
"""How much of a model's name, an id or a finish reason is kept."""


def sendable(body: dict[str, Any]) -> dict[str, Any]:
    """Return *body* with its surrogates joined, and lone ones, which UTF-8 has not, replaced by U+FFFD.

    The very object when it has none.
    """
    return body if _encodes(body) else {key: _replaced(value) for key, value in body.items()}


def _encodes(value: Any) -> bool:
    if isinstance(value, str):
        return well_formed(value) is value
    if isinstance(value, Mapping):
        return all(_encodes(key) and _encodes(item) for key, item in value.items())
    return not isinstance(value, (list, tuple)) or all(map(_encodes, value))


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {_replaced(key): _replaced(item) for key, item in value.items()}
    return [_replaced(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_json(text: str) -> Any:
    """Return the value of a JSON text, or None when it is none (null is no answer either)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def whole_of(value: Any) -> int | None:
    """Return *value* if it is a whole number from 0 to 2^53, else None."""
    return None if isinstance(value, str) else tokens_of(value)


def text_of(value: Any) -> str:
    """Return *value* if it is text, else ""."""
    return value if isinstance(value, str) else ""


def name_of(value: Any) -> str:
    """Return *value*, cut to `NAME_CHARS`, if it is text, else ""."""
    return well_formed(value[:NAME_CHARS]) if isinstance(value, str) else ""
