"""Changing what was agreed: budgets in tokens and money, and the time limit.

A locked session's limits change with its passphrase only (`ib_kernel.budget.lock`); enforced here, so that
magics, widgets and Python all go through it. Every change is recorded with who made it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ib_kernel.budget.access import LedgerAccess, actor
from ib_kernel.budget.guard import SessionGuard
from ib_kernel.budget.parsing import parse_nano_usd, parse_tokens, require_price
from ib_kernel.budget.sessions import SessionManager
from ib_kernel.errors import ConfigError, SessionInactive
from ib_kernel.values import Session, Status


class SessionLimits:
    """The limits of one ledger's sessions."""

    def __init__(self, access: LedgerAccess, sessions: SessionManager) -> None:
        self._access = access
        self._sessions = sessions
        self._guard = SessionGuard(access)

    def extend_budget(
        self, session_id: str, additional_tokens: int, *, passphrase: str | None = None
    ) -> Session:
        """Add tokens to the total.

        Args:
            session_id: The session.
            additional_tokens: Tokens to add; a negative number takes away.
            passphrase: The session's, if it is locked.

        Returns:
            The session with its new budget.

        Raises:
            BudgetRefused: Less than is used, held or in doubt.
            Locked: It is locked, and *passphrase* is not given or wrong.
            SessionInactive: It has ended.
        """
        if isinstance(additional_tokens, bool) or not isinstance(additional_tokens, int):
            raise ConfigError(f"additional_tokens cannot be {additional_tokens!r}; give a whole number")

        def write(session: Session, who: str) -> Session:
            return self._access.store.extend_budget(session_id, additional_tokens, who=who)

        return self._change(session_id, passphrase, "budget", write)

    def set_budget(self, session_id: str, token_budget: int, *, passphrase: str | None = None) -> Session:
        """Set the total.

        Args:
            session_id: The session.
            token_budget: The new total in tokens.
            passphrase: The session's, if it is locked.

        Returns:
            The session with its new budget.

        Raises:
            BudgetRefused: Less than is used, held or in doubt.
            Locked: It is locked, and *passphrase* is not given or wrong.
            SessionInactive: It has ended.
        """
        tokens = parse_tokens("token_budget", token_budget)

        def write(session: Session, who: str) -> Session:
            return self._access.store.set_budget(session_id, tokens=tokens, who=who)

        return self._change(session_id, passphrase, "budget", write)

    def set_money_budget(self, session_id: str, budget_usd: Any, *, passphrase: str | None = None) -> Session:
        """Set the total in US dollars, also where there was none.

        Args:
            session_id: The session.
            budget_usd: The new total in US dollars.
            passphrase: The session's, if it is locked.

        Returns:
            The session with its new budget.

        Raises:
            ConfigError: It is no sum of money, or the model has no known price.
            BudgetRefused: Less than is spent or held.
            Locked: It is locked, and *passphrase* is not given or wrong.
            SessionInactive: It has ended.
        """
        nano = parse_nano_usd(budget_usd)

        def write(session: Session, who: str) -> Session:
            require_price(self._access.plugins.model(session.model, self._access.settings, session.client))
            return self._access.store.set_budget(session_id, nano_usd=nano, who=who)

        return self._change(session_id, passphrase, "budget", write)

    def set_time_limit(
        self, session_id: str, seconds: float | None, *, passphrase: str | None = None
    ) -> Session:
        """Set the time limit.

        Args:
            session_id: The session.
            seconds: Active seconds from the session's start; None lifts the limit.
            passphrase: The session's, if it is locked.

        Returns:
            The session with its new limit.

        Raises:
            Locked: It is locked, and *passphrase* is not given or wrong.
            SessionInactive: It has ended.
        """

        def write(session: Session, who: str) -> Session:
            return self._access.store.set_time_limit(session_id, seconds, who=who)

        return self._change(session_id, passphrase, "time", write)

    def _change(
        self, session_id: str, passphrase: str | None, change: str, write: Callable[[Session, str], Session]
    ) -> Session:
        """Change a session that has not ended, if its lock lets it pass, and notify who wants to know."""
        session = self._sessions.get_session(session_id)
        if session.status in (Status.COMPLETED, Status.CANCELLED):
            raise SessionInactive(
                f"session {session_id} is {session.status}; it can no longer be changed", session.status
            )
        self._guard.unlock(session, passphrase, _CHANGED[change])
        return self._access.changed(write(session, actor()), change)


_CHANGED = {"budget": "another budget", "time": "another time limit"}
