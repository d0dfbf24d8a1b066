"""Bodies that do not arrive end, by one timer for all of them, and nothing else does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ib_kernel.host import slow_bodies
from ib_kernel.host.slow_bodies import SlowBodies

HERE: dict[str, Any] = {"type": "http.request", "body": b"all of it", "more_body": False}


async def never() -> Any:
    """Wait for a message that does not come."""
    await asyncio.get_running_loop().create_future()


async def at_once() -> Any:
    """Return the message that is there."""
    return HERE


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look without a pause."""
    monkeypatch.setattr(slow_bodies, "LOOK_S", 0.0)


def run(work: Callable[[SlowBodies], Awaitable[None]]) -> None:
    """Run *work* on a loop of its own."""

    async def main() -> None:
        await work(SlowBodies())

    asyncio.run(main())


def test_a_body_that_is_there_is_returned() -> None:
    async def work(slow: SlowBodies) -> None:
        assert await slow.read(at_once, time.monotonic() - 1) is HERE
        assert not slow._read

    run(work)


def test_one_that_does_not_come_ends_and_the_task_goes_on() -> None:
    async def work(slow: SlowBodies) -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await slow.read(never, time.monotonic())
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        await asyncio.sleep(0)
        assert not slow._read
        assert not slow._late

    run(work)


def test_one_that_has_time_goes_on_while_another_ends() -> None:
    async def work(slow: SlowBodies) -> None:
        news = asyncio.Event()

        async def later() -> Any:
            await news.wait()
            return HERE

        patient = asyncio.create_task(slow.read(later, time.monotonic() + 3600))
        with pytest.raises(TimeoutError):
            await slow.read(never, time.monotonic())
        assert not patient.done()
        news.set()
        assert await patient is HERE

    run(work)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def work(slow: SlowBodies) -> None:
        reading = asyncio.create_task(slow.read(never, time.monotonic() + 3600))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not slow._read

    run(work)


def test_a_cancellation_from_outside_wins_over_one_that_is_late_too() -> None:
    async def work(slow: SlowBodies) -> None:
        reading = asyncio.create_task(slow.read(never, time.monotonic()))
        await asyncio.sleep(0)
        slow._look()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    run(work)


def test_the_timer_ends_with_the_last_body() -> None:
    async def work(slow: SlowBodies) -> None:
        await slow.read(at_once, time.monotonic() + 3600)
        while slow._timer is not None:
            await asyncio.sleep(0)

    run(work)
