"""`TokenService`: sessions, reservations and figures of one ledger, in one place.

Synchronous and safe from several threads. Every figure is in whole tokens (input and output together)
unless its name says otherwise. Unknown sessions raise `UnknownSession`, except that `reserve_tokens` then
returns None and `check_budget` False.
"""

from __future__ import annotations

import functools
import os
import threading

from ib_kernel.budget.access import LedgerAccess, forward
from ib_kernel.budget.awaited import AwaitedReservations
from ib_kernel.budget.ceiling import CeilingWatch
from ib_kernel.budget.counting import Counting
from ib_kernel.budget.figures import Figures, TokenUsage, percentage_used, warning_level
from ib_kernel.budget.limits import SessionLimits
from ib_kernel.budget.outlook import Outlook
from ib_kernel.budget.parsing import parse_tokens
from ib_kernel.budget.reservations import ReservationManager
from ib_kernel.budget.sessions import SessionManager
from ib_kernel.budget.turn_views import TurnViews
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, CallEnd, Reservation, Source, TokenCounter

__all__ = ["TokenService", "TokenUsage", "get_token_service", "percentage_used", "warning_level"]


class TokenService:
    """Budgets of all sessions in one ledger: the one place that reserves tokens and ends reservations."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        store: BudgetStore | None = None,
    ) -> None:
        """Build a service; the ledger is opened at first use.

        Args:
            settings: None: looked up now.
            plugins: None: those that are installed.
            store: A ledger to use, which its giver closes. None: the one that the settings choose.
        """
        self._access = LedgerAccess(settings, plugins=plugins, store=store)
        self.plugins = self._access.plugins
        self._counting = Counting(self._access.settings, self.plugins)
        self._sessions = SessionManager(self._access)
        self._limits = SessionLimits(self._access, self._sessions)
        self._reservations = ReservationManager(self._access, self._sessions)
        self._awaited = AwaitedReservations(self._access)
        self._ceiling = CeilingWatch(self._access)
        self._figures = Figures(self._access, self._sessions)
        self._turn_views = TurnViews(self._access, self._reservations)
        self._outlook = Outlook(self._access, self._counting, self._turn_views)

    @property
    def settings(self) -> Settings:
        """What new sessions and counts go by; setting it reaches every part and keeps the ledger open."""
        return self._access.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._access.settings = self._counting.settings = settings

    @property
    def store(self) -> BudgetStore:
        """The ledger; opened at first use. To be read: what spends goes through the service."""
        return self._access.store

    @functools.cached_property
    def secret(self) -> bytes:
        """The ledger's own secret for keyed hashes; b"" where a store has none."""
        host_secret = getattr(self.store, "host_secret", None)
        return bytes(host_secret()) if host_secret is not None else b""

    @property
    def counter(self) -> TokenCounter:
        """The counter that the settings choose; built at first use."""
        return self._counting.counter

    # sessions
    create_session = forward("_sessions", SessionManager.create_session)
    start = forward("_sessions", SessionManager.start)
    get_session = forward("_sessions", SessionManager.get_session)
    pause = forward("_sessions", SessionManager.pause)
    resume = forward("_sessions", SessionManager.resume)
    complete = forward("_sessions", SessionManager.complete)
    cancel = forward("_sessions", SessionManager.cancel)
    is_locked = forward("_sessions", SessionManager.is_locked)
    unlock = forward("_sessions", SessionManager.unlock)

    # limits
    extend_budget = forward("_limits", SessionLimits.extend_budget)
    set_budget = forward("_limits", SessionLimits.set_budget)
    set_money_budget = forward("_limits", SessionLimits.set_money_budget)
    set_time_limit = forward("_limits", SessionLimits.set_time_limit)

    # reservations
    reserve_tokens = forward("_reservations", ReservationManager.reserve_tokens)
    reserve = forward("_reservations", ReservationManager.reserve)
    renew = forward("_reservations", ReservationManager.renew)
    release = forward("_reservations", ReservationManager.release)
    settle_call = forward("_reservations", ReservationManager.settle_call)
    mark_unresolved = forward("_reservations", ReservationManager.mark_unresolved)
    resolve = forward("_reservations", ReservationManager.resolve)
    write_off = forward("_reservations", ReservationManager.write_off)
    record = forward("_reservations", ReservationManager.record)

    # the same for callers on an event loop
    areserve = forward("_awaited", AwaitedReservations.areserve)
    asettle_call = forward("_awaited", AwaitedReservations.asettle_call)
    arelease = forward("_awaited", AwaitedReservations.arelease)
    amark_unresolved = forward("_awaited", AwaitedReservations.amark_unresolved)
    arenew = forward("_awaited", AwaitedReservations.arenew)

    has_ceiling = forward("_ceiling", CeilingWatch.has_ceiling)

    # figures
    totals = forward("_figures", Figures.totals)
    get_remaining_budget = forward("_figures", Figures.get_remaining_budget)
    check_budget = forward("_figures", Figures.check_budget)
    get_usage_stats = forward("_figures", Figures.get_usage_stats)
    is_budget_exhausted = forward("_figures", Figures.is_budget_exhausted)
    get_warning_level = forward("_figures", Figures.get_warning_level)

    # what a turn reads
    standing = forward("_turn_views", TurnViews.standing)
    turn_view = forward("_turn_views", TurnViews.turn_view)
    settle_turn = forward("_turn_views", TurnViews.settle_turn)
    keep_view = forward("_turn_views", TurnViews.keep)

    # what is to come
    estimate_turns_left = forward("_outlook", Outlook.estimate_turns_left)
    turns_left = forward("_outlook", Outlook.turns_left)
    pace = forward("_outlook", Outlook.pace)
    means = forward("_outlook", Outlook.means)

    # counting
    count_tokens = forward("_counting", Counting.count_tokens)
    count_message_tokens = forward("_counting", Counting.count_message_tokens)
    count_request = forward("_counting", Counting.count_request)
    estimate_tokens = forward("_counting", Counting.estimate_tokens)
    estimate_call_tokens = forward("_counting", Counting.estimate_call_tokens)
    estimate_completion_tokens = forward("_counting", Counting.estimate_completion_tokens)
    check_token_limit = forward("_counting", Counting.check_token_limit)
    get_model_limit = forward("_counting", Counting.get_model_limit)

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
        """End a reservation with what was really used.

        Accepted late (in doubt, session ended). Use beyond what was held is recorded, never clipped. A second
        settle of the same reservation changes nothing; with other figures it is recorded as an event.

        Args:
            reservation: What `reserve` or `reserve_tokens` returned, not one that a listing shows.
            input_tokens: Tokens of the prompt, cached ones included.
            output_tokens: Tokens of the reply, reasoning included.
            cached_tokens: How many of the input tokens came from the service's cache.
            reasoning_tokens: How many of the output tokens were reasoning.
            source: Where the figures come from.

        Returns:
            What the session has used so far, and what is left.

        Raises:
            ReservationError: When it was released or written off, or is not the caller's.
            ConfigError: For figures that are no whole numbers of at least 0.
        """
        end = CallEnd(
            parse_tokens("input_tokens", input_tokens),
            parse_tokens("output_tokens", output_tokens),
            cached_tokens=parse_tokens("cached_tokens", cached_tokens),
            reasoning_tokens=parse_tokens("reasoning_tokens", reasoning_tokens),
            source=source,
        )
        self._reservations.settle_call(reservation, end)
        return self._figures.usage(reservation.session_id)

    def update_consumption(self, session_id: str, input_tokens: int, output_tokens: int) -> TokenUsage:
        """Settle this service's oldest open reservation of the session, or charge directly without one.

        Args:
            session_id: The session that pays.
            input_tokens: Tokens of the prompt.
            output_tokens: Tokens of the reply.

        Returns:
            What the session has used so far, this call included, and what is left.

        Raises:
            SessionInactive: When there is no reservation and the session is not active.
            UnknownSession: When there is no such session.
        """
        used = CallEnd(
            parse_tokens("input_tokens", input_tokens), parse_tokens("output_tokens", output_tokens)
        )
        self._reservations.settle_oldest(session_id, used)
        return self._figures.usage(session_id)

    def close(self) -> None:
        """Close the ledger if this service opened it."""
        self._access.close()


_services: list[tuple[Settings, TokenService]] = []
if hasattr(os, "register_at_fork"):  # a child's ledger is its own
    os.register_at_fork(after_in_child=_services.clear)
_services_lock = threading.Lock()


def get_token_service(settings: Settings | None = None) -> TokenService:
    """Return the process's `TokenService` for some settings.

    Args:
        settings: Equal settings share a service. None: looked up now.
    """
    wanted = settings or Settings()
    with _services_lock:
        for known, service in _services:
            if known == wanted:
                return service
        service = TokenService(wanted)
        _services.append((wanted, service))
        return service
