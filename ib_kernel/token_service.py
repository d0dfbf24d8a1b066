"""The budget's front desk: open sessions, hold tokens, settle them, say what is left.

Synchronous and safe from several threads. Every figure is in whole tokens (input and output together)
unless its name says otherwise. Unknown sessions raise `UnknownSession`; `reserve_tokens` refuses instead.
"""

from __future__ import annotations

import dataclasses
import getpass
import logging
import os
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel import forecast, lock
from ib_kernel.counting_api import CountingApi
from ib_kernel.errors import ConfigError, Locked, ReservationError, SessionInactive
from ib_kernel.events import SessionChanged
from ib_kernel.models import ModelInfo, get_model
from ib_kernel.plugins import Plugins
from ib_kernel.protocols import (
    BudgetStore,
    CallEnd,
    CallStart,
    LedgerEvent,
    NewSession,
    Refusal,
    Reservation,
    Session,
    Source,
    Status,
    Totals,
)
from ib_kernel.settings import Settings

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


class TokenService(CountingApi):
    """Budgets of all sessions in one ledger. `plugins` and `store` default to what *settings* choose."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        store: BudgetStore | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.plugins = plugins or Plugins()
        self._store, self._owned = store, store is None
        self._lock = threading.RLock()
        self._holds: dict[str, deque[Reservation]] = defaultdict(deque)

    @property
    def store(self) -> BudgetStore:
        """The ledger; opened at first use."""
        with self._lock:
            if self._store is None:
                self._store = self.plugins.store(self.settings)
            return self._store

    # --- sessions

    def create_session(
        self,
        candidate: str | None = None,
        token_budget: int | None = None,
        model: str | None = None,
        time_limit_s: float | None = None,
        *,
        session_id: str | None = None,
        start: bool = True,
        passphrase: str | None = None,
        budget_usd: Any = None,
        **details: Any,
    ) -> Session:
        """Open a session and start it, unless *start* is false (then `start` does, and starts its clock).

        What is not given comes from the settings; *details* are further fields of `NewSession`. *budget_usd*
        is a budget in US dollars beside the one in tokens, refused for a model without a known price. With a
        *passphrase* the session is locked: `extend_budget`, `set_budget`, `set_time_limit`, `resume` and
        `write_off` then need it (else `Locked`). Raises `ConfigError` for a budget, limit, model or
        passphrase that cannot be used.
        """
        settings = self.settings
        budget = settings.token_budget if token_budget is None else _whole("token_budget", token_budget)
        limit = settings.time_limit_s if time_limit_s is None else time_limit_s
        if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
            raise ConfigError(
                f"time_limit_s cannot be {limit!r}; give seconds above 0, or leave it out for no limit"
            )
        info = get_model(model or settings.model, settings)  # raises for one without known limits
        money = settings.budget_usd if budget_usd is None else budget_usd
        if money is not None and details.get("budget_nano_usd") is None:
            details["budget_nano_usd"] = nano_dollars(money)
        if details.get("budget_nano_usd") is not None:
            require_price(info)
        if passphrase is not None:
            details["meta"] = {**details.get("meta", {}), lock.META_KEY: lock.make_lock(passphrase)}
        new = NewSession(
            session_id=session_id or new_session_id(),
            candidate=candidate or settings.candidate or default_candidate(),
            token_budget=budget,
            model=model or settings.model,
            time_limit_s=None if limit is None else float(limit),
            **details,
        )
        session = self.store.open_session(new)
        self._changed(session, "created")
        return self.start(session.session_id) if start else session

    def start(self, session_id: str) -> Session:
        """Start a session that was only created; its clock runs from now."""
        session = self.get_session(session_id)
        if session.status is not Status.CREATED:  # or it would be a way around the lock of `resume`
            self._unlock(session, None, "resuming")
        return self._move(session_id, Status.ACTIVE, "started")

    def get_session(self, session_id: str) -> Session:
        """Return the session as it is now."""
        return self.store.session(_sid(session_id))

    def pause(self, session_id: str) -> Session:
        """Stop the clock and refuse turns until `resume`."""
        return self._move(session_id, Status.PAUSED, "paused")

    def resume(self, session_id: str, *, passphrase: str | None = None) -> Session:
        """Let a paused session (or an expired one that got more time) go on."""
        self._unlock(self.get_session(session_id), passphrase, "resuming")
        return self._move(session_id, Status.ACTIVE, "resumed")

    def complete(self, session_id: str) -> Session:
        """End the session. Holds that are still open can be settled afterwards."""
        session = self._move(session_id, Status.COMPLETED, "completed")
        self.store.flush()
        return session

    def cancel(self, session_id: str) -> Session:
        """End the session as not to be counted."""
        session = self._move(session_id, Status.CANCELLED, "cancelled")
        self.store.flush()
        return session

    def extend_budget(
        self, session_id: str, additional_tokens: int, *, passphrase: str | None = None
    ) -> Session:
        """Add tokens to the total (a negative number takes away). `BudgetRefused` below what is charged."""
        session = self._open(session_id)
        if isinstance(additional_tokens, bool) or not isinstance(additional_tokens, int):
            raise ConfigError(f"additional_tokens cannot be {additional_tokens!r}; give a whole number")
        self._unlock(session, passphrase, "another budget")
        session = self.store.extend_budget(session_id, additional_tokens, who=default_candidate())
        return self._changed(session, "budget")

    def set_budget(self, session_id: str, token_budget: int, *, passphrase: str | None = None) -> Session:
        """Set the total. `BudgetRefused` below used + held + in doubt."""
        session = self._open(session_id)
        tokens = _whole("token_budget", token_budget)
        self._unlock(session, passphrase, "another budget")
        return self._changed(
            self.store.set_budget(session_id, tokens=tokens, who=default_candidate()), "budget"
        )

    def set_money_budget(self, session_id: str, budget_usd: Any, *, passphrase: str | None = None) -> Session:
        """Set the total in US dollars, also where there was none; refused without a known price."""
        session = self._open(session_id)
        nano = nano_dollars(budget_usd)
        require_price(get_model(session.model, self.settings))
        self._unlock(session, passphrase, "another budget")
        changed = self.store.set_budget(session_id, nano_usd=nano, who=default_candidate())
        return self._changed(changed, "budget")

    def set_time_limit(
        self, session_id: str, seconds: float | None, *, passphrase: str | None = None
    ) -> Session:
        """Set the time limit in active seconds; None lifts it."""
        self._unlock(self._open(session_id), passphrase, "another time limit")
        return self._changed(self.store.set_time_limit(session_id, seconds, who=default_candidate()), "time")

    def write_off(self, reservation_id: str, *, reason: str = "", passphrase: str | None = None) -> bool:
        """Free what a reservation in doubt still charges; False when that was done before.

        It is recorded who did it. `ReservationError` for one that is unknown, still held or settled.
        """
        found = next((r for r in self.store.reservations() if r.reservation_id == reservation_id), None)
        if found is not None:
            self._unlock(self.get_session(found.session_id), passphrase, "writing off")
        done = self.store.write_off(reservation_id, who=default_candidate(), reason=reason)
        if done and found is not None:
            self._changed(self.get_session(found.session_id), "written off")
        return done

    def is_locked(self, session_id: str) -> bool:
        """Tell whether changes of the session's limits need its passphrase."""
        return lock.is_locked(self.get_session(session_id))

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
        tokens = _whole("estimated", tokens)
        lease = self.settings.hold_s if lease_s is None else lease_s
        reserved = self.store.reserve(
            _sid(session_id), tokens, lease_s=lease, nano_usd=nano_usd, owner=OWNER, call=call
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
            _whole("input_tokens", input_tokens),
            _whole("output_tokens", output_tokens),
            cached_tokens=_whole("cached_tokens", cached_tokens),
            reasoning_tokens=_whole("reasoning_tokens", reasoning_tokens),
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
        used = CallEnd(_whole("input_tokens", input_tokens), _whole("output_tokens", output_tokens))
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
        return self.store.totals(_sid(session_id))

    def get_remaining_budget(self, session_id: str) -> int:
        """Return what can still be held: budget less used, held and in doubt; 0, never negative."""
        return self.totals(session_id).left

    def check_budget(self, session_id: str, estimated: int) -> bool:
        """Tell whether *estimated* tokens would fit now. Holds nothing; `SessionInactive` if not active."""
        _require_active(self.get_session(session_id))
        return _whole("estimated", estimated) <= self.totals(session_id).left

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
        """Tell whether nothing is left to hold."""
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

    def close(self) -> None:
        """Close the ledger if this service opened it."""
        if self._owned and self._store is not None:
            self._store.close()

    # --- inside

    def _move(self, session_id: str, status: Status, change: str) -> Session:
        return self._changed(self.store.set_status(_sid(session_id), status, who=default_candidate()), change)

    def _changed(self, session: Session, change: str) -> Session:
        log.info("session %s: %s", session.session_id, change)
        self.plugins.tell("ib_session_changed", SessionChanged(session, change))
        return session

    def _open(self, session_id: str) -> Session:
        session = self.get_session(session_id)
        if session.status in (Status.COMPLETED, Status.CANCELLED):
            raise SessionInactive(
                f"session {session_id} is {session.status}; it can no longer be changed", session.status
            )
        return session

    def unlock(self, session_id: str, passphrase: str | None, what: str) -> None:
        """Let a change of a session pass, or raise `Locked` when it needs a passphrase that is not given."""
        self._unlock(self.get_session(session_id), passphrase, what)

    def _unlock(self, session: Session, passphrase: str | None, what: str) -> None:
        """Let a change of a locked session pass; a wrong passphrase is recorded as an event."""
        try:
            lock.require(session, passphrase, what)
        except Locked as refused:
            if refused.wrong:
                fact = LedgerEvent(session.session_id, "refused", 0.0, default_candidate(), {"what": what})
                self.store.add_event(fact)
            raise

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


def nano_dollars(budget_usd: Any) -> int:
    """Return US dollars as whole nano-dollars. `ConfigError` for what is no sum of money."""
    from ib_kernel import parsing

    try:
        return int(parsing.dollars(budget_usd) * 10**9)
    except parsing.REFUSED:
        raise ConfigError(
            f"a budget in money cannot be {budget_usd!r}; allowed: {parsing.dollars.__doc__}"
        ) from None


def require_price(model: ModelInfo) -> None:
    """Refuse a budget in money for a model without a known price; a scripted model costs nothing."""
    from ib_kernel import prices

    if not model.counts_as and prices.worst_case(model.name, 0, 0) is None:
        raise ConfigError(
            f"a budget in money needs a price, and none is known for {model.name}; leave --budget-usd out, "
            "or choose another model (%interview models)"
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


def new_session_id() -> str:
    """Return a new session's id: the second it was made in, then chance, so that ids sort by time.

    A ledger that keeps history in the order of time finds such a session without looking through all of it.
    """
    return f"{int(time.time()):08x}{uuid.uuid4().hex[:6]}"


def default_candidate() -> str:
    """Return the system's user name, or "candidate" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "candidate"


def _require_active(session: Session) -> None:
    if session.status is not Status.ACTIVE:
        raise SessionInactive(
            f"session {session.session_id} is {session.status}, not active; resume it or start another",
            session.status,
        )


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} cannot be {value!r}; give a whole number of tokens, 0 or more")
    return value


def _sid(session_id: str) -> str:
    if not isinstance(session_id, str):
        raise ConfigError(f"session_id cannot be {session_id!r}; pass the session's session_id (text)")
    return session_id


_services: list[tuple[Settings, TokenService]] = []
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
