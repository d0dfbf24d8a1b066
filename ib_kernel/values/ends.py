"""What services call the ends of their replies (finish reasons), by what the words mean; lower case.

Read in November 2026 in the references of OpenAI, Azure, Anthropic, Google, Mistral, DeepSeek, Zhipu, Cohere,
OpenRouter and vLLM.
"""

from __future__ import annotations

COMPLETE = frozenset(
    {
        "stop",
        "end_turn",
        "stop_sequence",
        "eos",
        "eos_token",
        "end",
        "complete",
        "completed",
        "finish_reason_stop",
    }
)
"""The model said all that it wanted to say."""

CUT = frozenset(
    {
        "length",
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "model_length",
        "model_context_window_exceeded",
        "cap",
    }
)
"""Cut off at a cap."""

FILTERED = frozenset(
    {"content_filter", "content_filtered", "safety", "sensitive", "recitation", "prohibited_content",
     "blocklist", "refusal", "guardrail_intervened"}
)  # fmt: skip
"""Cut off by a filter."""

TOOLS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})
"""The model asks for a tool."""

FAILED = frozenset(
    {
        "error",
        "failed",
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "network_error",
        "insufficient_system_resource",
        "malformed_function_call",
    }
)
"""The service failed; what came is not the whole reply."""

INCOMPLETE = frozenset({"incomplete"})
"""Not whole, and nobody says why."""

TIME_UP, SESSION_PAUSED, SESSION_ENDED = "time_up", "session_paused", "session_ended"
"""Our own words for a reply that was cut: the session's time was over, or somebody paused or ended it."""

OURS = frozenset({"stopped", "cap", TIME_UP, SESSION_PAUSED, SESSION_ENDED})
"""Ends that we made: what had arrived is counted, and nothing is missing but what we did not wait for."""

KNOWN = COMPLETE | CUT | FILTERED | TOOLS | FAILED | INCOMPLETE
"""Words that end a reply wherever they stand."""

NO_REASON = frozenset({"", "null", "none", "undefined", "nil", "in_progress", "queued"})
"""What services write where there is no finish reason."""


def word_of(reason: str) -> str:
    """Return a finish reason in lower case, without what a service adds to a known word.

    Gemini's compatible endpoint writes ``content_filter: PROHIBITED_CONTENT`` (read 2026-11).
    """
    word = reason.strip().lower()
    head = word.partition(":")[0].rstrip()
    return head if head in KNOWN else word


UNKNOWN = "unknown"
"""What a row says when a reply ended well and the service gave no reason."""
