"""Notifies observers and the log of what happens to a turn. Blocking: called from worker threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BuddyError, BudgetRefused, ClientError
from ib_kernel.plugin.events import AfterCall, BeforeCall, BudgetWarning, CallFailed
from ib_kernel.turn.usage import Attempt
from ib_kernel.turn.warn import Warnings, passed_level
from ib_kernel.values import CallEnd, Count, LedgerEvent, Session, Totals
from ib_kernel.values.attachment import Attached
from ib_kernel.values.wire import to_value

log = logging.getLogger(__name__)


@dataclass
class Notifier:
    """Sends the events of one turn; `turn` is set when the ledger has given its number."""

    service: TokenService
    session_id: str
    client: str
    model: str
    warn_at: Sequence[float]
    turn: int = 0

    def attached(self, items: Sequence[Attached]) -> None:
        """Record what the question brought along.

        Args:
            items: Label, tokens and characters of each; nothing is recorded without any.
        """
        if items:
            detail = {"turn": self.turn, "items": [to_value(item) for item in items]}
            self.service.record(LedgerEvent(self.session_id, "attached", time.time(), detail=detail))

    def before(self, number: int, counted: Count, held: int) -> None:
        """Notify that an attempt is about to be sent.

        Args:
            number: The attempt's number, from 1 on.
            counted: The count of its prompt.
            held: Tokens that are held for it.
        """
        self.service.plugins.notify(
            "ib_before_call", BeforeCall(**self._facts(number), counted=counted, held_tokens=held)
        )

    def after(self, attempt: Attempt, end: CallEnd, totals: Totals) -> None:
        """Notify that an attempt was settled.

        Args:
            attempt: The attempt.
            end: Its row.
            totals: The session's sums after it.
        """
        log.info(
            "turn %d settled: %d in + %d out (%s), %d of %d left",
            self.turn,
            end.input_tokens,
            end.output_tokens,
            end.source,
            totals.left,
            totals.token_budget,
        )
        self.service.plugins.notify(
            "ib_after_call", AfterCall(**self._facts(attempt.number), end=end, totals=totals)
        )

    def warn(
        self, session: Session, before: Totals, after: Totals, turns_left: int | None
    ) -> tuple[str, ...]:
        """Warn of what comes to its end.

        Args:
            session: The session after the turn.
            before: Its sums before the turn.
            after: Its sums after it.
            turns_left: How many more turns are admitted; None: not known.

        Returns:
            The lines to show.
        """
        self.passed(before.used, after)
        warnings = Warnings(self.service, self.session_id, self.warn_at)
        return warnings.after(session, before, after, turns_left)

    def passed(self, used_before: int, after: Totals) -> None:
        """Notify of the level of the budget that was passed, if any was.

        Args:
            used_before: Tokens that the session had used before.
            after: Its sums now.
        """
        level = passed_level(self.warn_at, used_before, after)
        if level is not None:
            log.warning("session %s has used %.0f %% of its budget", self.session_id, 100 * level)
            self.service.plugins.notify("ib_budget_warning", BudgetWarning(self.session_id, level, after))

    def refused(self, refusal: BuddyError) -> None:
        """Record that a turn was refused, with what it needed and what was left where that is known.

        Args:
            refusal: The error that says so.
        """
        detail = {"reason": "inactive", "status": getattr(refusal, "status", "")}
        if isinstance(refusal, BudgetRefused):
            detail = {"reason": refusal.reason, "needed": refusal.needed, "left": refusal.left}
        elif isinstance(refusal, ClientError):
            detail = {"reason": "context window"}
        log.info("turn refused in session %s: %s", self.session_id, detail["reason"])
        self.service.record(LedgerEvent(self.session_id, "refused", time.time(), detail=detail))

    def failed(self, number: int, error: ClientError, retry_in_s: float | None, gave_up: str = "") -> None:
        """Notify that an attempt failed, and whether there is another or why there is none.

        Args:
            number: The attempt's number, from 1 on.
            error: What it failed with.
            retry_in_s: Seconds until the next attempt; None: there is none.
            gave_up: Why there is none; "" when there is one.
        """
        log.info(
            "attempt %d of turn %d failed: %s (%s)",
            number,
            self.turn,
            type(error).__name__,
            gave_up or "trying again",
        )
        event = CallFailed(
            **self._facts(number),
            error=type(error).__name__,
            message=str(error),
            outcome=error.outcome,
            retry_in_s=retry_in_s,
            gave_up=gave_up,
        )
        self.service.plugins.notify("ib_call_failed", event)

    def usage_rejected(self, attempt: Attempt) -> None:
        """Keep the raw figures of a service that cannot all be true, and say what was wrong with them.

        Args:
            attempt: The attempt; one without `problems` is passed over.
        """
        if not attempt.problems:
            return
        log.info("usage of turn %d cannot be true: %s", self.turn, "; ".join(attempt.problems))
        detail = {
            "turn": self.turn,
            "attempt": attempt.number,
            "problems": list(attempt.problems),
            "raw_usage": attempt.raw_usage,
        }
        self.service.record(LedgerEvent(self.session_id, "usage_rejected", time.time(), detail=detail))

    def _facts(self, number: int) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "turn": self.turn,
            "attempt": number,
            "client": self.client,
            "model": self.model,
        }
