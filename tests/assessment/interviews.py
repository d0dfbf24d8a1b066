"""Interviews that were held, for tests: written into a ledger as turns write them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ib_kernel import Interview
from ib_kernel.assessment.rubric import Rubric
from ib_kernel.interview.challenges import Criterion
from ib_kernel.values import Cell, Message, Session

TALK = (
    ("Is the limit per customer across all twelve instances, or for each of them?", "Across all of them."),
    (
        "One **Lua script** in Redis reads and writes the bucket, so twelve instances cannot race.",
        "And when Redis is slow, what happens to the requests that wait for it?",
    ),
    ("Each instance falls back to a twelfth of the limit, and we page when that lasts a minute.", "Fine."),
)

RUBRIC = Rubric(
    (
        Criterion("asks", "Asks before designing", ("No question", "After a hint", "When asked", "First")),
        Criterion("atomic", "Makes it one step", ("Races", "Sees it when drawn", "When asked", "Unasked")),
        Criterion("failure", "Plans for failure", ("No answer", "Picks one", "Gives a reason", "Unasked")),
    ),
    "file",
)


def hold(
    interview: Interview,
    talk: Sequence[tuple[str, str]] = TALK,
    *,
    candidate: str = "Noor Tamm",
    cells: Sequence[str] = (),
    **options: Any,
) -> Session:
    """Hold an interview and return its session, ended."""
    options = {"client": "demo", **options}
    session = interview.start("Backend engineer", candidate=candidate, **options)
    store: Any = interview.service.store
    now = time.time()
    for turn, (question, reply) in enumerate(talk, 1):
        at = now + turn
        store.add_message(session.session_id, Message(turn, "user", question, created_at=at, asked_at=at))
        store.add_message(session.session_id, Message(turn, "assistant", reply, created_at=at + 0.5))
    for number, source in enumerate(cells):
        at = now + 10 + number
        store.add_cell(Cell(session.session_id, source, started_at=at, ended_at=at + 0.1))
    return interview.service.complete(session.session_id)
