"""Reservations from an event loop: the same ends, whether or not a ledger has coroutines of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import TokenService
from ib_kernel.budget.reservations import OWNER
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation


class Plain:
    """A ledger without coroutines: its methods alone."""

    COROUTINES = frozenset({"areserve", "asettle", "arelease", "amark_unresolved", "arenew"})

    def __init__(self, store: DuckDBStore) -> None:
        self._store = store
        self.wait: threading.Event | None = None
        self.released = threading.Event()

    def __getattr__(self, name: str) -> Any:
        if name in self.COROUTINES:
            raise AttributeError(name)
        return getattr(self._store, name)

    def reserve(self, *args: Any, **given: Any) -> Any:
        """Reserve when it is time."""
        if self.wait is not None:
            self.wait.wait(60)
        return self._store.reserve(*args, **given)

    def release(self, *args: Any) -> bool:
        """Release, and say so."""
        done = self._store.release(*args)
        self.released.set()
        return done


@pytest.fixture(params=["coroutines", "methods"])
def service(request: pytest.FixtureRequest, settings: Settings) -> Iterator[TokenService]:
    """A service on a ledger with a session "s" of 1,000 tokens, held for a minute at most."""
    store = DuckDBStore(settings.data_dir, background=False)
    made = TokenService(settings, store=store if request.param == "coroutines" else Plain(store))  # type: ignore[arg-type]
    made.create_session("Ada", 1_000, session_id="s", budget_usd=1)
    yield made
    store.close()


async def reserved(service: TokenService, tokens: int = 300) -> Reservation:
    """Reserve for a first attempt."""
    held = await service.areserve("s", tokens, lease_s=60.0, nano_usd=7, call=CallStart(turn=None, model="m"))
    assert isinstance(held, Reservation)
    return held


def test_an_awaited_reservation_is_the_same_as_any_other(service: TokenService) -> None:
    """Tokens, money, turn and owner are written; what does not fit is refused with the reason."""

    async def work() -> None:
        held = await reserved(service)
        (shown,) = service.store.reservations("s")
        assert (shown.tokens, shown.nano_usd, shown.turn, shown.call.model) == (300, 7, 1, "m")
        assert shown.owner == OWNER
        assert shown.reservation_id == held.reservation_id
        refused = await service.areserve("s", 701, lease_s=60.0)
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.left) == ("budget", 700)

    asyncio.run(work())


def test_an_awaited_reservation_ends_once_with_what_was_said(service: TokenService) -> None:
    """Settled with its messages; a second settle with other figures changes nothing and says so."""

    async def work() -> None:
        held = await reserved(service)
        said = [Message(1, "user", "hello"), Message(1, "assistant", "hi")]
        assert await service.asettle_call(held, CallEnd(20, 5), messages=said) is True
        assert await service.asettle_call(held, CallEnd(21, 5)) is False

    asyncio.run(work())
    assert [message.content for message in service.store.history("s")] == ["hello", "hi"]
    assert (service.totals("s").used, service.totals("s").held) == (25, 0)


def test_an_awaited_release_keeps_how_the_attempt_failed(service: TokenService) -> None:
    """It has cost nothing; once it has ended, there is nothing to release."""

    async def work() -> None:
        held = await reserved(service)
        assert await service.arelease(held, CallEnd(0, 0, error="TimedOut")) is True
        assert await service.arelease(held) is False

    asyncio.run(work())
    assert service.get_remaining_budget("s") == 1_000
    assert service.store.sql("SELECT error FROM calls").fetchall() == [("TimedOut",)]


def test_an_awaited_doubt_stays_charged_with_its_reason_and_messages(service: TokenService) -> None:
    """The first one makes it so."""

    async def work() -> None:
        held = await reserved(service)
        said = [Message(1, "user", "hello")]
        assert await service.amark_unresolved(held, "lost", messages=said) is True
        assert await service.amark_unresolved(held, "lost") is False

    asyncio.run(work())
    (doubt,) = service.store.reservations("s")
    assert (doubt.in_doubt, doubt.doubt_reason, service.totals("s").in_doubt) == (True, "lost", 300)
    assert [message.content for message in service.store.history("s")] == ["hello"]


def test_awaited_leases_are_renewed_together(service: TokenService) -> None:
    """Those that have ended are not among the ids that come back."""

    async def work() -> None:
        first, second = await reserved(service), await reserved(service)
        await service.arelease(second)
        before = service.store.reservations("s")[0].lease_until
        assert await service.arenew([first, second], 600.0) == {first.reservation_id}
        assert service.store.reservations("s")[0].lease_until > before + 500

    asyncio.run(work())


def test_who_is_cancelled_before_the_ledger_answers_holds_nothing(settings: Settings) -> None:
    """A thread's reserve goes on to its end; then it is released."""
    store = DuckDBStore(settings.data_dir, background=False)
    plain = Plain(store)
    service = TokenService(settings, store=plain)  # type: ignore[arg-type]
    service.create_session("Ada", 1_000, session_id="s")
    plain.wait = threading.Event()

    async def work() -> None:
        asking = asyncio.ensure_future(service.areserve("s", 300, lease_s=60.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert plain.wait is not None
        plain.wait.set()
        await asyncio.to_thread(plain.released.wait, 60)

    asyncio.run(work())
    assert store.reservations("s") == []
    assert service.get_remaining_budget("s") == 1_000
    store.close()
