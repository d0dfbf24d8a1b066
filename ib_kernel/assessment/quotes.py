"""Quotes are looked up: what is not found in that place, by that speaker, in a row, is no evidence.

Compared are words and marks in their order. Case, the form of letters (NFKC), kinds of quotation marks,
dashes and spaces, and what nobody sees make no difference; every word and every mark between two words
does. A quote begins and ends with whole words: "able to scale" does not stand in "unable to scale", nor
"blocking" in "non-blocking".
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ib_kernel.assessment.flags import Finding
from ib_kernel.assessment.passages import INVISIBLE, Shown
from ib_kernel.values.judging import Quote

LEAST_WORDS = 3
"""Words that a quote has at the least: fewer are found by chance."""

MOST_CHARS = 2_000
"""Characters of one quote that are looked at."""

Reason = Literal[
    "shorter than three words",
    "too long",
    "no such place",
    "not the candidate's words",
    "said by somebody else",
    "said in another place",
    "joined from several places",
    "cut inside a word",
    "speaks to whoever rates",
    "not in the record",
]
"""Why a quote is dropped."""

_QUOTES = "\"'`´‘’‚‛“”„‟‹›«»′″‵‶❛❜❝❞〝〞〟＂＇"
_DASHES = "-‐‑‒–—―−⁃﹘﹣－~〜"
_HYPHENS = frozenset("-‐‑﹣－")
_UNIFIED = str.maketrans(dict.fromkeys(_QUOTES, "'") | dict.fromkeys(_DASHES, "-"))
_WORDLESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Scripts that write no spaces between words: each of their letters is looked up alone."""

_GAP = re.compile(r"\[\s*(?:…|\.\.\.)\s*\]|…|\.{3,}|⋯")


@dataclass(frozen=True, slots=True)
class Kept:
    """A quote that stands in the record, as it was said; `after` is where the AI had said the same before."""

    place: str
    words: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A quote that is no evidence, and why."""

    place: str
    words: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A text's words and marks, where each stands, and all of them as one text to search in."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    joined: str
    places: tuple[int, ...]

    def find(self, wanted: Sequence[str], start: int = 0) -> int | None:
        """Return the number of the token where *wanted* begins, from the token *start* on."""
        if start >= len(self.places):
            return None
        at = self.joined.find("\0" + "\0".join(wanted) + "\0", self.places[start])
        if at < 0:
            return None
        low, high = start, len(self.places)
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self.places[middle] <= at else (low, middle)
        return low


class Record:
    """The passages of one interview, to look quotes up in.

    Args:
        passages: What the judge has read.
        flagged: What speaks to whoever rates; a quote of it is no evidence.
    """

    def __init__(self, passages: Sequence[Shown], flagged: Sequence[Finding] = ()) -> None:
        self._passages = passages
        self._flagged = [finding for finding in flagged if finding.to_rater]

    def look_up(self, quote: Quote) -> Kept | Dropped:
        """Return the quote as it was said, or why it is dropped.

        Args:
            quote: What a judge has quoted; any text.
        """
        words = quote.words.strip()
        place = " ".join(quote.place.casefold().split())[:40]

        def dropped(reason: Reason) -> Dropped:
            return Dropped(place, words[:MOST_CHARS], reason)

        if len(words) > MOST_CHARS:
            return dropped("too long")
        wanted = _core(_tokens(words).words)
        if _count_words(wanted) < LEAST_WORDS:
            return dropped("shorter than three words")
        here = [shown for shown in self._passages if shown.passage.place == place]
        own = [shown for shown in here if shown.passage.speaker == "candidate"]
        if quote.speaker.strip().casefold() != "candidate":
            return dropped("not the candidate's words")
        cut = False
        for shown in own:
            span, was_cut = _span(shown, wanted)
            cut = cut or was_cut
            if span is None:
                continue
            if shown.gap is not None and span[0] <= shown.gap < span[1]:
                return dropped("joined from several places")
            if any(f.place == place and f.start < span[1] and span[0] < f.end for f in self._flagged):
                return dropped("speaks to whoever rates")
            return Kept(place, shown.said(*span), self._said_before(shown, wanted))
        if cut:
            return dropped("cut inside a word")
        return dropped(self._why_not(words, wanted, here, own))

    def _why_not(
        self, words: str, wanted: tuple[str, ...], here: Sequence[Shown], own: Sequence[Shown]
    ) -> Reason:
        parts = [_core(_tokens(part).words) for part in _GAP.split(words)]
        parts = [part for part in parts if part]
        if len(parts) > 1 and all(any(_has(shown, part) for shown in self._passages) for part in parts):
            return "joined from several places"
        if any(_has(shown, wanted) for shown in here if shown not in own):
            return "said by somebody else"
        others = [shown for shown in self._passages if _has(shown, wanted)]
        if any(shown.passage.speaker == "candidate" for shown in others):
            return "said in another place"
        if others:
            return "said by somebody else"
        return "not in the record" if here else "no such place"

    def _said_before(self, own: Shown, wanted: tuple[str, ...]) -> str:
        """Return the earlier passage of the AI's that has the same words; "" for none."""
        for shown in self._passages:
            if shown is own:
                return ""
            if shown.passage.speaker == "ai" and _has(shown, wanted):
                return shown.passage.place
        return ""


def _has(shown: Shown, wanted: tuple[str, ...]) -> bool:
    return _span(shown, wanted)[0] is not None


def _span(shown: Shown, wanted: tuple[str, ...]) -> tuple[tuple[int, int] | None, bool]:
    """Return where *wanted* stands in a passage, and whether it stood there as a part of longer words."""
    text = shown.passage.text
    found = _tokens(text)
    at, cut = found.find(wanted), False
    while at is not None:
        last = at + len(wanted) - 1
        if not (_is_bound(text, found, at - 1) or _is_bound(text, found, last + 1)):
            return (found.spans[at][0], found.spans[last][1]), cut
        cut = True
        at = found.find(wanted, at + 1)
    return None, cut


def _is_bound(text: str, found: _Tokens, at: int) -> bool:
    """Return True if the token *at* is a hyphen that ties two words to one."""
    if not 0 < at < len(found.words) - 1 or found.words[at] != "-":
        return False
    start, end = found.spans[at]
    return (
        text[start:end] in _HYPHENS
        and found.spans[at - 1][1] == start
        and found.spans[at + 1][0] == end
        and _is_word(found.words[at - 1])
        and _is_word(found.words[at + 1])
    )


def _core(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tokens without the marks before the first and after the last word."""
    places = [i for i, word in enumerate(words) if _is_word(word)]
    return words[places[0] : places[-1] + 1] if places else ()


def _is_word(word: str) -> bool:
    return word[:1].isalnum() or word[:1] == "_"


def _count_words(words: Sequence[str]) -> int:
    letters = sum(bool(_patterns()[1].fullmatch(word)) for word in words)
    return sum(map(_is_word, words)) - letters + letters // 2


@functools.lru_cache(maxsize=1_024)
def _tokens(text: str) -> _Tokens:
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    for raw in re.finditer(r"\S+", text):
        plain = _folded(raw[0])
        exact = len(plain) == len(raw[0])
        for found in _patterns()[0].finditer(plain):
            word = found[0]
            if words and word in ("-", "'") and words[-1] == word:
                continue  # two of a kind are one: "--" is a dash, and '' a quotation mark
            words.append(word)
            start, end = found.span() if exact else (0, len(raw[0]))
            spans.append((raw.start() + start, raw.start() + end))
    places, at = [], 0
    for word in words:
        places.append(at)
        at += len(word) + 1
    return _Tokens(tuple(words), tuple(spans), "\0" + "".join(f"{word}\0" for word in words), tuple(places))


def _folded(text: str) -> str:
    """Return *text* without differences of case and form."""
    text = INVISIBLE.sub("", text).translate(_UNIFIED)
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper().casefold())
    return text.translate(_UNIFIED)


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds words and marks, and a letter of a script without spaces."""
    marks = "".join(map(re.escape, _marks_of_letters()))
    letter = rf"(?:(?![{_WORDLESS}])[\w{marks}])"
    word = rf"{letter}+(?:'{letter}+|(?<=\d)[.,:](?=\d){letter}+)*"
    single = rf"[{_WORDLESS}][{marks}]*"
    return re.compile(rf"{single}|{word}|\S"), re.compile(single)


def _marks_of_letters() -> list[str]:
    """Return the combining marks of the scripts that people write in; they belong to the letter before."""
    return [chr(i) for i in (*range(0x300, 0x3000), *range(0xA000, 0xAC00), *range(0xFE20, 0xFE30))
            if unicodedata.category(chr(i))[0] == "M"]  # fmt: skip
