"""Who asks a ledger in SQL, and so which rows an answer may be made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """A person who asks in SQL.

    A reader gets the levels that `ib_kernel.assessment.hiding` lets them see, and of a judge's work what is
    about criteria that they have rated. Times of a session with an accommodation are relative to the usual
    limit.

    Attributes:
        name: Under which this person rates.
        coordinator: Reads times as the clock ran.
        all_scores: Reads every level: the owner of the ledger's files asks.
        hides_locked: Whether levels, notes and rubrics of sessions with a lock are left out; *opened* are
            those (ids) whose passphrase was given.
        opened: See *hides_locked*.
    """

    name: str
    coordinator: bool = False
    all_scores: bool = False
    hides_locked: bool = False
    opened: frozenset[str] = frozenset()
