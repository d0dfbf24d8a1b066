"""What is read of one session: its sums, its transcript, its events, and what a turn needs of all that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.mover import Mover
from ib_duckdb.record import Record
from ib_duckdb.rows import Row, get, to_session, to_standing, to_totals
from ib_kernel.errors import StoreBusy
from ib_kernel.values import LedgerEvent, Message, Spent, Totals
from ib_kernel.values.turn_view import PHASE, Standing, TurnView

_SAID = "turn, role, content, created_at, partial, asked_at"
_HISTORY = f"SELECT {_SAID} FROM messages WHERE session_key = ? ORDER BY seq"  # noqa: S608 (our own names)

_EVENTS = "SELECT kind, created_at, who, detail FROM events WHERE session_key = ? ORDER BY seq"
_NEWEST = """
SELECT kind, created_at, who, detail FROM events WHERE session_key = ? AND kind = ?
ORDER BY seq DESC LIMIT 1"""
_HOW_MANY = "SELECT count(*) FROM events WHERE session_key = ?"

_SPENT = "input_tokens, output_tokens, token_budget, model, counted_tokens, source, charged_tokens"
_USED = "AND status = 'settled' AND input_tokens + output_tokens > 0"

_ANSWERED = f"session_key = ?1 AND turn > 0 AND output_tokens > 0 {_USED}"

_LATELY = f"""
SELECT turn, ended_at, {_SPENT} FROM calls WHERE {_ANSWERED} AND (
    turn >= (SELECT min(turn) FROM (
        SELECT DISTINCT turn FROM calls WHERE {_ANSWERED} ORDER BY turn DESC LIMIT ?2))
    OR turn = (SELECT turn FROM calls WHERE {_ANSWERED} ORDER BY turn LIMIT 1)
) ORDER BY seq"""  # noqa: S608 (our own names)


class Reading(Part):
    """The reads of one session. Rows older than 30 days are only in the record, and come from there."""

    _record: Record
    _mover: Mover

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums from the hot ledger, in about a millisecond. `UnknownSession`."""
        return to_totals(self._current(session_id))

    def standing(self, session_id: str) -> Standing:
        """Return the session and its sums, of one moment (see `TurnStore`)."""
        now = self._now()
        row = self._current(session_id)
        return to_standing(row, now)

    def turn_view(self, session_id: str, *, turns: int, known: TurnView | None = None) -> TurnView:
        """Return all that a turn is composed from, in one look (see `TurnStore`).

        Args:
            session_id: The session.
            turns: How many of the newest turns' figures.
            known: An earlier view.
        """
        now = self._now()
        with self._hot.read() as db:
            row = get(db, session_id)
            due = self._is_due(db, row, now)
            if not due and known is not None and known.is_of(standing := to_standing(row, now)):
                return known.now(standing)
            said: Sequence[Any] = db.execute(_HISTORY, (row["session_key"],)).fetchall()
            used: Sequence[Any] = db.execute(_LATELY, (row["session_key"], turns)).fetchall()
            entered: Any = db.execute(_NEWEST, (row["session_key"], PHASE)).fetchone()
            all_events = entered or _has_all_events(db, row)
        row = self._brought_up(session_id) if due else row
        history = self.history(session_id) if len(said) < row["messages"] else [*map(_message, said)]
        spent = self.spent(session_id) if row["pruned_calls"] else [Spent(*values) for values in used]
        if not all_events:
            phases = [event for event in self.events(session_id) if event.kind == PHASE]
            phase = phases[-1] if phases else None
        else:
            phase = _event(session_id, entered) if entered else None
        return TurnView(to_session(row, now), to_totals(row), row["events"], history, spent, phase)

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript in order; empty when transcripts are not stored."""
        with self._hot.read() as db:
            row = get(db, session_id)
            rows: Sequence[Any] = db.execute(_HISTORY, (row["session_key"],)).fetchall()
        if len(rows) < row["messages"]:  # older than 30 days: only the record still has them
            rows = self._older(
                "turn, role, content, epoch(created_at), partial, epoch(asked_at)", "messages", row
            )
        return [*map(_message, rows)]

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return the session's events in order."""
        with self._hot.read() as db:
            row = get(db, session_id)
            rows: Sequence[Any] = db.execute(_EVENTS, (row["session_key"],)).fetchall()
        if len(rows) < row["events"]:
            rows = self._older("kind, epoch(created_at), who, detail", "events", row)
        return [_event(session_id, values) for values in rows]

    def spent(self, session_id: str) -> list[Spent]:
        """Return the session's settled attempts that used tokens, in order."""
        with self._hot.read() as db:
            row = get(db, session_id)
            sql = f"SELECT turn, ended_at, {_SPENT} FROM calls WHERE session_key = ? {_USED} ORDER BY seq"  # noqa: S608
            rows: Sequence[Any] = db.execute(sql, (row["session_key"],)).fetchall()
        if row["pruned_calls"]:  # older than 30 days: only the record still has them
            rows = self._older(f"turn, epoch(ended_at), {_SPENT}", "calls", row, _USED)
        return [Spent(*values) for values in rows]

    def spent_lately(self, session_id: str, turns: int) -> list[Spent]:
        """Return what `spent` has of the first answered turn and of the newest ones, in order.

        Args:
            session_id: The session.
            turns: How many of the newest.
        """
        with self._hot.read() as db:
            row = get(db, session_id)
            rows: Sequence[Any] = db.execute(_LATELY, (row["session_key"], turns)).fetchall()
        if row["pruned_calls"]:
            return self.spent(session_id)
        return [Spent(*values) for values in rows]

    def _older(self, columns: str, table: str, row: Row, more: str = "") -> Sequence[Any]:
        from ib_duckdb import query

        sql = f"SELECT {columns} FROM {table} WHERE session_key = ? {more} ORDER BY seq"  # noqa: S608 (our own names)
        values = (row["session_key"],)
        try:
            return query.run(self._record, self._hot, sql, self._now(), values).rows
        except StoreBusy:  # perhaps only because it has an older schema: moving brings it forward
            if not self._mover.flush():
                raise
            return query.run(self._record, self._hot, sql, self._now(), values).rows


def _has_all_events(db: apsw.Connection, row: Row) -> bool:
    """Return True if none of the session's events is only in the record."""
    ((count,),) = db.execute(_HOW_MANY, (row["session_key"],)).fetchall()
    return bool(count == row["events"])


def _message(values: Any) -> Message:
    turn, role, text, when, partial, asked_at = values
    return Message(turn, role, text, when, bool(partial), asked_at)


def _event(session_id: str, values: Any) -> LedgerEvent:
    kind, when, who, detail = values
    return LedgerEvent(session_id, kind, when, who, json.loads(detail))
