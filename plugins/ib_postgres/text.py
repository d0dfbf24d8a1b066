"""Text as PostgreSQL can keep it, and back: nothing of it is lost, so that links of the chain still follow.

Its text has no NUL character. One is kept as ``␀0``, and a real ``␀`` (U+2400) as ``␀1``, so that both come
back as they were given; a query shows them as they are kept. Lone surrogates are replaced by U+FFFD before a
ledger sees them, as in every store.
"""

from __future__ import annotations

import re
from typing import Any

SIGN = "\u2400"

_ESCAPE = re.compile(r"\\(u0000|.)", re.DOTALL)


def stored(text: str) -> str:
    """Return *text* as a column keeps it."""
    if SIGN in text:
        text = text.replace(SIGN, SIGN + "1")
    return text.replace("\0", SIGN + "0") if "\0" in text else text


def given(text: str) -> str:
    """Return a text as it was given, from how a column keeps it."""
    return text.replace(SIGN + "0", "\0").replace(SIGN + "1", SIGN) if SIGN in text else text


def stored_json(text: str) -> str:
    r"""Return a JSON text as a column keeps it: without ``\u0000``, which no `jsonb` takes."""
    if SIGN in text:
        text = text.replace(SIGN, SIGN + "1")
    if "\\u0000" not in text:
        return text
    return _ESCAPE.sub(lambda found: SIGN + "0" if found[1] == "u0000" else found[0], text)


def given_json(text: str) -> str:
    """Return a JSON text as it was given, from how a column keeps it."""
    return text.replace(SIGN + "0", "\\u0000").replace(SIGN + "1", SIGN) if SIGN in text else text


def given_value(value: Any) -> Any:
    """Return a column's value as it was given, text or not."""
    return given(value) if isinstance(value, str) else value
