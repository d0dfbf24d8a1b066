"""What a candidate did and what people conclude, as a ledger keeps it: cells, checks, challenges, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Suite = Literal["visible", "hidden"]
"""Which tests were run."""

Place = Literal["candidate", "host"]
"""Where they were run: on the candidate's machine, or in the host's sandbox."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that was run while a session was active.

    `n` counts the session's cells from 1 on and is given by the ledger. `kind` is "python", "magic" (our own)
    or the name of another cell magic, such as "bash". `error` is the exception's class name ("": none).
    `output_chars` is how long the output was; `output` is its text where that is kept (None: it is not).
    """

    session_id: str
    source: str
    ok: bool = True
    started_at: float = 0.0
    ended_at: float = 0.0
    execution_count: int | None = None
    kind: str = "python"
    error: str = ""
    output_chars: int = 0
    output: str | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One run of a challenge's tests.

    `tests` are JSON-able, one for each test (`name`, `ok`, and for visible ones `expected` and `got`).
    `source_sha` is the hash of the candidate's code that was run, `n` counts the session's checks from 1 on.
    """

    session_id: str
    suite: Suite
    passed: int
    total: int
    tests: Sequence[Mapping[str, Any]] = ()
    challenge_sha: str = ""
    source_sha: str = ""
    ran_on: Place = "candidate"
    started_at: float = 0.0
    ended_at: float = 0.0
    n: int = 0


@dataclass(frozen=True, slots=True)
class KeptChallenge:
    """The candidate's part of a challenge as it was given, by its hash.

    `files` are contents by name: text as it is, anything else as ``data:;base64,…``.
    """

    challenge_sha: str
    name: str
    version: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    first_used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """A level that a rater gives for one criterion; a later one of the same rater counts instead.

    `level` is 0 to 3 (None: not shown, or people decide), `low` and `high` a range where passes disagree.
    `quotes` are JSON-able (turn, speaker, words). `saw_model` is whether a person had seen the model's level.
    """

    session_id: str
    criterion: str
    rater: str
    rater_kind: Literal["person", "model"]
    level: int | None = None
    low: int | None = None
    high: int | None = None
    reason: str = ""
    quotes: Sequence[Mapping[str, Any]] = ()
    saw_model: bool = False
    rubric_sha: str = ""
    model: str = ""
    prompt_version: str = ""
    created_at: float = 0.0


@runtime_checkable
class EvidenceStore(Protocol):
    """What a ledger keeps of an interview beside calls, messages and events.

    Optional coroutines with the arguments, answers and errors of their namesakes: ``aadd_cell``,
    ``aadd_check``, ``aadd_score``.
    """

    def add_cell(self, cell: Cell) -> Cell:
        """Record a cell; return it with its number. `UnknownSession`."""
        ...

    def cells(self, session_id: str) -> list[Cell]:
        """Return the session's cells in order."""
        ...

    def add_check(self, check: Check) -> Check:
        """Record a run of tests; return it with its number. `UnknownSession`."""
        ...

    def checks(self, session_id: str) -> list[Check]:
        """Return the session's checks in order."""
        ...

    def keep_challenge(self, challenge: KeptChallenge) -> None:
        """Keep the candidate's part of a challenge under its hash; the first one of a hash stays."""
        ...

    def challenge(self, challenge_sha: str) -> KeptChallenge | None:
        """Return the candidate's part of that hash, or None."""
        ...

    def add_score(self, score: Score) -> Score:
        """Record a score; return it with its time. `UnknownSession`."""
        ...

    def scores(self, session_id: str) -> list[Score]:
        """Return the session's scores in the order they were given."""
        ...
