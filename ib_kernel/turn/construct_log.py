"""Which constructs the calls of a session used: an event whenever they change, for `%usage accuracy`."""

from __future__ import annotations

import time
import weakref

from ib_kernel.budget.service import TokenService
from ib_kernel.values import Count, LedgerEvent

_last: weakref.WeakKeyDictionary[TokenService, dict[tuple[str, str], tuple[str, ...]]] = (
    weakref.WeakKeyDictionary()
)


def note_constructs(service: TokenService, session_id: str, turn: int, model: str, count: Count) -> None:
    """Record what a settled call was made of, if the session's calls to *model* were made of other things.

    The calls of a session from *turn* on belong to the event, until the next one. Remembering the last one
    only spares events: a restart writes one more of the same.

    Args:
        service: The service that writes to the ledger.
        session_id: The session.
        turn: The turn's number, from 1 on.
        model: The model as it was asked for.
        count: The count of the prompt; one that names no constructs is not recorded.
    """
    known = _last.setdefault(service, {})
    if not count.constructs or known.get((session_id, model)) == count.constructs:
        return
    known[session_id, model] = count.constructs
    detail = {"turn": turn, "model": model, "constructs": list(count.constructs)}
    service.record(LedgerEvent(session_id, "counted", time.time(), detail=detail))
