"""What a turn reserves, and how it ends that, through the budget service. Blocking: called from workers.

Each function is one trip to a worker thread, because each trip costs more than what it does there.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BudgetRefused, ClientError
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Plan, plan_turn, refused
from ib_kernel.turn.body_hash import sent_hmac
from ib_kernel.turn.construct_log import note_constructs
from ib_kernel.turn.learned_bound import LearnedBound
from ib_kernel.turn.notify import Notifier
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.values import (
    CallEnd,
    CallStart,
    ChatRequest,
    Count,
    Done,
    Message,
    RateLimits,
    Refusal,
    Reservation,
    Session,
    Totals,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What one turn sends: `request` with the reply tokens asked for, `question` the message to keep.

    The question is the value that was built when it was asked; only its turn is still to be given.
    `explicit` says that the person named the reply's length: then it is never shrunk. `request_id` and
    `request_sha` make a repeated request known (see `CallStart`).
    """

    session: Session
    request: ChatRequest
    model: ModelInfo
    question: Message
    explicit: bool = False
    request_id: str = ""
    request_sha: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing was reserved: the service's rate limit asks to wait *seconds* first."""

    seconds: float


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
        self._counts_as = counts_as
        self._count: Count | None = None
        self._sent_hmac = ""
        self._bound = LearnedBound()

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
            The attempt with its reservation, or a `Pause` when the limits ask for a wait within the patience.

        Raises:
            BuddyError: What refuses the turn; nothing is reserved then.
        """
        count, model = self._count, self.ask.request.model
        if count is None:
            count = self._count = self._service.counter.count_request(body, self._counts_as)
            if count.by_bytes:
                self._bound = LearnedBound.read(self._service.store, self.ask.session.session_id, model)
            self._sent_hmac = sent_hmac(body, self._service.secret)
            log.debug("counted %d prompt tokens (exact=%s, upper=%s)", count.tokens, count.exact, count.upper)
        if limits is not None:
            wait = limits.wait_s(count.tokens + self.ask.request.max_completion_tokens)
            if 0 < wait <= patience_s:
                return Pause(wait)
        for chance in (1, 2):
            totals = self._service.totals(self.ask.session.session_id)
            plan = self._plan(count, totals)
            held = self._reserve(plan, number, count)
            if isinstance(held, Reservation):
                self.notify.turn = held.turn
                self.notify.before(number, count, plan.tokens)
                return Attempt(number, plan, count, held, totals)
            if held.reason != "budget" or chance == 2:
                raise refused(held, plan, totals)
        raise AssertionError("unreachable")

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

    def settle(self, attempt: Attempt, done: Done, *, partial: bool) -> tuple[CallEnd, Totals, float | None]:
        """Write the attempt's row, its messages and what observers are told of it.

        Args:
            attempt: The attempt.
            done: How its reply ended.
            partial: Whether the reply is not whole because we ended it.

        Returns:
            The row, the session's sums after it, and the warning level that it has reached, if any.
        """
        end = self.recorder.ended(attempt, done)
        messages = self.messages(attempt, partial=partial)
        self._service.settle_call(attempt.reservation, end, messages=messages)
        self.notify.usage_rejected(attempt)
        totals = self._service.totals(self.ask.session.session_id)
        note_constructs(
            self._service,
            self.ask.session.session_id,
            attempt.reservation.turn,
            self.ask.request.model,
            attempt.count,
        )
        return end, totals, self.notify.after(attempt, end, totals)

    def messages(self, attempt: Attempt, *, partial: bool) -> tuple[Message, ...]:
        """Return the two messages of this turn for the transcript.

        Args:
            attempt: The attempt with what has arrived of the reply.
            partial: Whether the reply is not whole.
        """
        turn, asked_at = attempt.reservation.turn, self.ask.question.asked_at
        reply = Message(turn, "assistant", attempt.text, time.time(), partial, asked_at)
        return (dataclasses.replace(self.ask.question, turn=turn), reply)

    def _plan(self, count: Count, totals: Totals) -> Plan:
        asked, minimum = self.ask.request.max_completion_tokens, self._settings.min_reply_tokens
        least = asked if self.ask.explicit else min(asked, minimum)
        plan = plan_turn(
            self._bound.applied(count, self.ask.model, least),
            self.ask.model,
            left=totals.left,
            budget=totals.token_budget,
            asked=asked,
            explicit=self.ask.explicit,
            minimum=minimum,
            n=self.ask.request.n,
        )
        return dataclasses.replace(plan, expected=min(plan.prompt, self._bound.estimate(count)))

    def _reserve(self, plan: Plan, number: int, count: Count) -> Reservation | Refusal:
        nano: int | None = 0
        if self.ask.session.budget_nano_usd is not None:
            nano = self.recorder.worst_case(plan)
        if nano is None:
            raise BudgetRefused(
                f"not sent. The session has a money budget and no price is known for {self.ask.model.name}."
            )
        call = CallStart(
            turn=self.notify.turn or None,  # a turn's first attempt is given the next number
            attempt=number,
            client=self.notify.client,
            model=self.ask.request.model,
            counted_tokens=count.tokens,
            counted_exact=count.exact,
            prompt_version=self.ask.session.prompt_version,
            request_id=self.ask.request_id,
            request_sha=self.ask.request_sha,
            sent_hmac=self._sent_hmac,
        )
        return self._service.reserve(
            self.ask.session.session_id, plan.tokens, lease_s=self._settings.lease_s, nano_usd=nano, call=call
        )
