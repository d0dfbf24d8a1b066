"""A host's writes and reads for callers on an event loop: they wait for no lock and no disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ib_duckdb.host_invitations import Invitations
from ib_duckdb.host_money import Money
from ib_duckdb.host_people import People
from ib_duckdb.host_requests import Requests
from ib_duckdb.host_sessions import HostSessions
from ib_duckdb.sessions import Sessions
from ib_kernel.values import (
    Grant,
    Invitation,
    LedgerEvent,
    Message,
    Reservation,
    Session,
    StoredRequest,
)
from ib_kernel.values.host import RequestState


class AsyncHost(People, Invitations, Requests, HostSessions, Money, Sessions):
    """Each coroutine does what its namesake does; writes share transactions with those of other callers."""

    async def agrant(self, token_hash: str) -> Grant | None:
        """Return what a token is for (see `HostStore.grant`)."""
        return await asyncio.to_thread(self.grant, token_hash)

    async def arequest(self, session_id: str, request_id: str) -> StoredRequest | None:
        """Return the request of that id (see `HostStore.request`)."""
        return await asyncio.to_thread(self.request, session_id, request_id)

    async def awrite_reply(
        self,
        reservation: Reservation,
        text: str,
        *,
        state: RequestState = "running",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store what has come of a request so far (see `HostStore.write_reply`)."""
        written = await self._writer.arun(self._writing_reply(reservation, text, state, result))
        self._changed()
        return written

    async def atake_invitation(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant] = ()
    ) -> Invitation | None:
        """Use an invitation (see `HostStore.take_invitation`)."""
        taken = await self._writer.arun(self._taking(code_hash, nonce_hash, grants))
        self._moved_soon()
        return taken

    async def aadd_message(self, session_id: str, message: Message) -> None:
        """Store a message outside any turn (see `HostStore.add_message`)."""
        await self._writer.arun(self._adding_message(session_id, message))
        self._moved_soon()

    async def aadd_event(self, event: LedgerEvent) -> None:
        """Record an event about a session (see `BudgetStore.add_event`)."""
        await self._writer.arun(self._adding_event(event))
        self._moved_soon()

    async def acredit_time(
        self, session_id: str, seconds: float, reason: str, who: str = "", *, ending_now: bool = False
    ) -> Session:
        """Give back time that the clock should not have run (see `HostStore.credit_time`)."""
        session = await self._writer.arun(self._crediting(session_id, seconds, reason, who, ending_now))
        self._moved_soon()
        return session
