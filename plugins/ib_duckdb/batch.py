"""Sessions and reservations during one transaction: read, changed here, written by a statement per table.

A transaction of one caller and one of many go through the same code: what is admitted and how an attempt ends
stands here once. Callers of a batch come one after the other, each sees what those before it have left.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import apsw

from ib_duckdb.admission import read_ceiling, refused
from ib_duckdb.bound import change, insertion
from ib_duckdb.calls import CALL_COLUMNS, call_values, charged_by
from ib_duckdb.columns import BILLED_CEILING
from ib_duckdb.links import Chain
from ib_duckdb.rows import RESERVATION_COLUMNS, RESERVATION_NAMES, Row, elapsed
from ib_duckdb.writing import STALE, TICKED, insert_messages, message_rows
from ib_kernel.values import CallEnd, Ceiling, Message
from ib_kernel.values.ledger import Reason

_HELD_SUMS = ("held", "in_doubt", "held_billed", "held_nano_usd", "last_turn")
_USED_SUMS = (
    *("charged_tokens", "input_tokens", "output_tokens", "cost_nano_usd"),
    *("cached_tokens", "reasoning_tokens", "calls", "turns", "priced_calls", "unpriced_calls", "messages"),
    *("chain_n", "chain_head"),
)
_ADMITTED_BY: dict[str, str] = {
    **{name: name for name in ("session_key", "session_id", "status", "token_budget", "budget_nano_usd")},
    **{name: name for name in ("time_limit_s", "active_s", "tick_at", *_HELD_SUMS, *_USED_SUMS[:4])},
    "billed_ceiling": BILLED_CEILING,
    "most_per_tick": "(SELECT most FROM clock)",
    "running": "(SELECT count(*) FROM reservations r"
    " WHERE r.session_key = sessions.session_key AND r.state = 'held')",
    "has_ceiling": "EXISTS (SELECT 1 FROM ceiling)",
}
"""What the admission of a reservation reads of its session, by name; an attempt's end needs more."""

_ENDED_BY = {**_ADMITTED_BY, "charge": "charge", **{name: name for name in _USED_SUMS}}
_ADMITTING, _ENDING = (
    (tuple(columns), f"SELECT {', '.join(columns.values())} FROM sessions WHERE ")  # noqa: S608 (our own names)
    for columns in (_ADMITTED_BY, _ENDED_BY)
)

_ANSWERED = """EXISTS (SELECT 1 FROM calls c WHERE c.session_key = {key} AND c.turn = {turn}
    AND c.status = 'settled' AND c.input_tokens + c.output_tokens > 0)"""
"""Whether a turn has a settled attempt that used tokens: a second one does not count it again."""

_RESERVATIONS = f"""
SELECT {RESERVATION_COLUMNS},
    turn > 0 AND {_ANSWERED.format(key="reservations.session_key", turn="reservations.turn")}
FROM reservations WHERE """  # noqa: S608 (our own names)
_RESERVATION_NAMES = (*RESERVATION_NAMES, "answered")

_AMONG = "IN (SELECT value FROM json_each(?))"
_now = TICKED.replace(":now", "?1")
_SET_HELD = change("sessions", "session_key", _HELD_SUMS, _now)
_SET_ALL = change("sessions", "session_key", (*_HELD_SUMS, *_USED_SUMS), _now)
_RESERVE = insertion("reservations", RESERVATION_NAMES)
_CALL = insertion("calls", CALL_COLUMNS)


class Batch:
    """What one transaction does with reservations; nothing of it is in the ledger before `write`."""

    def __init__(self, db: apsw.Connection, now: float) -> None:
        self.now = now
        self._db = db
        self._sessions: dict[int, Row] = {}
        self._by_id: dict[str, Row] = {}
        self._open: dict[str, Row] = {}
        self._ceiling: Ceiling | None = None
        self._held: dict[int, Row] = {}
        self._ended: dict[int, Row] = {}
        self._answered: set[tuple[int, int]] = set()
        self._taken: list[str] = []
        self.reserved: list[Row] = []
        self._calls: list[Row] = []
        self._messages: list[Row] = []

    def read(
        self, session_ids: Collection[str] = (), rids: Collection[str] = (), *, ending: bool = False
    ) -> None:
        """Read those sessions (*ending*: for the end of an attempt), and those reservations with theirs."""
        if rids:
            found: Any = self._db.execute(*_any_of(_RESERVATIONS, "rid", rids))
            for values in found:
                row = dict(zip(_RESERVATION_NAMES, values, strict=True))
                self._open[row["rid"]] = row
        if self._open:
            self._read_sessions(_ENDING, "session_key", {row["session_key"] for row in self._open.values()})
        missing = [name for name in session_ids if name not in self._by_id]
        if missing:
            self._read_sessions(_ENDING if rids or ending else _ADMITTING, "session_id", missing)

    def _read_sessions(self, what: tuple[Sequence[str], str], column: str, values: Collection[Any]) -> None:
        names, sql = what
        for found in self._db.execute(*_any_of(sql, column, values)):
            row: Row = dict(zip(names, found, strict=True))
            if row["has_ceiling"] and self._ceiling is None:
                self._ceiling = read_ceiling(self._db)
            self._sessions[row["session_key"]] = self._by_id[row["session_id"]] = row

    def session(self, session_id: str) -> Row | None:
        """Return the session's row as this transaction has left it; None when it was not found."""
        return self._by_id.get(session_id)

    def reservation(self, rid: str) -> Row | None:
        """Return the open reservation of that id; None when it was not found, or has ended here."""
        return self._open.get(rid)

    def refused(self, session: Row, asked: Row) -> Reason | None:
        """Return why *asked* is not admitted; None when it is (see `admission.refused`)."""
        return refused(session, asked, session["running"], self._ceiling, self.now)

    def is_due(self, session: Row) -> bool:
        """Return True if a lease or the time limit of *session* is over and nothing has said so yet."""
        stale = (session["session_key"], self.now)
        return elapsed(session, self.now) or self._db.execute(STALE, stale).fetchone() is not None

    def hold(self, session: Row, reserved: Row) -> None:
        """Reserve what was admitted. *reserved* is its row; a turn of None gets the session's next number.

        Numbers never repeat, whatever became of a turn.
        """
        if reserved["turn"] is None:
            reserved["turn"] = session["last_turn"] + 1
        session["last_turn"] = max(session["last_turn"], reserved["turn"])
        session["held"] += reserved["tokens"]
        session["held_billed"] += reserved["billed_tokens"]
        session["held_nano_usd"] += reserved["nano_usd"]
        session["running"] += 1
        if self._ceiling is not None:
            self._count(self._ceiling, held=reserved["nano_usd"])
        self._held[session["session_key"]] = session
        self.reserved.append(reserved)

    def free(self, reserved: Row) -> None:
        """End a reservation that leaves no row."""
        session = self._sessions[reserved["session_key"]]
        self._take(session, reserved)
        self._held[session["session_key"]] = session

    def end(self, reserved: Row, end: CallEnd | None, status: str, messages: Sequence[Message] = ()) -> None:
        """End an attempt: the session's sums, its row of `calls`, its messages.

        Args:
            reserved: The reservation; its turn is None for the session's next.
            end: What was used; None when nobody knows (written off): the row's numbers are NULL.
            status: "settled", "failed" or "written_off"; only settled usage counts.
            messages: What goes into the transcript.
        """
        key = reserved["session_key"]
        session = self._sessions[key]
        if reserved["turn"] is None:
            reserved["turn"] = session["last_turn"] + 1
        self._take(session, reserved)
        charged = None if end is None else charged_by(session["charge"], end)
        call = call_values(reserved, end, status, self.now)
        call["charged_tokens"], call["token_budget"] = charged, session["token_budget"]
        call["used"], call["overdraft"] = session["charged_tokens"], 0
        if end is not None and charged is not None and status == "settled":
            call["used"] = session["charged_tokens"] = session["charged_tokens"] + charged
            call["overdraft"] = max(0, charged - reserved["tokens"])
            self._use(session, reserved, end)
        links = Chain.of_row(self._db, session)
        self._calls.append(links.add("calls", call))
        if messages:
            self._messages += message_rows(links, messages, self.now, reserved["turn"])
            session["messages"] += len(messages)
        session["chain_n"], session["chain_head"] = links.n, links.head
        self._ended[key] = session

    def _take(self, session: Row, reserved: Row) -> None:
        """Take a reservation off its session's sums."""
        is_held = reserved["state"] == "held"
        session["held" if is_held else "in_doubt"] -= reserved["tokens"]
        session["running"] -= is_held
        session["held_billed"] -= reserved["billed_tokens"]
        session["held_nano_usd"] -= reserved["nano_usd"]
        session["last_turn"] = max(session["last_turn"], reserved["turn"])
        if self._ceiling is not None:
            self._count(self._ceiling, held=-reserved["nano_usd"])
        if self._open.pop(reserved["rid"], None) is not None:
            self._taken.append(reserved["rid"])

    def _use(self, session: Row, reserved: Row, end: CallEnd) -> None:
        """Add what a settled attempt has used to its session's sums."""
        session["input_tokens"] += end.input_tokens
        session["output_tokens"] += end.output_tokens
        session["cached_tokens"] += end.cached_tokens
        session["reasoning_tokens"] += end.reasoning_tokens
        if end.cost_nano_usd is not None:
            session["cost_nano_usd"] += end.cost_nano_usd
            session["priced_calls"] += 1
            if self._ceiling is not None:
                self._count(self._ceiling, spent=end.cost_nano_usd)
        if end.input_tokens + end.output_tokens:
            session["calls"] += 1
            session["unpriced_calls"] += end.cost_nano_usd is None
            turn = (reserved["session_key"], reserved["turn"])
            if turn[1] and not reserved["answered"] and turn not in self._answered:
                session["turns"] += 1
                self._answered.add(turn)

    def _count(self, now: Ceiling, *, held: int = 0, spent: int = 0) -> None:
        """Count towards the ceiling, as the trigger does once the sums are written."""
        day, total = now.day_spent + spent, now.total_spent + spent
        self._ceiling = replace(now, held=now.held + held, day_spent=day, total_spent=total)

    def write(self) -> None:
        """Write what has been done here, with one statement for each table."""
        if self._taken:
            self._db.execute(*_any_of("DELETE FROM reservations WHERE ", "rid", self._taken))
        held = [row for key, row in self._held.items() if key not in self._ended]
        if held:
            _SET_HELD.run(self._db, held, self.now)
        if self._ended:
            _SET_ALL.run(self._db, list(self._ended.values()), self.now)
        if self.reserved:
            _RESERVE.run(self._db, self.reserved)
        if self._calls:
            _CALL.run(self._db, self._calls)
            insert_messages(self._db, self._messages)


def is_answered(db: apsw.Connection, key: int, turn: int | None) -> bool:
    """Return True if a settled attempt of that turn has used tokens."""
    if not turn:
        return False
    sql = f"SELECT {_ANSWERED.format(key='?1', turn='?2')}"
    return bool(next(iter(db.execute(sql, (key, turn))))[0])


def _any_of(sql: str, column: str, values: Collection[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return *sql* with a condition that *column* is one of *values*, and what to bind.

    Texts that JSON cannot carry to SQLite (with NUL in them) are found when they are asked for alone.
    """
    if len(values) == 1:
        return f"{sql}{column} = ?", (next(iter(values)),)
    return f"{sql}{column} {_AMONG}", (json.dumps(list(values)),)
