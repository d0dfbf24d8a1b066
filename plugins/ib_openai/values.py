"""Values in and out of JSON: text that can be sent, and what a service sends, trusted with nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.values import Usage


def sendable(body: dict[str, Any]) -> dict[str, Any]:
    """Return *body* with lone surrogates, which UTF-8 has not, replaced by U+FFFD.

    The very object when it has none.
    """
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


def read_json(text: str) -> Any:
    """Return the value of a JSON text, or None when it is none (null is no answer either)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_usage(raw: Any, prompt: str, completion: str) -> Usage | None:
    """Return the usage in *raw*, whose fields start with the words *prompt* and *completion*; None: none."""
    if not isinstance(raw, dict):
        return None
    inputs, outputs = whole_of(raw.get(f"{prompt}_tokens")), whole_of(raw.get(f"{completion}_tokens"))
    if inputs is None or outputs is None:
        return None
    read = f"{prompt}_tokens_details"
    return Usage(
        inputs,
        outputs,
        cached_tokens=_detail(raw, read, "cached_tokens"),
        reasoning_tokens=_detail(raw, f"{completion}_tokens_details", "reasoning_tokens"),
        cache_write_tokens=_detail(raw, read, "cache_write_tokens"),
    )


def _detail(raw: dict[str, Any], group: str, name: str) -> int:
    details = raw.get(group)
    return (whole_of(details.get(name)) or 0) if isinstance(details, dict) else 0


def whole_of(value: Any) -> int | None:
    """Return *value* if it is a whole number of at least 0, else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text_of(value: Any) -> str:
    """Return *value* if it is text, else ""."""
    return value if isinstance(value, str) else ""
