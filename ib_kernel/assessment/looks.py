"""The looks of a judge as the ledger keeps them, one event each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ib_kernel.assessment.judge.together import Look
from ib_kernel.assessment.quotes import Dropped, Kept, Reason

LOOK = "judged"
"""The kind of event."""


def look_value(look: Look) -> dict[str, Any]:
    """Return a look as JSON-able values.

    Args:
        look: One look.
    """
    names = ("criterion", "number", "level", "given", "why", "strength", "next_step", "turn", "problem")
    value: dict[str, Any] = {name: getattr(look, name) for name in names}
    value["order"] = list(look.order)
    value["kept"] = [[one.place, one.words, one.after] for one in look.kept]
    value["dropped"] = [[one.place, one.words, one.reason] for one in look.dropped]
    return value


def looks_of(store: Any, session_id: str) -> list[Look]:
    """Return the looks of a judge's session, in the order in which they were made.

    Args:
        store: The ledger.
        session_id: The judge's session. `UnknownSession`.
    """
    return [_look(event.detail) for event in store.events(session_id) if event.kind == LOOK]


def _look(detail: Mapping[str, Any]) -> Look:
    kept = tuple(Kept(str(p), str(w), str(a)) for p, w, a in detail.get("kept", ()))
    reasons = get_args(Reason)
    dropped = tuple(
        Dropped(str(p), str(w), r if r in reasons else "not in the record")
        for p, w, r in detail.get("dropped", ())
    )
    texts = {name: str(detail.get(name) or "") for name in ("why", "strength", "next_step", "problem")}
    return Look(
        str(detail.get("criterion") or ""),
        int(detail.get("number") or 0),
        detail.get("level"),
        detail.get("given"),
        kept,
        dropped,
        order=tuple(detail.get("order", ())),
        turn=int(detail.get("turn") or 0),
        **texts,
    )
