"""Sessions: opening, states, budgets, time limits, events."""

from __future__ import annotations

import dataclasses

import apsw

from ib_duckdb.base import Part
from ib_duckdb.rows import (
    Row,
    elapsed,
    find,
    get,
    select_sessions,
    to_session,
)
from ib_duckdb.writer import Operation
from ib_duckdb.writing import expire_if_elapsed, keep_history, note, tick, write_event
from ib_kernel.errors import BudgetRefused, ConfigError, SessionError, SessionInactive
from ib_kernel.values import TRANSITIONS, LedgerEvent, NewSession, Session, Status
from ib_kernel.values.domain import checked_seconds, whole
from ib_kernel.values.taken import opened, session_row

_FINAL = (Status.COMPLETED, Status.CANCELLED)


class Sessions(Part):
    """The session half of the store."""

    def open_session(self, new: NewSession) -> Session:
        """Record a new session in state *created*. `SessionError` when the id is taken."""
        values = session_row(new)
        now = self._now()
        with self._hot.write() as db:
            if find(db, new.session_id) is not None:
                raise SessionError(f"the session id {new.session_id!r} is taken; choose another")
            last = "SELECT coalesce(max(session_key), (SELECT first_key FROM ledger)) + 1 FROM sessions"
            values |= {"session_key": next(key for (key,) in db.execute(last)), "created_at": now}
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT INTO sessions ({names}) VALUES ({marks})", values)  # noqa: S608 (our names)
            row = get(db, new.session_id)
            note(db, row, "opened", now, "", **opened(row))
            keep_history(db, row["session_key"], now)
        self._moved_soon()
        return to_session(row, now)

    def session(self, session_id: str) -> Session:
        """Return the session as it is now (an elapsed time limit has been applied). `UnknownSession`."""
        return to_session(self._current(session_id), self._now())

    def sessions(self, *, status: Status | None = None, limit: int | None = None) -> list[Session]:
        """Return sessions, newest first."""
        now = self._now()
        with self._hot.read() as db:
            over = [r for r in select_sessions(db, "WHERE status = 'active'") if elapsed(r, now)]
        for row in over:
            self._current(row["session_id"])
        where, values = ("WHERE status = ?", (Status(status),)) if status is not None else ("", ())
        count = -1 if limit is None else whole("limit", limit)
        with self._hot.read() as db:
            rows = select_sessions(
                db, f"{where} ORDER BY created_at DESC, session_key DESC LIMIT ?", (*values, count)
            )
        return [to_session(row, now) for row in rows]

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move the session to *status* and record an event. `SessionInactive` for a wrong transition."""
        status = Status(status)
        now = self._now()
        refused: SessionInactive | None = None
        with self._hot.write() as db:
            expire_if_elapsed(db, get(db, session_id), now)
            tick(db, get(db, session_id)["session_key"], now)
            row = get(db, session_id)
            refused = _refuse(row, status)
            if refused is None:
                _move_to(db, row, status, now)
                note(db, row, "status", now, who, **{"from": row["status"], "to": status.value})
                keep_history(db, row["session_key"], now)
                row = get(db, session_id)
        self._moved_soon(now=status in _FINAL)
        if refused is not None:  # raised out here: an expiry seen on the way stays recorded
            raise refused
        return to_session(row, now)

    def set_budget(
        self, session_id: str, *, tokens: int | None = None, nano_usd: int | None = None, who: str = ""
    ) -> Session:
        """Set the total budget and record an event. `BudgetRefused` below used + held + in doubt."""
        if tokens is None and nano_usd is None:
            raise ConfigError("a budget in tokens or in nano-dollars is needed")
        new: dict[str, int] = {}
        if tokens is not None:
            new["token_budget"] = whole("the token budget", tokens)
        if nano_usd is not None:
            new["budget_nano_usd"] = whole("the money budget", nano_usd)
        return self._change_budget(session_id, new, None, who)

    def extend_budget(self, session_id: str, tokens: int, *, who: str = "") -> Session:
        """Add *tokens* (may be negative) to the total in one write, with the same refusal."""
        sign = -1 if not isinstance(tokens, bool) and isinstance(tokens, int) and tokens < 0 else 1
        more = sign * whole("the extension", sign * tokens if sign < 0 else tokens)
        return self._change_budget(session_id, {}, more, who)

    def _change_budget(self, session_id: str, new: dict[str, int], more: int | None, who: str) -> Session:
        now = self._now()
        with self._hot.write() as db:
            expire_if_elapsed(db, get(db, session_id), now)
            row = get(db, session_id)
            if row["status"] in _FINAL:
                raise SessionInactive(
                    f"the budget of session {session_id!r} cannot change: it is {row['status']}",
                    row["status"],
                )
            if more is not None:
                new = {"token_budget": whole("the token budget", max(row["token_budget"] + more, 0))}
                if row["token_budget"] + more < 0:
                    raise _too_small("tokens", row["token_budget"] + more, _charged(row)["token_budget"])
            for name, value in new.items():
                if value < _charged(row)[name]:
                    unit = "tokens" if name == "token_budget" else "nano-dollars"
                    raise _too_small(unit, value, _charged(row)[name])
                sql = f"UPDATE sessions SET {name} = ? WHERE session_key = ?"  # noqa: S608 (our own names)
                db.execute(sql, (value, row["session_key"]))
                note(db, row, "budget", now, who, unit=name, **{"from": row[name], "to": value})
            keep_history(db, row["session_key"], now)
            row = get(db, session_id)
        self._moved_soon()
        return to_session(row, now)

    def set_time_limit(self, session_id: str, seconds: float | None, *, who: str = "") -> Session:
        """Set the time limit in active seconds (None: none) and record an event."""
        limit = None if seconds is None else checked_seconds("the time limit", seconds)
        now = self._now()
        with self._hot.write() as db:
            expire_if_elapsed(db, get(db, session_id), now)
            row = get(db, session_id)
            if row["status"] in _FINAL:
                raise SessionInactive(
                    f"the time limit of session {session_id!r} cannot change: it is {row['status']}",
                    row["status"],
                )
            tick(db, row["session_key"], now)
            db.execute(
                "UPDATE sessions SET time_limit_s = ? WHERE session_key = ?", (limit, row["session_key"])
            )
            note(db, row, "time_limit", now, who, **{"from": row["time_limit_s"], "to": limit})
            keep_history(db, row["session_key"], now)
            row = get(db, session_id)
        self._moved_soon()
        return to_session(row, now)

    def add_event(self, event: LedgerEvent) -> None:
        """Record an event about a session. `UnknownSession`; `ConfigError` for details JSON cannot write."""
        self._writer.run(self._adding_event(event))
        self._moved_soon()

    def _adding_event(self, event: LedgerEvent) -> Operation[None]:
        def work(db: apsw.Connection) -> None:
            row, when = get(db, event.session_id), event.created_at or self._now()
            write_event(db, row["session_key"], dataclasses.replace(event, created_at=when))

        return Operation(work)


def _refuse(row: Row, status: Status) -> SessionInactive | None:
    now, name = Status(row["status"]), row["session_id"]
    if status not in TRANSITIONS[now]:
        allowed = ", ".join(sorted(TRANSITIONS[now])) or "nothing: it has ended"
        said = f"already {now.value}" if now == status else f"{now.value}, so it cannot become {status.value}"
        return SessionInactive(f"session {name!r} is {said}; possible from here: {allowed}", now.value)
    limit = row["time_limit_s"]
    if now == Status.EXPIRED and status == Status.ACTIVE and limit is not None and row["active_s"] >= limit:
        return SessionInactive(
            f"session {name!r} has used up its time limit of {limit:g} s; raise the limit first", now.value
        )
    return None


def _move_to(db: apsw.Connection, row: Row, status: Status, now: float) -> None:
    active = status == Status.ACTIVE
    db.execute(
        "UPDATE sessions SET status = :status, tick_at = CASE WHEN :active THEN :now END,"
        " started_at = CASE WHEN :active THEN coalesce(started_at, max(created_at, :now))"
        " ELSE started_at END,"
        " token_budget_at_start = CASE WHEN :active AND started_at IS NULL THEN token_budget"
        " ELSE token_budget_at_start END,"
        " time_limit_at_start_s = CASE WHEN :active AND started_at IS NULL THEN time_limit_s"
        " ELSE time_limit_at_start_s END,"
        " ended_at = CASE WHEN :final THEN max(coalesce(started_at, created_at), :now) END"
        " WHERE session_key = :key",
        {
            "status": status.value,
            "active": active,
            "final": status in _FINAL,
            "now": now,
            "key": row["session_key"],
        },
    )


def _charged(row: Row) -> dict[str, int]:
    return {
        "token_budget": row["charged_tokens"] + row["held"] + row["in_doubt"],
        "budget_nano_usd": row["cost_nano_usd"] + row["held_nano_usd"],
    }


def _too_small(unit: str, value: int, charged: int) -> BudgetRefused:
    return BudgetRefused(
        f"the budget cannot be {value:,} {unit}: {charged:,} are used, held or in doubt; "
        f"set {charged:,} or more"
    )
