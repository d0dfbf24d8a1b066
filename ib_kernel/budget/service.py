"""The budget's front desk: open sessions, hold tokens, settle them, say what is left.

Synchronous and safe from several threads. Every figure is in whole tokens (input and output together)
unless its name says otherwise. Unknown sessions raise `UnknownSession`; `reserve_tokens` refuses instead.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget import forecast
from ib_kernel.budget.sessions import SessionManager, as_id, whole
from ib_kernel.errors import ReservationError, SessionInactive
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import (
    BudgetStore,
    CallEnd,
    CallStart,
    Refusal,
    Reservation,
    Session,
    Source,
    Status,
    Totals,
)

log = logging.getLogger(__name__)

OWNER = f"{os.getpid()}@{os.uname().nodename if hasattr(os, 'uname') else 'local'}"
"""How this process signs its reservations."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What one update has used and what it leaves.

    `input_tokens`, `output_tokens`, `total_tokens` belong to the update; `remaining_budget` (never
    negative) and `budget_percentage_used` (0 to 100 and beyond in an overdraft) to the session after it.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    remaining_budget: int
    budget_percentage_used: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return dataclasses.asdict(self)


class TokenService(SessionManager):
    """Budgets of all sessions in one ledger. `plugins` and `store` default to what *settings* choose."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        store: BudgetStore | None = None,
    ) -> None:
        super().__init__(settings, plugins=plugins, store=store)
        self._holds: dict[str, deque[Reservation]] = defaultdict(deque)

    # --- spending

    def estimate_tokens(
        self,
        prompt: str | Sequence[Mapping[str, Any]],
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> int:
        """Estimate what a call may need: the prompt's upper bound plus its reply. A text is one message."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        count = self.count_request({"messages": messages}, model)
        needed = count.tokens if count.upper is None else count.upper
        return needed + self.estimate_completion_tokens(needed, max_tokens)

    def reserve_tokens(self, session_id: str, estimated: int) -> Reservation | None:
        """Hold *estimated* tokens for `Settings.hold_s` seconds (renewable), or return None when refused.

        The check and the hold are one durable write, so several processes never hold more than there is.
        """
        reserved = self.reserve(session_id, estimated)
        return reserved if isinstance(reserved, Reservation) else None

    def reserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float | None = None,
        nano_usd: int = 0,
        call: CallStart | None = None,
    ) -> Reservation | Refusal:
        """Hold like `reserve_tokens`, but return a `Refusal` that says why not."""
        tokens = whole("estimated", tokens)
        lease = self.settings.hold_s if lease_s is None else lease_s
        reserved = self.store.reserve(
            as_id(session_id), tokens, lease_s=lease, nano_usd=nano_usd, owner=OWNER, call=call
        )
        if isinstance(reserved, Reservation) and lease_s is None:
            with self._lock:
                self._holds[session_id].append(reserved)
        return reserved

    def renew(self, reservation: Reservation, lease_s: float | None = None) -> bool:
        """Extend a hold's lease; False when it is no longer held."""
        lease = self.settings.hold_s if lease_s is None else lease_s
        return bool(self.store.renew([reservation.reservation_id], lease_s=lease))

    def settle(
        self,
        reservation: Reservation,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        source: Source = "api",
    ) -> TokenUsage:
        """End a hold with what was really used; a second settle of the same hold changes nothing.

        Accepted late (in doubt, session ended); use beyond the hold is recorded, never clipped.
        """
        self._forget(reservation)
        end = CallEnd(
            whole("input_tokens", input_tokens),
            whole("output_tokens", output_tokens),
            cached_tokens=whole("cached_tokens", cached_tokens),
            reasoning_tokens=whole("reasoning_tokens", reasoning_tokens),
            source=source,
        )
        self.store.settle(reservation.reservation_id, end)
        return self._usage(reservation.session_id, input_tokens, output_tokens)

    def release(self, reservation: Reservation) -> bool:
        """End a hold that has cost nothing; False when it had ended already."""
        self._forget(reservation)
        return self.store.release(reservation.reservation_id)

    def update_consumption(self, session_id: str, input_tokens: int, output_tokens: int) -> TokenUsage:
        """Settle this service's oldest open hold of the session, or charge directly when there is none.

        `SessionInactive` when there is no hold and the session is not active.
        """
        used = CallEnd(whole("input_tokens", input_tokens), whole("output_tokens", output_tokens))
        session = self.get_session(session_id)
        while hold := self._oldest(session_id):
            try:
                if self.store.settle(hold.reservation_id, used):
                    return self._usage(session_id, input_tokens, output_tokens)
            except ReservationError:  # ended elsewhere: try the next one
                continue
        _require_active(session)
        self.store.charge(session_id, used)
        return self._usage(session_id, input_tokens, output_tokens)

    # --- reading

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums."""
        return self.store.totals(as_id(session_id))

    def get_remaining_budget(self, session_id: str) -> int:
        """Return what can still be held: budget less used, held and in doubt; 0, never negative."""
        return self.totals(session_id).left

    def check_budget(self, session_id: str, estimated: int) -> bool:
        """Return True if *estimated* tokens would fit now. Holds nothing; `SessionInactive` if not active."""
        _require_active(self.get_session(session_id))
        return whole("estimated", estimated) <= self.totals(session_id).left

    def get_usage_stats(self, session_id: str) -> dict[str, Any]:
        """Return the session's figures as a dictionary.

        `message_count` counts settled calls that used tokens; `percentage_used` is 0 to 100 (beyond in an
        overdraft) of settled tokens; `held` and `in_doubt` are charged against `remaining_budget` too.
        """
        session, totals = self.get_session(session_id), self.totals(session_id)
        return {
            "session_id": session_id,
            "token_budget": totals.token_budget,
            "tokens_used": totals.used,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
            "remaining_budget": totals.left,
            "percentage_used": percentage_used(totals),
            "message_count": totals.calls,
            "avg_tokens_per_message": totals.used / totals.calls if totals.calls else 0.0,
            "status": str(session.status),
            "held": totals.held,
            "in_doubt": totals.in_doubt,
        }

    def is_budget_exhausted(self, session_id: str) -> bool:
        """Return True if nothing is left to hold."""
        return self.get_remaining_budget(session_id) <= 0

    def get_warning_level(self, session_id: str) -> str:
        """Return "normal", "warning", "critical" or "exhausted" (see `warning_level`)."""
        return warning_level(self.totals(session_id), self.settings.warn_at)

    def estimate_turns_left(self, session_id: str) -> int | None:
        """Return how many more turns fit, when prompts go on growing as they have; None before the first.

        A ledger that cannot list a session's calls cheaply gives turns of the average size so far.
        """
        totals, spent = self.totals(session_id), getattr(self.store, "spent", None)
        return turns_left(totals) if spent is None else forecast.turns_left(spent(session_id), totals.left)

    # --- inside

    def _oldest(self, session_id: str) -> Reservation | None:
        with self._lock:
            holds = self._holds.get(session_id)
            return holds.popleft() if holds else None

    def _forget(self, reservation: Reservation) -> None:
        with self._lock:
            holds = self._holds.get(reservation.session_id)
            if holds and reservation in holds:
                holds.remove(reservation)

    def _usage(self, session_id: str, input_tokens: int, output_tokens: int) -> TokenUsage:
        totals = self.totals(session_id)
        return TokenUsage(
            input_tokens, output_tokens, input_tokens + output_tokens, totals.left, percentage_used(totals)
        )


def percentage_used(totals: Totals) -> float:
    """Return settled tokens as a percentage of the budget (100.0 for an empty budget)."""
    return 100.0 * totals.used / totals.token_budget if totals.token_budget else 100.0


def warning_level(totals: Totals, warn_at: Sequence[float]) -> str:
    """Name how far the budget is charged (used, held and in doubt).

    "exhausted" when nothing is left, "critical" from the last fraction of *warn_at* on, "warning" from the
    first on, else "normal".
    """
    if totals.left <= 0:
        return "exhausted"
    charged = 1 - totals.left / totals.token_budget
    if warn_at and charged >= warn_at[-1]:
        return "critical"
    return "warning" if warn_at and charged >= warn_at[0] else "normal"


def turns_left(totals: Totals) -> int | None:
    """Return how many turns of the average size so far still fit; None before the first."""
    return totals.left * totals.turns // totals.used if totals.turns and totals.used else None


def _require_active(session: Session) -> None:
    if session.status is not Status.ACTIVE:
        raise SessionInactive(
            f"session {session.session_id} is {session.status}, not active; resume it or start another",
            session.status,
        )


_services: list[tuple[Settings, TokenService]] = []
if hasattr(os, "register_at_fork"):  # a child's ledger is its own
    os.register_at_fork(after_in_child=_services.clear)
_services_lock = threading.Lock()


def get_token_service(settings: Settings | None = None) -> TokenService:
    """Return the process's `TokenService` for *settings* (one per settings; default: looked up now)."""
    wanted = settings or Settings()
    with _services_lock:
        for known, service in _services:
            if known == wanted:
                return service
        service = TokenService(wanted)
        _services.append((wanted, service))
        return service
