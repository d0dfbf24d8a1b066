"""What in a candidate's words would sway whoever rates by something else than what is rated.

A finding says what was seen and where. It accuses nobody: people quote prompts, write about graders, paste
from pages with invisible characters. A level rests on quotes that were looked up, whatever else a text says.
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from ib_kernel.assessment.passages import INVISIBLE, Shown

Kind = Literal["asks for a level", "gives instructions", "looks like another speaker", "looks like an answer",
               "invisible characters", "turned direction", "very long"]  # fmt: skip

LONG = 20_000
"""Characters of one passage that are called very long."""

MOST_EACH = 20
"""Findings of one kind in one passage."""

MOST_READ = 200_000
"""Characters of one passage that are looked at."""

SAMPLE = 120
"""Characters of a finding's words."""

WORDS: dict[Kind, str] = {
    "asks for a level": "words that ask for a level, or name one to give",
    "gives instructions": "words that read like instructions to whoever rates",
    "looks like another speaker": "words set like a message of somebody else",
    "looks like an answer": "words set like a judge's own answer",
    "invisible characters": "characters that cannot be seen",
    "turned direction": "characters that turn the direction of writing",
    "very long": "a text far longer than can be read at once",
}
"""Each kind in words for people."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen: its kind, its place, its span in the passage, and a sample or a figure."""

    kind: Kind
    place: str
    start: int
    end: int
    sample: str

    @property
    def to_rater(self) -> bool:
        """Whether the words speak to whoever rates, so that quoting them shows nothing."""
        return self.kind in _TO_RATER


_TO_RATER = frozenset(
    ["asks for a level", "gives instructions", "looks like another speaker", "looks like an answer"]
)
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINS = re.compile("(?<=[^\x00-\u02ff])[\u200c\u200d\ufe0e\ufe0f]")
"""Joiners and variants after letters and pictures that need them: Persian, Hindi, emoji."""

_HARMLESS = frozenset("\r\x0b\x0c\u00ad\u200e\u200f\u061c")
"""Unseen characters that ordinary texts have: line ends, soft hyphens, marks of right-to-left scripts."""


def flags(passages: Sequence[Shown]) -> list[Finding]:
    """Return what was seen in the candidate's passages, in their order.

    Args:
        passages: An interview; what others said is passed over.
    """
    found: list[Finding] = []
    for shown in passages:
        if shown.passage.speaker == "candidate":
            found += _of_original(shown)
            found += _of_words(shown)
    return found


def _of_original(shown: Shown) -> Iterable[Finding]:
    """Yield what is seen in the text as it was written only: its size, and characters that are not shown."""
    text, place, whole = shown.original[:MOST_READ], shown.passage.place, len(shown.passage.text)
    if len(shown.original) > LONG:
        yield Finding("very long", place, 0, whole, f"{len(shown.original):,} characters")
    needed = {found.start() for found in _JOINS.finditer(text)}
    unseen = turns = 0
    for found in INVISIBLE.finditer(text):
        if _TURNS.match(found[0]):
            turns += 1
        elif found[0] not in _HARMLESS and found.start() not in needed:
            unseen += 1
    if unseen:
        yield Finding("invisible characters", place, 0, whole, f"{unseen:,} of them")
    if turns:
        yield Finding("turned direction", place, 0, whole, f"{turns:,} of them")


def _of_words(shown: Shown) -> Iterable[Finding]:
    """Yield what the words say, as they are read when nothing is hidden."""
    text, place = _plain(shown.passage.text[:MOST_READ]), shown.passage.place
    for kind, pattern in _patterns():
        for count, found in enumerate(pattern.finditer(text)):
            if count == MOST_EACH:
                break
            sample = " ".join(shown.passage.text[found.start() : found.end()].split())[:SAMPLE]
            yield Finding(kind, place, found.start(), found.end(), sample)


@functools.cache
def _patterns() -> list[tuple[Kind, re.Pattern[str]]]:
    """Return the patterns of ``data/flags.toml``, one for each kind."""
    table = tomllib.loads((files(__package__) / "data" / "flags.toml").read_text(encoding="utf-8"))
    made: list[tuple[Kind, re.Pattern[str]]] = []
    for kind, texts in table["patterns"].items():
        whole = "|".join(f"(?:{text})" for text in texts)
        for name, part in table["parts"].items():
            whole = whole.replace(f"<{name}>", part)
        made.append((kind, re.compile(whole, re.IGNORECASE | re.MULTILINE)))
    return made


def _plain(text: str) -> str:
    """Return *text* with wide and ornamental letters as plain ones, as long as it was."""
    if text.isascii():
        return text
    return "".join(
        one if len(one := unicodedata.normalize("NFKC", letter)) == 1 else letter for letter in text
    )
