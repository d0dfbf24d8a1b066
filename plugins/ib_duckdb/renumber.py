"""Turn numbers for ledgers of version 1, in which turns that overlapped or failed shared a number.

A turn is found again as a *run*: an attempt 1 and the attempts that followed it. The runs of a session whose
numbers repeat are numbered in the order in which they began; messages follow the run that wrote them. Older
rows may be in the record only: the hot ledger then leaves them as many numbers as they may need at most, and
the record, brought forward later, takes the hot ledger's numbers for the rows that both have.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NEAR_S = 1.0
"""Seconds within which a settled call and its messages were written: one write, two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row of calls, or an open reservation (`ended_at` None). `id` is whatever names the row."""

    id: Any
    turn: int
    attempt: int
    started_at: float
    ended_at: float | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A row of messages. `id` is whatever names the row."""

    id: Any
    turn: int
    role: str
    created_at: float


@dataclass(slots=True)
class _Run:
    turn: int
    attempts: list[Attempt] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    @property
    def began(self) -> float:
        return self.attempts[0].started_at


def repeats(attempts: Iterable[Attempt]) -> bool:
    """Return True if two attempts share turn and number."""
    pairs = [(a.turn, a.attempt) for a in attempts]
    return len(set(pairs)) < len(pairs)


def renumber(
    attempts: Sequence[Attempt],
    texts: Sequence[Text],
    first: int = 1,
    given: Mapping[Any, int] | None = None,
) -> tuple[dict[Any, int], dict[Any, int]]:
    """Return the new turns of one session's attempts and messages, by id; turns count from *first* on.

    *given* are attempts that have their number already, and so their turn has. What is outside turns (0)
    keeps 0 and is left out. Messages whose turn has no attempt keep their number and are left out, too.
    """
    runs = _runs(sorted((a for a in attempts if a.turn > 0), key=lambda a: (a.started_at, a.attempt)))
    _assign(runs, [t for t in texts if t.turn > 0])
    calls: dict[Any, int] = {}
    messages: dict[Any, int] = {}
    numbers = itertools.count(first)
    for run in runs:
        known = [given[a.id] for a in run.attempts if given and a.id in given]
        number = known[0] if known else next(numbers)
        calls |= {attempt.id: number for attempt in run.attempts}
        messages |= {text.id: number for text in run.texts}
    return calls, messages


def _runs(attempts: Sequence[Attempt]) -> list[_Run]:
    """Put each attempt after the one that it repeats, preferably one that was not answered."""
    runs: list[_Run] = []
    for attempt in attempts:
        before = [r for r in runs if r.turn == attempt.turn and r.attempts[-1].attempt == attempt.attempt - 1]
        open_ones = [r for r in before if not r.attempts[-1].answered]
        found = (open_ones or before)[-1:] if attempt.attempt > 1 else []
        run = found[0] if found else _Run(attempt.turn)
        if not found:
            runs.append(run)
        run.attempts.append(attempt)
    return runs


def _assign(runs: Sequence[_Run], texts: Sequence[Text]) -> None:
    """Give each question with its answer to the run that ended when they were written."""
    by_turn: dict[int, list[_Run]] = defaultdict(list)
    for run in runs:
        by_turn[run.turn].append(run)
    groups: dict[int, list[list[Text]]] = defaultdict(list)
    for text in texts:
        if text.role != "assistant" or not groups[text.turn] or _answered(groups[text.turn][-1]):
            groups[text.turn].append([])
        groups[text.turn][-1].append(text)
    for turn, said in groups.items():
        free = list(by_turn[turn])
        pairs = [(_distance(run, group), i, j) for i, run in enumerate(free) for j, group in enumerate(said)]
        taken: set[int] = set()
        placed: set[int] = set()
        for _, i, j in sorted(pairs):
            if i not in taken and j not in placed:
                taken.add(i)
                placed.add(j)
                free[i].texts.extend(said[j])
        for j, group in enumerate(said):  # more messages than runs: they stay together with the last
            if free and j not in placed:
                free[-1].texts.extend(group)


def _answered(group: Sequence[Text]) -> bool:
    return any(text.role == "assistant" for text in group)


def _distance(run: _Run, group: Sequence[Text]) -> float:
    """Return how far, in seconds, *group* is from the end of *run*; what never ended is near enough."""
    written = group[-1].created_at
    if written < run.began:
        return 1e9 + run.began - written
    ends = [abs(a.ended_at - written) for a in run.attempts if a.ended_at is not None and a.answered]
    nearest = min(ends, default=None)
    if nearest is not None and nearest <= _NEAR_S:
        return nearest
    unresolved = any(a.ended_at is None or not a.answered for a in run.attempts)
    return _NEAR_S + 1 if unresolved or nearest is None else _NEAR_S + 2 + nearest
