"""How a turn ended, as JSON: what a screen needs of a `TurnResult` on the other side of a wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.turn.turn import TurnResult


def outcome_value(result: TurnResult, footer: str, *, stop_line: str, why: str = "") -> dict[str, Any]:
    """Return what somebody far away is told of *result*.

    Args:
        result: How the turn ended.
        footer: The line of figures under the reply.
        stop_line: The line for whoever has stopped it.
        why: Why the host stopped it; "" when it did not.
    """
    return {
        "turn": result.turn,
        "end": {**to_value(result.end), "raw_usage": None, "response_id": ""},
        "model": result.model.name,
        "client": result.client,
        "created": result.created,
        "stopped": result.stopped,
        "warnings": list(result.warnings),
        "turns_left": result.turns_left,
        "time_left_s": result.time_left_s,
        "history_from_turn": result.history_from_turn,
        "footer": footer,
        "stop_line": stop_line,
        "why": why,
    }
