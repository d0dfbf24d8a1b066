"""Keys hidden in a text that arrives piece by piece."""

from __future__ import annotations

import re

from ib_kernel.secrets import known
from ib_kernel.secrets.known import WORD
from ib_kernel.secrets.scrubber import scrub_keys
from ib_kernel.secrets.shapes import KEYS, MARK, is_hinted, shapes_in


class StreamScrubber:
    """Hides keys in a text that arrives piece by piece, also where one is cut by the border of two pieces.

    The last word is kept back until it has ended, because it may become a key; `flush` returns what is left.
    """

    def __init__(self) -> None:
        self._kept = ""

    def take(self, piece: str) -> str:
        """Return what of the text up to *piece* can be shown by now, without keys."""
        text = self._kept + piece
        cut = len(text.rstrip(WORD))
        pattern = known.registry.pattern()
        if known.registry.has_spaces or is_hinted(text) or (pattern is not None and pattern.search(text)):
            cut = _safe_cut(text, cut)
            self._kept = text[cut:]
            return scrub_keys(text[:cut])
        if len(text) - cut > _LONGEST_WORD:
            cut = len(text)
        self._kept = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """Return what was kept back, without keys and without what a key that was cut began with."""
        text, self._kept = scrub_keys(self._kept), ""
        at = cut_key(text)
        return text if at is None else text[:at] + MARK


def cut_key(text: str) -> int | None:
    """Return where a known key begins in *text* and is cut by its end; None where none does.

    A beginning of fewer than `TELLING` characters tells nothing of a key and stands in many words.
    """
    beginnings, lower = known.registry.beginnings(), text.lower()
    first = max(0, len(text) - known.registry.longest)
    return next((at for at in range(first, len(text) - TELLING + 1) if lower[at:] in beginnings), None)


TELLING = 12
"""Characters of a key's beginning from which on it is hidden where the key itself was cut."""

_BEGIN = re.compile(r"-----begin [^-]{0,20000}\Z", re.IGNORECASE)
_LONGEST_WORD = 2_000
"""Characters of a word that are kept back at most: no key is as long, and a picture's data never end."""


def _safe_cut(text: str, cut: int) -> int:
    """Return the last place up to *cut* where no key of *text* begins before and ends after, or may end."""
    if len(text) - cut > _LONGEST_WORD:
        return len(text)
    start = max(0, len(text) - known.registry.longest)
    beginnings, lower = known.registry.beginnings(), text[start:].lower()
    cut = next((at for at in range(start, cut) if lower[at - start :] in beginnings), cut)
    pattern = known.registry.pattern()
    patterns = [*shapes_in(text, KEYS), *([pattern] if pattern else [])]
    spans = [found.span() for pattern in patterns for found in pattern.finditer(text)]
    begin = _BEGIN.search(text)
    if begin is not None:
        spans.append((begin.start(), len(text) + 1))
    for first, last in sorted(spans, reverse=True):
        if first < cut < last:
            cut = first
    return cut
