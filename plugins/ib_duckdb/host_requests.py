"""Requests by the id that their client chose: admitted once, with what has come of each so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.rows import Row, get
from ib_duckdb.writer import Operation
from ib_duckdb.writing import has_messages, write_messages
from ib_kernel.errors import ConfigError, RepeatedRequest, ReservationError
from ib_kernel.values import CallStart, Message, Reservation, StoredRequest
from ib_kernel.values.domain import clean, to_json
from ib_kernel.values.host import RequestState
from ib_kernel.values.ownership import owns
from ib_kernel.values.taken import REQUEST_STATES

ABANDONED_S = 300.0
"""Seconds without a write after which a request that holds nothing (between two attempts) has no worker."""

_FIND = """
SELECT s.session_id, q.request_id, q.body_sha, q.turn, q.rid, q.state, q.text, q.result, q.updated_at,
    (SELECT CASE WHEN r.state = 'held' AND r.lease_until > :now THEN 'held' ELSE 'lost' END
        FROM reservations r WHERE r.rid = q.rid) AS reservation,
    (SELECT c.status FROM calls c WHERE c.rid = q.rid) AS ended
FROM requests q JOIN sessions s USING (session_key)
WHERE q.session_key = :key AND q.request_id = :id"""

_RUNNING = """
SELECT session_key, request_id FROM requests q WHERE state = 'running'
    AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.rid = q.rid AND c.status = 'settled')
ORDER BY revision LIMIT 1000"""

_REPLY = """
SELECT content FROM messages WHERE session_key = ? AND turn = ? AND role = 'assistant'
ORDER BY seq DESC LIMIT 1"""

_NEXT = "(SELECT coalesce(max(revision), 0) + 1 FROM requests)"

_INSERT = f"""
INSERT INTO requests
VALUES (:key, :id, :body_sha, :turn, :rid, :owner_hash, 'running', '', '{{}}', :now, {_NEXT})
ON CONFLICT (session_key, request_id) DO UPDATE SET rid = :rid, owner_hash = :owner_hash, state = 'running',
    updated_at = :now, revision = {_NEXT}"""  # noqa: S608 (our own names)

_WRITE = f"""
UPDATE requests SET text = :text, state = :state, result = coalesce(:result, result), updated_at = :now,
    revision = {_NEXT}
WHERE rid = :rid AND state <> 'finished'"""  # noqa: S608 (our own names)


_CLOSE = f"""
UPDATE requests SET state = 'unfinished', result = :result, updated_at = :now, revision = {_NEXT}
WHERE session_key = :key AND request_id = :id"""  # noqa: S608 (our own names)


class Requests(Part):
    """The requests of `ib_kernel.values.HostStore`."""

    def request(self, session_id: str, request_id: str) -> StoredRequest | None:
        """Return the request of that id, or None. A running one whose worker is gone is unfinished."""
        with self._hot.read() as db:
            key = get(db, session_id)["session_key"]
            return find_request(db, key, clean(request_id), self._now())

    def unfinished_requests(self) -> list[StoredRequest]:
        """Return the requests whose worker is gone, oldest first, a thousand at most."""
        with self._hot.read() as db:
            rows: Any = db.execute(_RUNNING).fetchall()
            found = (find_request(db, key, request_id, self._now()) for key, request_id in rows)
            return [request for request in found if request is not None and request.state == "unfinished"]

    def write_reply(
        self,
        reservation: Reservation,
        text: str,
        *,
        state: RequestState = "running",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store what has come of a request so far, durably (see `HostStore.write_reply`)."""
        written = self._writer.run(self._writing_reply(reservation, text, state, result))
        self._changed()
        return written

    def _writing_reply(
        self, reservation: Reservation, text: str, state: RequestState, result: Mapping[str, Any] | None
    ) -> Operation[bool]:
        if state not in REQUEST_STATES:
            raise ConfigError(f"a request is {', '.join(REQUEST_STATES)}, not {clean(str(state))!r}")
        values: Row = {"rid": reservation.reservation_id, "state": state}
        values["text"] = clean(text) if self._keep_text else ""
        values["result"] = None if result is None else to_json(result)

        def work(db: apsw.Connection) -> bool:
            sql = "SELECT owner_hash FROM requests WHERE rid = ?"
            found: Any = db.execute(sql, (values["rid"],)).fetchone()
            if found is None:
                return False
            if not owns(reservation, {"owner_hash": found[0]}):
                raise ReservationError(
                    f"reservation {values['rid']} belongs to whoever reserved it; only they write its reply"
                )
            db.execute(_WRITE, {**values, "now": self._now()})
            return db.changes() > 0

        return Operation(work)

    def close_request(
        self, session_id: str, request_id: str, messages: Sequence[Message], result: Mapping[str, Any]
    ) -> bool:
        """Write down that a request stays unfinished (see `HostStore.close_request`)."""
        closed = self._writer.run(self._closing(session_id, request_id, messages, result))
        self._moved_soon()
        return closed

    def _closing(
        self, session_id: str, request_id: str, messages: Sequence[Message], result: Mapping[str, Any]
    ) -> Operation[bool]:
        texts, told = self._texts(messages), to_json(result)

        def work(db: apsw.Connection) -> bool:
            now, key = self._now(), get(db, session_id)["session_key"]
            found = find_request(db, key, clean(request_id), now)
            if found is None or found.state != "unfinished" or "kind" in found.result:
                return False
            values = {"key": key, "id": found.request_id, "result": told, "now": now}
            db.execute(_CLOSE, values)
            if not has_messages(db, key, found.turn):
                write_messages(db, key, texts, now, found.turn)
            return True

        return Operation(work)


def find_request(db: apsw.Connection, key: int, request_id: str, now: float) -> StoredRequest | None:
    """Return the request of that id as it is at *now*, or None."""
    row: Any = db.execute(_FIND, {"key": key, "id": request_id, "now": now}).fetchone()
    if row is None:
        return None
    session_id, request_id, body_sha, turn, rid, state, text, result, updated_at, reservation, ended = row
    if state == "running" and ended == "settled":  # answered, and its worker has not come to say so
        state = "finished"
        text = next((said for (said,) in db.execute(_REPLY, (key, turn))), text)
    elif state == "running" and reservation != "held":
        left = reservation == "lost" or ended == "written_off" or updated_at + ABANDONED_S <= now
        state = "unfinished" if left else "running"
    return StoredRequest(
        session_id, request_id, body_sha, turn, rid, state, text, json.loads(result), updated_at
    )


def refuse_repeated(db: apsw.Connection, session_id: str, call: CallStart, now: float) -> None:
    """Raise `RepeatedRequest` when a request of that id was admitted, unless this is its next attempt."""
    sql = "SELECT session_key FROM sessions WHERE session_id = ?"
    for (key,) in db.execute(sql, (clean(session_id),)):
        found = find_request(db, int(key), clean(call.request_id), now)
        if found is not None and not (call.attempt > 1 and call.turn == found.turn):
            raise RepeatedRequest(
                f"request {found.request_id!r} was admitted before, as turn {found.turn}, and is "
                f"{found.state}; a new one needs an id of its own",
                found,
            )


def keep_request(db: apsw.Connection, reserved: Row, call: CallStart, now: float) -> None:
    """Remember that the call's request was admitted, and the reservation that works on it."""
    values = {name: reserved[name] for name in ("turn", "rid", "owner_hash")}
    values |= {"key": reserved["session_key"], "id": clean(call.request_id), "now": now}
    db.execute(_INSERT, values | {"body_sha": clean(call.request_sha)})
