"""What an AI must not pass on: a reply that shares words with a challenge's private part is held back.

A run of `RUN` words in the private part that the candidate's part does not have, or a planted canary, ends
what is sent on. Letters are compared without their case and form, and without what stands between words.
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

_WORD = re.compile(r"[^\W_]+")
_LONGEST_TAIL = 2_000


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
            self.canaries.update(_canaries(text))
        for text in private:
            self.canaries.update(_canaries(text))
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

    def find(self, text: str) -> int | None:
        """Return where the first run or canary of the private part begins in *text*; None for nowhere."""
        places = [at for at in (self._find_run(text), self._find_canary(text)) if at is not None]
        return min(places, default=None)

    def safe_length(self, text: str) -> int:
        """Return how much of *text*, which goes on, may be sent: up to words that may begin a run."""
        spans = _spans(text[-_LONGEST_TAIL:])
        offset = max(0, len(text) - _LONGEST_TAIL)
        cut = len(text)
        if self._runs:
            tail = spans[-RUN:]
            for first in range(len(tail)):
                words = tuple(word for word, _, _ in tail[first:])
                if self._may_begin(words, open_ended=tail[-1][2] + offset == len(text)):
                    cut = offset + tail[first][1]
                    break
        if self.canaries:
            cut = min(cut, self._canary_begins(text))
        return cut

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

    def _find_canary(self, text: str) -> int | None:
        if not self.canaries:
            return None
        lower = text.casefold()
        found = [lower.find(one) for one in self.canaries]
        return min((at for at in found if at >= 0), default=None)

    def _canary_begins(self, text: str) -> int:
        lower = text.casefold()
        longest = max(map(len, self.canaries))
        for at in range(max(0, len(lower) - longest), len(lower)):
            if any(one.startswith(lower[at:]) for one in self.canaries):
                return at
        return len(text)


def _canaries(text: str) -> list[str]:
    return CANARY.findall(unicodedata.normalize("NFKC", text).casefold())


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
        return self._release(self._private.safe_length(self._context() + self._kept) - len(self._context()))

    def flush(self) -> str:
        """Return what was kept back and may be sent after all."""
        return "" if self.withheld else self._release(len(self._kept))

    def _context(self) -> str:
        return self._sent[-_LONGEST_TAIL:]

    def _release(self, length: int) -> str:
        context = self._context()
        found = self._private.find(context + self._kept) if self._kept else None
        if found is not None and found >= len(context):
            self.withheld = True
            out, self._kept = self._kept[: found - len(context)], ""
            return f"{out}\n\n{WITHHELD}" if out or self._sent else WITHHELD
        out, self._kept = self._kept[: max(0, length)], self._kept[max(0, length) :]
        self._sent = (context + out)[-_LONGEST_TAIL:]
        return out


def screened(text: str, private: PrivateText) -> str:
    """Return a whole reply as a candidate may read it."""
    holder = Withholder(private)
    return holder.take(text) + holder.flush()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word, _, _ in _spans(text))


def _spans(text: str) -> list[tuple[str, int, int]]:
    return [
        (unicodedata.normalize("NFKC", found[0]).casefold(), found.start(), found.end())
        for found in _WORD.finditer(text)
    ]


def _runs(words: tuple[str, ...], size: int) -> set[tuple[str, ...]]:
    return {words[at : at + size] for at in range(len(words) - size + 1)}
