"""What a host that died has left behind: replies cut short, shown as unfinished, and asked never again."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from ib_kernel.host.withhold import screened
from ib_kernel.values import Message
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session
    from ib_kernel.values.host import StoredRequest

log = logging.getLogger(__name__)

UNFINISHED = (
    "This reply is unfinished: the host stopped while it came. What had arrived is kept; what it cost is in "
    "doubt until the interviewer decides. Ask again in a new cell if you need the rest."
)


QUIET_LEASES = 3
"""Leases without a write after which a request whose worker seems gone is closed, asked for or not."""


class Repair:
    """Completes requests whose worker is gone. Every host of a ledger does; each is completed once."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def completed(self, session: Session, stored: StoredRequest) -> StoredRequest:
        """Return a request that has ended with its last event: as it was stored, or as the ledger tells.

        Args:
            session: Its session.
            stored: The request, finished or unfinished.
        """
        if "kind" in stored.result:
            return stored
        reply = self._transcribed(session, stored)
        if reply is not None and stored.state == "finished":  # settled, and the host died before it said so
            return dataclasses.replace(stored, text=reply.content, result=self._from_ledger(session, stored))
        return self._closed(session, stored)

    def sweep(self) -> int:
        """Put what hosts that died have left behind into the transcripts; return how many there were new.

        Nothing is closed that was written to a moment ago: its host may only be slow, and end it yet.
        """
        listed = getattr(self._host.store, "unfinished_requests", None)
        before = self._host.clock() - QUIET_LEASES * self._host.settings.lease_s
        found = [r for r in (listed() if listed is not None else []) if r.updated_at < before]
        for stored in found:
            self.completed(self._host.service.get_session(stored.session_id), stored)
        return len(found)

    def _transcribed(self, session: Session, stored: StoredRequest) -> Message | None:
        private = self._host.sight.private_text(session)
        history: list[Message] = self._host.store.history(session.session_id)
        for message in reversed(history):  # a slow host's own end stands behind what another had closed
            if message.turn == stored.turn and message.role == "assistant":
                return dataclasses.replace(message, content=screened(message.content, private))
        return None

    def _closed(self, session: Session, stored: StoredRequest) -> StoredRequest:
        """Put what was asked and what has come of it into the transcript, unless another host has done it."""
        result, said = _unfinished(stored), _messages(stored)
        if not self._host.store.close_request(session.session_id, stored.request_id, said, result):
            known: StoredRequest | None = self._host.store.request(session.session_id, stored.request_id)
            if known is not None and "kind" in known.result:  # its host was only slow, or another was faster
                return known
        return dataclasses.replace(stored, result=result)

    def _from_ledger(self, session: Session, stored: StoredRequest) -> dict[str, Any]:
        totals = self._host.service.totals(session.session_id)
        line = f"turn {stored.turn} · {totals.left:,} of {totals.token_budget:,} left"
        data = {"turn": stored.turn, "footer": line, "totals": to_value(totals), "stop_line": "", "why": ""}
        return {"kind": "end", "data": data}


def _messages(stored: StoredRequest) -> list[Message]:
    question, asked_at = stored.result.get("question"), stored.result.get("asked_at")
    if not isinstance(question, str):
        return []
    at = float(asked_at) if isinstance(asked_at, (int, float)) else stored.updated_at
    said = [Message(stored.turn, "user", question, at, False, at)]
    if stored.text:
        said.append(Message(stored.turn, "assistant", stored.text, stored.updated_at, True, at))
    return said


def _unfinished(stored: StoredRequest) -> dict[str, Any]:
    error = {"code": "unresolved", "message": UNFINISHED, "type": "Unresolved", "turn": stored.turn}
    return {"kind": "error", "data": {"error": error}}
