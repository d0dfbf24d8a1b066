"""Sessions: opening, states, budgets, time limits, events."""

from __future__ import annotations

from typing import Any

from ib_kernel.errors import BudgetRefused, ConfigError, SessionError, SessionInactive
from ib_kernel.values import TRANSITIONS, LedgerEvent, NewSession, Session, Status
from ib_kernel.values.domain import MOST, checked_seconds, clean, moment, to_json, whole
from ib_kernel.values.taken import opened, session_row
from ib_postgres.base import NOW, Part, new_mark
from ib_postgres.keys import session_key
from ib_postgres.rows import Row, elapsed, most_billed, to_session, unknown
from ib_postgres.text import stored, stored_json
from ib_postgres.writer import Write

_LIST = f"""
SELECT s.*, {NOW} FROM ib.sessions AS s
WHERE %(status)s::text IS NULL OR s.status = %(status)s
ORDER BY s.created_at DESC, s.session_key DESC LIMIT %(limit)s"""  # noqa: S608 (our own names)

_ACTIVE = f"SELECT s.*, {NOW} FROM ib.sessions AS s WHERE s.status = 'active' AND s.time_limit_s IS NOT NULL"  # noqa: S608


class Sessions(Part):
    """The session half of the store."""

    def open_session(self, new: NewSession) -> Session:
        """Record a new session in state *created*. `SessionError` when the id is taken."""
        row = session_row(new)
        facts = opened(row | {"billed_ceiling": most_billed(row)})
        columns = {name: stored(value) if isinstance(value, str) else value for name, value in row.items()}
        columns["meta"] = stored_json(row["meta"])
        asked = self._asked(
            session_key=session_key(row["session_id"]), salt=new_mark(), facts=stored_json(to_json(facts))
        )
        said = self._call("open_session", {**asked, **columns})
        if said is None:
            raise SessionError(f"the session id {new.session_id!r} is taken; choose another")
        return self._session(said)

    def session(self, session_id: str) -> Session:
        """Return the session as it is now (an elapsed time limit has been applied). `UnknownSession`."""
        return self._session(self._current(session_id))

    def sessions(self, *, status: Status | None = None, limit: int | None = None) -> list[Session]:
        """Return sessions, newest first."""
        count = None if limit is None else whole("limit", limit)
        wanted = None if status is None else Status(status).value
        active = [self._timed(row) for row in self._database.read(_ACTIVE)]
        if any(elapsed(row, row["now"], self._most) for row in active):
            self._call("refresh", self._asked())
        rows = self._database.read(_LIST, {"status": wanted, "limit": count})
        return [self._session(row) for row in rows]

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move the session to *status* and record an event. `SessionInactive` for a wrong transition."""
        status = Status(status)
        before = [before.value for before, after in TRANSITIONS.items() if status in after]
        asked = self._of(session_id, status=status.value, salt=new_mark(), who=stored(clean(who)))
        said = self._known(session_id, self._call("set_status", {**asked, "from": before}))
        if "refused" in said:
            raise _refusal(self._session(said["refused"]), status)
        return self._session(said)

    def set_budget(
        self, session_id: str, *, tokens: int | None = None, nano_usd: int | None = None, who: str = ""
    ) -> Session:
        """Set the total budget and record an event. `BudgetRefused` below used + held + in doubt."""
        if tokens is None and nano_usd is None:
            raise ConfigError("a budget in tokens or in nano-dollars is needed")
        new: Row = {}
        if tokens is not None:
            new["tokens"] = whole("the token budget", tokens)
        if nano_usd is not None:
            new["nano_usd"] = whole("the money budget", nano_usd)
        return self._change_budget(session_id, new, who)

    def extend_budget(self, session_id: str, tokens: int, *, who: str = "") -> Session:
        """Add *tokens* (may be negative) to the total in one write, with the same refusal."""
        sign = -1 if not isinstance(tokens, bool) and isinstance(tokens, int) and tokens < 0 else 1
        more = sign * whole("the extension", sign * tokens if sign < 0 else tokens)
        return self._change_budget(session_id, {"more": more}, who)

    def _change_budget(self, session_id: str, new: Row, who: str) -> Session:
        asked = self._of(session_id, salt=new_mark(), who=stored(clean(who)), highest=MOST, **new)
        said = self._known(session_id, self._call("set_budget", asked))
        if "too_large" in said:
            whole("the token budget", said["too_large"])
        if "too_small" in said:
            unit, value, charged = said["too_small"]
            raise BudgetRefused(
                f"the budget cannot be {value:,} {unit}: {charged:,} are used, held or in doubt; "
                f"set {charged:,} or more"
            )
        return self._session(self._alive(session_id, said, "the budget of session {} cannot change"))

    def set_time_limit(self, session_id: str, seconds: float | None, *, who: str = "") -> Session:
        """Set the time limit in active seconds (None: none) and record an event."""
        limit = None if seconds is None else checked_seconds("the time limit", seconds)
        asked = self._of(session_id, seconds=limit, salt=new_mark(), who=stored(clean(who)))
        said = self._known(session_id, self._call("set_time_limit", asked))
        return self._session(self._alive(session_id, said, "the time limit of session {} cannot change"))

    def add_event(self, event: LedgerEvent) -> None:
        """Record an event about a session. `UnknownSession`; `ConfigError` for details JSON cannot write."""
        self._known(event.session_id, self._write(self._adding_event(event)))

    async def aadd_event(self, event: LedgerEvent) -> None:
        """Do the same for a caller on an event loop."""
        self._known(event.session_id, await self._awrite(self._adding_event(event)))

    def _adding_event(self, event: LedgerEvent) -> Write:
        when = moment("an event's time", event.created_at) if event.created_at else None
        told = {"kind": stored(clean(event.kind)), "who": stored(clean(event.who))}
        detail = stored_json(to_json(event.detail))
        return Write(
            "add_event",
            self._of(event.session_id, created_at=when, detail=detail, salt=new_mark(), **told),
        )

    def _session(self, row: Row) -> Session:
        timed = self._timed(row)
        return to_session(timed, timed["now"], self._most)

    def _known(self, session_id: str, said: Any) -> Any:
        """Return the answer of a function. `UnknownSession` when there is no such session."""
        if said.get("error") == "unknown_session":
            raise unknown(session_id)
        return said

    def _alive(self, session_id: str, said: Row, line: str) -> Row:
        if "inactive" in said:
            named = line.format(repr(session_id))
            raise SessionInactive(f"{named}: it is {said['inactive']}", said["inactive"])
        return said


def _refusal(session: Session, status: Status) -> SessionInactive:
    now, name = session.status, session.session_id
    if status not in TRANSITIONS[now]:
        allowed = ", ".join(sorted(TRANSITIONS[now])) or "nothing: it has ended"
        said = f"already {now.value}" if now == status else f"{now.value}, so it cannot become {status.value}"
        return SessionInactive(f"session {name!r} is {said}; possible from here: {allowed}", now.value)
    return SessionInactive(
        f"session {name!r} has used up its time limit of {session.time_limit_s:g} s; raise the limit first",
        now.value,
    )
