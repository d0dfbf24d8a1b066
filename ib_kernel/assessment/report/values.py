"""A report as plain values, for a page, a Markdown file and JSON alike. Times are texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Edition = Literal["interviewer", "candidate"]
"""Whom a report is for."""


@dataclass(frozen=True, slots=True)
class Line:
    """A name and what is said of it; `note` is what it does not say."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quoted:
    """The candidate's words, and where they are to be read: a place such as "turn 3", and its time.

    `after` names where the AI had said the same before.
    """

    words: str
    place: str
    at: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What one rater says of a criterion: the level in words, its range, and why."""

    who: str
    word: str
    low: int | None = None
    high: int | None = None
    reason: str = ""
    quotes: tuple[Quoted, ...] = ()
    saw_model: bool = False


@dataclass(frozen=True, slots=True)
class Omitted:
    """A quote of a judge's that was dropped."""

    words: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rated:
    """One criterion. `people` are raters, `model` what a judge proposes, `folded` why something is not shown.

    `strength` and `next_step` are for the candidate. `looks` are the levels of a judge's passes in words.
    """

    name: str
    title: str
    anchors: tuple[str, ...] = ()
    people: tuple[View, ...] = ()
    model: View | None = None
    looks: tuple[str, ...] = ()
    omitted: tuple[Omitted, ...] = ()
    folded: str = ""
    quotes: tuple[Quoted, ...] = ()
    strength: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class TestLine:
    """One test: of which suite, whether it passed at the end, and when it first did ("": never)."""

    name: str
    suite: str
    passed: bool
    first: str = ""


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of the final code: "same" as in a reply before it, "renamed" (with other names), or ""."""

    number: int
    text: str
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """Something of the record that is quoted: its place, a heading, and the text."""

    place: str
    title: str
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A note or an objection: when, by whom, and its text."""

    at: str
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, in tokens; `cost` is a phrase. `per_turn` has turn, input and output tokens."""

    budget: int
    used: int
    in_doubt: int
    left: int
    input_tokens: int
    output_tokens: int
    cost: str
    time: str = ""
    time_share: float | None = None
    per_turn: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    edition: Edition
    session_id: str
    title: str
    about: str
    made_at: str
    conditions: tuple[Line, ...] = ()
    marks: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    figures: tuple[Line, ...] = ()
    criteria: tuple[Rated, ...] = ()
    judge: tuple[str, ...] = ()
    is_demo: bool = False
    course: Mapping[str, Any] = field(default_factory=dict)
    tests: tuple[TestLine, ...] = ()
    tests_note: str = ""
    origin: str = ""
    code: tuple[CodeLine, ...] = ()
    flags: tuple[Line, ...] = ()
    usage: Usage | None = None
    notes: tuple[Signed, ...] = ()
    objections: tuple[Signed, ...] = ()
    said: tuple[Said, ...] = ()
    method: tuple[str, ...] = ()
    head: str = ""
    contact: str = ""
