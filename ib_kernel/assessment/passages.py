"""An interview as a judge reads it: plain passages, and the way back to the words as they were said.

Layout swings a judge, a name says who somebody is, and what nobody sees may be an instruction. So Markdown's
marks, invisible characters and the candidate's name go, and every passage remembers where each of its
characters stood.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ib_kernel.values.judging import Passage, Speaker

if TYPE_CHECKING:
    from ib_kernel.values import Cell, Message

MOST_OWN = 8_000
"""Characters of one passage of the candidate's that a judge reads: its beginning and its end."""

MOST_OTHER = 2_000
"""Characters of one passage of anybody else's, and of a cell."""

MOST_ALL = 160_000
"""Characters of all passages; of a longer interview the oldest cells, then the oldest passages are left
out."""

NAMELESS = "Candidate"
"""What stands for the candidate's name."""

LEFT_OUT = " […] "
"""What stands where the middle of a long passage was left out."""

INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that nobody sees: controls, joiners, directions, variants, fillers, tags (Unicode 16)."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARGIN = re.compile(r"[ \t]*(?:>[ \t]?){0,20}(?:#{1,6}[ \t]+|[-*+][ \t]+)?")
_RULE = re.compile(r"[ \t]*(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_TICKS = re.compile(r"`+")
_STARS = re.compile(r"\*{1,3}|~~")
_ROLES: dict[str, Speaker] = {"user": "candidate", "assistant": "ai", "interviewer": "interviewer"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a passage: where it stands there and in the original, and how long it is in each.

    The two lengths differ where something else stands for the original's words, such as a name's.
    """

    at: int
    length: int
    origin: int
    size: int

    def part(self, start: int, end: int, to: int) -> Piece | None:
        """Return what of it lies between two places of the passage, moved so that *start* stands at *to*."""
        low, high = max(self.at, start), min(self.at + self.length, end)
        if low >= high:
            return None
        if self.length != self.size:
            return Piece(to + low - start, high - low, self.origin, self.size)
        return Piece(to + low - start, high - low, self.origin + low - self.at, high - low)


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage beside the text it was made from, and the pieces that say where each of its words stood.

    `gap` is where the middle of a long text was left out (None: it is whole).
    """

    passage: Passage
    original: str
    pieces: tuple[Piece, ...] = ()
    gap: int | None = None

    def said(self, start: int, end: int) -> str:
        """Return the original's words for a span of the passage, on one line."""
        within = [piece for piece in (one.part(start, end, 0) for one in self.pieces) if piece is not None]
        words = "".join(self.original[piece.origin : piece.origin + piece.size] for piece in within)
        return " ".join(words.split())


def passages_of(messages: Sequence[Message], cells: Sequence[Cell], candidate: str = "") -> list[Shown]:
    """Return an interview in the order of time.

    Args:
        messages: The transcript.
        cells: What the candidate ran.
        candidate: The name that is left out.
    """
    hidden = _names(candidate)
    found: list[tuple[float, Shown]] = []
    lines = 0
    for message in messages:
        speaker = _ROLES.get(message.role)
        if speaker is None:
            continue
        lines += speaker == "interviewer"
        place = f"turn {message.turn}" if speaker != "interviewer" else f"line {lines}"
        at = (
            message.asked_at
            if speaker == "candidate" and message.asked_at is not None
            else message.created_at
        )
        most = MOST_OWN if speaker == "candidate" else MOST_OTHER
        found.append((at, _shown(place, speaker, message.content, hidden, most, markdown=True)))
    for cell in cells:
        if cell.kind == "python" and cell.source.strip():
            shown = _shown(f"cell {cell.n}", "candidate", cell.source, hidden, MOST_OTHER, markdown=False)
            found.append((cell.started_at, shown))
    found.sort(key=lambda one: one[0])
    return _fitting([shown for _, shown in found])


def _fitting(found: list[Shown]) -> list[Shown]:
    """Return the passages that fit: cells go first, the oldest of them before the others."""
    over = sum(len(shown.passage.text) for shown in found) - MOST_ALL
    for is_cell in (True, False):
        for shown in list(found):
            if over > 0 and shown.passage.place.startswith("cell") is is_cell:
                over -= len(shown.passage.text)
                found.remove(shown)
    return found


def _names(candidate: str) -> re.Pattern[str] | None:
    """Return what finds a name: all of it in any case, its longer words as they are written."""
    whole = " ".join(INVISIBLE.sub("", candidate).split())
    if len(whole) < 2:
        return None
    words = [word for word in re.findall(r"[^\W\d_]+", whole) if len(word) > 2 and word[:1].isupper()]
    parts = [f"(?i:{re.escape(whole)})", *(re.escape(word) for word in words)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")


def _shown(
    place: str, speaker: Speaker, text: str, hidden: re.Pattern[str] | None, most: int, *, markdown: bool
) -> Shown:
    gone = [found.span() for found in INVISIBLE.finditer(text)]
    gone += _marks(text) if markdown else []
    flat, pieces = _without(text, gone)
    if hidden is not None:
        flat, pieces = _renamed(flat, pieces, hidden)
    gap = None
    if len(flat) > most:
        gap = 2 * most // 3
        flat, pieces = _cut(flat, pieces, gap, len(flat) - most // 3)
    return Shown(Passage(place, speaker, flat), text, tuple(pieces), gap)


def _marks(text: str) -> list[tuple[int, int]]:
    """Return where Markdown's marks stand: margins, emphasis, code ticks, fences; nothing within code."""
    found: list[tuple[int, int]] = []
    at, fence = 0, ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or (mark[1].startswith(fence) and not line[mark.end() :].strip())):
            fence = "" if fence else mark[1]
            found.append((at, at + len(line)))
        elif not fence:
            found += [(at + start, at + end) for start, end in _line_marks(line)]
        at += len(line) + 1
    return found


def _line_marks(line: str) -> Iterable[tuple[int, int]]:
    if _RULE.fullmatch(line):
        return [(0, len(line))]
    margin = _MARGIN.match(line)
    begin = margin.end() if margin else 0
    found = [(0, begin)] if begin else []
    ticks = [tick.span() for tick in _TICKS.finditer(line, begin)]
    found += ticks
    prose = _gaps(begin, len(line), ticks)
    for start, end in prose:
        for star in _STARS.finditer(line, start, end):
            before, after = line[star.start() - 1 : star.start()], line[star.end() : star.end() + 1]
            if (not before.strip() or not before.isalnum()) != (not after.strip() or not after.isalnum()):
                found.append(star.span())
    return found


def _gaps(begin: int, end: int, ticks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what of a line is prose: what stands between pairs of ticks is code."""
    edges = [
        begin,
        *(edge for pair in zip(ticks[::2], ticks[1::2], strict=False) for edge in (pair[0][0], pair[1][1])),
    ]
    edges.append(end)
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges) - 1, 2)]


def _without(text: str, gone: list[tuple[int, int]]) -> tuple[str, list[Piece]]:
    """Return *text* without some of its parts, and the pieces that are left."""
    parts: list[str] = []
    pieces: list[Piece] = []
    at = length = 0
    for start, end in [*sorted(gone), (len(text), len(text))]:
        if start > at:
            pieces.append(Piece(length, start - at, at, start - at))
            parts.append(text[at:start])
            length += start - at
        at = max(at, end)
    return "".join(parts), pieces


def _renamed(flat: str, pieces: list[Piece], hidden: re.Pattern[str]) -> tuple[str, list[Piece]]:
    """Return a text without the name, and its pieces; each of the name's places stands for the whole name."""
    parts: list[str] = []
    made: list[Piece] = []
    at = length = 0
    for found in hidden.finditer(flat):
        start, end = found.span()
        made += _part(pieces, at, start, length)
        length += start - at
        parts += [flat[at:start], NAMELESS]
        name = _part(pieces, start, end, 0)
        origin = name[0].origin
        made.append(Piece(length, len(NAMELESS), origin, name[-1].origin + name[-1].size - origin))
        length += len(NAMELESS)
        at = end
    if not parts:
        return flat, pieces
    made += _part(pieces, at, len(flat), length)
    return "".join([*parts, flat[at:]]), made


def _cut(flat: str, pieces: list[Piece], head: int, tail: int) -> tuple[str, list[Piece]]:
    """Return the text without what stands between two places, and its pieces."""
    made = _part(pieces, 0, head, 0) + _part(pieces, tail, len(flat), head + len(LEFT_OUT))
    return flat[:head] + LEFT_OUT + flat[tail:], made


def _part(pieces: Sequence[Piece], start: int, end: int, to: int) -> list[Piece]:
    first = max(0, bisect.bisect_right(pieces, start, key=lambda piece: piece.at) - 1)
    last = bisect.bisect_left(pieces, end, key=lambda piece: piece.at)
    return [piece for one in pieces[first:last] if (piece := one.part(start, end, to)) is not None]
