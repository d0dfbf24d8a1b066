"""Turns that run in this process: each is read to its end whoever listens, and kept while it grows.

A turn belongs to the host, not to a connection: a candidate whose line breaks comes back with the same
request id and the number of characters already seen. What has come of the reply is stored every `KEEP_S`
seconds at the least, so that a host that dies loses no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from ib_kernel.errors import BuddyError, RepeatedRequest, Stopped
from ib_kernel.host.answers import error_value
from ib_kernel.host.outcome import outcome_value, told
from ib_kernel.host.withhold import PrivateText, Withholder
from ib_kernel.values import LedgerEvent
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.turn.reply import Reply
    from ib_kernel.values import Reservation

log = logging.getLogger(__name__)

KEEP_S = 0.2
"""Seconds between two writes of a growing reply at most."""


@dataclass(slots=True)
class Sent:
    """One event for a listener; `at` is how many characters of the reply have been sent with it."""

    kind: str
    data: dict[str, Any]
    at: int


@dataclass(eq=False)
class RunningTurn:
    """One turn of this process, whose reply repeats nothing of *private*.

    `text` is what may be sent on so far, `end` the last event once there is.
    """

    session_id: str
    request_id: str
    body_sha: str
    reply: Reply
    question: str
    private: PrivateText
    asked_at: float = field(default_factory=time.time)
    text: str = ""
    notices: list[str] = field(default_factory=list)
    end: Sent | None = None
    why_stopped: str = ""
    repeated: RepeatedRequest | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _kept: str | None = None

    @property
    def turn(self) -> int:
        """The turn's number; 0 until the ledger has given one."""
        reservation = self.reply.reservation
        return reservation.turn if reservation is not None else 0

    def stop(self, why: str = "") -> None:
        """End the turn: its upstream is closed, and what has come is settled."""
        self.why_stopped = self.why_stopped or why
        self.reply.stop()

    def announce(self) -> None:
        """Wake whoever listens."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def news(self, seconds: float) -> bool:
        """Wait for anything new; False when *seconds* have passed without."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
                return True
        return False

    async def follow(self, at: int, pulse_s: float) -> AsyncIterator[Sent]:
        """Yield pieces from character *at* on, notices, a pulse when nothing comes, and the end."""
        shown = 0
        while True:
            news = self._news
            while shown < len(self.notices):
                yield Sent("notice", {"text": self.notices[shown]}, at)
                shown += 1
            if at < len(self.text):
                piece, at = self.text[at:], len(self.text)
                yield Sent("piece", {"text": piece}, at)
            elif self.end is not None:
                yield self.end
                return
            elif news is self._news and not await self.news(pulse_s):
                yield Sent("wait", {}, at)


class RunningTurns:
    """The turns of this process, by session and request id."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._turns: dict[tuple[str, str], RunningTurn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, session_id: str, name: str) -> RunningTurn | None:
        """Return the session's turn with that request id or number."""
        found = self._turns.get((session_id, name))
        if found is not None:
            return found
        return next((t for t in self.of(session_id) if t.turn and str(t.turn) == name), None)

    def of(self, session_id: str) -> list[RunningTurn]:
        """Return the turns of a session that have not ended."""
        return [turn for (owner, _), turn in self._turns.items() if owner == session_id and turn.end is None]

    def sessions(self) -> set[str]:
        """Return the sessions that have a running turn."""
        return {owner for (owner, _), turn in self._turns.items() if turn.end is None}

    def stop(self, session_id: str, why: str) -> int:
        """Stop the session's turns and return how many there were."""
        turns = self.of(session_id)
        for turn in turns:
            turn.stop(why)
        return len(turns)

    def start(self, turn: RunningTurn) -> None:
        """Begin to read *turn* to its end, as soon as it has one of its session's places."""
        self._turns[turn.session_id, turn.request_id] = turn
        task = asyncio.create_task(self._run(turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what runs and wait until each turn has ended in the ledger."""
        for turn in list(self._turns.values()):
            if turn.end is None:
                turn.stop("the host was stopped")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=20)

    async def _run(self, turn: RunningTurn) -> None:
        keeper = asyncio.create_task(self._keep(turn))
        try:
            turn.end = await self._to_its_end(turn)
        except Exception as error:  # noqa: BLE001 - whoever listens must hear of an end
            turn.end = self._failed(turn, error)
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            with contextlib.suppress(BuddyError):
                await self._write_end(turn)
            turn.announce()
            asyncio.get_running_loop().call_later(60.0, self._forget, turn)
            if turn.reply.reservation is None:  # refused: nothing of it is remembered
                self._forget(turn)

    def _forget(self, turn: RunningTurn) -> None:
        if self._turns.get((turn.session_id, turn.request_id)) is turn:
            del self._turns[turn.session_id, turn.request_id]

    async def _to_its_end(self, turn: RunningTurn) -> Sent:
        holder = Withholder(turn.private)

        def take(piece: str) -> None:
            if piece:
                turn.text += piece
                turn.announce()

        def notice(line: str) -> None:
            turn.notices.append(line)
            turn.announce()

        turn.reply.on_notice = notice
        error: BaseException | None = None
        async with turn.reply as reply:
            try:
                async for piece in reply:
                    take(holder.take(piece))
                    if holder.withheld:
                        reply.stop()
            except RepeatedRequest as repeated:
                turn.repeated = repeated
                raise
            except BuddyError as failed:
                error = failed
        take(holder.flush())
        if holder.withheld:
            await run_in_threadpool(self._note_withheld, turn)
        if error is not None:
            return self._failed(turn, error)
        return await self._ended(turn)

    def _failed(self, turn: RunningTurn, error: BaseException) -> Sent:
        shown = told(error)
        if shown is not error:
            log.warning("a turn of session %s failed: %s", turn.session_id, error)
        return Sent("error", error_value(shown)[1], len(turn.text))

    async def _ended(self, turn: RunningTurn) -> Sent:
        reply, result = turn.reply, turn.reply.result
        if result is None:
            line = (turn.why_stopped and f"Stopped: {turn.why_stopped}. ") or ""
            return Sent("error", error_value(Stopped(f"{line}{reply.stop_line()}"))[1], len(turn.text))
        value = outcome_value(result, reply.footer, stop_line=str(reply.stop_line()), why=turn.why_stopped)
        value["totals"] = to_value(result.totals)
        return Sent("end", value, len(turn.text))

    def _note_withheld(self, turn: RunningTurn) -> None:
        event = LedgerEvent(turn.session_id, "withheld", 0.0, "ib host", {"turn": turn.turn})
        self._host.store.add_event(event)

    async def _keep(self, turn: RunningTurn) -> None:
        """Write what has come of the reply, at once when there is a reservation and then every `KEEP_S`."""
        while True:
            await turn.news(KEEP_S)
            reservation = turn.reply.reservation
            if reservation is not None and turn.text != turn._kept:
                await asyncio.shield(self._write(turn, reservation, turn.text))
            await asyncio.sleep(KEEP_S / 2)

    async def _write(self, turn: RunningTurn, reservation: Reservation, text: str) -> None:
        first = turn._kept is None
        asked = {"question": turn.question, "asked_at": turn.asked_at} if first else None
        try:
            await self._write_reply(reservation, text, result=asked)
            turn._kept = text
        except BuddyError as error:  # it is tried again with what has come by then
            log.warning("the reply of a running turn could not be kept: %s", error)

    async def _write_end(self, turn: RunningTurn) -> None:
        reservation, end = turn.reply.reservation, turn.end
        if reservation is None or end is None:
            return
        result = {"kind": end.kind, "data": end.data}
        await self._write_reply(reservation, turn.text, state="finished", result=result)

    async def _write_reply(self, reservation: Reservation, text: str, **more: Any) -> None:
        """Write, together with other turns' replies where the ledger can."""
        write = getattr(self._host.store, "awrite_reply", None)
        if write is not None:
            await write(reservation, text, **more)
        else:
            await run_in_threadpool(self._host.store.write_reply, reservation, text, **more)
