"""The line of figures under a reply, and what to type when there is no reply above it."""

from __future__ import annotations

from ib_kernel.text import format_time_left, several
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import ends

_CUT_BY_US = {
    "stopped": "stopped",
    ends.TIME_UP: "cut at the end of the time",
    ends.SESSION_PAUSED: "cut: the session was paused",
    ends.SESSION_ENDED: "cut: the session was ended",
}


def footer(result: TurnResult) -> str:
    """Return the line of figures: client, turn, tokens in and out, what is left; stable for tests.

    Turns and time that are left follow. Marks are added when less is charged than was billed, when tokens
    were cached, when figures are not the service's own (``counted``, ``upper bound``), when the cap was
    shrunk, when older turns were left out, when we stopped the reply, when it is empty or not whole, and when
    the budget is overdrawn.

    Args:
        result: How the turn ended.
    """
    end, totals = result.end, result.totals
    billed = end.input_tokens + end.output_tokens
    parts = [
        result.client,
        f"turn {result.turn}",
        f"{end.input_tokens:,} in + {end.output_tokens:,} out = {billed:,}",
        f"{end.charged:,} charged" if end.charged != billed else "",
        f"{totals.left:,} of {totals.token_budget:,} left",
        _turns(result.turns_left),
        "" if result.time_left_s is None else format_time_left(result.time_left_s),
        f"{end.cached_tokens:,} cached" if end.cached_tokens else "",
    ]
    parts += [f"{item.label} attached ({item.tokens:,} tokens)" for item in result.attached]
    if end.source != "api" and result.billed:
        parts.append(end.source.replace("_", " "))
    if result.plan.shrunk_by:
        parts.append(f"reply capped at {result.plan.cap:,} by {result.plan.shrunk_by}")
    if result.history_from_turn is not None:
        parts.append(f"sent from turn {result.history_from_turn} on, older ones do not fit")
    parts += _how_it_ended(result)
    if totals.overdraft:
        parts.append(f"overdraft {totals.overdraft:,}")
    return " · ".join(part for part in parts if part)


def _turns(left: int | None) -> str:
    if left is None:
        return ""
    return f"about {several(left, 'more turn')}" if left else "no further turn fits"


def _how_it_ended(result: TurnResult) -> list[str]:
    """Return the marks of a reply that is not whole, or empty."""
    reason, marks = ends.word_of(result.end.finish_reason), []
    if reason in ends.CUT:
        marks.append("cut off at its cap")
    if reason in ends.FILTERED:
        marks.append("cut off by the content filter")
    if reason in ends.INCOMPLETE:
        marks.append("incomplete: the service does not say why")
    if not result.text.strip():
        marks.append(_why_empty(result, reason))
    if result.stopped:
        marks.append(_CUT_BY_US.get(result.end.finish_reason, ""))
    return marks


def _why_empty(result: TurnResult, reason: str) -> str:
    """Return why there is no text, and what to type."""
    if reason in _CUT_BY_US or reason in ends.FILTERED:
        return ""
    if reason in ends.TOOLS:
        return "empty reply: the model asked for a tool that is not there; ask it to answer in words"
    if reason in ends.CUT and (result.thought or result.end.reasoning_tokens):
        return (
            f"empty reply: all {result.end.output_tokens:,} tokens went into reasoning and nothing was left "
            f"to say; try %%interview -n {2 * result.plan.cap}"
        )
    return "empty reply: the model said nothing; send it again or ask in other words"
