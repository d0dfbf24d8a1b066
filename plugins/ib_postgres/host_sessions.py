"""What a host writes about a session beside its calls; the ceiling; hearing of changes by anybody."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from ib_kernel.values import Ceiling, Change, Message, Session
from ib_kernel.values.domain import checked_seconds, clean, whole
from ib_postgres.base import new_mark
from ib_postgres.news import OFTEN_S
from ib_postgres.sessions import Sessions
from ib_postgres.text import given, stored
from ib_postgres.writer import Write

_CEILING = "SELECT ib.ceiling_now(%s::jsonb) AS found"

_NOW = "SELECT l.ledger_id, pg_current_snapshot()::text AS seen FROM ib.ledger AS l"

_SINCE = """
SELECT l.ledger_id, pg_current_snapshot()::text AS seen, l.forgotten::text::numeric AS forgotten,
    pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS last, found.session_id, found.kinds
FROM ib.ledger AS l LEFT JOIN LATERAL (
    SELECT s.session_id, array_agg(DISTINCT kind) AS kinds, min(c.xid) AS first
    FROM ib.changes AS c CROSS JOIN unnest(c.kinds) AS kind JOIN ib.sessions AS s USING (session_key)
    WHERE c.xid >= pg_snapshot_xmin(%(seen)s::pg_snapshot)
        AND NOT pg_visible_in_snapshot(c.xid, %(seen)s::pg_snapshot)
    GROUP BY s.session_id
) AS found ON true
ORDER BY found.first, found.session_id"""

_ALL = "SELECT session_id FROM ib.sessions WHERE ended_at IS NULL ORDER BY created_at"

_CURSOR = re.compile(
    r"([0-9a-f]{8}):(([0-9]{1,18}):([0-9]{1,18}):((?:[0-9]{1,18}(?:,[0-9]{1,18}){0,9999})?))"
)
"""A ledger, and a snapshot of it: first transaction still open, first not begun, those open between."""


class HostSessions(Sessions):
    """The sessions of `ib_kernel.values.HostStore`."""

    def add_message(self, session_id: str, message: Message) -> None:
        """Store a message of the transcript outside any turn (see `HostStore.add_message`)."""
        self._known(session_id, self._write(self._adding_message(session_id, message)))

    async def aadd_message(self, session_id: str, message: Message) -> None:
        """Do the same for a caller on an event loop."""
        self._known(session_id, await self._awrite(self._adding_message(session_id, message)))

    def _adding_message(self, session_id: str, message: Message) -> Write:
        return Write("add_message", self._of(session_id, messages=self._texts([message])))

    def credit_time(
        self, session_id: str, seconds: float, reason: str, who: str = "", *, ending_now: bool = False
    ) -> Session:
        """Give back time that the clock should not have run (see `HostStore.credit_time`)."""
        said = self._write(self._crediting(session_id, seconds, reason, who, ending_now))
        return self._credited(session_id, said)

    async def acredit_time(
        self, session_id: str, seconds: float, reason: str, who: str = "", *, ending_now: bool = False
    ) -> Session:
        """Do the same for a caller on an event loop."""
        said = await self._awrite(self._crediting(session_id, seconds, reason, who, ending_now))
        return self._credited(session_id, said)

    def _crediting(self, session_id: str, seconds: float, reason: str, who: str, ending_now: bool) -> Write:
        back = checked_seconds("the time given back", seconds)
        told = {"reason": stored(clean(reason)), "who": stored(clean(who))}
        asked = self._of(session_id, seconds=back, ending_now=ending_now, salt=new_mark(), **told)
        return Write("credit_time", asked)

    def _credited(self, session_id: str, said: Any) -> Session:
        known = self._known(session_id, said)
        return self._session(self._alive(session_id, known, "the clock of session {} does not run"))

    def set_ceiling(
        self, *, day_nano_usd: int | None = None, total_nano_usd: int | None = None, who: str = ""
    ) -> Ceiling:
        """Set what all sessions together may cost (see `HostStore.set_ceiling`)."""
        day = None if day_nano_usd is None else whole("the day's ceiling", day_nano_usd)
        total = None if total_nano_usd is None else whole("the ceiling", total_nano_usd)
        asked = self._asked(day_nano_usd=day, total_nano_usd=total, who=stored(clean(who)))
        said = self._database.write("set_ceiling", asked, read_committed=True)
        return Ceiling(**said) if said else Ceiling()

    def ceiling(self) -> Ceiling:
        """Return the ceiling and what counts towards it; zeros while there is none."""
        found = self._database.read(_CEILING, (self._asked_now(),))[0]["found"]
        return Ceiling(**found) if found else Ceiling()

    def _asked_now(self) -> str:
        raise NotImplementedError

    def changes(self, cursor: str = "", wait_s: float = 0.0) -> tuple[list[Change], str]:
        """Return what has changed since *cursor*, and the cursor to go on with (see `HostStore.changes`)."""
        deadline = time.monotonic() + wait_s
        if wait_s > 0:
            self._others.listen()
        while True:
            seen = self._news_count
            found, cursor = self._changes_now(cursor)
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found, cursor
            with self._news:
                if self._news_count == seen:
                    self._news.wait(min(self._others.poll_s, left))

    async def achanges(self, cursor: str = "", wait_s: float = 0.0) -> tuple[list[Change], str]:
        """Do the same for a caller on an event loop, who may be cancelled at any time."""
        deadline = time.monotonic() + wait_s
        while True:
            found, cursor = await asyncio.to_thread(self._changes_now, cursor)
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found, cursor
            await asyncio.sleep(min(OFTEN_S, left))

    def _changes_now(self, cursor: str) -> tuple[list[Change], str]:
        seen = _snapshot(cursor)
        if seen is None:
            return [], self._cursor(self._database.read(_NOW)[0])
        rows = self._database.read(_SINCE, {"seen": seen})
        now, first, last = rows[0], *map(int, seen.split(":")[:2])
        if now["ledger_id"][:8] != cursor[:8] or last > now["last"]:  # another ledger's, or of a later one
            return [], self._cursor(now)
        if now["forgotten"] is not None and first <= now["forgotten"]:  # too long ago: everybody looks again
            open_now = self._database.read(_ALL)
            return [Change(given(row["session_id"]), "session") for row in open_now], self._cursor(now)
        found = [row for row in rows if row["session_id"] is not None]
        told = [Change(given(row["session_id"]), kind) for row in found for kind in row["kinds"]]
        return told, self._cursor(now)

    def _cursor(self, row: Any) -> str:
        return f"{row['ledger_id'][:8]}:{row['seen']}"


def _snapshot(cursor: str) -> str | None:
    """Return the snapshot in a cursor; None for what no call has returned."""
    parsed = _CURSOR.fullmatch(cursor)
    if parsed is None:
        return None
    first, last = int(parsed[3]), int(parsed[4])
    between = [int(one) for one in parsed[5].split(",") if one]
    ordered = between == sorted(set(between)) and all(first <= one < last for one in between)
    return parsed[2] if 0 < first <= last and ordered else None
