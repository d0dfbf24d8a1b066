"""One turn, one direction: count, plan, hold, send, settle.

Runs on the background loop. Each attempt has its own reservation and its own row; whatever way an
attempt ends, its reservation ends with it, in a ledger write that a cancellation cannot cut short.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ib_kernel.admission import Plan, plan_turn, refused
from ib_kernel.billing import Attempt, Biller
from ib_kernel.errors import BudgetRefused, ClientError, StreamBroken, TimedOut
from ib_kernel.loop import to_end
from ib_kernel.meter import CapMeter
from ib_kernel.models import ModelInfo
from ib_kernel.protocols import (
    CallEnd,
    CallStart,
    ChatRequest,
    Count,
    Done,
    LLMClient,
    Message,
    Piece,
    Refusal,
    Reservation,
    Session,
    Totals,
)
from ib_kernel.retry import retrying
from ib_kernel.telling import Teller
from ib_kernel.token_service import TokenService

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What one turn sends: `request` with the reply tokens asked for, `question` the message to keep.

    `explicit` says that the person named the reply's length: then it is never shrunk.
    """

    session: Session
    request: ChatRequest
    model: ModelInfo
    question: Message
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to show while waiting, such as an announced retry; not part of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended. `end` is the ledger's row, `totals` the session's sums after it.

    `billed` is false when nobody bills this client's tokens, so that our count is the final figure.
    `stopped` says that we ended it early; `warning` is the warning level that this turn reached, if any.
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
    warning: float | None = None


class Turn:
    """Runs one turn. *emit* gets every `Piece` and `Notice` as it comes, on the loop's thread.

    When the turn is cancelled, `partial` holds the result of what had arrived (None when nothing had).
    """

    def __init__(
        self,
        service: TokenService,
        client: LLMClient,
        ask: TurnRequest,
        emit: Callable[[Piece | Notice], None],
    ) -> None:
        self.service, self.client, self.ask, self.emit = service, client, ask, emit
        self.settings, self.store = service.settings, service.store
        self.partial: TurnResult | None = None
        self._counts_as = ask.model.counts_as or ask.model.name
        billed = getattr(client, "billed", True) and not ask.model.counts_as
        self._biller = Biller(ask.model, billed, self._count_text)
        self._tell = Teller(
            service.plugins,
            self.store,
            ask.session.session_id,
            client.name,
            ask.request.model,
            self.settings.warn_at,
        )
        self._attempt: Attempt | None = None
        self._deadline = time.monotonic() + self.settings.deadline_s

    async def run(self) -> TurnResult:
        """Run to the end and return the result, or raise what refused or failed the turn."""
        try:
            return await self._attempts()
        except ClientError as error:
            await self._told(error, None)
            raise

    async def _attempts(self) -> TurnResult:
        body = self.client.body(self.ask.request)
        count = await _uncancelled(lambda: self.service.counter.count_request(body, self._counts_as))
        log.debug("turn counts %d prompt tokens (exact=%s)", count.tokens, count.exact)
        retrier = retrying(self.settings, self._has_started, self._time_left, self._before_wait)
        async for attempt in retrier:
            with attempt:
                result = await self._one_attempt(attempt.retry_state.attempt_number, count)
        return result

    # --- one attempt

    async def _one_attempt(self, number: int, count: Count) -> TurnResult:
        attempt = self._attempt = await self._hold(number, count)
        async with self._heartbeat(attempt.reservation):
            try:
                done = await self._receive(attempt)
            except asyncio.CancelledError:
                self.partial = await self._stopped(attempt)
                raise
            except BaseException as error:
                await self._failed(attempt, error)
                raise
            return await self._settle(attempt, done)

    async def _hold(self, number: int, count: Count) -> Attempt:
        """Plan and hold; when another call took its share in between, plan once more."""
        for chance in (1, 2):
            totals = await _uncancelled(lambda: self.store.totals(self.ask.session.session_id))
            plan = plan_turn(
                count,
                self.ask.model,
                left=totals.left,
                budget=totals.token_budget,
                asked=self.ask.request.max_completion_tokens,
                explicit=self.ask.explicit,
                minimum=self.settings.min_reply_tokens,
                n=self.ask.request.n,
            )
            self._tell.turn = totals.turns + 1
            held, cancelled = await to_end(lambda plan=plan: self._reserve(plan, number, count))  # type: ignore[misc]
            if isinstance(held, Reservation):
                if cancelled:
                    await to_end(lambda held=held: self.store.release(held.reservation_id))  # type: ignore[misc]
                    raise asyncio.CancelledError
                return Attempt(number, plan, count, held, totals)
            if held.reason != "budget" or chance == 2:
                raise refused(held, plan, totals)
        raise AssertionError("unreachable")

    def _reserve(self, plan: Plan, number: int, count: Count) -> Reservation | Refusal:
        nano: int | None = 0
        if self.ask.session.budget_nano_usd is not None:
            nano = self._biller.worst_case(plan)
        if nano is None:
            raise BudgetRefused(
                f"not sent. The session has a money budget and no price is known for {self.ask.model.name}."
            )
        call = CallStart(
            turn=self._tell.turn,
            attempt=number,
            client=self.client.name,
            model=self.ask.request.model,
            counted_tokens=count.tokens,
            counted_exact=count.exact,
            prompt_version=self.ask.session.prompt_version,
        )
        held = self.service.reserve(
            self.ask.session.session_id, plan.tokens, lease_s=self.settings.lease_s, nano_usd=nano, call=call
        )
        if held:
            self._tell.before(number, count, plan.tokens)
        return held

    async def _receive(self, attempt: Attempt) -> Done:
        request = dataclasses.replace(self.ask.request, max_completion_tokens=attempt.plan.cap)
        meter = CapMeter(attempt.plan.cap, self._count_text)
        async with contextlib.AsyncExitStack() as stack:
            opening = stack.enter_async_context(self.client.stream(self.client.body(request)))
            stream = await self._in_time(opening, attempt)
            while True:
                event = await self._in_time(anext(stream), attempt)
                if isinstance(event, Done):
                    return event
                piece = meter.take(event.text)
                attempt.add(piece)
                self.emit(Piece(piece))
                if meter.full:
                    return Done("cap")

    async def _in_time(self, step: Awaitable[T], attempt: Attempt) -> T:
        """Await *step*; raise `TimedOut` when the first piece, a further one or the end is late."""
        waited = time.monotonic() - attempt.started
        limit = self.settings.first_piece_s - waited if attempt.first_piece is None else self.settings.gap_s
        try:
            async with asyncio.timeout(max(0.0, min(limit, self._time_left()))):
                return await step
        except TimeoutError:
            what = "no reply came" if attempt.first_piece is None else "the reply stalled and was given up"
            waited = time.monotonic() - attempt.started
            raise TimedOut(
                f"{what} after {waited:.0f} s; what it has cost is in doubt (see %budget)."
            ) from None
        except StopAsyncIteration:
            name = self.client.name
            raise StreamBroken(f"the client {name!r} ended its stream without a result.") from None

    # --- how an attempt ends

    async def _stopped(self, attempt: Attempt) -> TurnResult | None:
        """End an attempt that we closed: counted after the first piece, in doubt before it."""
        if attempt.first_piece is not None:
            return await self._settle(attempt, Done("stopped"))
        rid = attempt.reservation.reservation_id
        await to_end(lambda: self.store.doubt(rid, "stopped before the first piece"))
        return None

    async def _failed(self, attempt: Attempt, error: BaseException) -> None:
        """End an attempt that failed: charged as in doubt, for its prompt, or not at all."""
        outcome = error.outcome if isinstance(error, ClientError) else "unknown"
        name, rid = type(error).__name__, attempt.reservation.reservation_id

        def work() -> None:
            if outcome == "unknown":
                messages = self._messages(attempt, partial=True) if attempt.pieces else ()
                self.store.doubt(rid, name, messages=messages)
            elif outcome == "prompt_billed":
                self.store.settle(rid, self._biller.failed(attempt, name, prompt_billed=True))
            else:
                self.store.release(rid, self._biller.failed(attempt, name, prompt_billed=False))

        await to_end(work)

    async def _settle(self, attempt: Attempt, done: Done) -> TurnResult:
        stopped = done.finish_reason in ("stopped", "cap")

        def work() -> tuple[CallEnd, Totals, float | None]:
            end = self._biller.ended(attempt, done)
            messages = self._messages(attempt, partial=stopped)
            self.store.settle(attempt.reservation.reservation_id, end, messages=messages)
            totals = self.store.totals(self.ask.session.session_id)
            return end, totals, self._tell.after(attempt, end, totals)

        (end, totals, warning), _ = await to_end(work)  # settled: a stop that came meanwhile is too late
        return TurnResult(
            attempt.text,
            self._tell.turn,
            end,
            totals,
            attempt.plan,
            attempt.count,
            self.ask.model,
            self.client.name,
            created=done.created or int(time.time()),
            billed=self._biller.billed,
            stopped=stopped,
            warning=warning,
        )

    def _messages(self, attempt: Attempt, *, partial: bool) -> tuple[Message, ...]:
        now, turn = time.time(), self._tell.turn
        reply = Message(turn, "assistant", attempt.text, now, partial)
        return (dataclasses.replace(self.ask.question, turn=turn, created_at=now), reply)

    # --- small things

    async def _before_wait(self, error: ClientError, seconds: float) -> None:
        self.emit(Notice(f"{type(error).__name__}: trying again in {seconds:.1f} s…"))
        await self._told(error, seconds)

    async def _told(self, error: ClientError, retry_in_s: float | None) -> None:
        if (last := self._attempt) is not None:  # refused before anything was held: nothing failed
            await to_end(lambda: self._tell.failed(last.number, error, retry_in_s))

    def _count_text(self, text: str) -> int:
        return self.service.counter.count_text(text, self._counts_as).tokens

    def _has_started(self) -> bool:
        return self._attempt is not None and self._attempt.first_piece is not None

    def _time_left(self) -> float:
        return self._deadline - time.monotonic()

    @contextlib.asynccontextmanager
    async def _heartbeat(self, reservation: Reservation) -> AsyncIterator[None]:
        """Renew the lease while the attempt lives."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self.settings.lease_s / 3)
                ids, lease_s = [reservation.reservation_id], self.settings.lease_s
                await asyncio.to_thread(self.store.renew, ids, lease_s=lease_s)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()


async def _uncancelled(work: Callable[[], T]) -> T:
    """Run blocking *work* to its end, then pass on a cancellation that came meanwhile."""
    result, cancelled = await to_end(work)
    if cancelled:
        raise asyncio.CancelledError
    return result
