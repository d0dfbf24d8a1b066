"""What a notebook reads of the budget, told by the host: the reading part of `TokenService` and its store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ib_kernel.errors import UnknownSession
from ib_kernel.values import LedgerEvent, Message, Reservation, Session, Spent, Totals
from ib_kernel.values.wire import read_list

if TYPE_CHECKING:
    from ib_kernel.remote.interview import RemoteInterview


class RemoteService:
    """Reads one session; what changes it is the interviewer's, except its end."""

    def __init__(self, interview: RemoteInterview) -> None:
        self._interview = interview
        self.settings, self.plugins = interview.settings, interview.plugins
        self.store = RemoteStore(interview)

    def get_session(self, session_id: str) -> Session:
        """Return the session as it is now. `UnknownSession` for another than the one that was joined."""
        require_own(self._interview, session_id)
        return self._interview.session

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums."""
        require_own(self._interview, session_id)
        return self._interview.state.status().totals

    def get_remaining_budget(self, session_id: str) -> int:
        """Return the tokens that are left."""
        return self.totals(session_id).left

    def estimate_turns_left(self, session_id: str, *_: Any, **__: Any) -> int | None:
        """Return how many turns are left, as the host foretells it."""
        require_own(self._interview, session_id)
        return self._interview.state.status().turns_left

    def is_locked(self, session_id: str) -> bool:
        """Return False: what is the interviewer's is not guarded by a passphrase, it is not here."""
        require_own(self._interview, session_id)
        return False

    def complete(self, session_id: str) -> Session:
        """End the session for good."""
        require_own(self._interview, session_id)
        return self._interview.end()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._interview.not_here(name)


class RemoteStore:
    """The reading part of a ledger for one session."""

    name = "host"

    def __init__(self, interview: RemoteInterview) -> None:
        self._interview = interview

    def location(self) -> str:
        """Return where the host is."""
        return self._interview.address

    def session(self, session_id: str) -> Session:
        """Return the session as it is now."""
        return self._interview.service.get_session(session_id)

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums."""
        return self._interview.service.totals(session_id)

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript."""
        require_own(self._interview, session_id)
        return self._interview.history()

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return what happened, as far as a candidate may know."""
        require_own(self._interview, session_id)
        return self._interview.events()

    def spent(self, session_id: str) -> list[Spent]:
        """Return the settled attempts in order."""
        require_own(self._interview, session_id)
        return read_list(Spent, self._interview.me().get("spent"))

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return what is in doubt."""
        return list(self._interview.state.status().doubts)

    def close(self) -> None:
        """Do nothing: the ledger is the host's."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name in ("connect", "host_secret", "cells", "checks"):
            raise AttributeError(name)
        raise self._interview.not_here(name)


def require_own(interview: RemoteInterview, session_id: str) -> None:
    """Refuse another session than the one that was joined."""
    if session_id != interview.session_id:
        raise UnknownSession(f"no session {session_id!r} here; you have joined {interview.session_id}")
