"""Opening, steering and limiting sessions: the half of the front desk that spends nothing.

Every change is recorded with who made it. A locked session's limits change with its passphrase only
(`ib_kernel.budget.lock`); enforced here, so that magics, widgets and Python all go through it.
"""

from __future__ import annotations

import getpass
import logging
import threading
import time
import uuid
from typing import Any

from ib_kernel.budget import lock
from ib_kernel.budget.counting import CountingApi
from ib_kernel.errors import ConfigError, Locked, SessionInactive
from ib_kernel.models.limits import ModelInfo
from ib_kernel.plugin.events import SessionChanged, SessionEnded
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, LedgerEvent, NewSession, Session, Status

log = logging.getLogger(__name__)


class SessionManager(CountingApi):
    """Sessions of one ledger. `plugins` and `store` default to what *settings* choose."""

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

    @property
    def store(self) -> BudgetStore:
        """The ledger; opened at first use."""
        with self._lock:
            if self._store is None:
                self._store = self.plugins.store(self.settings)
            return self._store

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
        budget = settings.token_budget if token_budget is None else whole("token_budget", token_budget)
        limit = settings.time_limit_s if time_limit_s is None else time_limit_s
        if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
            raise ConfigError(
                f"time_limit_s cannot be {limit!r}; give seconds above 0, or leave it out for no limit"
            )
        name, client = model or settings.model, str(details.get("client") or "")
        info = self.plugins.model(name, settings, client)  # raises for one without known limits
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
            model=name,
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
        return self.store.session(as_id(session_id))

    def pause(self, session_id: str) -> Session:
        """Stop the clock and refuse turns until `resume`."""
        return self._move(session_id, Status.PAUSED, "paused")

    def resume(self, session_id: str, *, passphrase: str | None = None) -> Session:
        """Let a paused session (or an expired one that got more time) go on."""
        self._unlock(self.get_session(session_id), passphrase, "resuming")
        return self._move(session_id, Status.ACTIVE, "resumed")

    def complete(self, session_id: str) -> Session:
        """End the session. Holds that are still open can be settled afterwards."""
        return self._end(session_id, Status.COMPLETED)

    def cancel(self, session_id: str) -> Session:
        """End the session as not to be counted."""
        return self._end(session_id, Status.CANCELLED)

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
        tokens = whole("token_budget", token_budget)
        self._unlock(session, passphrase, "another budget")
        return self._changed(
            self.store.set_budget(session_id, tokens=tokens, who=default_candidate()), "budget"
        )

    def set_money_budget(self, session_id: str, budget_usd: Any, *, passphrase: str | None = None) -> Session:
        """Set the total in US dollars, also where there was none; refused without a known price."""
        session = self._open(session_id)
        nano = nano_dollars(budget_usd)
        require_price(self.plugins.model(session.model, self.settings, session.client))
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
        """Return True if changes of the session's limits need its passphrase."""
        return lock.is_locked(self.get_session(session_id))

    def close(self) -> None:
        """Close the ledger if this service opened it."""
        if self._owned and self._store is not None:
            self._store.close()

    # --- inside

    def _move(self, session_id: str, status: Status, change: str) -> Session:
        return self._changed(
            self.store.set_status(as_id(session_id), status, who=default_candidate()), change
        )

    def _end(self, session_id: str, status: Status) -> Session:
        session = self._move(session_id, status, str(status))
        self.store.flush()
        totals = self.store.totals(session.session_id)
        self.plugins.tell("ib_session_ended", SessionEnded(session, totals))
        return session

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


def nano_dollars(budget_usd: Any) -> int:
    """Return US dollars as whole nano-dollars. `ConfigError` for what is no sum of money."""
    from ib_kernel.settings import parsing

    try:
        return int(parsing.dollars(budget_usd) * 10**9)
    except parsing.REFUSED:
        raise ConfigError(
            f"a budget in money cannot be {budget_usd!r}; allowed: {parsing.dollars.__doc__}"
        ) from None


def require_price(model: ModelInfo) -> None:
    """Refuse a budget in money for a model without a known price; a scripted model costs nothing."""
    from ib_kernel.models import prices

    if not model.counts_as and prices.worst_case(model, 0, 0) is None:
        raise ConfigError(
            f"a budget in money needs a price, and none is known for {model.name}; leave --budget-usd out, "
            "or choose another model (%interview models)"
        )


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


def whole(name: str, value: Any) -> int:
    """Return *value* if it is a whole number of tokens, 0 or more; else raise `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} cannot be {value!r}; give a whole number of tokens, 0 or more")
    return value


def as_id(session_id: str) -> str:
    """Return *session_id* if it is text; else raise `ConfigError`."""
    if not isinstance(session_id, str):
        raise ConfigError(f"session_id cannot be {session_id!r}; pass the session's session_id (text)")
    return session_id
