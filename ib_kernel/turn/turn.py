"""One turn, one direction: count, plan, reserve, send, settle.

Runs on the background loop. Each attempt has its own reservation and its own row; whatever way an
attempt ends, its reservation ends with it, in a ledger write that a cancellation cannot cut short.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import ClientError, SessionInactive
from ib_kernel.turn.event_loop import to_end
from ib_kernel.turn.lease import Lease
from ib_kernel.turn.pace import Pace
from ib_kernel.turn.receiving import Notice, Receiver
from ib_kernel.turn.request import TurnRequest
from ib_kernel.turn.reservation import TurnReservation
from ib_kernel.turn.result import TurnResult
from ib_kernel.turn.retry import Retries, RetryBudget
from ib_kernel.turn.session_end import SessionOver, while_active
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.turn.waiting import Waiting
from ib_kernel.values import Done, LLMClient, Piece, Reservation, ends

__all__ = ["Notice", "Shared", "Turn", "TurnRequest", "TurnResult"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shared:
    """What the turns of one interview have in common: their retries, and replies being read to their end.

    `pace` is what a host puts before the calls of all its sessions (None: nothing). `thinkers` are models
    that were seen to send a thought without its opening mark.
    """

    retries: RetryBudget
    draining: set[asyncio.Task[None]] = field(default_factory=set)
    pace: Pace | None = None
    thinkers: set[str] = field(default_factory=set)

    async def end_draining(self) -> None:
        """Stop reading what is read in the background; each is settled with what has arrived."""
        for task in (tasks := list(self.draining)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Turn:
    """Runs one turn. *emit* gets every `Piece` and `Notice` as it comes, on the loop's thread.

    When the turn is cancelled, `partial` is the result of what had arrived (None when nothing had), and
    `draining` tells that the rest is being read in the background.
    """

    def __init__(
        self,
        service: TokenService,
        client: LLMClient,
        ask: TurnRequest,
        emit: Callable[[Piece | Notice], None],
        shared: Shared | None = None,
    ) -> None:
        self.service, self.client, self.ask, self.emit = service, client, ask, emit
        self.settings = service.settings
        self.shared = shared or Shared(RetryBudget(self.settings.retry_budget))
        self.partial: TurnResult | None = None
        self.draining = False
        self._counts_as = ask.model.counts_as or ask.model.name
        billed = getattr(client, "billed", True) and not ask.model.counts_as
        recorder = UsageRecorder(ask.model, billed, self._count_text)
        self._reservation = TurnReservation(service, ask, client.name, self._counts_as, recorder)
        self._attempt: Attempt | None = None
        self._waiting = Waiting(client, self.settings, ask, lambda notice: self.emit(notice))
        self._retries = Retries(
            self.settings,
            self.shared.retries,
            self._has_started,
            self._waiting.time_left,
            self._before_wait,
            self._wait,
            queued=self.shared.pace is not None,
        )
        self._waits_for = ""

    @property
    def reservation(self) -> Reservation | None:
        """What the last attempt has reserved; None before the first."""
        return self._attempt.reservation if self._attempt is not None else None

    async def run(self) -> TurnResult:
        """Run to the end and return the result, or raise what refused or failed the turn."""
        self._waiting.begin()
        try:
            if self.shared.pace is None:
                return await self._attempts()
            pace, session_id = self.shared.pace, self.ask.session.session_id
            self._reservation.most_running = pace.most_running
            self._reservation.forget_seen()
            async with pace.place(session_id, lambda line: self.emit(Notice(line))) as self._waiting.place:
                self._waiting.begin()
                return await self._attempts()
        except ClientError as error:
            await self._told(error, None)
            if self._retries.gave_up == "retry budget":
                self.emit(Notice("not tried again: this interview's retries are used up for now"))
            raise

    async def _attempts(self) -> TurnResult:
        async for attempt in self._retries.retrier():
            with attempt:
                result = await self._one_attempt(attempt.retry_state.attempt_number)
        self.shared.retries.earn()
        return result

    # --- one attempt

    async def _one_attempt(self, number: int) -> TurnResult:
        attempt = self._attempt = await self._reserve(number)
        if self.settings.cancel == "drain":
            return await self._drainable(attempt)
        return await self._to_its_end(attempt)

    async def _to_its_end(self, attempt: Attempt) -> TurnResult:
        with Lease(self.settings.lease_s, lambda: self._reservation.renew(attempt)):
            try:
                done = await while_active(self._receive(attempt), self.ask.session, self._reservation.session)
                if self._waiting.place is not None:
                    self._waiting.place.answered()
            except SessionOver as over:
                return await self._cut(attempt, over)
            except asyncio.CancelledError:
                self.partial = await self._stopped(attempt)
                raise
            except BaseException as error:
                await to_end(lambda error=error: self._reservation.failed(attempt, error))  # type: ignore[misc]
                if self._waiting.place is not None and isinstance(error, ClientError):
                    await self._waiting.place.failed(error)
                raise
            return await self._settle(attempt, done)

    async def _reserve(self, number: int) -> Attempt:
        """Wait for a short rate limit, then reserve."""
        await self._waiting.for_client()
        await self._waiting.for_place()
        body = self.client.body(self.ask.request)
        limits = {} if self._waiting.place is not None else self._waiting.limits()
        patience = self.settings.rate_limit_wait_s
        while True:
            known, most = limits.get(self.ask.request.model), min(patience, self._waiting.time_left())
            held, cancelled = await to_end(
                lambda known=known, most=most: self._reservation.reserve(number, body, known, most)  # type: ignore[misc]
            )
            if cancelled:
                if isinstance(held, Attempt):
                    await to_end(lambda held=held: self._reservation.undo(held))  # type: ignore[misc]
                raise asyncio.CancelledError
            if isinstance(held, Attempt):
                return held
            if held.running:
                await self._waiting.for_others(held)
                continue
            patience -= held.seconds  # several turns may wait for one limit: none of them without end
            await self._waiting.for_limit(held)

    def _came(self, item: Piece | Notice) -> None:
        if self._waiting.place is not None:
            self._waiting.place.heard(self._waiting.limits().get(self.ask.request.model))
        self.emit(item)

    async def _receive(self, attempt: Attempt) -> Done:
        request = dataclasses.replace(self.ask.request, max_completion_tokens=attempt.plan.cap)
        receiver = Receiver(
            self.client,
            self.settings,
            self._came,
            self._count_text,
            self._waiting.deadline,
            self.shared.thinkers,
        )
        return await receiver.read(attempt, self.client.body(request))

    # --- how an attempt ends

    async def _stopped(self, attempt: Attempt) -> TurnResult | None:
        """End an attempt that we closed: counted after the first piece, unresolved before it."""
        if attempt.first_piece is not None:
            return await self._settle(attempt, Done("stopped"))
        await to_end(lambda: self._reservation.mark_unresolved(attempt, "stopped before the first piece"))
        return None

    async def _cut(self, attempt: Attempt, over: SessionOver) -> TurnResult:
        """End an attempt whose session is over: charged as a stop."""
        if attempt.first_piece is not None:
            return await self._settle(attempt, Done(over.finish))
        await to_end(
            lambda: self._reservation.mark_unresolved(attempt, f"session {over.status} before a reply")
        )
        raise SessionInactive(
            f"the session is {over.status}, and nothing of the reply had arrived; what it has cost is in "
            "doubt (see %budget)",
            str(over.status),
        )

    async def _settle(self, attempt: Attempt, done: Done) -> TurnResult:
        stopped = done.finish_reason in ends.OURS
        # once settled, a stop that came meanwhile is too late
        settled, _ = await to_end(lambda: self._reservation.settle(attempt, done, partial=stopped))
        return TurnResult(
            attempt.text,
            self._reservation.notify.turn,
            settled.end,
            settled.totals,
            attempt.plan,
            attempt.count,
            self.ask.model,
            self.client.name,
            created=done.created or int(time.time()),
            billed=self._reservation.recorder.billed,
            stopped=stopped,
            thought=bool(attempt.reasoning),
            turns_left=settled.turns_left,
            time_left_s=settled.time_left_s,
            history_from_turn=self.ask.history_from_turn,
            warnings=settled.warnings,
            attached=self.ask.attached,
        )

    async def _drainable(self, attempt: Attempt) -> TurnResult:
        """Run the attempt so that a stop ends the turn at once, and the attempt when its usage is known."""
        work = asyncio.create_task(self._to_its_end(attempt))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self.draining = not work.done()
            drain = asyncio.create_task(self._drain(work))
            self.shared.draining.add(drain)
            drain.add_done_callback(self.shared.draining.discard)
            raise

    async def _drain(self, work: asyncio.Task[Any]) -> None:
        """Read *work* to its end, for `drain_s` at most; then it ends with what has arrived."""
        self.emit = _nobody
        try:
            await asyncio.wait(
                [work], timeout=min(self.settings.drain_s, max(0.0, self._waiting.time_left()))
            )
        finally:
            work.cancel()
            await asyncio.wait([work])
            error = None if work.cancelled() else work.exception()
            if isinstance(error, ClientError):
                await self._told(error, None)

    # --- small things

    async def _before_wait(self, error: ClientError, seconds: float) -> None:
        self._waits_for = error.brief
        await self._told(error, seconds)

    async def _wait(self, seconds: float) -> None:
        await self._waiting.for_retry(self._waits_for, seconds)

    async def _told(self, error: ClientError, retry_in_s: float | None) -> None:
        last = self._attempt
        if last is not None:  # else refused before anything was held: nothing failed
            why = self._retries.gave_up
            await to_end(lambda: self._reservation.notify.failed(last.number, error, retry_in_s, why))

    def _count_text(self, text: str) -> int:
        return self.service.counter.count_text(text, self._counts_as).tokens

    def _has_started(self) -> bool:
        last = self._attempt  # reasoning that has come is billed, too
        return last is not None and (last.first_piece is not None or bool(last.reasoning))


def _nobody(item: Piece | Notice) -> None:
    """Take what nobody reads any more."""
