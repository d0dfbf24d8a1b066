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
from ib_kernel.errors import ClientError, RateLimited, SessionInactive, TimedOut
from ib_kernel.models.limits import ModelInfo
from ib_kernel.text import plain
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.event_loop import to_end
from ib_kernel.turn.lease import Lease
from ib_kernel.turn.pace import Pace, PacedTurn
from ib_kernel.turn.rate_limits import countdown
from ib_kernel.turn.receiving import Notice, Receiver
from ib_kernel.turn.request import TurnRequest
from ib_kernel.turn.reservation import Pause, TurnReservation
from ib_kernel.turn.retry import Retries, RetryBudget
from ib_kernel.turn.session_end import SessionOver, while_active
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.values import CallEnd, Count, Done, LLMClient, Piece, RateLimits, Reservation, Totals, ends
from ib_kernel.values.attachment import Attached

__all__ = ["Notice", "Shared", "Turn", "TurnRequest", "TurnResult"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended. `end` is the ledger's row, `totals` the session's sums after it.

    `billed` is false when nobody bills this client's tokens, so that our count is the final figure.
    `stopped` says that we ended it early, `thought` that the model was seen to reason. `turns_left` is how
    many more turns are foretold (None: not known), `time_left_s` what the time limit leaves (None: none),
    `warnings` are lines about what comes to its end. The prompt had the conversation from `history_from_turn`
    on (None: all of it); `attached` is what the question brought along.
    """

    text: str
    turn: int
    end: CallEnd
    totals: Totals
    plan: Plan
    count: Count
    model: ModelInfo
    client: str
    created: int
    billed: bool = True
    stopped: bool = False
    thought: bool = False
    turns_left: int | None = None
    time_left_s: float | None = None
    history_from_turn: int | None = None
    warnings: tuple[str, ...] = ()
    attached: tuple[Attached, ...] = ()

    def __repr__(self) -> str:
        """Return the reply and its figures; ``dataclasses.asdict`` has the rest."""
        used = f"{self.end.input_tokens:,} in + {self.end.output_tokens:,} out"
        return f"{plain(self.text)}\n\n[turn {self.turn} · {used} · {self.totals.left:,} left]"


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
        self._deadline = time.monotonic() + self.settings.deadline_s
        self._retries = Retries(
            self.settings,
            self.shared.retries,
            self._has_started,
            self._time_left,
            self._before_wait,
            self._wait,
            queued=self.shared.pace is not None,
        )
        self._waits_for = ""
        self._place: PacedTurn | None = None
        self._others_since: float | None = None

    @property
    def reservation(self) -> Reservation | None:
        """What the last attempt has reserved; None before the first."""
        return self._attempt.reservation if self._attempt is not None else None

    async def run(self) -> TurnResult:
        """Run to the end and return the result, or raise what refused or failed the turn."""
        self._deadline = time.monotonic() + self.settings.deadline_s
        try:
            if self.shared.pace is None:
                return await self._attempts()
            pace, session_id = self.shared.pace, self.ask.session.session_id
            self._reservation.most_running = pace.most_running
            self._reservation.forget_seen()
            async with pace.place(session_id, lambda line: self.emit(Notice(line))) as self._place:
                self._deadline = time.monotonic() + self.settings.deadline_s
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
                if self._place is not None:
                    self._place.answered()
            except SessionOver as over:
                return await self._cut(attempt, over)
            except asyncio.CancelledError:
                self.partial = await self._stopped(attempt)
                raise
            except BaseException as error:
                await to_end(lambda error=error: self._reservation.failed(attempt, error))  # type: ignore[misc]
                if self._place is not None and isinstance(error, ClientError):
                    await self._place.failed(error)
                raise
            return await self._settle(attempt, done)

    async def _reserve(self, number: int) -> Attempt:
        """Wait for a short rate limit, then reserve."""
        await self._prepare()
        await self._admitted()
        body = self.client.body(self.ask.request)
        limits = {} if self._place is not None else self._limits()
        patience = self.settings.rate_limit_wait_s
        while True:
            known, most = limits.get(self.ask.request.model), min(patience, self._time_left())
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
                await self._wait_for_others(held)
                continue
            patience -= held.seconds  # several turns may wait for one limit: none of them without end
            await self._wait_for_limit(held)

    async def _admitted(self) -> None:
        """Wait for this turn's turn at the service; what that takes does not use up the turn's time."""
        if self._place is None:
            return
        request, start = self.ask.request, time.monotonic()
        chars = sum(len(str(message.get("content", ""))) for message in request.messages)
        tokens = chars // 4 + request.n * request.max_completion_tokens
        await self._place.admit(request.model, tokens, lambda line: self.emit(Notice(line)))
        self._deadline += time.monotonic() - start

    def _limits(self) -> dict[str, RateLimits]:
        limits: dict[str, RateLimits] = getattr(self.client, "rate_limits", {})
        return limits

    def _came(self, item: Piece | Notice) -> None:
        if self._place is not None:
            self._place.heard(self._limits().get(self.ask.request.model))
        self.emit(item)

    async def _receive(self, attempt: Attempt) -> Done:
        request = dataclasses.replace(self.ask.request, max_completion_tokens=attempt.plan.cap)
        receiver = Receiver(
            self.client,
            self.settings,
            self._came,
            self._count_text,
            self._deadline,
            self.shared.thinkers,
        )
        return await receiver.read(attempt, self.client.body(request))

    async def _prepare(self) -> None:
        """Let the client import and connect before anything is held: what fails there was not sent.

        A slow import does not use up the turn's time.
        """
        prepare = getattr(self.client, "prepare", None)
        if prepare is None:
            return
        start = time.monotonic()
        try:
            async with asyncio.timeout(self.settings.deadline_s or None):
                await prepare()
            self._deadline += time.monotonic() - start
        except TimeoutError:
            raise TimedOut(
                f"not sent: the client {self.client.name!r} was not ready in time (deadline_s).",
                outcome="not_sent",
                retryable=False,
            ) from None

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
            await asyncio.wait([work], timeout=min(self.settings.drain_s, max(0.0, self._time_left())))
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
        await countdown(
            seconds, lambda left: self.emit(Notice(f"{self._waits_for}: trying again in {left:.1f} s…"))
        )

    async def _wait_for_limit(self, pause: Pause) -> None:
        log.info("waiting %.1f s for the service's rate limit", pause.seconds)
        await countdown(
            pause.seconds, lambda left: self.emit(Notice(f"rate limit reached: sending in {left:.1f} s…"))
        )

    async def _wait_for_others(self, pause: Pause) -> None:
        """Wait while other hosts run as many calls of the session as may; it takes none of its time."""
        start = time.monotonic()
        if self._others_since is None:
            self._others_since = start
            self.emit(Notice("other calls of this interview are running; this one waits until one has ended"))
        if start - self._others_since > self.settings.deadline_s:
            raise RateLimited(
                "not sent: other calls of this interview have been running all the time; try again later",
                outcome="not_sent",
                retryable=False,
            )
        if self._place is not None:
            self._place.end()  # its turn at the service goes to somebody else
        await asyncio.sleep(pause.seconds)
        self._deadline += time.monotonic() - start
        await self._admitted()

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

    def _time_left(self) -> float:
        return self._deadline - time.monotonic()


def _nobody(item: Piece | Notice) -> None:
    """Take what nobody reads any more."""
