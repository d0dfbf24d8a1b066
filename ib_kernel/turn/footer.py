"""The line of figures under a reply, and what to type when there is no reply above it."""

from __future__ import annotations

from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import ends


def footer(result: TurnResult) -> str:
    """Return the line of figures: client, turn, tokens in and out, what is left; stable for tests.

    Marks are added when figures are not the service's own (``counted``, ``upper bound``), when the cap was
    shrunk, when we stopped the reply, when it is empty or not whole, and when the budget is overdrawn.

    Args:
        result: How the turn ended.
    """
    end, totals = result.end, result.totals
    parts = [
        result.client,
        f"turn {result.turn}",
        f"{end.input_tokens:,} in + {end.output_tokens:,} out = {end.input_tokens + end.output_tokens:,}",
        f"{totals.left:,} of {totals.token_budget:,} left",
    ]
    if end.source != "api" and result.billed:
        parts.append(end.source.replace("_", " "))
    if result.plan.shrunk_by:
        parts.append(f"reply capped at {result.plan.cap:,} by {result.plan.shrunk_by}")
    reason = ends.word_of(end.finish_reason)
    if reason in ends.CUT:
        parts.append("cut off at its cap")
    if reason in ends.FILTERED:
        parts.append("cut off by the content filter")
    if reason in ends.INCOMPLETE:
        parts.append("incomplete: the service does not say why")
    if not result.text.strip():
        parts.append(_why_empty(result, reason))
    if result.stopped and end.finish_reason == "stopped":
        parts.append("stopped")
    if totals.overdraft:
        parts.append(f"overdraft {totals.overdraft:,}")
    return " · ".join(part for part in parts if part)


def _why_empty(result: TurnResult, reason: str) -> str:
    """Return why there is no text, and what to type."""
    if reason == "stopped" or reason in ends.FILTERED:
        return ""
    if reason in ends.TOOLS:
        return "empty reply: the model asked for a tool that is not there; ask it to answer in words"
    if reason in ends.CUT and (result.thought or result.end.reasoning_tokens):
        return (
            f"empty reply: all {result.end.output_tokens:,} tokens went into reasoning and nothing was left "
            f"to say; try %%interview -n {2 * result.plan.cap}"
        )
    return "empty reply: the model said nothing; send it again or ask in other words"
