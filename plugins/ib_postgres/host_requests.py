"""Requests by the id that their client chose: admitted once, with what has come of each so far."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.values import Message, Reservation, StoredRequest
from ib_kernel.values.domain import clean, to_json
from ib_kernel.values.host import RequestState
from ib_kernel.values.ownership import owner_hash
from ib_kernel.values.taken import REQUEST_STATES
from ib_postgres.base import bytea
from ib_postgres.keys import key_of, session_key
from ib_postgres.rows import Row
from ib_postgres.sessions import Sessions
from ib_postgres.text import given, given_json, stored, stored_json
from ib_postgres.writer import Write

_FIND = "SELECT ib.find_request(%(key)s, %(id)s, ib.moment(%(asked)s::jsonb)) AS found"

_UNFINISHED = "SELECT ib.unfinished_requests(%(asked)s::jsonb) AS found"


class Requests(Sessions):
    """The requests of `ib_kernel.values.HostStore`."""

    def request(self, session_id: str, request_id: str) -> StoredRequest | None:
        """Return the request of that id, or None. A running one whose worker is gone is unfinished."""
        values = {"key": session_key(clean(session_id)), "id": stored(clean(request_id))}
        found = self._database.read(_FIND, {**values, "asked": self._asked_now()})[0]["found"]
        if found is None:
            self._row(session_id)  # raises for a session that is not there
            return None
        return to_request(found)

    async def arequest(self, session_id: str, request_id: str) -> StoredRequest | None:
        """Do the same for a caller on an event loop."""
        return await asyncio.to_thread(self.request, session_id, request_id)

    def unfinished_requests(self) -> list[StoredRequest]:
        """Return the requests whose worker is gone, oldest first, a thousand at most."""
        found = self._database.read(_UNFINISHED, {"asked": self._asked_now()})[0]["found"]
        return [to_request(row) for row in found]

    def write_reply(
        self,
        reservation: Reservation,
        text: str,
        *,
        state: RequestState = "running",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store what has come of a request so far, durably (see `HostStore.write_reply`)."""
        write = self._writing_reply(reservation, text, state, result)
        return write is not None and _written(reservation, self._write(write))

    async def awrite_reply(
        self,
        reservation: Reservation,
        text: str,
        *,
        state: RequestState = "running",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Do the same for a caller on an event loop."""
        write = self._writing_reply(reservation, text, state, result)
        return write is not None and _written(reservation, await self._awrite(write))

    def _writing_reply(
        self, reservation: Reservation, text: str, state: RequestState, result: Mapping[str, Any] | None
    ) -> Write | None:
        if state not in REQUEST_STATES:
            raise ConfigError(f"a request is {', '.join(REQUEST_STATES)}, not {clean(str(state))!r}")
        key = key_of(reservation.reservation_id)
        if key is None:  # made by another ledger, whose requests are not here
            return None
        asked = self._asked(
            session_key=key,
            rid=reservation.reservation_id,
            owner_hash=bytea(owner_hash(reservation.owner_token)),
            state=state,
            text=stored(clean(text)) if self._keep_text else "",
            result=None if result is None else stored_json(to_json(result)),
        )
        return Write("write_reply", asked)

    def close_request(
        self, session_id: str, request_id: str, messages: Sequence[Message], result: Mapping[str, Any]
    ) -> bool:
        """Write down that a request stays unfinished (see `HostStore.close_request`)."""
        told = {"request_id": stored(clean(request_id)), "result": stored_json(to_json(result))}
        asked = self._of(session_id, messages=self._texts(messages), **told)
        return bool(self._known(session_id, self._call("close_request", asked))["done"])

    def _asked_now(self) -> str:
        return json.dumps(self._asked())


def to_request(row: Row) -> StoredRequest:
    """Build the `StoredRequest` of what the database has found."""
    return StoredRequest(
        given(row["session_id"]),
        given(row["request_id"]),
        row["body_sha"],
        row["turn"],
        row["rid"],
        row["state"],
        given(row["text"]),
        json.loads(given_json(row["result"])),
        row["updated_at"],
    )


def _written(reservation: Reservation, said: Row) -> bool:
    if said.get("error"):
        rid = reservation.reservation_id
        raise ReservationError(f"reservation {rid} belongs to whoever reserved it; only they write its reply")
    return bool(said["done"])
