"""Where things stand in an interview: its turns and cells, their times, and the words that are quoted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ib_kernel.assessment.report.values import Quoted, Said
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.text import cut, one_line, plain
from ib_kernel.values import Cell, Message

MOST_TEXT, LEAST_TEXT = 1_200, 320
"""Characters of one quoted turn or cell that a report shows: few of them at length, many of them in short."""

ALL_TEXT = 8_000
"""Characters of all of them, some four sheets of paper."""

MOST_SAID = 24
"""Quoted turns and cells that a report shows."""

_BEGINNING = 140
"""Characters of a turn that are quoted where a rater only points to it."""

_LINE = 80
"""Characters that a line counts at the least: a short one takes as much paper."""


class Places:
    """The candidate's turns and cells, by the names that quotes have.

    Args:
        messages: The transcript.
        cells: What was run.
        clock: The candidate's clock.
        candidate: The name that headings have.
    """

    def __init__(
        self, messages: Sequence[Message], cells: Sequence[Cell], clock: ActiveClock, candidate: str
    ) -> None:
        self._said: dict[str, Said] = {}
        self._at: dict[str, str] = {}
        for message in messages:
            if message.role == "user" and message.turn > 0:
                asked = message.asked_at if message.asked_at is not None else message.created_at
                at = minutes(clock.seconds(asked))
                self._add(f"turn {message.turn}", at, candidate, message.content, False)
        for cell in cells:
            ran = minutes(clock.seconds(cell.ended_at))
            self._add(f"cell {cell.n}", ran, candidate, cell.source, True)

    def _add(self, place: str, at: str, who: str, text: str, is_code: bool) -> None:
        shown = plain(text).strip()
        title = ", ".join(part for part in (place.capitalize(), at, one_line(who)) if part)
        self._said[place], self._at[place] = Said(place, title, shown, is_code), at

    def quoted(self, rows: Iterable[Mapping[str, Any]]) -> list[Quoted]:
        """Return the quotes of a score, each with its time; one without words points to its turn.

        Args:
            rows: As scores keep them.
        """
        return [self._quoted(row) for row in rows]

    def _quoted(self, row: Mapping[str, Any]) -> Quoted:
        cell = row.get("cell")
        place = f"cell {cell}" if isinstance(cell, int) and cell else f"turn {row.get('turn', 0)}"
        words = cut(" ".join(plain(str(row.get("words") or "")).split()), 600)
        if not words and place in self._said:  # a rater pointed to the turn: it begins so
            text = " ".join(self._said[place].text.split())
            words = text if len(text) <= _BEGINNING else f"{text[:_BEGINNING].rsplit(' ', 1)[0]} …"
        return Quoted(words, place, self._at.get(place, ""), one_line(str(row.get("after") or "")))

    def said(self, places: Iterable[str]) -> list[Said]:
        """Return what was said or run at some places, in their order, each once.

        Args:
            places: Such as "turn 3".
        """
        wanted = set(places)
        found = [said for place, said in self._said.items() if place in wanted][:MOST_SAID]
        most = share(ALL_TEXT, len(found), LEAST_TEXT, MOST_TEXT)
        return [dataclasses.replace(said, text=_cut_lines(said.text, most)) for said in found]


def share(whole: int, count: int, least: int, most: int) -> int:
    """Return how much of *whole* each of *count* gets, within bounds.

    Args:
        whole: What all get together.
        count: How many there are.
        least: What one gets at the least.
        most: What one gets at the most.
    """
    return max(least, min(most, whole // max(1, count)))


def _cut_lines(text: str, most: int) -> str:
    """Return the beginning of a text: so many characters, each line counting `_LINE` at the least."""
    lines, left = text.split("\n"), most
    for at, line in enumerate(lines):
        if left <= 0:
            head = "\n".join(lines[:at])
            return cut(text, len(head))
        left -= max(_LINE, len(line))
    return cut(text, most)


def minutes(seconds: float) -> str:
    """Return seconds as minutes and seconds: "23:20".

    Args:
        seconds: Active seconds.
    """
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
