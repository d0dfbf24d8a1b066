"""Practice: what somebody who has practised alone is told at the end, with their own words.

No model is needed and nothing is judged: what was said is found by words (`data/practice.toml`) and quoted as
it stands in the transcript; figures are counted. A habit of which nothing was found gets one next step.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.passages import passages_of
from ib_kernel.assessment.quotes import Kept, Record
from ib_kernel.text import cut, one_line, several
from ib_kernel.values.judging import Quote

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import Message, NewSession, Session

META_KEY = "practice"
"""What a session's `meta` has when it is practice: comparisons leave it out."""

MOST_QUOTES = 2
"""Quotes of one habit at most: the first ones, which came without being asked."""

MOST_CHARS = 300
"""Characters of a quote that are shown."""

_FENCED = re.compile(r"`{3,}.*?(?:`{3,}|\Z)", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_LEAST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that interviewers look for whatever the task is.

    Attributes:
        name: What it is called.
        found: What to say where it was found.
        next_step: What to try where it was not.
        words: What tells a sentence of it.
    """

    name: str
    found: str
    next_step: str
    words: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Said:
    """A habit and the person's own words that show it: turn and sentence, none where nothing was found."""

    habit: Habit
    quotes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a practice session has shown: lines of figures, and what was said of each habit."""

    figures: tuple[str, ...]
    said: tuple[Said, ...]


def is_practice(session: NewSession) -> bool:
    """Return True if a session is practice."""
    return session.meta.get(META_KEY) is True


def feedback(service: TokenService, session: Session) -> Feedback:
    """Return what a practice session has shown.

    Args:
        service: The service of its ledger.
        session: The session.
    """
    store: Any = service.store
    history = store.history(session.session_id)
    record = Record(passages_of(history, ()))
    said = tuple(_said(habit, history, record) for habit in habits())
    return Feedback(tuple(_figures(service, session, history)), said)


def _said(habit: Habit, history: Sequence[Message], record: Record) -> Said:
    """Return the first sentences that show a habit, each looked up in the record as a judge's quotes are."""
    found: list[tuple[int, str]] = []
    for turn, sentence in sentences(history):
        if len(found) == MOST_QUOTES:
            break
        if not habit.words.search(sentence) or any(sentence == other for _, other in found):
            continue
        if isinstance(record.look_up(Quote(f"turn {turn}", "candidate", sentence)), Kept):
            found.append((turn, sentence))
    return Said(habit, tuple(found))


def sentences(history: Sequence[Message]) -> Iterator[tuple[int, str]]:
    """Yield the person's own sentences with their turns, as they stand in the transcript; code is none."""
    for message in history:
        if message.role != "user":
            continue
        for found in _SENTENCE.finditer(_FENCED.sub("\n", message.content)):
            sentence = found[0].strip()
            if len(sentence.split()) >= _LEAST_WORDS:
                yield message.turn, sentence


def _figures(service: TokenService, session: Session, history: Sequence[Message]) -> Iterator[str]:
    store: Any = service.store
    totals = service.totals(session.session_id)
    yield (
        f"{several(totals.turns, 'turn')}, {session.active_s / 60:.0f} minutes, {totals.used:,} of "
        f"{totals.token_budget:,} tokens"
    )
    checks = store.checks(session.session_id) if hasattr(store, "checks") else []
    if checks:
        last = checks[-1]
        yield f"{several(len(checks), 'check')}; the last one passed {last.passed} of {last.total}"
    hints = sum(message.role == "hint" for message in history)
    if hints:
        yield several(hints, "hint")
    cells = store.cells(session.session_id) if hasattr(store, "cells") else []
    if cells:
        failed = sum(not cell.ok for cell in cells)
        yield f"{several(len(cells), 'cell')}, {failed:,} of them failed"


def as_markdown(found: Feedback, title: str = "Practice") -> str:
    """Return the feedback as Markdown; quotes are the person's own words, as code: they stay text."""
    lines = [f"### {title}", "", *(f"- {line}" for line in found.figures), ""]
    for said in found.said:
        if said.quotes:
            lines += [f"**{said.habit.name}**: {said.habit.found}", ""]
            lines += [f"> turn {turn}: {_quoted(words)}" for turn, words in said.quotes]
        else:
            lines.append(f"**{said.habit.name}**: nothing was found. Next time: {said.habit.next_step}")
        lines.append("")
    lines.append(
        "Found by English words, not by understanding: it cannot say whether it is right, and misses what "
        "is said in other words. Nobody else is shown this, and comparisons leave it out."
    )
    return "\n".join(lines)


def _quoted(words: str) -> str:
    text = cut(one_line(words), MOST_CHARS).replace("`", "'")
    return f"`{text}`"


@functools.cache
def habits() -> tuple[Habit, ...]:
    """Return the habits that are looked for, in their order."""
    from importlib import resources

    from ib_kernel.settings.files import parse_toml

    file = resources.files("ib_kernel").joinpath("assessment/data/practice.toml")
    found: Mapping[str, Any] = parse_toml(file.read_text(encoding="utf-8"), "practice.toml")
    return tuple(
        Habit(h["name"], h["found"], h["next_step"], re.compile("|".join(h["words"]), re.IGNORECASE))
        for h in found["habits"]
    )
