"""The two marks of a challenge file, and what only looks like them.

A person who mistypes a mark has notes in the file that must not be shown. So a mark is recognised in any
case, spacing and width, and what is almost one refuses the file with a line that says what to type.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.settings.files import parse_toml

MARKER = "<!-- interviewer -->"
"""The line that separates what the candidate sees from the interviewer's notes."""

FENCE = "+++"
"""The line before and after the front matter."""

_MARK = re.compile(r"<!--+\s*interviewer\s*--+>", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_LOOK_ALIKES = str.maketrans("іıеоѵνηпѕԝтгІЕОΙΕΝТТГ", "iieovvnnswtrIEOIENTTR")
"""Letters of other alphabets that look like those of the mark (Unicode's confusables, version 16)."""

_MARK_LETTERS = re.compile(
    r"(?:lt)?(?:notes?|hints?|only)?(?:for)?(?:the|your)?interviewers?(?:notes?|hints?|only|guide)?(?:gt)?"
)
_HEADING = re.compile(
    r"(?:#+|\*\*|__)?\s*(?:(?:notes?|hints?|only)\s+)?(?:for\s+)?(?:the\s+|your\s+)?interviewer(?:'?s'?)?"
    r"(?:\s+(?:notes?|only|guide|hints?|eyes only))?\s*:?\s*(?:\*\*|__|#+)?",
    re.IGNORECASE,
)


def split(body: str, origin: str) -> tuple[str, str]:
    """Return the candidate's text and the interviewer's notes ("" when there is no marker).

    Args:
        body: A challenge's text after its front matter, lines ended by ``\\n``.
        origin: Where it is from, for messages.

    Raises:
        ConfigError: A line of the candidate's text looks like a mistyped marker or a heading of notes.
    """
    lines = body.split("\n")
    at = next((i for i, line in enumerate(lines) if _MARK.fullmatch(_plain(line))), len(lines))
    for number, line in enumerate(lines[:at], 1):
        if _almost(_plain(line)):
            raise ConfigError(
                f"the challenge {origin} would show line {number} of its text to the candidate, and it looks "
                f"like the beginning of notes: write {MARKER} on a line of its own before them, or reword it"
            )
    return "\n".join(lines[:at]), "\n".join(lines[at + 1 :])


def split_front_matter(source: str, what: str) -> tuple[dict[str, Any], str]:
    """Return a file's front matter, empty where it has none, and the text after it.

    Args:
        source: The file's text, lines ended by ``\\n``.
        what: What the file is, for messages: "the challenge X".

    Raises:
        ConfigError: The front matter is not closed, is no TOML, or is only almost there.
    """
    lines = source.lstrip().split("\n")
    if not opens_front_matter(lines[0], what):
        if any(line.strip() == FENCE for line in lines):
            raise ConfigError(
                f"{what} has a line {FENCE} and does not begin with one; front matter is TOML between two "
                "such lines, the first of them the file's first"
            )
        return {}, source
    try:
        end = next(i for i, line in enumerate(lines[1:], 1) if line.strip() == FENCE)
    except StopIteration:
        raise ConfigError(f"{what} opens front matter with +++ and never closes it") from None
    matter = parse_toml("\n".join(lines[1:end]), f"the front matter of {what}")
    return matter, "\n".join(lines[end + 1 :])


def opens_front_matter(first: str, what: str) -> bool:
    """Return True if a file whose first line that is not blank is *first* has front matter.

    Raises:
        ConfigError: The line looks like front matter of another kind, or like a mistyped fence.
    """
    line = _plain(first)
    if line == FENCE:
        return True
    marks = re.sub(r"[\s#'\"`*>]", "", line)
    if line.startswith(FENCE) or (marks and not marks.strip("+")) or (not line.strip("-") and len(line) >= 3):
        raise ConfigError(
            f"{what} begins with {first.strip()[:20]!r}; front matter is TOML between two lines that have "
            f"{FENCE} and nothing else"
        )
    return False


def _plain(line: str) -> str:
    """Return *line* as a person sees it: one width, one kind of dash, nothing invisible, no outer space."""
    line = _INVISIBLE.sub("", unicodedata.normalize("NFKC", line[:2000]))
    return _DASHES.sub("--", line.translate(_LOOK_ALIKES)).strip()


def _almost(line: str) -> bool:
    if len(line) > 200:
        return "<!" in line and "interviewer" in line[line.index("<!") :][:60].lower()
    letters = re.sub(r"[^a-z]", "", line.lower())
    if _MARK_LETTERS.fullmatch(letters):
        return True
    comment = re.search(r"<\W{0,9}interviewer|<!.{0,60}interviewer", line, re.IGNORECASE)
    return bool(comment) or _HEADING.fullmatch(line) is not None
