"""`ib challenge probe`: what one plain prompt to a model solves.

The prompt is the task and the starter code, with nothing of the interviewer's. It goes through a session of
its own in the ledger, so that its tokens are counted and charged as any others.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ib_kernel.evidence.gather import gather
from ib_kernel.evidence.hidden import HiddenChecks, run_names
from ib_kernel.interview.interview import Interview

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge

BUDGET = 50_000
"""Tokens of a probe's session."""

REPLY = 8_000
"""Tokens that its reply may have, where the model's limits and the budget allow it."""

_FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n(.*?)^\1\s*$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a model's answer to one plain prompt did in the hidden runs.

    Args:
        model: The model that answered.
        date: The day, UTC, as YYYY-MM-DD.
        passed: The names of the runs that were right.
        failed: The names of those that were not.
        tokens: What the prompt and the reply have cost.
        why: Why nothing was run, in one line; empty where the runs were made.
    """

    model: str
    date: str
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    tokens: int
    why: str = ""

    def line(self, name: str) -> str:
        """Return what was found about the challenge *name*, in one line."""
        head = f"{name}: on {self.date}, one plain prompt to {self.model}"
        cost = f"{self.tokens:,} tokens"
        if self.why:
            return f"{head} solved nothing: {self.why} ({cost})"
        total = len(self.passed) + len(self.failed)
        missed = f"; not {', '.join(self.failed)}" if self.failed else ""
        return f"{head} solved {len(self.passed)} of {total} hidden runs{missed} ({cost})"


def probe(interview: Interview, challenge: Challenge, checks: HiddenChecks | None = None) -> Probed:
    """Ask once for a solution and run it against the hidden runs.

    Args:
        interview: Whose client, model and ledger are used; its session in use is replaced.
        challenge: With its private part.
        checks: Where code is run; None: a sandbox of its own.

    Raises:
        ConfigError: It has no hidden runs, or no sandbox is there: said before anything is sent.
        BuddyError: The model could not be asked.
    """
    checks = checks or HiddenChecks()
    names = run_names(challenge)
    checks.expected(challenge)  # before a token is spent
    session = interview.start(
        "Probe", candidate="ib challenge probe", persona="assistant", token_budget=BUDGET
    )
    try:
        with interview.ask(question(challenge), max_tokens=_room(interview)) as reply:
            for _ in reply:
                pass
    finally:
        interview.service.complete(session.session_id)
    tokens = interview.service.totals(session.session_id).charged_tokens
    date = time.strftime("%Y-%m-%d", time.gmtime())
    blocks = [found[2] for found in _FENCE.finditer(reply.text)] or [reply.text]
    found = gather(blocks, challenge.entry)
    if found.missing:
        why = f"its answer defines no {', '.join(found.missing)}"
        return Probed(session.model, date, (), tuple(names), tokens, why)
    outcomes = checks.check(challenge, found.code)
    right = tuple(outcome.name for outcome in outcomes if outcome.passed)
    wrong = tuple(outcome.name for outcome in outcomes if not outcome.passed)
    return Probed(session.model, date, right, wrong, tokens)


def question(challenge: Challenge) -> str:
    """Return the plain prompt: the task, the starter code, the names of data files."""
    parts = [challenge.text.strip()]
    if challenge.starter.strip():
        parts.append(f"Start from this code:\n\n```python\n{challenge.starter.strip()}\n```")
    if challenge.data:
        parts.append(f"Files beside the code: {', '.join(sorted(challenge.data))}.")
    parts.append(
        f"Answer with one Python code block that is complete and defines {', '.join(challenge.entry)}."
    )
    return "\n\n".join(parts)


def _room(interview: Interview) -> int:
    """Return how long the reply may be: as long as is useful, within what the model can write."""
    session = interview.session
    limits = interview.plugins.model(session.model, interview.settings, session.client)
    return min(REPLY, limits.max_output, limits.context_window // 2)
