"""One call of a candidate's tool, from its place to its row: admitted, held, passed on, settled.

The steps are those of a turn (`ib_kernel.turn.turn`), each attempt with its own reservation and its own row;
the answer's bytes go to the client as they come. A write to the ledger is queued before anything is awaited,
so that no cancellation leaves an attempt half-ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from ib_kernel.errors import BudgetRefused, ClientError, SessionInactive
from ib_kernel.host.gateway.admission import CLIENT, Admission
from ib_kernel.host.gateway.asked import AskedFor
from ib_kernel.host.gateway.errors import answer_to
from ib_kernel.host.gateway.reading import RestingReader
from ib_kernel.host.gateway.relay import Meter, Relay
from ib_kernel.host.gateway.running import RunningCall
from ib_kernel.host.gateway.upstream import from_transport, read_whole
from ib_kernel.host.gateway.veil import veiled
from ib_kernel.host.gateway.wire import Answer
from ib_kernel.host.pacing import PacedCall
from ib_kernel.turn.notify import Notifier
from ib_kernel.turn.reservation import RUNNING_LOOK_S
from ib_kernel.turn.retry import Retries
from ib_kernel.turn.usage import Attempt
from ib_kernel.values import Done, Message
from ib_kernel.values.passage import PassingAnswer

if TYPE_CHECKING:
    from starlette.types import Send

    from ib_kernel.host.gateway.gateway import Gateway
    from ib_kernel.host.gateway.known import Known

DRAIN_S = 0.1
"""Seconds to wait for the end of a complete answer, so that its connection can be used again."""

STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
WHOLE = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class GatewayCall:
    """Runs one call. `run` answers the client, whatever happens; it raises only when it is cancelled."""

    def __init__(self, gateway: Gateway, known: Known, asked: AskedFor, send: Send) -> None:
        self._gateway, self._known, self._asked, self._send = gateway, known, asked, send
        session = self._session = known.session
        self._passage = known.passage
        self._service, self._settings = gateway.service, gateway.service.settings
        self._session_id = session.session_id
        self.running = RunningCall(self._session_id, stream=asked.stream)
        self._started = False
        self._counted: dict[str, Any] = {}
        self._reply = 0
        self._whole = b""
        self._answer: PassingAnswer | None = None
        self._deadline = time.monotonic() + self._settings.deadline_s

    @functools.cached_property
    def _notify(self) -> Notifier:
        """Tells plugins, and the ledger of refusals; most calls tell nobody."""
        return Notifier(self._service, self._session_id, CLIENT, self._asked.model, self._settings.warn_at)

    async def run(self, size: int) -> None:
        """Serve a request of *size* bytes to its end."""
        gateway = self._gateway
        gateway.running.add(self.running)
        try:
            gateway.quota.require(self._session_id)
            async with gateway.pacing.place(self._session_id) as place:
                await self._admitted(place, size)
            if not self._asked.stream:
                length = str(len(self._whole)).encode()
                await self._send_start([*WHOLE, (b"content-length", length)])
            await self._close(self._whole)
        except asyncio.CancelledError:
            why = self.running.why
            if why is None and not self.running.left:
                raise
            _uncancel()
            if why is not None:
                await self._fail(why)
        except (BudgetRefused, SessionInactive) as refusal:
            await asyncio.to_thread(self._notify.refused, refusal)
            await self._fail(refusal)
        except Exception as error:  # noqa: BLE001 - each becomes one line for the client
            gateway.log_unexpected(error)
            await self._fail(error)
        finally:
            gateway.running.remove(self.running)

    async def _admitted(self, place: PacedCall, size: int) -> None:
        known = self._known
        admission = Admission(self._service, self._session, self._asked, known.model, known.recorder)
        self._reply = admission.reply
        self._counted = self._asked.body(known.passage, admission.reply)
        await admission.count_request(self._counted, size)
        try:
            await self._attempt(1, place, admission)
        except ClientError as error:
            await self._again(error, place, admission)
        self._gateway.pacing.retries.earn()

    async def _again(self, first: ClientError, place: PacedCall, admission: Admission) -> None:
        """Try again where that can help, by the engine's rules; what failed was the first attempt."""
        retries = Retries(
            self._settings,
            self._gateway.pacing.retries,
            self._has_begun,
            lambda: self._deadline - time.monotonic(),
            self._told,
            asyncio.sleep,
            queued=True,
        )
        async for attempt in retries.retrier():
            with attempt:
                number = attempt.retry_state.attempt_number
                if number == 1:
                    raise first
                await self._attempt(number, place, admission)

    # --- one attempt

    async def _attempt(self, number: int, place: PacedCall, admission: Admission) -> None:
        bound = (admission.count.upper or admission.count.tokens) + admission.reply * self._asked.n
        await place.admit(self._asked.model, bound)

        async def others_run() -> None:
            place.end()  # its turn at the service goes to somebody else
            await asyncio.sleep(RUNNING_LOOK_S)
            await place.admit(self._asked.model, bound)

        before = self._known.totals
        with_money = self._gateway.holds_money(self._session)
        attempt = await admission.reserve(number, before, others_run, with_money=with_money)
        running = self.running
        running.reservation = attempt.reservation
        running.sent_at, running.written = None, False
        try:
            if self._gateway.observers.any:
                await self._gateway.observers.before(self._session_id, self._notify, number, attempt)
            running.sent_at = running.last_sign = time.monotonic()
            done = await self._passed_on(attempt, place)
        except asyncio.CancelledError:
            place.end()
            if not running.written:
                await self._service.arelease(attempt.reservation)
            elif isinstance(running.why, ClientError):  # too late: as the engine's own deadlines end it
                await self._failed(attempt, running.why)
            else:
                await self._stopped(attempt)
            raise
        except BaseException as error:
            problem = error if isinstance(error, ClientError) else from_transport(error)
            await self._failed(attempt, problem)
            await place.failed(problem)
            raise
        finally:
            running.reservation = None
        place.answered()
        await self._settle(attempt, done, partial=done.finish_reason == "cap")

    async def _passed_on(self, attempt: Attempt, place: PacedCall) -> Done:
        body = self._counted
        if attempt.plan.cap != self._reply:
            body = self._asked.body(self._passage, attempt.plan.cap)
        answer = self._answer = self._passage.answer(self._asked.api)
        attempt.pieces, attempt.reasoning = answer.pieces, answer.others
        came = await self._gateway.upstream.post(self._passage, self._asked.api, body, self.running.wrote)
        try:
            self.running.last_sign = time.monotonic()
            place.heard(self._limits(came.headers))
            if self._asked.stream:
                return await self._stream(attempt, answer, came)
            self._whole = veiled(await read_whole(came))
            answer.whole(self._whole)
            attempt.first_piece = time.monotonic()
            return answer.done()
        finally:
            came.release()

    async def _stream(self, attempt: Attempt, answer: PassingAnswer, came: Answer) -> Done:
        meter = Meter(answer, attempt.plan.cap * self._asked.n, self._known.recorder.count_text)
        relay = Relay(answer, meter, drop_usage=not self._asked.wants_usage)
        running = self.running
        problem: ClientError | None = None
        try:
            reader = RestingReader(came, self._gateway.running)
            while chunk := await reader.read():
                running.last_sign = time.monotonic()
                out = relay.take(chunk)
                if attempt.first_piece is None and (answer.pieces or answer.others):
                    attempt.first_piece, running.began = running.last_sign, True
                if out:
                    await self._body(out)
                if relay.cut:
                    return Done("cap")
                if answer.complete:
                    break
            rest = relay.rest()
            if rest:
                await self._body(rest)
        except aiohttp.ClientError as error:
            problem = from_transport(error)
        if problem is not None and not answer.finished:
            raise answer.lost(problem)
        if problem is None and not came.whole:
            await _drained(came)
        return answer.done()

    def _limits(self, told: Mapping[str, str]) -> Any:
        if "x-ratelimit-remaining-requests" not in told and "x-ratelimit-remaining-tokens" not in told:
            return None
        return self._passage.rate_limits(told)

    # --- how an attempt ends

    async def _stopped(self, attempt: Attempt) -> None:
        """End an attempt that was closed here: counted after the first piece, unresolved before it."""
        if attempt.first_piece is not None:
            await self._settle(attempt, Done("stopped"), partial=True)
        else:
            await self._service.amark_unresolved(attempt.reservation, "stopped before the first piece")

    async def _failed(self, attempt: Attempt, error: ClientError) -> None:
        name, reservation, recorder = type(error).__name__, attempt.reservation, self._known.recorder
        reported = recorder.reported(attempt, error)
        messages = self._messages(attempt, partial=True) if attempt.pieces else ()
        if reported is not None:
            await self._service.asettle_call(reservation, reported, messages=messages)
        elif error.outcome == "unknown":
            await self._service.amark_unresolved(reservation, name, messages=messages)
        elif error.outcome == "prompt_billed":
            billed = recorder.failed(attempt, name, prompt_billed=True)
            await self._service.asettle_call(reservation, billed)
        else:
            await self._service.arelease(reservation, recorder.failed(attempt, name, prompt_billed=False))
        await self._rejected(attempt)

    async def _settle(self, attempt: Attempt, done: Done, *, partial: bool) -> None:
        end = self._known.recorder.ended(attempt, done)
        messages = self._messages(attempt, partial=partial)
        await self._service.asettle_call(attempt.reservation, end, messages=messages)
        self._gateway.quota.add(self._session_id, messages)
        await self._rejected(attempt)
        if self._gateway.observers.any:
            await self._gateway.observers.after(self._session_id, self._notify, attempt, end)

    async def _rejected(self, attempt: Attempt) -> None:
        if attempt.problems:
            await asyncio.to_thread(self._notify.usage_rejected, attempt)

    def _messages(self, attempt: Attempt, *, partial: bool) -> tuple[Message, ...]:
        question = self._asked.question
        said = attempt.text or "".join(attempt.reasoning)
        reply = Message(0, "gateway_assistant", said, time.time(), partial, question.asked_at)
        return (question, reply)

    async def _told(self, error: ClientError, seconds: float) -> None:
        if self._gateway.observers.any:
            await asyncio.to_thread(self._notify.failed, 0, error, seconds)

    def _has_begun(self) -> bool:
        answer = self._answer
        return self._started or (answer is not None and bool(answer.pieces or answer.others))

    # --- to the client

    async def _send_start(self, headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _body(self, data: bytes) -> None:
        if not self._started:
            await self._send_start(STREAM)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _close(self, last: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def _fail(self, error: BaseException) -> None:
        """Tell the client, as an answer or, in a stream that has begun, as its last event."""
        answered = answer_to(error)
        with contextlib.suppress(OSError):
            if self._started:
                await self._body(answered.event(self._asked.api))
            else:
                await self._send_start(answered.headers(), answered.status)
                await self._body(answered.body())
            await self._close()


async def _drained(came: Answer) -> None:
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(DRAIN_S):
            while await came.read():
                pass


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        while task.cancelling():
            task.uncancel()
