"""Rows of the hot ledger as the values that cross the border, and the checks on what comes in."""

from __future__ import annotations

import json
from typing import Any

import apsw

from ib_duckdb.columns import BILLED_CEILING
from ib_kernel.errors import UnknownSession
from ib_kernel.values import CallStart, Reservation, Session, Status, Totals, private_part
from ib_kernel.values.domain import clean
from ib_kernel.values.turn_view import Standing

_STORED = (
    "session_key, session_id, candidate, role, level, challenge, persona, client, model, prompt_version, "
    "meta, status, token_budget, budget_nano_usd, time_limit_s, created_at, started_at, ended_at, "
    "active_s, tick_at, input_tokens, output_tokens, cached_tokens, reasoning_tokens, held, in_doubt, "
    "held_nano_usd, cost_nano_usd, calls, turns, messages, events, priced_calls, unpriced_calls, "
    "pruned_calls, pruned_messages, last_turn, "
    "charge, charged_tokens, held_billed, token_budget_at_start, time_limit_at_start_s, external_id, "
    "challenge_sha, notice_version, keep_until, accommodation, cells, checks, scores, chain_n, chain_head"
)
SESSION_COLUMNS = f"{_STORED}, {BILLED_CEILING}, (SELECT most FROM clock)"  # noqa: S608 (our own names)
_SESSION_NAMES = [*_STORED.replace(" ", "").split(","), "billed_ceiling", "most_per_tick"]
_FACTS = (
    *("external_id", "challenge_sha", "notice_version", "keep_until", "accommodation", "charge"),
    *("token_budget_at_start", "time_limit_at_start_s", "billed_ceiling"),
    *("candidate", "role", "level", "challenge", "persona", "client", "model", "prompt_version"),
)

RESERVATION_COLUMNS = (
    "rid, session_key, tokens, nano_usd, lease_until, owner, created_at, state, doubt_reason, "
    "turn, attempt, client, model, counted_tokens, counted_exact, prompt_version, owner_hash, "
    "billed_tokens, history_from_turn, sent_hmac"
)
RESERVATION_NAMES = RESERVATION_COLUMNS.replace(" ", "").split(",")

_TOTALS = (
    *("token_budget", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("held", "in_doubt", "calls", "turns", "messages", "unpriced_calls", "budget_nano_usd"),
    *("held_nano_usd", "charged_tokens", "held_billed", "billed_ceiling"),
)

Row = dict[str, Any]


def find(db: apsw.Connection, session_id: str) -> Row | None:
    """Return the session's row, or None."""
    sql = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE session_id = ?"  # noqa: S608 (our own column names)
    row = db.execute(sql, (clean(session_id),)).fetchone()
    return dict(zip(_SESSION_NAMES, row, strict=True)) if row else None


def get(db: apsw.Connection, session_id: str) -> Row:
    """Return the session's row. `UnknownSession` says what to type."""
    row = find(db, session_id)
    if row is None:
        raise UnknownSession(f"no session {session_id!r} in this ledger; see %interview sessions")
    return row


def select_sessions(db: apsw.Connection, where: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
    """Return the rows of sessions that match *where* (SQL of our own)."""
    cursor = db.execute(f"SELECT {SESSION_COLUMNS} FROM sessions {where}", parameters)  # noqa: S608
    return [dict(zip(_SESSION_NAMES, row, strict=True)) for row in cursor]


def select_reservations(db: apsw.Connection, where: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
    """Return the open reservations that match *where* (SQL of our own), oldest first."""
    order = "created_at, turn, attempt, rid"
    sql = f"SELECT {RESERVATION_COLUMNS} FROM reservations WHERE {where} ORDER BY {order}"  # noqa: S608
    return [named_reservation(row) for row in db.execute(sql, parameters)]


def named_reservation(values: tuple[Any, ...]) -> Row:
    """Return the values of `RESERVATION_COLUMNS` by their names."""
    return dict(zip(RESERVATION_NAMES, values, strict=True))


def active_seconds(row: Row, now: float) -> float:
    """Return how long the session has been active, as `TICKED` would count it."""
    if row["tick_at"] is None:
        return float(row["active_s"])
    return float(row["active_s"] + min(max(0.0, now - row["tick_at"]), row["most_per_tick"]))


def elapsed(row: Row, now: float) -> bool:
    """Return True if an active session's time limit is used up."""
    limit = row["time_limit_s"]
    return row["status"] == Status.ACTIVE and limit is not None and active_seconds(row, now) >= limit


def to_session(row: Row, now: float) -> Session:
    """Build the `Session` of a row."""
    active, limit = active_seconds(row, now), row["time_limit_s"]
    return Session(
        session_id=row["session_id"],
        token_budget=row["token_budget"],
        time_limit_s=limit,
        budget_nano_usd=row["budget_nano_usd"],
        meta=private_part.without(json.loads(row["meta"])),
        status=Status(row["status"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        active_s=active,
        time_left_s=None if limit is None else max(0.0, limit - active),
        **{name: row[name] for name in _FACTS},
    )


def to_totals(row: Row) -> Totals:
    """Build the `Totals` of a session's row."""
    cost = row["cost_nano_usd"] if row["priced_calls"] else None
    head = "" if row["chain_head"] is None else row["chain_head"].hex()
    return Totals(cost_nano_usd=cost, chain_head=head, **{name: row[name] for name in _TOTALS})


def to_standing(row: Row, now: float) -> Standing:
    """Build the `Standing` of a session's row."""
    return Standing(to_session(row, now), to_totals(row), row["events"])


def to_reservation(row: Row, session_id: str, owner_token: str = "") -> Reservation:
    """Build the `Reservation` of a row; only its owner's gets the token."""
    exact = row["counted_exact"]
    return Reservation(
        reservation_id=row["rid"],
        session_id=session_id,
        tokens=row["tokens"],
        lease_until=row["lease_until"],
        nano_usd=row["nano_usd"],
        owner=row["owner"],
        created_at=row["created_at"],
        in_doubt=row["state"] != "held",
        doubt_reason=row["doubt_reason"],
        call=CallStart(
            turn=row["turn"],
            attempt=row["attempt"],
            client=row["client"],
            model=row["model"],
            counted_tokens=row["counted_tokens"],
            counted_exact=None if exact is None else bool(exact),
            prompt_version=row["prompt_version"],
            history_from_turn=row["history_from_turn"],
            sent_hmac=row["sent_hmac"],
        ),
        owner_token=owner_token,
        billed_tokens=row["billed_tokens"],
    )
