"""Values in and out of JSON: text that can be sent, and what a service sends, trusted with nothing."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

from ib_kernel.text import well_formed
from ib_kernel.values.reported import tokens_of

NAME_CHARS = 200
"""How much of a model's name, an id or a finish reason is kept."""


def read_json(text: str) -> Any:
    """Return the value of a JSON text, or None when it is none (null is no answer either)."""
    try:  # a third of the time
        return core().from_json(text)
    except (TypeError, ValueError):  # half a character, a deep nesting: the standard library may read it
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
    except ValueError:  # a number of thousands of digits, which Python does not convert: the rest is good
        return _read_without_giants(text)
    except RecursionError:
        return None


def write_json(value: Any) -> str:
    """Return *value*, which came out of JSON, as JSON text."""
    try:  # a fifth of the time
        text: str = core().to_json(value, inf_nan_mode="constants").decode()
    except ValueError:  # half a character is in no UTF-8
        return json.dumps(value)
    return text


@functools.cache
def core() -> Any:
    """Return pydantic-core, which comes with openai and is loaded with it."""
    import pydantic_core

    return pydantic_core


def _read_without_giants(text: str) -> Any:
    try:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 100 else math.inf)
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
