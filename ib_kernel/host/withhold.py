"""What an AI must not pass on: a reply that shares words with a challenge's private part is held back.

A run of `RUN` words in the private part that the candidate's part does not have, or a planted canary, ends
what is sent on. Letters are compared without their case, form and marks, and without what stands between or
invisibly in words, however much of it there is.
Text is held back only while its last words stand together in the private part, so that a stream stays one.
What a model says in other words, in another language or letter by letter passes: no text can stop that.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterable

RUN = 8
"""Words in a row that are no chance."""

CANARY = re.compile(r"\bib-canary-[a-z0-9]{6,64}\b")
"""A word that somebody plants in notes or tests to see whether it comes out again."""

WITHHELD = "[The rest of this reply was held back: it quoted what is for the interviewer only.]"
"""What stands where a reply was cut."""

_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
"""Characters that nobody sees: soft hyphens, joiners, directions, variants (Unicode 16, Cf and Mn)."""

_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Marks over and under letters that letters may have or lack (Unicode 16, combining blocks)."""

_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_INVISIBLE}{_MARKS}])*")
_HIDDEN = re.compile(f"[{_INVISIBLE}{_MARKS}]")
_CONTEXT = 200
"""Characters of what was sent that are looked at again: a word or a canary may have begun there."""


class PrivateText:
    """The runs of words and the canaries of a challenge's private part, looked up quickly.

    Args:
        private: Notes and criteria: what a model is told.
        public: What the candidate was given; what stands there too is no secret.
        marked: Hidden tests, a solution, hints: no prompt has them, and a model may write the same code by
            itself, so that only canaries in them count.
    """

    def __init__(
        self, private: Iterable[str], public: Iterable[str] = (), marked: Iterable[str] = ()
    ) -> None:
        known = {run for text in public for run in _runs(_words(text), RUN)}
        self._runs: set[tuple[str, ...]] = set()
        self._beginnings: set[tuple[str, ...]] = set()
        self.canaries: set[str] = set()
        for text in marked:
            self.canaries.update(CANARY.findall(_plain(text)))
        for text in private:
            self.canaries.update(CANARY.findall(_plain(text)))
            for run in _runs(_words(text), RUN):
                if run not in known:
                    self._runs.add(run)
                    self._beginnings.update(run[:size] for size in range(1, RUN))
        following: dict[tuple[str, ...], set[str]] = {}
        for run in self._runs:
            for size in range(RUN):
                following.setdefault(run[:size], set()).add(run[size])
        self._following = {words: sorted(after) for words, after in following.items()}

    def __bool__(self) -> bool:
        return bool(self._runs or self.canaries)

    def find(self, text: str, start: int = 0) -> int | None:
        """Return where the first run or canary that ends after *start* begins in *text*; None for nowhere."""
        places = [at for at in (self._find_run(text), self._find_canary(text, start)) if at is not None]
        return min(places, default=None)

    def safe_length(self, text: str, start: int = 0) -> int:
        """Return how much of *text*, which goes on, may be sent: up to words that may begin a run.

        Args:
            text: What has come, with something of what was sent before it.
            start: What of it was sent.
        """
        cut = len(text)
        if self._runs:
            tail = _spans(text)[-RUN:]
            for first in range(len(tail)):
                words = tuple(word for word, _, _ in tail[first:])
                if self._may_begin(words, open_ended=tail[-1][2] == len(text)):
                    cut = tail[first][1]
                    break
        if self.canaries:
            cut = min(cut, self._canary_begins(text))
        return max(cut, start)

    def _may_begin(self, words: tuple[str, ...], *, open_ended: bool) -> bool:
        if words in self._beginnings:
            return True
        following = self._following.get(words[:-1], ()) if open_ended else ()  # the last word may go on
        at = bisect.bisect_left(following, words[-1])
        return at < len(following) and following[at].startswith(words[-1])

    def _find_run(self, text: str) -> int | None:
        spans = _spans(text)
        words = tuple(word for word, _, _ in spans)
        for at in range(len(words) - RUN + 1):
            if words[at : at + RUN] in self._runs:
                return spans[at][1]
        return None

    def _find_canary(self, text: str, start: int) -> int | None:
        if not self.canaries:
            return None
        plain, places = _plain_with_places(text)
        found = [(plain.find(one), len(one)) for one in self.canaries]
        return min((places[at] for at, size in found if at >= 0 and places[at + size] > start), default=None)

    def _canary_begins(self, text: str) -> int:
        longest = max(map(len, self.canaries))
        begin = max(0, len(text) - 4 * longest)
        plain, places = _plain_with_places(text[begin:])
        for at in range(max(0, len(plain) - longest), len(plain)):
            if any(one.startswith(plain[at:]) for one in self.canaries):
                return begin + places[at]
        return len(text)


class Withholder:
    """Lets a reply through piece by piece, and nothing from the first private words on.

    `withheld` is True from then on.
    """

    def __init__(self, private: PrivateText) -> None:
        self._private = private
        self._sent, self._kept = "", ""
        self.withheld = False

    def take(self, piece: str) -> str:
        """Return what of the text up to *piece* may be sent on."""
        if self.withheld or not self._private:
            return "" if self.withheld else piece
        self._kept += piece
        context = self._context()
        return self._release(self._private.safe_length(context + self._kept, len(context)) - len(context))

    def flush(self) -> str:
        """Return what was kept back and may be sent after all."""
        return "" if self.withheld else self._release(len(self._kept))

    def _context(self) -> str:
        return self._sent[-_CONTEXT:]

    def _release(self, length: int) -> str:
        context = self._context()
        found = self._private.find(context + self._kept, len(context)) if self._kept else None
        if found is not None:
            self.withheld = True
            out, self._kept = self._kept[: max(0, found - len(context))], ""
            return f"{out}\n\n{WITHHELD}" if out or self._sent else WITHHELD
        out, self._kept = self._kept[: max(0, length)], self._kept[max(0, length) :]
        self._sent = (context + out)[-_CONTEXT:]
        return out


def screened(text: str, private: PrivateText) -> str:
    """Return a whole reply as a candidate may read it."""
    holder = Withholder(private)
    return holder.take(text) + holder.flush()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word, _, _ in _spans(text))


def _spans(text: str) -> list[tuple[str, int, int]]:
    return [(_plain(found[0]), found.start(), found.end()) for found in _WORD.finditer(text)]


def _plain(text: str) -> str:
    """Return *text* without case, forms of letters, their marks and what nobody sees."""
    if text.isascii():
        return text.lower()
    return _HIDDEN.sub("", unicodedata.normalize("NFKD", text).casefold())


def _plain_with_places(text: str) -> tuple[str, list[int]]:
    """Return *text* as `_plain` makes it, and where in *text* each letter of that, and its end, is."""
    if text.isascii():
        return text.lower(), list(range(len(text) + 1))
    parts = [_plain(letter) for letter in text]
    places = [at for at, part in enumerate(parts) for _ in part]
    return "".join(parts), [*places, len(text)]


def _runs(words: tuple[str, ...], size: int) -> set[tuple[str, ...]]:
    return {words[at : at + size] for at in range(len(words) - size + 1)}
