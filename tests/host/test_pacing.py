"""One key, many candidates: who goes when, and whose clock stands still meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ib_kernel.errors import BadRequest, NotConnected, RateLimited, ServerFailed
from ib_kernel.host import clock_stops, pacing, places
from ib_kernel.host.pacing import Pacing
from ib_kernel.host.rate_window import RateWindow
from ib_kernel.settings import Settings
from ib_kernel.values import RateLimits

MODEL = "gpt-5.4-mini"


@pytest.fixture
def given() -> list[tuple[str, float, str]]:
    """What was given back: session, seconds, reason."""
    return []


@pytest.fixture
def queue(settings: Settings, given: list[Any], monkeypatch: pytest.MonkeyPatch) -> Pacing:
    """A queue whose waits are short."""
    monkeypatch.setattr(clock_stops, "LEAST_S", 0.0)
    return Pacing(settings, lambda *what: given.append(what))


# --- places


def test_a_session_has_few_places_and_others_have_their_own(queue: Pacing) -> None:
    """The third call of a session waits for the first one's end, another session's does not."""
    order: list[str] = []

    async def call(name: str, session: str, gate: asyncio.Event) -> None:
        async with queue.place(session):
            order.append(name)
            await gate.wait()

    async def run() -> None:
        gates = {name: asyncio.Event() for name in ("a1", "a2", "a3", "b1")}
        tasks = [asyncio.create_task(call(name, name[0], gates[name])) for name in gates]
        await _until(lambda: len(order) == 3)
        assert order == ["a1", "a2", "b1"]
        gates["a2"].set()
        await _until(lambda: "a3" in order)
        for gate in gates.values():
            gate.set()
        await asyncio.gather(*tasks)
        assert queue.places.running("a") == 0

    asyncio.run(run())


def test_who_stops_waiting_for_a_place_leaves_none_taken(queue: Pacing) -> None:
    """Cancelled while waiting, or just as the place was given."""

    async def run() -> None:
        async with queue.place("a"), queue.place("a"):
            waiting = asyncio.create_task(_hold(queue, "a"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            late = asyncio.create_task(_hold(queue, "a"))
            await asyncio.sleep(0)
            queue.places.leave("a")  # given to the late one …
            late.cancel()  # … which leaves at the same moment
            await asyncio.gather(late, return_exceptions=True)
            await queue.places.take("a")
        assert queue.places.running("a") == 0

    asyncio.run(run())


def test_a_line_that_is_too_long_is_refused(queue: Pacing, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says how many run and wait; nothing was sent."""
    monkeypatch.setattr(places, "WAITING", 1)

    async def run() -> None:
        async with queue.place("a"), queue.place("a"):
            waiting = asyncio.create_task(_hold(queue, "a"))
            await asyncio.sleep(0)
            with pytest.raises(RateLimited, match="2 calls of this session run") as caught:
                await _hold(queue, "a")
            assert caught.value.outcome == "not_sent"
        await waiting

    asyncio.run(run())


# --- the queue


def test_nobody_starves_on_a_limited_key(queue: Pacing) -> None:
    """100 candidates, one of them greedy, a service that takes a few at a time: all are answered in turn."""
    answered: list[str] = []
    window = 5

    async def call(session: str) -> None:
        async with queue.place(session) as place:
            await place.admit(MODEL, 10)
            place.heard(
                RateLimits(limit_requests=window, remaining_requests=0, reset_requests_s=0.02, seen_at=_now())
            )
            answered.append(session)
            place.answered()

    async def run() -> None:
        greedy = [call("greedy") for _ in range(40)]
        others = [call(f"s{number}") for number in range(99)]
        await asyncio.gather(*greedy, *others)

    asyncio.run(run())
    assert len(answered) == 139
    assert set(answered) == {"greedy", *(f"s{number}" for number in range(99))}
    assert answered[:100].count("greedy") <= 10  # it takes its turn among the others, not before them
    assert queue.waiting() == 0


def test_callers_of_several_event_loops_share_one_queue(queue: Pacing) -> None:
    """The engine's turns and the gateway's calls run on loops of their own."""
    done: list[str] = []

    async def call(name: str) -> None:
        async with queue.place(name) as place:
            await place.admit(MODEL, 10)
            place.heard(
                RateLimits(limit_requests=1, remaining_requests=0, reset_requests_s=0.01, seen_at=_now())
            )
            done.append(name)
            place.answered()

    async def many(start: int) -> None:
        await asyncio.gather(*(call(f"s{start + number}") for number in range(5)))

    threads = [threading.Thread(target=lambda start=10 * n: asyncio.run(many(start))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 15


def test_a_wait_gives_its_time_back_once(queue: Pacing, given: list[Any]) -> None:
    """Two calls of a session that wait at the same time stop its clock once, not twice."""

    async def first() -> None:
        async with queue.place("a") as place:
            await place.admit(MODEL, 10)
            place.heard(
                RateLimits(limit_requests=2, remaining_requests=0, reset_requests_s=0.3, seen_at=_now())
            )
            place.answered()

    async def run() -> float:
        await first()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(_sent(queue, "b"), _sent(queue, "b"))
        return loop.time() - began

    took = asyncio.run(run())
    assert {session for session, _, _ in given} == {"b"}
    assert 0.1 < sum(seconds for _, seconds, _ in given) <= took
    assert given[0][2] == "the service's limit"


def test_a_wait_without_end_is_given_up(queue: Pacing) -> None:
    """After the turn's deadline, with one line; nothing stays in the queue."""
    queue.settings = queue.settings.replace(deadline_s=0.05)

    async def run() -> None:
        async with queue.place("a") as place:
            await place.admit(MODEL, 10)
            place.heard(
                RateLimits(limit_requests=1, remaining_requests=0, reset_requests_s=60.0, seen_at=_now())
            )
            place.answered()
        lines: list[str] = []
        async with queue.place("b") as place:
            with pytest.raises(RateLimited, match="not sent"):
                await place.admit(MODEL, 10, lines.append)
        assert "clock stands still" in lines[0]

    asyncio.run(run())
    assert queue.waiting() == 0


def test_an_outage_gives_back_what_it_took(queue: Pacing, given: list[Any]) -> None:
    """From the failed attempt's start to the one that was sent; a mistake of the request's own does not."""

    async def run() -> None:
        async with queue.place("a") as place:
            await place.admit(MODEL, 10)
            await asyncio.sleep(0.05)
            await place.failed(ServerFailed("down"))
            await asyncio.sleep(0.05)
            await place.admit(MODEL, 10)
            place.answered()
        async with queue.place("b") as place:
            await place.admit(MODEL, 10)
            await place.failed(BadRequest("no"))

    asyncio.run(run())
    assert {session for session, _, _ in given} == {"a"}
    assert sum(seconds for _, seconds, _ in given) >= 0.09


def test_short_waits_add_up_until_they_are_worth_a_row(
    queue: Pacing, given: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that refuses for a moment again and again stops the clock as one that refuses for long."""
    monkeypatch.setattr(clock_stops, "LEAST_S", 10.0)
    stops = clock_stops.ClockStops(lambda *what: given.append(what))

    async def run() -> None:
        for start in range(0, 24, 4):
            await stops.give_back("a", start, start + 3, "x")
            await stops.give_back("a", start + 1, start + 2, "x")  # it was given back before

    asyncio.run(run())
    assert given == [("a", 12, "x")]
    assert stops._given_until["a"] == (23, 6)


def test_what_comes_before_a_second_wait_is_given_back_too(queue: Pacing, given: list[Any]) -> None:
    """Refused, asked to wait, and in the queue again: the clock stands all the time, because of the limit."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with queue.place("a") as place:
            await place.admit(MODEL, 10)
            began = loop.time()
            await place.failed(RateLimited("busy", retry_after_s=0.2))
            await asyncio.sleep(0.1)
            await place.admit(MODEL, 10)
            place.answered()
            return loop.time() - began

    took = asyncio.run(run())
    assert took >= 0.2
    assert 0.19 < sum(seconds for _, seconds, _ in given) <= took
    assert {reason for _, _, reason in given} == {"the service's limit"}


def test_who_was_refused_goes_next(queue: Pacing) -> None:
    """They had had their turn: those who came later go after them."""
    answered: list[str] = []

    async def later(session: str) -> None:
        async with queue.place(session) as place:
            await place.admit(MODEL, 10)
            answered.append(session)
            place.answered()

    async def run() -> None:
        async with queue.place("refused") as place:
            await place.admit(MODEL, 10)
            await place.failed(RateLimited("busy", retry_after_s=0.2))
            others = [asyncio.create_task(later(f"s{n}")) for n in range(5)]
            while queue.waiting() < len(others):
                await asyncio.sleep(0)
            await place.admit(MODEL, 10)
            answered.append("refused")
            place.answered()
            await asyncio.gather(*others)

    asyncio.run(run())
    assert answered[0] == "refused"
    assert len(answered) == 6


def test_a_call_that_leaves_the_queue_is_not_sent(queue: Pacing) -> None:
    """A tool that goes away while it waits takes nothing from anybody."""

    async def run() -> None:
        async with queue.place("a") as place:
            await place.admit(MODEL, 10)
            place.heard(
                RateLimits(limit_requests=1, remaining_requests=0, reset_requests_s=60.0, seen_at=_now())
            )
            place.answered()
        waiting = asyncio.create_task(_sent(queue, "b"))
        await _until(lambda: queue.waiting() == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())
    assert queue.waiting() == 0
    assert queue.places.running("b") == 0


def test_a_host_has_the_retries_of_several_interviews(queue: Pacing) -> None:
    """A service that closes its connections fails many calls at once; none of them is lost for that."""
    assert queue.retries.capacity == pacing.INTERVIEWS * queue.settings.retry_budget
    assert queue.retries.capacity >= 200


# --- what the service says


def test_headers_of_the_service_are_respected() -> None:
    """Requests and tokens, what is on its way included; all of it is there again after the reset."""
    window = RateWindow(0.5, 20.0)
    window.send(100)
    window.heard(100, RateLimits(10, 1, 2.0, 1_000, 150, 4.0), 0.0)
    assert window.wait_s(100, 0.0) == 0
    assert window.wait_s(151, 0.0) == pytest.approx(4.0)
    window.send(100)
    assert window.wait_s(10, 1.0) == pytest.approx(1.0)  # the one request is on its way
    assert window.wait_s(100, 2.5) == pytest.approx(1.5)  # and so are its tokens
    assert window.wait_s(900, 4.1) == 0
    assert window.wait_s(10_000, 4.1) == 0  # never fits: only the service can say what it does with it


def test_a_refusal_holds_everybody_back() -> None:
    """For as long as it says; then fewer go at once, and more with each that is answered."""
    window = RateWindow(0.5, 20.0)
    for _ in range(8):
        window.send(10)
    window.failed(RateLimited("slow down", retry_after_s=3.0), 0.0)
    assert window.wait_s(10, 0.0) == 3.0
    assert window.wait_s(10, 3.1) > 0  # seven still run, four may
    for _ in range(7):
        window.answered()
    assert window.wait_s(10, 3.1) == 0


def test_a_refusal_without_a_wait_still_holds_back() -> None:
    """A service that says "again at once" and refuses is not asked as fast as it can refuse."""
    window = RateWindow(0.5, 20.0)
    for _ in range(9):
        window.send(10)
        window.failed(RateLimited("slow down", retry_after_s=0.0), 0.0)
        assert window.wait_s(10, 0.0) == 0.5


def test_an_outage_lets_one_at_a_time_through() -> None:
    """After three failures in a row, until one is answered; a single failure changes nothing."""
    window = RateWindow(0.5, 20.0)
    for number in range(3):
        window.send(10)
        window.failed(NotConnected("not sent"), float(number))
        assert (window.wait_s(10, float(number)) > 0) is (number == 2)
    window.send(10)
    assert window.wait_s(10, 100.0) > 0
    window.answered()
    assert window.wait_s(10, 100.0) == 0


def test_a_reader_that_goes_away_says_nothing_about_the_service() -> None:
    """Neither a failure nor an answer."""
    window = RateWindow(0.5, 20.0)
    for number in range(5):
        window.send(10)
        window.failed(None, float(number))
    assert window.running == 0
    assert window.wait_s(10, 4.0) == 0


# --- helpers


def _now() -> float:
    import time

    return time.time()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


async def _hold(queue: Pacing, session: str) -> None:
    async with queue.place(session):
        pass


async def _sent(queue: Pacing, session: str) -> None:
    async with queue.place(session) as place:
        await place.admit(MODEL, 10)
        place.answered()
