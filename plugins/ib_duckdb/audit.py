"""The proof that the ledger adds up: every session's sums, rebuilt from rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb import quarantine
from ib_duckdb.columns import CALLS
from ib_duckdb.hot import Hot
from ib_duckdb.query import reading
from ib_duckdb.record import Record
from ib_duckdb.rows import Row, select_sessions
from ib_duckdb.version_5 import CHARGED, LATER
from ib_kernel.errors import StoreError
from ib_kernel.text import several

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

_SUMS = (
    *("calls", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd"),
    "charged_tokens",
)

_HELD = ("held", "in_doubt", "held_nano_usd", "held_billed")

_HOT = """
SELECT session_key,
    count(*) FILTER (WHERE status = 'settled' AND input_tokens + output_tokens > 0),
    coalesce(sum(input_tokens) FILTER (WHERE status = 'settled'), 0),
    coalesce(sum(output_tokens) FILTER (WHERE status = 'settled'), 0),
    coalesce(sum(cached_tokens) FILTER (WHERE status = 'settled'), 0),
    coalesce(sum(reasoning_tokens) FILTER (WHERE status = 'settled'), 0),
    coalesce(sum(cost_nano_usd) FILTER (WHERE status = 'settled'), 0),
    coalesce(sum(charged_tokens) FILTER (WHERE status = 'settled'), 0),
    count(*)
FROM calls GROUP BY session_key"""

_ALL = """
SELECT session_key,
    count(*) FILTER (status = 'settled' AND total_tokens > 0),
    coalesce(sum(input_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(output_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(cached_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(reasoning_tokens) FILTER (status = 'settled'), 0),
    (coalesce(sum(cost_usd) FILTER (status = 'settled'), 0) * 1000000000)::HUGEINT,
    coalesce(sum(charged_tokens) FILTER (status = 'settled'), 0),
    count(*) FILTER (status <> 'in_doubt')
FROM calls GROUP BY session_key"""

_USED = f"""
SELECT session_key, count(*)
FROM (SELECT session_key, used, {LATER} AS later FROM calls) JOIN sessions s USING (session_key)
WHERE used <> s.charged_tokens - later GROUP BY session_key"""  # noqa: S608 (our own names)
"""Hot calls that do not say what their session had been charged by then, as its sum and later rows do."""

_USED_ALL = f"""
SELECT session_key, min(used - found), max(used - found) FROM (
    SELECT session_key, used, coalesce(sum({CHARGED}) OVER (
        PARTITION BY session_key, session_id ORDER BY seq ROWS UNBOUNDED PRECEDING
    ), 0) AS found
    FROM calls WHERE seq IS NOT NULL AND {{some}}
) GROUP BY session_key HAVING min(used - found) <> 0 OR max(used - found) <> 0"""  # noqa: S608 (our own names)
"""The same for every call, hot or moved. Where the oldest rows are lost, all of them differ by as much."""

_DOUBLED = """
SELECT count(*) - count(DISTINCT (session_key, seq)) FROM calls WHERE seq IS NOT NULL AND {some}"""

PIECE = 500_000
"""Calls that are looked at together where that takes memory for each: what DuckDB may use is limited."""

_RESERVATIONS = """
SELECT session_key,
    coalesce(sum(tokens) FILTER (WHERE state = 'held'), 0),
    coalesce(sum(tokens) FILTER (WHERE state <> 'held'), 0),
    sum(nano_usd),
    sum(billed_tokens)
FROM reservations GROUP BY session_key"""

_REPEATED = """
SELECT session_key, turn, attempt, count(*) FROM (
    SELECT session_key, turn, attempt FROM calls WHERE turn > 0
    UNION ALL SELECT session_key, turn, attempt FROM reservations WHERE turn > 0
) GROUP BY session_key, turn, attempt HAVING count(*) > 1"""

_MESSAGES = "SELECT session_key, count(*) FROM messages GROUP BY session_key"


def check(record: Record, hot: Hot, now: float) -> list[str]:
    """Return one line per disagreement between the sums and the rows; empty when the ledger adds up."""
    with hot.snapshot() as db:
        sessions = {row["session_key"]: row for row in select_sessions(db, "")}
        rows = {key: values for key, *values in db.execute(_HOT)}
        reserved = {key: values for key, *values in db.execute(_RESERVATIONS)}
        messages = {key: count for key, count in db.execute(_MESSAGES)}  # noqa: C416 (typed)
        repeated = list(db.execute(_REPEATED))
        wrong = {key: count for key, count in db.execute(_USED)}  # noqa: C416 (typed)
        last = next(seq for (seq,) in db.execute("SELECT coalesce(max(seq), 0) FROM calls"))
        apart = [*quarantine.listed(db), *_begun_erasures(db)]
    lines = [*apart, *_strays(sessions, rows, reserved)]
    for key, turn, attempt, times in repeated:
        name = sessions[key]["session_id"] if key in sessions else f"key {key}"
        lines.append(f"session {name}: attempt {attempt} of turn {turn} is there {times} times")
    for key, row in sessions.items():
        lines += _compare(row, rows.get(key), reserved.get(key), messages.get(key, 0))
        lines += _wrongly_used(row, key in wrong)
    with suppress(StoreError):  # says where each table's rows are in the record
        record.move()
    behind = record.behind()
    return [*lines, *([behind] if behind else []), *_check_record(record, hot, now, sessions, rows, last)]


def _begun_erasures(db: apsw.Connection) -> list[str]:
    begun = next(n for (n,) in db.execute("SELECT count(*) FROM erasing"))
    line = f"the erasure of {several(begun, 'session')} was begun and not finished; ib erase --resume goes on"
    return [line] if begun else []


def _strays(sessions: dict[int, Row], *tables: dict[int, Any]) -> list[str]:
    return [
        f"rows of a session that does not exist (key {key})"
        for t in tables
        for key in t
        if key not in sessions
    ]


def _compare(row: Row, sums: list[int] | None, held: list[int] | None, messages: int) -> list[str]:
    """Compare one session's sums with its hot rows; calls that were pruned are compared in the record."""
    name, lines = row["session_id"], []
    kept = sums or [0] * (len(_SUMS) + 1)
    if not row["pruned_calls"]:
        lines += _differences(name, row, dict(zip(_SUMS, kept, strict=False)))
    found = dict(zip(_HELD, held or (0, 0, 0, 0), strict=True))
    found["messages"] = messages + row["pruned_messages"]
    return lines + _differences(name, row, found)


def _wrongly_used(row: Row, wrong: bool, where: str = "") -> list[str]:
    line = f"session {row['session_id']}: its calls do not say what it had been charged by then"
    return [f"{line}{where}"] if wrong else []


def _differences(name: str, row: Row, found: dict[str, int]) -> list[str]:
    return [
        f"session {name}: {key} is {row[key]:,} in its totals and {value:,} in its rows"
        for key, value in found.items()
        if row[key] != value
    ]


def _check_record(
    record: Record, hot: Hot, now: float, sessions: dict[int, Row], rows: dict[int, list[int]], last: int
) -> list[str]:
    """Compare the rows that people query with the sums: nothing lost on the way, nothing doubled."""
    if not record.path.exists():
        return []
    where = f" WHERE seq IS NULL OR seq <= {last} "
    try:
        sums, twice, used = reading(
            record,
            hot,
            now,
            lambda db: _recorded(db, _ALL.replace(" GROUP BY", where + "GROUP BY")),
            " ".join((_ALL, _USED_ALL, _DOUBLED)),
        )
    except StoreError as error:
        log.info("the record is not part of this check: %s", error)
        return []
    moved = {key: values for key, *values in sums}
    apart = {key: bounds for key, *bounds in used}
    lines = [f"{twice} rows of {CALLS.name} are in the record twice"] if twice else []
    for key, row in sessions.items():
        found = moved.get(key, [0] * (len(_SUMS) + 1))
        expected = row["pruned_calls"] + rows.get(key, [0])[-1]
        if found[-1] < expected and row["pruned_calls"]:
            lines.append(
                f"session {row['session_id']}: {expected - found[-1]:,} calls older than 30 days are no "
                "longer in usage.duckdb (it was rebuilt); its totals still count them"
            )
            lost_only = key in apart and apart[key][0] == apart[key][1]
            lines += _wrongly_used(row, key in apart and not lost_only, " (usage.duckdb)")
        else:
            lines += _wrongly_used(row, key in apart, " (usage.duckdb)")
            lines += [
                f"{line} (usage.duckdb)" for line in _differences(row["session_id"], row, _named(found))
            ]
    return lines


def _recorded(db: duckdb.DuckDBPyConnection, sums: str) -> tuple[list[Any], int, list[Any]]:
    """Return each session's sums, how many rows are there twice, and the sessions whose `used` differs."""
    found, twice, used = db.execute(sums).fetchall(), 0, list[Any]()
    for some in _pieces([(key, count) for key, *_, count in found]):
        ((more,),) = db.execute(_DOUBLED.format(some=some)).fetchall()
        twice += more
        used += db.execute(_USED_ALL.format(some=some)).fetchall()
    return found, twice, used


def _pieces(counts: Sequence[tuple[int, int]]) -> list[str]:
    """Return conditions that part all sessions, so that those of each have some `PIECE` calls.

    Args:
        counts: Sessions' keys, each with its number of calls.
    """
    borders, size = list[int](), 0
    for key, count in sorted(counts):
        size += count
        if size >= PIECE:
            borders.append(key)
            size = 0
    lower = ["", *(f"session_key > {key}" for key in borders)]
    upper = [*(f"session_key <= {key}" for key in borders), ""]
    return [" AND ".join(filter(None, pair)) or "true" for pair in zip(lower, upper, strict=True)]


def _named(found: list[int]) -> dict[str, int]:
    return dict(zip(_SUMS, found, strict=False))
