"""Opening, steering and ending sessions: what spends nothing. Every change is recorded with who made it."""

from __future__ import annotations

import time
import uuid
from typing import Any

from ib_kernel.budget import lock
from ib_kernel.budget.access import LedgerAccess, actor, default_candidate
from ib_kernel.budget.guard import SessionGuard
from ib_kernel.budget.parsing import (
    parse_id,
    parse_name,
    parse_nano_usd,
    parse_time_limit,
    parse_tokens,
    require_price,
)
from ib_kernel.plugin.events import SessionEnded
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, NewSession, Session, Status


class SessionManager:
    """Sessions of one ledger."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access
        self._guard = SessionGuard(access)

    @property
    def _store(self) -> BudgetStore:
        return self._access.store

    @property
    def _plugins(self) -> Plugins:
        return self._access.plugins

    @property
    def _settings(self) -> Settings:
        return self._access.settings

    def create_session(
        self,
        /,
        candidate: str | None = None,
        token_budget: int | None = None,
        model: str | None = None,
        time_limit_s: float | None = None,
        *,
        session_id: str | None = None,
        start: bool = True,
        passphrase: str | None = None,
        unlock: str | None = None,
        budget_usd: Any = None,
        **details: Any,
    ) -> Session:
        """Open a session. What is not given comes from the settings.

        Args:
            candidate: Who is interviewed; None: the settings', or the system's user.
            token_budget: Tokens, input and output together; None: the settings'.
            model: None: the settings'.
            time_limit_s: Active seconds; None: the settings'.
            session_id: An id of your own; None: a new one.
            start: Whether the session starts now; `start` does it later, and starts its clock.
            passphrase: Locks the session: `extend_budget`, `set_budget`, `set_time_limit`, `resume` and
                `write_off` then need it, and so does another session for the same candidate until a day after
                this one ended.
            unlock: The passphrase of an earlier session that locks this candidate, unless *passphrase* is the
                same.
            budget_usd: A budget in US dollars beside the one in tokens; None: the settings'.
            details: Further fields of `NewSession`.

        Returns:
            The session.

        Raises:
            ConfigError: A budget, limit, model or passphrase cannot be used, or a budget in money has no
                known price.
            Locked: An earlier session locks this candidate.
        """
        settings = self._settings
        budget = settings.token_budget if token_budget is None else parse_tokens("token_budget", token_budget)
        limit = parse_time_limit(settings.time_limit_s if time_limit_s is None else time_limit_s)
        name, client = model or settings.model, str(details.get("client") or "")
        info = self._plugins.model(name, settings, client)  # raises for one without known limits
        money = settings.budget_usd if budget_usd is None else budget_usd
        if money is not None and details.get("budget_nano_usd") is None:
            details["budget_nano_usd"] = parse_nano_usd(money)
        if details.get("budget_nano_usd") is not None:
            require_price(info)
        person = parse_name("candidate", candidate or settings.candidate or default_candidate())
        details.setdefault("charge", settings.charge)
        for field in ("role", "level"):
            parse_name(field, details.get(field) or "")
        self._guard.require_no_lock(person, (unlock, passphrase))
        if passphrase is not None:
            meta = details.get("meta", {})
            fixes = {"reply_tokens": settings.reply_tokens, "temperature": meta.get("temperature")}
            details["meta"] = {**meta, lock.META_KEY: lock.make_lock(passphrase, fixes=fixes)}
        new = NewSession(
            session_id=session_id or new_session_id(),
            candidate=person,
            token_budget=budget,
            model=name,
            time_limit_s=limit,
            **details,
        )
        session = self._store.open_session(new)
        self._access.changed(session, "created")
        return self.start(session.session_id) if start else session

    def start(self, session_id: str) -> Session:
        """Start a session that was only created; its clock runs from now.

        Args:
            session_id: The session.

        Returns:
            The session, active.

        Raises:
            UnknownSession: There is no such session.
            Locked: It was paused, and is locked.
            SessionInactive: It cannot start.
        """
        session = self.get_session(session_id)
        if session.status is not Status.CREATED:  # or it would be a way around the lock of `resume`
            self._guard.unlock(session, None, "resuming")
        return self._move(session_id, Status.ACTIVE, "started")

    def get_session(self, session_id: str) -> Session:
        """Return the session as it is now.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return self._store.session(parse_id(session_id))

    def pause(self, session_id: str) -> Session:
        """Stop the clock and refuse turns until `resume`.

        Args:
            session_id: The session.

        Returns:
            The session, paused.

        Raises:
            UnknownSession: There is no such session.
            SessionInactive: It is not active.
        """
        return self._move(session_id, Status.PAUSED, "paused")

    def resume(self, session_id: str, *, passphrase: str | None = None) -> Session:
        """Let a paused session (or an expired one that got more time) go on.

        Args:
            session_id: The session.
            passphrase: The session's, if it is locked.

        Returns:
            The session, active.

        Raises:
            UnknownSession: There is no such session.
            Locked: It is locked, and *passphrase* is not given or wrong.
            SessionInactive: It has ended, or its time is used up.
        """
        self._guard.unlock(self.get_session(session_id), passphrase, "resuming")
        return self._move(session_id, Status.ACTIVE, "resumed")

    def complete(self, session_id: str) -> Session:
        """End the session. Reservations that are still open can be settled by their owners afterwards.

        Args:
            session_id: The session.

        Returns:
            The session, completed.

        Raises:
            UnknownSession: There is no such session.
            SessionInactive: It has ended already.
        """
        return self._end(session_id, Status.COMPLETED)

    def cancel(self, session_id: str) -> Session:
        """End the session as not to be counted.

        Args:
            session_id: The session.

        Returns:
            The session, cancelled.

        Raises:
            UnknownSession: There is no such session.
            SessionInactive: It has ended already.
        """
        return self._end(session_id, Status.CANCELLED)

    def is_locked(self, session_id: str) -> bool:
        """Return True if changes of the session's limits need its passphrase.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return lock.is_locked(self.get_session(session_id))

    def unlock(self, session_id: str, passphrase: str | None, what: str) -> None:
        """Let a change of a session pass if it is not locked, or if its passphrase is given.

        Args:
            session_id: The session.
            passphrase: What was given, if anything.
            what: What is to be changed, for the refusal's line.

        Raises:
            Locked: It is locked, and the passphrase is not given or wrong; wrong ones are recorded.
        """
        self._guard.unlock(self.get_session(session_id), passphrase, what)

    # --- inside

    def _move(self, session_id: str, status: Status, change: str) -> Session:
        return self._access.changed(self._store.set_status(parse_id(session_id), status, who=actor()), change)

    def _end(self, session_id: str, status: Status) -> Session:
        session = self._move(session_id, status, str(status))
        self._store.flush()
        totals = self._store.totals(session.session_id)
        self._plugins.notify("ib_session_ended", SessionEnded(session, totals))
        return session


def new_session_id() -> str:
    """Return a new session's id: the second it was made in, then chance, so that ids sort by time.

    A ledger that keeps history in the order of time finds such a session without looking through all of it.
    """
    return f"{int(time.time()):08x}{uuid.uuid4().hex[:6]}"
