"""What asking a judge will take, each step of it, and what all of its looks come to: the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ib_kernel.assessment.judge.together import Look, Together


@dataclass(frozen=True, slots=True)
class Estimate:
    """What asking a judge will take: `calls` that are not answered yet, of `total`.

    `tokens` is what is expected, `most` what it can be at the most. `cost_nano_usd` is what is expected
    (None: no price is known). `session_id` is the judge's session where one goes on ("": a new one).
    """

    calls: int
    total: int
    tokens: int
    most: int
    cost_nano_usd: int | None
    judge: str
    model: str
    session_id: str = ""

    @property
    def is_demo(self) -> bool:
        """Whether a script answers, not a model."""
        return self.judge == "demo" or self.model == "demo"


@dataclass(frozen=True, slots=True)
class Step:
    """One look is there: which of how many, and about what."""

    done: int
    total: int
    look: Look


@dataclass(frozen=True, slots=True)
class Judgement:
    """All looks at one interview, and what they come to by criterion."""

    session_id: str
    judge_session: str
    judge: str
    model: str
    version: str
    looks: tuple[Look, ...]
    levels: Mapping[str, Together]

    @property
    def kept(self) -> int:
        """Quotes that stand in the record."""
        return sum(len(look.kept) for look in self.looks)

    @property
    def dropped(self) -> int:
        """Quotes that do not."""
        return sum(len(look.dropped) for look in self.looks)
