"""What a turn reserves, and how it ends that, through the budget service. Blocking: called from workers.

Each function is one trip to a worker thread, because each trip costs more than what it does there.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BudgetRefused, ClientError, ContextTooLong, SessionInactive
from ib_kernel.secrets import holds_no_key, scrub_value
from ib_kernel.turn.admission import Plan, refused
from ib_kernel.turn.body_hash import sent_hmac
from ib_kernel.turn.construct_log import note_constructs
from ib_kernel.turn.notify import Notifier
from ib_kernel.turn.planning import TurnPlanner
from ib_kernel.turn.request import TurnRequest
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.values import (
    CallEnd,
    CallStart,
    Count,
    Done,
    Message,
    RateLimits,
    Refusal,
    Reservation,
    Session,
    Totals,
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing was reserved: wait *seconds* first.

    The service's rate limit asks for it, or (`running`) as many calls of the session run at other hosts as
    may.
    """

    seconds: float
    running: bool = False


RUNNING_LOOK_S = 0.25
"""Seconds between two looks whether a call of the session at another host has ended."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a turn was settled, and what that leaves: `turns_left` further turns, `time_left_s` seconds.

    `warnings` are lines about what comes to its end.
    """

    end: CallEnd
    totals: Totals
    turns_left: int | None = None
    time_left_s: float | None = None
    warnings: tuple[str, ...] = ()


class TurnReservation:
    """The budget's side of one turn."""

    def __init__(
        self, service: TokenService, ask: TurnRequest, client: str, counts_as: str, recorder: UsageRecorder
    ) -> None:
        self.ask, self.recorder = ask, recorder
        self.notify = Notifier(
            service,
            ask.session.session_id,
            client,
            ask.request.model,
            service.settings.warn_at,
        )
        self._service, self._settings = service, service.settings
        self._planner = TurnPlanner(service, ask, counts_as, recorder)
        self._view, self._seen = ask.view, ask.view
        self._sent_hmac = ""
        self.most_running: int | None = None

    def forget_seen(self) -> None:
        """Read the session's sums again before the reserve: the turn has waited since it was composed."""
        self._seen = None

    def reserve(
        self, number: int, body: dict[str, Any], limits: RateLimits | None, patience_s: float
    ) -> Attempt | Pause:
        """Count the body (once), plan, and reserve; when another call took its share in between, plan again.

        Args:
            number: The attempt's number, from 1 on.
            body: The request as the client would send it.
            limits: What the service said last about its rate limits; None: nothing.
            patience_s: Seconds that a rate limit may make the turn wait.

        Returns:
            The attempt with its reservation, or a `Pause` when the limits ask for a wait within the patience,
            or when `most_running` calls of the session run.

        Raises:
            BuddyError: What refuses the turn; nothing is reserved then.
        """
        count = self._planner.count(body)
        self._sent_hmac = self._sent_hmac or sent_hmac(body, self._service.secret)
        if limits is not None:
            wait = limits.wait_s(count.tokens + self.ask.request.max_completion_tokens)
            if 0 < wait <= patience_s:
                self.forget_seen()
                return Pause(wait)
        try:
            return self._admitted(number, count)
        except (BudgetRefused, ContextTooLong, SessionInactive) as refusal:
            self.notify.refused(refusal)
            raise

    def _admitted(self, number: int, count: Count) -> Attempt | Pause:
        seen, self._seen = self._seen, None
        held = None if seen is None else self._tried(number, count, seen.totals)
        if held is not None:
            return held
        for chance in (1, 2):
            totals = self._service.totals(self.ask.session.session_id)
            plan, nano = self._planner.plan(count, totals)
            answer = self._reserve(plan, nano, number, count)
            if not isinstance(answer, Refusal) or answer.reason == "running":
                return self._taken(number, count, plan, totals, answer)
            if answer.reason not in ("budget", "billed", "money") or chance == 2:
                raise refused(answer, plan, totals, self.ask.person)
        raise AssertionError("unreachable")

    def _tried(self, number: int, count: Count, totals: Totals) -> Attempt | Pause | None:
        """Reserve a whole reply by the sums that the turn was composed from; None: read them again.

        The ledger decides what may be held, whatever was read. What would shorten the reply, or refuse it,
        may be over by now.
        """
        try:
            plan, nano = self._planner.plan(count, totals)
        except (BudgetRefused, ContextTooLong):
            return None
        if plan.shrunk_by:
            return None
        answer = self._reserve(plan, nano, number, count)
        if isinstance(answer, Refusal) and answer.reason != "running":
            return None
        return self._taken(number, count, plan, totals, answer)

    def _taken(
        self, number: int, count: Count, plan: Plan, totals: Totals, answer: Reservation | Refusal
    ) -> Attempt | Pause:
        """Return what the ledger has answered: a reservation, or that others must end first."""
        if isinstance(answer, Refusal):
            return Pause(RUNNING_LOOK_S, running=True)
        self.notify.turn = answer.turn
        if number == 1:
            self.notify.attached(self.ask.attached)
        self.notify.before(number, count, plan.tokens)
        return Attempt(number, plan, count, answer, totals)

    def session(self) -> Session:
        """Return the turn's session as it is now."""
        return self._service.get_session(self.ask.session.session_id)

    def undo(self, attempt: Attempt) -> None:
        """Release an attempt that was cancelled before anything was sent.

        Args:
            attempt: The attempt.
        """
        self._service.release(attempt.reservation)

    def renew(self, attempt: Attempt) -> None:
        """Renew the attempt's lease.

        Args:
            attempt: The attempt.
        """
        self._service.renew(attempt.reservation, self._settings.lease_s)

    def mark_unresolved(self, attempt: Attempt, reason: str) -> None:
        """Leave the attempt charged until somebody decides; what has arrived is kept.

        Args:
            attempt: The attempt.
            reason: Why nobody knows what it has cost, for the event.
        """
        messages = self.messages(attempt, partial=True) if attempt.pieces else ()
        self._service.mark_unresolved(attempt.reservation, reason, messages=messages)

    def failed(self, attempt: Attempt, error: BaseException) -> None:
        """End an attempt that failed: charged as unresolved, for its prompt, or not at all.

        Args:
            attempt: The attempt.
            error: What it failed with; its `outcome` decides, and one that is not ours counts as unknown.
        """
        outcome = error.outcome if isinstance(error, ClientError) else "unknown"
        name, reservation = type(error).__name__, attempt.reservation
        reported = self.recorder.reported(attempt, error) if isinstance(error, ClientError) else None
        if reported is not None:
            messages = self.messages(attempt, partial=True) if attempt.pieces else ()
            self._service.settle_call(reservation, reported, messages=messages)
        elif outcome == "unknown":
            self.mark_unresolved(attempt, name)
        elif outcome == "prompt_billed":
            end = self.recorder.failed(attempt, name, prompt_billed=True)
            self._service.settle_call(reservation, end)
        else:
            self._service.release(reservation, self.recorder.failed(attempt, name, prompt_billed=False))
        self.notify.usage_rejected(attempt)

    def settle(self, attempt: Attempt, done: Done, *, partial: bool) -> Settled:
        """Write the attempt's row, its messages and what observers are told of it.

        Args:
            attempt: The attempt.
            done: How its reply ended.
            partial: Whether the reply is not whole because we ended it.

        Returns:
            The row, and where the session stands after it.
        """
        end = self.recorder.ended(attempt, done)
        reservation = attempt.reservation
        messages = self.messages(attempt, partial=partial)
        if not holds_no_key(messages):  # the next prompt has them as the ledger does
            messages = scrub_value(messages)
        standing = self._service.settle_turn(reservation, end, messages=messages)
        session, totals = standing.session, standing.totals
        self.notify.usage_rejected(attempt)
        note_constructs(
            self._service, session.session_id, reservation.turn, self.ask.request.model, attempt.count
        )
        self.notify.after(attempt, end, totals)
        view = None if self._view is None else self._view.after(standing, reservation.call, end, messages)
        kept = view and self._service.keep_view(view)
        turns_left = self._service.turns_left(session, totals, kept, self.ask.model)
        warnings = self.notify.warn(session, attempt.before, totals, turns_left)
        return Settled(end, totals, turns_left, session.time_left_s, warnings)

    def messages(self, attempt: Attempt, *, partial: bool) -> tuple[Message, ...]:
        """Return the two messages of this turn for the transcript.

        Args:
            attempt: The attempt with what has arrived of the reply.
            partial: Whether the reply is not whole.
        """
        turn, asked_at = attempt.reservation.turn, self.ask.question.asked_at
        reply = Message(turn, "assistant", attempt.text, time.time(), partial, asked_at)
        return (dataclasses.replace(self.ask.question, turn=turn), reply)

    def _reserve(self, plan: Plan, nano: int, number: int, count: Count) -> Reservation | Refusal:
        call = CallStart(
            turn=self.notify.turn or None,  # a turn's first attempt is given the next number
            attempt=number,
            client=self.notify.client,
            model=self.ask.request.model,
            counted_tokens=count.tokens,
            counted_exact=count.exact,
            prompt_version=self.ask.prompt_version or self.ask.session.prompt_version,
            request_id=self.ask.request_id,
            request_sha=self.ask.request_sha,
            sent_hmac=self._sent_hmac,
            history_from_turn=self.ask.history_from_turn,
            most_running=self.most_running,
        )
        return self._service.reserve(
            self.ask.session.session_id,
            plan.tokens,
            lease_s=self._settings.lease_s,
            nano_usd=nano,
            call=call,
            billed_tokens=plan.billed,
        )
