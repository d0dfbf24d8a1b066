"""How a session's tokens went over time: per turn for the small bars, and as a burn-down line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ib_kernel.errors import StoreError
from ib_kernel.values import Spent

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import LedgerEvent, Session

TURNS = 40
"""Turns that the bars show, the newest ones."""

POINTS = 300
"""Points that a burn-down line has at most; of a longer one, evenly spread ones and the last are kept."""


def spent(service: TokenService, session_id: str) -> list[Spent]:
    """Return the session's settled attempts in order; empty while another tool keeps them from being read."""
    direct = getattr(service.store, "spent", None)
    try:
        if direct is not None:
            return list(direct(session_id))
        name = session_id.replace("'", "''")
        rows = service.store.sql(
            "SELECT turn, epoch(ended_at), input_tokens, output_tokens, token_budget FROM calls "  # noqa: S608
            f"WHERE session_id = '{name}' AND status = 'settled' AND total_tokens > 0 ORDER BY ended_at"
        )
        return [Spent(*row) for row in rows]
    except (StoreError, TypeError):  # another store's own tables, or a busy file: no history is no failure
        return []


def tokens_per_turn(calls: Sequence[Spent]) -> list[list[int]]:
    """Return ``[turn, input tokens, output tokens]`` of the last `TURNS` turns, oldest first."""
    sums: dict[int, list[int]] = {}
    for call in calls:
        row = sums.setdefault(call.turn, [call.turn, 0, 0])
        row[1] += call.input_tokens
        row[2] += call.output_tokens
    return [sums[turn] for turn in sorted(sums)][-TURNS:]


def burn_down(
    session: Session, calls: Sequence[Spent], events: Sequence[LedgerEvent] = ()
) -> list[list[float]]:
    """Return ``[seconds since the start, tokens left, budget then]`` after every call and change of budget.

    The start comes first. Tokens left count settled tokens only and are never negative; the last point has
    today's budget.
    """
    began = session.started_at if session.started_at is not None else session.created_at
    changes = [e for e in events if e.kind == "budget" and e.detail.get("unit") == "token_budget"]
    steps = [(c.ended_at, c.charged, c.token_budget) for c in calls]
    steps += [(e.created_at, 0, e.detail["to"]) for e in changes]
    steps.sort(key=lambda step: step[0])
    first = changes[0].detail["from"] if changes else calls[0].token_budget if calls else session.token_budget
    points: list[list[float]] = [[0.0, first, first]]
    used = 0
    for at, tokens, budget in steps:
        used += tokens
        points.append([round(max(points[-1][0], at - began), 1), max(0, budget - used), budget])
    points.append([points[-1][0], max(0, session.token_budget - used), session.token_budget])
    if len(points) > POINTS:
        stride = (len(points) - 1) / (POINTS - 1)
        points = [points[round(i * stride)] for i in range(POINTS)]
    return points
