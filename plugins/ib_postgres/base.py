"""What the parts of the store share: the database, the clock, and how a session is read up to date."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ib_kernel.values import Message, chain
from ib_kernel.values.domain import MOST_SMALL, clean, moment, whole
from ib_postgres.database import Database
from ib_postgres.keys import session_key
from ib_postgres.news import News
from ib_postgres.rows import Row, elapsed, unknown
from ib_postgres.text import stored
from ib_postgres.writer import Write, Writer

NOW = "extract(epoch FROM statement_timestamp())::double precision AS now"

_SESSION = f"""
SELECT s.*, {NOW}, EXISTS (
    SELECT 1 FROM ib.reservations AS r
    WHERE r.session_key = s.session_key AND r.state = 'held'
        AND r.lease_until <= coalesce(%(now)s, extract(epoch FROM statement_timestamp()))
) AS stale
FROM ib.sessions AS s WHERE s.session_key = %(key)s AND s.session_id = %(id)s"""  # noqa: S608 (our own names)


class Part:
    """Base of the store's parts."""

    _database: Database
    _writer: Writer
    _clock: Callable[[], float] | None
    _keep_text: bool
    _most: float
    _news: threading.Condition
    _news_count: int
    _others: News

    def _moment(self) -> float | None:
        """Return what a test says is now; None: the server knows."""
        return None if self._clock is None else float(self._clock())

    def _asked(self, **values: Any) -> Row:
        """Return what a function of the database is asked: *values*, and what every one needs."""
        now = self._moment()
        return {**values, "most": self._most, **({} if now is None else {"now": now})}

    def _of(self, session_id: str, **values: Any) -> Row:
        """Do the same for a function about one session."""
        name = clean(session_id)
        return self._asked(session_key=session_key(name), session_id=stored(name), **values)

    def _write(self, write: Write) -> Any:
        """Do a write, perhaps together with those of other callers, and say that something has changed."""
        answer = self._writer.run(write)
        self._changed()
        return answer

    async def _awrite(self, write: Write) -> Any:
        answer = await self._writer.arun(write)
        self._changed()
        return answer

    def _call(self, name: str, asked: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Do a rare write on its own."""
        answer = self._database.write(name, asked, repeatable=repeatable)
        self._changed()
        return answer

    def _changed(self) -> None:
        """Wake who waits for changes; called after every write, once it is durable."""
        self._wake()
        self._others.tell()

    def _wake(self) -> None:
        """Wake who waits for changes in this process."""
        with self._news:
            self._news_count += 1
            self._news.notify_all()

    def _row(self, session_id: str) -> Row:
        """Return the session's row as it is. `UnknownSession`."""
        name = clean(session_id)
        values = {"now": self._moment(), "key": session_key(name), "id": stored(name)}
        rows = self._database.read(_SESSION, values)
        if not rows:
            raise unknown(session_id)
        return self._timed(rows[0])

    def _timed(self, row: Row) -> Row:
        """Return *row* with the moment that counts: the test's, or the server's when it was read."""
        now = self._moment()
        return row if now is None else {**row, "now": now}

    def _current(self, session_id: str) -> Row:
        """Return the session's row after leases and time limits that are over have been applied.

        Nothing is written when there is nothing to apply, so that reading stays as cheap as it looks.
        """
        row = self._row(session_id)
        if row["stale"] or elapsed(row, row["now"], self._most):
            self._call("refresh", self._asked(session_key=row["session_key"]))
            row = self._row(session_id)
        return row

    def _texts(self, messages: Sequence[Message]) -> list[Row]:
        """Return messages as the database takes them; none where transcripts are not kept."""
        return [_message(message) for message in messages] if self._keep_text else []


def _message(message: Message) -> Row:
    content, salt = clean(message.content), chain.new_salt()
    asked_at = message.asked_at
    return {
        "turn": whole("turn", message.turn, high=MOST_SMALL),
        "role": stored(clean(message.role)),
        "content": stored(content),
        "created_at": moment("a message's time", message.created_at) if message.created_at else None,
        "partial": bool(message.partial),
        "asked_at": None if asked_at is None else moment("a question's time", asked_at),
        "salt": bytea(salt),
        "committed": chain.commitment(salt, [content]).hex(),
    }


def bytea(data: bytes) -> str:
    """Return bytes as PostgreSQL reads them out of JSON."""
    return "\\x" + data.hex()


def new_mark() -> str:
    """Return the salt of a row that is about to be written: by it, a write whose answer was lost is known."""
    return bytea(secrets.token_bytes(16))
