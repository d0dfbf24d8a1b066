"""Text that UTF-8 can carry."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """Return *text* with its surrogate pairs joined, and each lone surrogate replaced by one U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
