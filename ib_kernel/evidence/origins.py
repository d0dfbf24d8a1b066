"""Where final code comes from, as rows: computed when somebody asks for them, kept as events of each session.

Runs of Python's tokens are nothing that SQL can find, so the view `code_origin` shows what was computed here:
by `%%usage` and by a host's SQL, before a query that names the view is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.origin import origin_of
from ib_kernel.values import LedgerEvent

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.values import Session

KIND = "origin"
"""The kind of the events that keep what was found."""

VIEW = "code_origin"
"""The view that shows the newest of a session."""

MOST = 500
"""Sessions that are looked at for one query, the newest."""

MOST_LINES = 1_000
"""Line numbers that one row keeps."""


def compute_for(query: str, store: Any, given: Callable[[Session], Challenge | None]) -> int:
    """Compute what the view `code_origin` lacks, if *query* asks for it.

    Args:
        query: Somebody's SQL.
        store: The ledger; one without cells has nothing to compare.
        given: Returns what a session was given.

    Returns:
        How many sessions have a new row.
    """
    if VIEW not in query.lower() or not hasattr(store, "cells"):
        return 0
    return sum(_compute(store, session, given) for session in store.sessions(limit=MOST))


def _compute(store: Any, session: Session, given: Callable[[Session], Challenge | None]) -> bool:
    """Compare one session's code unless that was done with the cells and replies that there are."""
    cells = store.cells(session.session_id)
    if not cells:
        return False
    messages = store.history(session.session_id)
    known = {"cells": len(cells), "replies": sum(m.role == "assistant" for m in messages)}
    before = [e.detail for e in store.events(session.session_id) if e.kind == KIND]
    if before and all(before[-1].get(name) == n for name, n in known.items()):
        return False
    found = origin_of(cells, messages, given(session))
    detail = {
        **known,
        "runs": found.runs,
        "verbatim": found.verbatim,
        "renamed": found.renamed,
        "lines": list(found.lines[:MOST_LINES]),
        "renamed_lines": list(found.renamed_lines[:MOST_LINES]),
        "turns": list(found.turns[:MOST_LINES]),
    }
    store.add_event(LedgerEvent(session.session_id, KIND, 0.0, "", detail))
    return True
