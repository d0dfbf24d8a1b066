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
from ib_kernel.errors import BudgetRefused, ClientError, ContextTooLong, SessionInactive
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Person, Plan, Purse, Wish, over_money, plan_turn, refused
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
from ib_kernel.values.attachment import Attached

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What one turn sends: `request` with the reply tokens asked for, `question` the message to keep.

    The question is the value that was built when it was asked; only its turn is still to be given.
    `explicit` says that the person named the reply's length: then it is never shrunk. `request_id` and
    `request_sha` make a repeated request known (see `CallStart`). `new` are the tokens of the question and
    its attachments where only these and the reply are charged (None: all is). The prompt has the conversation
    from `history_from_turn` on (None: all of it). `person` says what a refusal may advise,
    `attached` what the question brings along. `prompt_version` is what the model is told ("": the
    session's).
    """

    session: Session
    request: ChatRequest
    model: ModelInfo
    question: Message
    explicit: bool = False
    request_id: str = ""
    request_sha: str = ""
    new: int | None = None
    history_from_turn: int | None = None
    person: Person = "owner"
    attached: tuple[Attached, ...] = ()
    prompt_version: str = ""


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
        self._counts_as = counts_as
        self._count: Count | None = None
        self._sent_hmac = ""
        self._bound = LearnedBound()
        self.most_running: int | None = None

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
        count = self.count(body)
        self._sent_hmac = self._sent_hmac or sent_hmac(body, self._service.secret)
        if limits is not None:
            wait = limits.wait_s(count.tokens + self.ask.request.max_completion_tokens)
            if 0 < wait <= patience_s:
                return Pause(wait)
        try:
            return self._admitted(number, count)
        except (BudgetRefused, ContextTooLong, SessionInactive) as refusal:
            self.notify.refused(refusal)
            raise

    def count(self, body: dict[str, Any]) -> Count:
        """Count the body, once.

        Args:
            body: The request as the client would send it.
        """
        if self._count is None:
            count = self._count = self._service.counter.count_request(body, self._counts_as)
            if count.by_bytes:
                store, session = self._service.store, self.ask.session
                self._bound = LearnedBound.read(store, session.session_id, self.ask.request.model)
            log.debug("counted %d prompt tokens (exact=%s, upper=%s)", count.tokens, count.exact, count.upper)
        return self._count

    def plan(self, count: Count, totals: Totals) -> tuple[Plan, int]:
        """Return what the turn would hold: tokens, and nano-dollars in a session with a budget in money.

        Args:
            count: The prompt's count.
            totals: The session's sums.

        Raises:
            BudgetRefused: It would be refused for tokens or money.
            ContextTooLong: It would be refused by the model's context window.
        """
        wish = self._wish()
        bounded = self._bound.applied(count, self.ask.model, wish.least)
        money_left, money_reply = self._money(bounded, totals)
        ceiling = totals.billed_ceiling
        purse = Purse(
            totals.left,
            totals.token_budget,
            new=self.ask.new,
            bill_left=None if ceiling is None else max(0, ceiling - totals.billed - totals.held_billed),
            bill_ceiling=ceiling,
            money_reply=money_reply,
            person=self.ask.person,
        )
        plan = plan_turn(bounded, self.ask.model, purse, wish)
        plan = dataclasses.replace(plan, expected=min(plan.prompt, self._bound.estimate(count)))
        nano = self._most_money(plan) if money_left is not None or self._service.has_ceiling() else 0
        if money_left is not None and nano > money_left:
            total = totals.budget_nano_usd or 0
            room = (money_reply or 0) // wish.n
            raise over_money(nano, money_left, total, room, wish, self.ask.person)
        return plan, nano

    def _admitted(self, number: int, count: Count) -> Attempt | Pause:
        for chance in (1, 2):
            totals = self._service.totals(self.ask.session.session_id)
            plan, nano = self.plan(count, totals)
            held = self._reserve(plan, nano, number, count)
            if isinstance(held, Reservation):
                self.notify.turn = held.turn
                if number == 1:
                    self.notify.attached(self.ask.attached)
                self.notify.before(number, count, plan.tokens)
                return Attempt(number, plan, count, held, totals)
            if held.reason == "running":
                return Pause(RUNNING_LOOK_S, running=True)
            if held.reason not in ("budget", "billed", "money") or chance == 2:
                raise refused(held, plan, totals, self.ask.person)
        raise AssertionError("unreachable")

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
        messages = self.messages(attempt, partial=partial)
        self._service.settle_call(attempt.reservation, end, messages=messages)
        self.notify.usage_rejected(attempt)
        session_id = self.ask.session.session_id
        totals = self._service.totals(session_id)
        note_constructs(
            self._service, session_id, attempt.reservation.turn, self.ask.request.model, attempt.count
        )
        self.notify.after(attempt, end, totals)
        session = self._service.get_session(session_id)
        turns_left = self._service.turns_left(session, totals)
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

    def _wish(self) -> Wish:
        request = self.ask.request
        minimum = self._settings.min_reply_tokens
        return Wish(request.max_completion_tokens, minimum, self.ask.explicit, request.n)

    def _most_money(self, plan: Plan) -> int:
        """Return what the attempt may cost; `BudgetRefused` where no price is known."""
        nano = self.recorder.worst_case(plan)
        if nano is None:
            raise BudgetRefused(
                f"not sent. Spending is limited in money and no price is known for {self.ask.model.name}.",
                reason="money",
            )
        return nano

    def _money(self, count: Count, totals: Totals) -> tuple[int | None, int | None]:
        """Return the nano-dollars that are left and the reply they pay for; None without such a budget."""
        if totals.budget_nano_usd is None:
            return None, None
        left = max(0, totals.budget_nano_usd - (totals.cost_nano_usd or 0) - totals.held_nano_usd)
        try:
            return left, self.recorder.longest_reply(count.upper or 0, left)
        except LookupError:
            raise BudgetRefused(
                "not sent. The session has a budget in money and no price is known for "
                f"{self.ask.model.name}.",
                reason="money",
                left=left,
            ) from None

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
