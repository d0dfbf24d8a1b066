"""One turn, one direction: count, plan, hold, send, settle.

Runs on the background loop. Each attempt has its own reservation and its own row; whatever way an
attempt ends, its reservation ends with it, in a ledger write that a cancellation cannot cut short.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ib_kernel import prices
from ib_kernel.admission import Plan, plan_turn, refused
from ib_kernel.errors import BudgetRefused, ClientError, StreamBroken, TimedOut
from ib_kernel.events import AfterCall, BeforeCall, BudgetWarning, CallFailed
from ib_kernel.loop import to_end
from ib_kernel.meter import CapMeter
from ib_kernel.models import ModelInfo
from ib_kernel.protocols import (
    CallEnd,
    CallStart,
    ChatRequest,
    Count,
    Done,
    LedgerEvent,
    LLMClient,
    Message,
    Piece,
    Refusal,
    Reservation,
    Session,
    Totals,
    Usage,
)
from ib_kernel.retry import retrying
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
    created: int = 0
    stopped: bool = False
    warning: float | None = None


@dataclass
class _Attempt:
    """The state of one attempt, from its hold to its row."""

    number: int
    plan: Plan
    reservation: Reservation
    before: Totals
    started: float
    first_piece: float | None = None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Turn:
    """Runs one turn. *emit* gets every `Piece` and `Notice` as it comes, on the loop's thread."""

    def __init__(
        self,
        service: TokenService,
        client: LLMClient,
        ask: TurnRequest,
        emit: Callable[[Piece | Notice], None],
    ) -> None:
        self.service, self.client, self.ask, self.emit = service, client, ask, emit
        self.settings, self.store = service.settings, service.store
        self.count = Count(0)
        self.turn = 0
        self.partial: TurnResult | None = None
        self._attempt: _Attempt | None = None
        self._deadline = time.monotonic() + self.settings.deadline_s

    async def run(self) -> TurnResult:
        """Run to the end and return the result.

        Raises what refused or failed the turn; when cancelled, `partial` holds the result of what had
        arrived (None when nothing had).
        """
        try:
            return await self._attempts()
        except ClientError as error:
            if self._attempt is not None:
                await self._tell_failed(error, None)
            raise

    async def _attempts(self) -> TurnResult:
        body = self.client.body(self.ask.request)
        model = self.ask.model.counts_as or self.ask.model.name
        self.count, cancelled = await to_end(lambda: self.service.counter.count_request(body, model))
        if cancelled:
            raise asyncio.CancelledError
        log.debug("turn counts %d prompt tokens (exact=%s)", self.count.tokens, self.count.exact)
        retrier = retrying(self.settings, self._has_started, self._time_left, self._before_wait)
        async for attempt in retrier:
            with attempt:
                result = await self._one_attempt(attempt.retry_state.attempt_number)
        return result

    # --- one attempt

    async def _one_attempt(self, number: int) -> TurnResult:
        attempt = self._attempt = await self._hold(number)
        async with self._heartbeat(attempt.reservation):
            try:
                done = await self._receive(attempt)
            except asyncio.CancelledError:
                self.partial = await self._stopped(attempt)
                raise
            except BaseException as error:
                await self._failed(attempt, error)
                raise
            return await self._settle(
                attempt, self._end_of(attempt, done), stopped=done.finish_reason == "cap"
            )

    async def _hold(self, number: int) -> _Attempt:
        for chance in (1, 2):
            totals, cancelled = await to_end(lambda: self.store.totals(self.ask.session.session_id))
            if cancelled:
                raise asyncio.CancelledError
            plan = plan_turn(
                self.count,
                self.ask.model,
                left=totals.left,
                budget=totals.token_budget,
                asked=self.ask.request.max_completion_tokens,
                explicit=self.ask.explicit,
                minimum=self.settings.min_reply_tokens,
                n=self.ask.request.n,
            )
            self.turn = totals.turns + 1
            held, cancelled = await to_end(lambda plan=plan: self._reserve(plan, number))  # type: ignore[misc]
            if isinstance(held, Reservation):
                if cancelled:
                    await to_end(lambda held=held: self.store.release(held.reservation_id))  # type: ignore[misc]
                    raise asyncio.CancelledError
                return _Attempt(number, plan, held, totals, time.monotonic())
            if held.reason != "budget" or chance == 2:
                raise refused(held, plan, totals)
        raise AssertionError("unreachable")

    def _reserve(self, plan: Plan, number: int) -> Reservation | Refusal:
        nano = 0
        if self.ask.session.budget_nano_usd is not None:
            worst = prices.worst_case(self.ask.model.name, plan.prompt, plan.n * plan.cap)
            if worst is None:
                raise BudgetRefused(
                    f"not sent. The session has a money budget and no price is known for {self.ask.model.name}."
                )
            nano = worst
        call = CallStart(
            turn=self.turn,
            attempt=number,
            client=self.client.name,
            model=self.ask.request.model,
            counted_tokens=self.count.tokens,
            counted_exact=self.count.exact,
            prompt_version=self.ask.session.prompt_version,
        )
        held = self.service.reserve(
            self.ask.session.session_id, plan.tokens, lease_s=self.settings.lease_s, nano_usd=nano, call=call
        )
        if held:
            event = BeforeCall(**self._facts(number), counted=self.count, held_tokens=plan.tokens)
            self.service.plugins.tell("ib_before_call", event)
        return held

    async def _receive(self, attempt: _Attempt) -> Done:
        request = dataclasses.replace(self.ask.request, max_completion_tokens=attempt.plan.cap)
        meter = CapMeter(attempt.plan.cap, self._count_text)
        async with contextlib.AsyncExitStack() as stack:
            opening = stack.enter_async_context(self.client.stream(self.client.body(request)))
            stream = await self._in_time(opening, attempt)
            while True:
                event = await self._in_time(anext(stream), attempt)
                if isinstance(event, Done):
                    return event
                if attempt.first_piece is None:
                    attempt.first_piece = time.monotonic()
                piece = meter.take(event.text)
                attempt.pieces.append(piece)
                self.emit(Piece(piece))
                if meter.full:
                    return Done("cap")

    async def _in_time(self, step: Awaitable[T], attempt: _Attempt) -> T:
        """Await *step*; raise `TimedOut` when the first piece, a further one or the end is late."""
        limit = self.settings.gap_s
        if attempt.first_piece is None:
            limit = self.settings.first_piece_s - (time.monotonic() - attempt.started)
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
            raise StreamBroken(
                f"the client {self.client.name!r} ended its stream without a result."
            ) from None

    # --- how an attempt ends

    async def _stopped(self, attempt: _Attempt) -> TurnResult | None:
        """End an attempt that we closed: counted after the first piece, in doubt before it."""
        if attempt.first_piece is None:
            await to_end(
                lambda: self.store.doubt(attempt.reservation.reservation_id, "stopped before the first piece")
            )
            return None
        return await self._settle(attempt, self._end_of(attempt, Done("stopped")), stopped=True)

    async def _failed(self, attempt: _Attempt, error: BaseException) -> None:
        """End an attempt that failed: charged as in doubt, for its prompt, or not at all."""
        outcome = error.outcome if isinstance(error, ClientError) else "unknown"
        name, rid = type(error).__name__, attempt.reservation.reservation_id

        def work() -> None:
            if outcome == "unknown":
                messages = self._messages(attempt, partial=True) if attempt.pieces else ()
                self.store.doubt(rid, name, messages=messages)
            elif outcome == "prompt_billed":
                self.store.settle(rid, self._price(self._failed_end(attempt, name, self.count.tokens)))
            else:
                self.store.release(rid, self._failed_end(attempt, name, 0))

        await to_end(work)
        log.info("call failed: %s (%s)", name, outcome)

    def _failed_end(self, attempt: _Attempt, error: str, prompt: int) -> CallEnd:
        source = "counted" if prompt else "api"
        return CallEnd(prompt, 0, source=source, error=error, latency_ms=_ms(attempt.started))  # type: ignore[arg-type]

    def _end_of(self, attempt: _Attempt, done: Done) -> CallEnd:
        """Turn what arrived into the row: the service's usage when there is one, else our own figures."""
        usage, source = done.usage, "api"
        if usage is None:
            usage, source = self._own_figures(attempt, done)
        return CallEnd(
            usage.input_tokens,
            usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            source=source,  # type: ignore[arg-type]
            model_returned=done.model,
            finish_reason=done.finish_reason,
            response_id=done.response_id,
            latency_ms=_ms(attempt.started),
            first_piece_ms=_ms(attempt.started, attempt.first_piece),
            raw_usage=json.dumps(dataclasses.asdict(done.usage)) if done.usage else None,
        )

    def _own_figures(self, attempt: _Attempt, done: Done) -> tuple[Usage, str]:
        """Count what the service did not report; hidden tokens make the held bound the only safe figure."""
        prompt = self.count.tokens if self.count.exact else attempt.plan.prompt
        hidden = self.ask.model.reasoning or attempt.plan.n > 1
        if hidden and done.finish_reason not in ("stopped", "cap"):
            return Usage(attempt.plan.prompt, attempt.plan.n * attempt.plan.cap), "upper_bound"
        return Usage(prompt, self._count_text(attempt.text)), "counted"

    async def _settle(self, attempt: _Attempt, end: CallEnd, *, stopped: bool) -> TurnResult:
        rid, session_id = attempt.reservation.reservation_id, self.ask.session.session_id

        def work() -> tuple[CallEnd, Totals, float | None]:
            priced = self._price(end)
            messages = self._messages(attempt, partial=stopped)
            self.store.settle(rid, priced, messages=messages)
            totals = self.store.totals(session_id)
            self._log_settled(priced, totals)
            self._tell_after(attempt, priced, totals)
            return priced, totals, self._warn(attempt.before, totals)

        (priced, totals, warning), _ = await to_end(work)  # settled: a stop that came meanwhile is too late
        return TurnResult(
            attempt.text,
            self.turn,
            priced,
            totals,
            attempt.plan,
            self.count,
            self.ask.model,
            self.client.name,
            created=int(time.time()),
            stopped=stopped,
            warning=warning,
        )

    def _price(self, end: CallEnd) -> CallEnd:
        usage = Usage(end.input_tokens, end.output_tokens, end.cached_tokens, end.reasoning_tokens)
        if self.ask.model.counts_as:  # nobody bills it
            return end
        price = prices.price_call(end.model_returned or self.ask.model.name, usage)
        if price.nano_usd is None:
            price = prices.price_call(self.ask.model.name, usage)
        return dataclasses.replace(end, cost_nano_usd=price.nano_usd, price_source=price.source)

    def _messages(self, attempt: _Attempt, *, partial: bool) -> tuple[Message, ...]:
        now = time.time()
        reply = Message(self.turn, "assistant", attempt.text, now, partial)
        return (dataclasses.replace(self.ask.question, turn=self.turn, created_at=now), reply)

    # --- telling

    def _tell_after(self, attempt: _Attempt, end: CallEnd, totals: Totals) -> None:
        event = AfterCall(**self._facts(attempt.number), end=end, totals=totals)
        self.service.plugins.tell("ib_after_call", event)

    async def _tell_failed(self, error: ClientError, retry_in_s: float | None) -> None:
        event = CallFailed(
            **self._facts(self._attempt.number if self._attempt else 1),
            error=type(error).__name__,
            message=str(error),
            outcome=error.outcome,
            retry_in_s=retry_in_s,
        )
        await to_end(lambda: self.service.plugins.tell("ib_call_failed", event))

    async def _before_wait(self, error: ClientError, seconds: float) -> None:
        self.emit(Notice(f"{type(error).__name__}: trying again in {seconds:.1f} s…"))
        await self._tell_failed(error, seconds)

    def _facts(self, number: int) -> Mapping[str, Any]:
        return {
            "session_id": self.ask.session.session_id,
            "turn": self.turn,
            "attempt": number,
            "client": self.client.name,
            "model": self.ask.request.model,
        }

    def _warn(self, before: Totals, after: Totals) -> float | None:
        passed = [
            level for level in self.settings.warn_at if before.used < level * after.token_budget <= after.used
        ]
        if not passed:
            return None
        level = passed[-1]
        log.warning("session %s has used %.0f %% of its budget", self.ask.session.session_id, 100 * level)
        event = LedgerEvent(
            self.ask.session.session_id, "budget_warning", time.time(), detail={"level": level}
        )
        self.store.add_event(event)
        self.service.plugins.tell(
            "ib_budget_warning", BudgetWarning(self.ask.session.session_id, level, after)
        )
        return level

    def _log_settled(self, end: CallEnd, totals: Totals) -> None:
        log.info(
            "turn %d settled: %d in + %d out (%s), %d of %d left",
            self.turn,
            end.input_tokens,
            end.output_tokens,
            end.source,
            totals.left,
            totals.token_budget,
        )

    # --- small things

    def _count_text(self, text: str) -> int:
        model = self.ask.model.counts_as or self.ask.model.name
        return self.service.counter.count_text(text, model).tokens

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
                await asyncio.to_thread(
                    self.store.renew, [reservation.reservation_id], lease_s=self.settings.lease_s
                )

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()


def _ms(start: float, end: float | None = None) -> float:
    return round(((time.monotonic() if end is None else end) - start) * 1000, 3)
