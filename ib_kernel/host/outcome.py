"""How a turn ended, as JSON: what a screen needs of a `TurnResult` on the other side of a wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.errors import (
    AuthFailed,
    ClientError,
    ContentFiltered,
    ContextTooLong,
    NoKey,
    NotConnected,
    QuotaExceeded,
    RateLimited,
    StreamBroken,
    TimedOut,
)
from ib_kernel.secrets import scrub_value
from ib_kernel.values import ends
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.turn.turn import TurnResult

CUT = {
    ends.SESSION_PAUSED: "the interviewer has paused the session",
    ends.SESSION_ENDED: "the session was ended",
    ends.TIME_UP: "the time is up",
}
"""Why a reply was cut, by how its row says it."""

_OURS = "the interview's service cannot be used at the moment; tell your interviewer"
_LATER = "try again, and tell your interviewer if it stays so"

_LINES: tuple[tuple[type[ClientError], str], ...] = (
    (NoKey, _OURS),
    (AuthFailed, _OURS),
    (QuotaExceeded, _OURS),
    (ContextTooLong, "this interview has become too long for the model; tell your interviewer"),
    (ContentFiltered, "the service's content filter refused this; say it in other words"),
    (RateLimited, "the service takes no more requests at the moment; try again in a minute"),
    (NotConnected, f"the service could not be reached; {_LATER}"),
    (TimedOut, "the service did not answer in time; try again"),
    (StreamBroken, "the service's answer broke off, or could not be read; try again"),
    (ClientError, f"the service could not answer; {_LATER}"),
)
"""What a candidate is told instead of a service's own words, which may repeat what it was sent: the notes."""


def told(error: BaseException) -> BaseException:
    """Return *error* as a candidate may read it: of a service's answer nothing but what it means."""
    if not isinstance(error, ClientError) or (
        error.outcome == "not_sent" and not isinstance(error, (NoKey, NotConnected))
    ):
        return error
    line = next(line for kind, line in _LINES if isinstance(error, kind))
    return type(error)(line, outcome=error.outcome, retryable=error.retryable, status=error.status)


def outcome_value(result: TurnResult, footer: str, *, stop_line: str, why: str = "") -> dict[str, Any]:
    """Return what somebody far away is told of *result*; what the service has named itself has no key in it.

    Args:
        result: How the turn ended.
        footer: The line of figures under the reply.
        stop_line: The line for whoever has stopped it.
        why: Why the host stopped it; "" when it did not. A turn that has seen its session's end by itself,
            before the host did, says it too.
    """
    value = {
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
        "why": why or CUT.get(result.end.finish_reason, ""),
    }
    return scrub_value(value)
