"""Reading the budget: what is used, held and left, and how far that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget.access import LedgerAccess
from ib_kernel.budget.parsing import parse_id, parse_tokens, require_active
from ib_kernel.budget.sessions import SessionManager
from ib_kernel.errors import UnknownSession
from ib_kernel.values import Totals


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a session has used so far, and what that leaves. All figures are the session's, in tokens.

    `total_tokens` is what was billed, `input_tokens` + `output_tokens`, and `charged_tokens` what of it
    counts for the budget (all of it, unless the session charges only what is new). `remaining_budget` is what
    can still be held (never negative; what is held and in doubt is charged too). `budget_percentage_used` is
    charged tokens of the budget, 0 to 100, and beyond in an overdraft.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    remaining_budget: int
    budget_percentage_used: float
    charged_tokens: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return dataclasses.asdict(self)


class Figures:
    """What a ledger says about the budgets of its sessions. Unknown sessions raise `UnknownSession`."""

    def __init__(self, access: LedgerAccess, sessions: SessionManager) -> None:
        self._access, self._sessions = access, sessions

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return self._access.store.totals(parse_id(session_id))

    def usage(self, session_id: str) -> TokenUsage:
        """Return what the session has used so far, and what is left."""
        totals = self.totals(session_id)
        return TokenUsage(
            totals.input_tokens,
            totals.output_tokens,
            totals.billed,
            totals.left,
            percentage_used(totals),
            totals.charged_tokens,
        )

    def get_remaining_budget(self, session_id: str) -> int:
        """Return the tokens that can still be held: budget less used, held and in doubt; never negative.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return self.totals(session_id).left

    def check_budget(self, session_id: str, estimated: int) -> bool:
        """Return True if a number of tokens would fit now. Reserves nothing.

        Args:
            session_id: The session that would pay.
            estimated: Tokens, input and output together.

        Returns:
            False when they do not fit, and for a session that does not exist.

        Raises:
            SessionInactive: When the session is not active.
            ConfigError: When *estimated* is no whole number of at least 0.
        """
        tokens = parse_tokens("estimated", estimated)
        try:
            session = self._sessions.get_session(session_id)
        except UnknownSession:
            return False
        require_active(session)
        return tokens <= self.totals(session_id).left

    def get_usage_stats(self, session_id: str) -> dict[str, Any]:
        """Return the session's figures as a dictionary.

        Args:
            session_id: The session.

        Returns:
            `session_id`, `status`, `token_budget`, `tokens_used` (charged), `input_tokens`, `output_tokens`,
            `billed_tokens`, `charge`, `remaining_budget`, `percentage_used` (0 to 100 of charged tokens,
            beyond in an overdraft), `message_count` (settled calls that used tokens),
            `avg_tokens_per_message` (billed), and `held` and `in_doubt`, which are charged against
            `remaining_budget` too.

        Raises:
            UnknownSession: There is no such session.
        """
        session, totals = self._sessions.get_session(session_id), self.totals(session_id)
        return {
            "session_id": session_id,
            "token_budget": totals.token_budget,
            "tokens_used": totals.used,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
            "billed_tokens": totals.billed,
            "charge": session.charge,
            "remaining_budget": totals.left,
            "percentage_used": percentage_used(totals),
            "message_count": totals.calls,
            "avg_tokens_per_message": totals.billed / totals.calls if totals.calls else 0.0,
            "status": str(session.status),
            "held": totals.held,
            "in_doubt": totals.in_doubt,
        }

    def is_budget_exhausted(self, session_id: str) -> bool:
        """Return True if nothing is left to reserve.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return self.get_remaining_budget(session_id) <= 0

    def get_warning_level(self, session_id: str) -> str:
        """Return "normal", "warning", "critical" or "exhausted" (see `warning_level`).

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        return warning_level(self.totals(session_id), self._access.settings.warn_at)


def percentage_used(totals: Totals) -> float:
    """Return charged tokens as a percentage of the budget (100.0 for an empty budget)."""
    return 100.0 * totals.used / totals.token_budget if totals.token_budget else 100.0


def warning_level(totals: Totals, warn_at: Sequence[float]) -> str:
    """Name how far the budget is charged (used, held and in doubt).

    Args:
        totals: The session's sums.
        warn_at: Fractions of the budget, rising.

    Returns:
        "exhausted" when nothing is left, "critical" from the last fraction of *warn_at* on, "warning" from
        the first on, else "normal".
    """
    if totals.left <= 0:
        return "exhausted"
    charged = (totals.token_budget - totals.left) / totals.token_budget
    if warn_at and charged >= warn_at[-1]:
        return "critical"
    return "warning" if warn_at and charged >= warn_at[0] else "normal"
