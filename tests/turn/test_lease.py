"""A lease is renewed while its attempt lives: each third of it, whatever became of the renewal before."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from ib_kernel.turn import lease as leases
from ib_kernel.turn.lease import Lease


def test_a_lease_is_renewed_again_and_again_until_its_block_ends() -> None:
    """And not once more."""
    renewed = threading.Semaphore(0)

    async def attempt() -> None:
        with Lease(0.03, renewed.release):
            for _ in range(3):
                assert await asyncio.to_thread(renewed.acquire, timeout=60)
        while leases._renewing:
            await asyncio.sleep(0)
        while renewed.acquire(blocking=False):
            pass
        await asyncio.sleep(0.05)
        assert not renewed.acquire(blocking=False)

    asyncio.run(attempt())


def test_a_renewal_comes_when_a_third_of_the_lease_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late enough to cost nothing, early enough to be tried twice more."""
    waits: list[float] = []

    async def attempt() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def later(delay, callback, *args, **more):  # type: ignore[no-untyped-def]
            waits.append(delay)
            return call_later(delay, callback, *args, **more)

        monkeypatch.setattr(loop, "call_later", later)
        with Lease(60.0, lambda: None):
            pass

    asyncio.run(attempt())
    assert waits == [20.0]


def test_a_renewal_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """By the name of its error alone: its words may hold anything."""
    caplog.set_level(logging.WARNING, logger="ib_kernel.turn.lease")
    tried = threading.Semaphore(0)

    def renew() -> None:
        tried.release()
        raise OSError("a secret path")

    async def attempt() -> None:
        with Lease(0.03, renew):
            for _ in range(2):
                assert await asyncio.to_thread(tried.acquire, timeout=60)
        while leases._renewing:
            await asyncio.sleep(0)

    asyncio.run(attempt())
    told = {record.getMessage() for record in caplog.records}
    assert told == {"a lease could not be renewed: OSError"}
