"""The row that an attempt leaves, and what its session is charged."""

from __future__ import annotations

from ib_duckdb.rows import Row
from ib_kernel.secrets.random_pool import random_hex
from ib_kernel.values import CallEnd
from ib_kernel.values.taken import NO_FIGURES, figures

CALL_COLUMNS = (
    "rid",
    "session_key",
    "turn",
    "attempt",
    "client",
    "model",
    "model_returned",
    "counted_tokens",
    "counted_exact",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "source",
    "cost_nano_usd",
    "price_source",
    "latency_ms",
    "first_piece_ms",
    "finish_reason",
    "status",
    "error",
    "held_tokens",
    "overdraft",
    "token_budget",
    "prompt_version",
    "history_from_turn",
    "sent_hmac",
    "response_id",
    "raw_usage",
    "started_at",
    "ended_at",
    "owner_hash",
    "charged_tokens",
    "used",
    "link_n",
    "link",
)


def new_rid() -> str:
    """Return an id for a reservation or a call: 128 random bits."""
    return random_hex(16)


def charged_by(charge: str, end: CallEnd) -> int:
    """Return the tokens that a session of policy *charge* is charged for *end*."""
    return end.charged if charge == "new" else end.input_tokens + end.output_tokens


def call_values(reserved: Row, end: CallEnd | None, status: str, now: float) -> Row:
    """Return the row of an attempt but for what follows from its session: what it was charged, and its link.

    *end* is None when nobody knows what was used.
    """
    return {
        **reserved,
        **(NO_FIGURES if end is None else figures(end)),
        "status": status,
        "held_tokens": reserved["tokens"],
        "started_at": reserved["created_at"],
        "ended_at": max(reserved["created_at"], now),
    }
