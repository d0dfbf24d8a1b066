"""How an attempt ends in the hot ledger: the session's sums and the attempt's row, one statement each.

These run for every call, in a transaction with those of other callers: keep them few, and Python out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.bound import Bound
from ib_duckdb.links import Chain
from ib_duckdb.rows import RESERVATION_COLUMNS, Row, named_reservation
from ib_duckdb.writing import TICKED, insert_messages, message_rows
from ib_kernel.secrets.random_pool import random_hex
from ib_kernel.values import CallEnd, Message
from ib_kernel.values.taken import NO_FIGURES, figures

NEXT_TURN = "CASE WHEN :turn IS NULL THEN last_turn + 1 ELSE max(last_turn, :turn) END"
"""A turn without a number gets the session's next one; numbers never repeat, whatever became of a turn."""

_SUMS = Bound(f"""
UPDATE sessions SET {TICKED},
    held = held - :freed, in_doubt = in_doubt - :resolved, held_billed = held_billed - :billed_tokens,
    held_nano_usd = held_nano_usd - :nano_usd,
    charged_tokens = charged_tokens + :charged,
    input_tokens = input_tokens + :input_tokens,
    output_tokens = output_tokens + :output_tokens,
    cached_tokens = cached_tokens + :cached_tokens,
    reasoning_tokens = reasoning_tokens + :reasoning_tokens,
    cost_nano_usd = cost_nano_usd + :cost_nano_usd,
    calls = calls + :used,
    turns = turns + (:used AND :turn > 0 AND NOT EXISTS (
        SELECT 1 FROM calls c WHERE c.session_key = sessions.session_key AND c.turn = :turn
            AND c.status = 'settled' AND c.input_tokens + c.output_tokens > 0)),
    priced_calls = priced_calls + :priced,
    unpriced_calls = unpriced_calls + :unpriced,
    messages = messages + :texts,
    last_turn = max(last_turn, :turn),
    chain_n = :chain_n, chain_head = :chain_head
WHERE session_key = :session_key""")  # noqa: S608 (built from our own names)
"""Takes a reservation off its session's sums, adds what was used, and keeps the chain's new head."""

_FREE = Bound(f"""
UPDATE sessions SET {TICKED},
    held = held - :freed, in_doubt = in_doubt - :resolved, held_billed = held_billed - :billed_tokens,
    held_nano_usd = held_nano_usd - :nano_usd, last_turn = max(last_turn, :turn)
WHERE session_key = :session_key""")  # noqa: S608 (built from our own names)
"""Takes a reservation that leaves no row off its session's sums."""

_STATE = """
SELECT session_id, charge, charged_tokens, token_budget, last_turn, chain_n, chain_head
FROM sessions WHERE session_key = ?"""

_CALL_NAMES = (
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
_INSERT_CALL = Bound(
    f"INSERT INTO calls ({', '.join(_CALL_NAMES)}) VALUES ({', '.join(':' + name for name in _CALL_NAMES)})"  # noqa: S608
)

_TAKE = f"DELETE FROM reservations WHERE rid = ? RETURNING {RESERVATION_COLUMNS}"  # noqa: S608 (our own names)


def new_rid() -> str:
    """Return an id for a reservation or a call: 128 random bits."""
    return random_hex(16)


def take_reservation(db: apsw.Connection, rid: str) -> Row | None:
    """Delete the open reservation of that id and return it; None when there is none.

    Its tokens stay on the session's sums until `end_attempt`; whoever must not end it raises.
    """
    rows: list[Any] = db.execute(_TAKE, (rid,)).fetchall()
    return named_reservation(rows[0]) if rows else None


def end_attempt(
    db: apsw.Connection,
    reserved: Row,
    end: CallEnd | None,
    status: str,
    now: float,
    messages: Sequence[Message] = (),
) -> None:
    """Write the end of an attempt: the session's sums, its row of `calls`, its messages.

    Args:
        db: The hot ledger, in a transaction.
        reserved: The reservation, already taken; its turn is None for the session's next.
        end: What was used; None when nobody knows (written off): the row's numbers are NULL.
        status: "settled", "failed" or "written_off"; only settled usage counts.
        now: Seconds since 1970.
        messages: What goes into the transcript.
    """
    key, tokens = reserved["session_key"], reserved["tokens"]
    found: Any = db.execute(_STATE, (key,)).fetchone()
    session_id, charge, used_before, token_budget, last_turn, n, head = found
    turn = last_turn + 1 if reserved["turn"] is None else reserved["turn"]
    charged = None if end is None else charged_by(charge, end)
    settled = end if status == "settled" else None
    call = {
        **{name: reserved[name] for name in _KEPT},
        "turn": turn,
        **(NO_FIGURES if end is None else figures(end)),
        "status": status,
        "held_tokens": tokens,
        "charged_tokens": charged,
        "used": used_before + (charged if settled and charged is not None else 0),
        "overdraft": max(0, charged - tokens) if settled and charged is not None else 0,
        "token_budget": token_budget,
        "started_at": reserved["created_at"],
        "ended_at": max(reserved["created_at"], now),
    }
    links = Chain(db, key, session_id, n, head)
    links.add("calls", call)
    rows = message_rows(links, messages, now, turn)
    used = {"now": now, "session_key": key, "turn": turn, "texts": len(rows), **_used(settled)}
    used |= {"charged": charged if settled else 0, "chain_n": links.n, "chain_head": links.head}
    _SUMS.run(db, used | _freed(reserved))
    _INSERT_CALL.run(db, call)
    insert_messages(db, rows)


def charged_by(charge: str, end: CallEnd) -> int:
    """Return the tokens that a session of policy *charge* is charged for *end*."""
    return end.charged if charge == "new" else end.input_tokens + end.output_tokens


def free(db: apsw.Connection, reserved: Row, now: float) -> None:
    """Take a reservation that leaves no row off its session's sums; it has been taken already."""
    values = {"now": now, "session_key": reserved["session_key"], "turn": reserved["turn"]}
    _FREE.run(db, values | _freed(reserved))


def _freed(reserved: Row) -> Row:
    held = reserved["state"] == "held"
    return {
        "freed": reserved["tokens"] if held else 0,
        "resolved": 0 if held else reserved["tokens"],
        "nano_usd": reserved["nano_usd"],
        "billed_tokens": reserved["billed_tokens"],
    }


def _used(end: CallEnd | None) -> Row:
    """Return what a settled attempt adds to its session's sums; nothing for another one."""
    if end is None:
        return _NOTHING
    used, cost = end.input_tokens + end.output_tokens > 0, end.cost_nano_usd
    return {
        "input_tokens": end.input_tokens,
        "output_tokens": end.output_tokens,
        "cached_tokens": end.cached_tokens,
        "reasoning_tokens": end.reasoning_tokens,
        "cost_nano_usd": cost or 0,
        "used": int(used),
        "priced": int(cost is not None),
        "unpriced": int(used and cost is None),
    }


_NOTHING: Row = dict.fromkeys(
    (
        *("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd"),
        *("used", "priced", "unpriced"),
    ),
    0,
)


_KEPT = (
    "rid",
    "session_key",
    "attempt",
    "client",
    "model",
    "counted_tokens",
    "counted_exact",
    "prompt_version",
    "history_from_turn",
    "sent_hmac",
    "owner_hash",
)
