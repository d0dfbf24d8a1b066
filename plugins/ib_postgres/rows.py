"""Rows of the database as the values that cross the border."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import UnknownSession
from ib_kernel.values import CallStart, Reservation, Session, Status, Totals, private_part
from ib_postgres.text import given, given_json, given_value

Row = dict[str, Any]

_FACTS = (
    *("external_id", "challenge_sha", "notice_version", "keep_until", "accommodation", "charge"),
    *("token_budget_at_start", "time_limit_at_start_s"),
    *("candidate", "role", "level", "challenge", "persona", "client", "model", "prompt_version"),
)
_TOTALS = (
    *(
        "token_budget",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "held",
        "in_doubt",
    ),
    *("calls", "turns", "messages", "unpriced_calls", "budget_nano_usd", "held_nano_usd", "charged_tokens"),
    "held_billed",
)


def unknown(session_id: str) -> UnknownSession:
    """Return the error for a session that is not there; it says what to type."""
    return UnknownSession(f"no session {session_id!r} in this ledger; see %interview sessions")


def most_billed(row: Mapping[str, Any]) -> int | None:
    """Return what may be billed beside the budget, or None for no such limit."""
    own: int | None = row["billed_ceiling"]
    return own if own is not None or row["charge"] != "new" else 10 * int(row["token_budget"])


def active_seconds(row: Mapping[str, Any], now: float, most: float) -> float:
    """Return how long the session has been active, as the database would count it."""
    if row["tick_at"] is None:
        return float(row["active_s"])
    return float(row["active_s"] + min(max(0.0, now - row["tick_at"]), most))


def elapsed(row: Mapping[str, Any], now: float, most: float) -> bool:
    """Return True if an active session's time limit is used up."""
    limit = row["time_limit_s"]
    return row["status"] == Status.ACTIVE and limit is not None and active_seconds(row, now, most) >= limit


def to_session(row: Mapping[str, Any], now: float, most: float) -> Session:
    """Build the `Session` of a row."""
    active, limit = active_seconds(row, now, most), row["time_limit_s"]
    return Session(
        session_id=given(row["session_id"]),
        token_budget=row["token_budget"],
        time_limit_s=limit,
        budget_nano_usd=row["budget_nano_usd"],
        meta=private_part.without(json.loads(given_json(row["meta"]))),
        status=Status(row["status"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        active_s=active,
        time_left_s=None if limit is None else max(0.0, limit - active),
        billed_ceiling=most_billed(row),
        **{name: given_value(row[name]) for name in _FACTS},
    )


def to_totals(row: Mapping[str, Any]) -> Totals:
    """Build the `Totals` of a session's row."""
    head: Any = row["chain_head"]  # "\x…" where the row came as JSON
    shown = "" if head is None else head[2:] if isinstance(head, str) else head.hex()
    return Totals(
        cost_nano_usd=row["cost_nano_usd"] if row["priced_calls"] else None,
        billed_ceiling=most_billed(row),
        chain_head=shown,
        **{name: row[name] for name in _TOTALS},
    )


def to_reservation(row: Mapping[str, Any], session_id: str, owner_token: str = "") -> Reservation:
    """Build the `Reservation` of a row; only its owner's gets the token."""
    exact = row["counted_exact"]
    return Reservation(
        reservation_id=row["rid"],
        session_id=session_id,
        tokens=row["tokens"],
        lease_until=row["lease_until"],
        nano_usd=row["nano_usd"],
        owner=given(row["owner"]),
        created_at=row["created_at"],
        in_doubt=row["state"] != "held",
        doubt_reason=given(row["doubt_reason"]),
        call=CallStart(
            turn=row["turn"],
            attempt=row["attempt"],
            client=given(row["client"]),
            model=given(row["model"]),
            counted_tokens=row["counted_tokens"],
            counted_exact=None if exact is None else bool(exact),
            prompt_version=given(row["prompt_version"]),
            history_from_turn=row["history_from_turn"],
            sent_hmac=given(row["sent_hmac"]),
        ),
        owner_token=owner_token,
        billed_tokens=row["billed_tokens"],
    )
