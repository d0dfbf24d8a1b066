"""One turn at a host: asked under an id of its own, so that a broken line asks nothing twice.

It stands in for `ib_kernel.turn.turn.Turn` behind a `Reply`: `run` reads the reply to its end, through as
many connections as it takes; a cancellation stops the turn at the host and takes what has come of it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from ib_kernel.errors import BuddyError, ClientError, NotConnected, StoreError
from ib_kernel.remote.connection import ANSWER_S, Connection, async_events, error_from, parse_object
from ib_kernel.remote.places import Place
from ib_kernel.text import cut, plain
from ib_kernel.turn.receiving import Notice
from ib_kernel.values import CallEnd, Piece, Reservation, Totals
from ib_kernel.values.wire import read

if TYPE_CHECKING:
    from ib_kernel.remote.state import State

GIVE_UP_S = 120.0
"""Seconds without any line to the host after which the turn is left to it; the reply is kept there."""

WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between two tries to reach the host again; the last is repeated."""

STOP_S = 10.0
"""Seconds that the end of a stopped turn is waited for."""

MAX_REPLY = 4_000_000
"""Characters of a reply at most."""


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """How a turn at a host ended; the fields are those of `TurnResult` that a notebook reads.

    `footer` and `stop_line` are the host's own lines.
    """

    text: str
    turn: int
    totals: Totals
    end: CallEnd
    footer: str
    client: str = ""
    model: str = ""
    created: int = 0
    stopped: bool = False
    turns_left: int | None = None
    time_left_s: float | None = None
    history_from_turn: int | None = None
    warnings: tuple[str, ...] = ()
    stop_line: str = ""
    why: str = ""

    def __repr__(self) -> str:
        """Return the reply and its figures."""
        return f"{plain(self.text)}\n\n[{self.footer}]"


class RemoteTurn:
    """Runs one turn at a host. *emit* gets every `Piece` and `Notice` as it comes, on the loop's thread."""

    draining = False
    reservation: Reservation | None = None

    def __init__(
        self,
        connection: Connection,
        question: Mapping[str, Any],
        emit: Callable[[Piece | Notice], None],
        state: State,
    ) -> None:
        self.partial: RemoteResult | None = None
        self._connection, self._question, self._emit, self._state = connection, question, emit, state
        self._request_id = f"t-{secrets.token_urlsafe(16)}"
        self._text = ""

    async def run(self) -> RemoteResult:
        """Run to the end and return the result, or raise what refused or failed the turn."""
        try:
            return await self._to_its_end()
        except asyncio.CancelledError:
            self.partial = await self._stopped()
            raise

    async def _to_its_end(self) -> RemoteResult:
        lost_at, tries = None, 0
        while True:
            before, place = len(self._text), self._connection.places.now
            try:
                result = await self._read()
                if result is not None:
                    return result
            except (httpx2.HTTPError, OSError) as error:
                lost = self._connection.lost(place, error)
            except NotConnected as error:  # its certificate could not be compared
                if not error.retryable:
                    raise
                lost = error
            else:
                lost = NotConnected(f"the host {place.address} ended its stream early")
            elsewhere = self._connection.places.leave(place)
            now = time.monotonic()
            if lost_at is None or len(self._text) > before:
                lost_at, tries = now, 0
            if now - lost_at > GIVE_UP_S:
                raise NotConnected(
                    f"{lost} The reply goes on without you: %interview transcript shows it later.",
                    outcome="unknown",
                )
            next_one = "going on at another" if elsewhere else f"trying again for {GIVE_UP_S:.0f} s"
            self._emit(Notice(f"the line to the host broke; {next_one}…"))
            await asyncio.sleep(WAITS_S[min(tries, len(WAITS_S) - 1)])
            tries += 1

    async def _read(self) -> RemoteResult | None:
        """Read one connection; None when it ended before the turn did."""
        place, client = await self._connection.aline()
        headers = {"Idempotency-Key": self._request_id, "Last-Event-ID": str(len(self._text))}
        timeout = self._connection.stream_timeout()
        async with client.stream(
            "POST", "/v1/turns", json=dict(self._question), headers=headers, timeout=timeout
        ) as response:
            if response.status_code != 200:
                await self._refused(place, response)
                return None
            async for event in async_events(response):
                if event.kind == "piece":
                    self._take(str(parse_object(event.data).get("text", "")))
                elif event.kind == "notice":
                    line = str(parse_object(event.data).get("text", ""))
                    self._emit(Notice(cut(line, 500)))
                elif event.kind == "end":
                    return self._result(parse_object(event.data))
                elif event.kind == "error":
                    raise error_from(parse_object(event.data))
        return None

    async def _refused(self, place: Place, response: httpx2.Response) -> None:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk[: 100_000 - len(body)]
        error = self._connection.error_of(place, response.status_code, bytes(body))
        if response.status_code in (502, 503, 504) and not isinstance(error, (ClientError, StoreError)):
            return  # a proxy whose host is away for a moment
        raise error

    def _take(self, piece: str) -> None:
        if piece and len(self._text) < MAX_REPLY:
            self._text += piece
            self._emit(Piece(piece))

    def _result(self, value: Mapping[str, Any]) -> RemoteResult:
        totals = read(Totals, value.get("totals"))
        self._state.take_totals(totals)
        end = read(CallEnd, value["end"]) if isinstance(value.get("end"), Mapping) else CallEnd(0, 0)
        turn, time_left = value.get("turn"), value.get("time_left_s")
        return RemoteResult(
            text=self._text,
            turn=turn if isinstance(turn, int) else 0,
            totals=totals,
            end=end,
            footer=cut(str(value.get("footer", "")), 1_000),
            client=cut(str(value.get("client", "")), 100),
            model=cut(str(value.get("model", "")), 200),
            stopped=value.get("stopped") is True,
            turns_left=_whole(value.get("turns_left")),
            time_left_s=float(time_left) if isinstance(time_left, (int, float)) else None,
            history_from_turn=_whole(value.get("history_from_turn")),
            warnings=_lines(value.get("warnings")),
            stop_line=cut(str(value.get("stop_line", "")), 1_000),
            why=cut(str(value.get("why", "")), 500),
        )

    async def _stopped(self) -> RemoteResult | None:
        """Stop the turn, at whichever host answers, and read what has come of it."""
        path = f"/v1/turns/{self._request_id}/stop"
        try:
            async with asyncio.timeout(STOP_S):
                for _ in range(len(self._connection.places)):
                    place, client = await self._connection.aline()
                    try:
                        await client.post(path, json={}, timeout=ANSWER_S)
                        break
                    except (httpx2.HTTPError, OSError):
                        self._connection.places.leave(place)
                return await self._read()
        except (BuddyError, httpx2.HTTPError, OSError, TimeoutError):
            return None


def _lines(value: Any) -> tuple[str, ...]:
    return tuple(cut(str(line), 500) for line in value[:5]) if isinstance(value, list) else ()


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
