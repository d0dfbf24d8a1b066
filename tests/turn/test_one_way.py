"""A turn's way through the budget: numbers, owners, leases, and the question's own moment."""

from __future__ import annotations

import ast
import asyncio
import selectors
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_shell import Paced

import ib_kernel.turn
from ib_duckdb.store import DuckDBStore
from ib_kernel import Interview, Plugins, Settings, TokenService
from ib_kernel.budget.scrubbed import WRITES
from ib_kernel.errors import ServerFailed
from ib_kernel.turn import lease
from ib_kernel.turn.lease import Lease
from ib_kernel.values import NewSession, Reservation, Status

PAIRS = "SELECT turn, attempt, status FROM calls ORDER BY turn, attempt"


@pytest.fixture
def client() -> Paced:
    """A client that answers "Fine." unless the test changes it."""
    return Paced(["Fi", "ne."])


@pytest.fixture
def buddy(client: Paced, tmp_path: Path) -> Iterator[Interview]:
    """An interview with that client and a session."""
    plugins = Plugins()
    plugins.register(client, name="paced")
    settings = Settings(data_dir=tmp_path, client="paced", attempts=2, backoff_s=0.0, token_budget=50_000)
    with Interview(settings, plugins=plugins) as made:
        made.start()
        yield made


def test_turns_write_through_the_budget_service_only() -> None:
    """No module of turn/ calls a writing method of a store: reserving, ending and events go one way."""
    writes = WRITES | {"renew", "flush"}
    for path in Path(ib_kernel.turn.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in writes:
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                assert "store" not in name.lower(), f"{path.name}:{node.lineno}"


def test_a_failed_turn_and_a_good_one_have_their_own_numbers(buddy: Interview, client: Paced) -> None:
    """The failed turn's attempts keep its number; the next turn has the next one, in its messages too."""

    def fail(i: int) -> None:
        raise ServerFailed("The service failed (500).")

    client.before = fail
    with pytest.raises(ServerFailed):
        buddy.say_sync("first")
    client.before = lambda i: None
    result = buddy.say_sync("second")
    assert result.turn == 2
    rows = buddy.service.store.sql(PAIRS).rows
    assert [row[:2] for row in rows] == [(1, 1), (1, 2), (2, 1)]
    assert rows[-1] == (2, 1, "settled")
    assert [(m.turn, m.content) for m in buddy.history()] == [(2, "second"), (2, "Fine.")]


def test_two_turns_at_once_are_kept_apart(buddy: Interview, client: Paced) -> None:
    """Each has a number, a row and messages of its own, whichever ends first."""

    async def at_once() -> list[Any]:
        return list(await asyncio.gather(buddy.say("one"), buddy.say("two"), buddy.say("three")))

    client.pause = 0.01
    results = asyncio.run(at_once())
    assert sorted(result.turn for result in results) == [1, 2, 3]
    assert buddy.service.store.sql(PAIRS).rows == [(n, 1, "settled") for n in (1, 2, 3)]
    said: dict[int, list[str]] = {}
    for message in buddy.history():
        said.setdefault(message.turn, []).append(message.role)
    assert said == {n: ["user", "assistant"] for n in (1, 2, 3)}
    assert buddy.service.store.check() == []


def test_a_question_keeps_the_moment_it_was_asked(buddy: Interview, client: Paced) -> None:
    """It is one value from `ask` to its row; the answer's moment is another."""
    before = time.time()
    reply = buddy.ask("when?")
    asked = time.time()
    with reply:
        answered = []
        client.before = lambda i: answered.append(time.time())
        for _ in reply:
            pass
    question, answer = buddy.history()
    assert question.asked_at == question.created_at == answer.asked_at
    assert question.asked_at is not None
    assert before <= question.asked_at <= asked
    assert answer.created_at >= answered[-1]


# --- leases


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves a clock to it; waits for worker threads only."""

    def __init__(self, now: list[float]) -> None:
        super().__init__()
        self.now = now

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if lease._renewing:  # the write is on its way
            return super().select(30)
        self.now[0] += timeout or 0.0
        return ready


def test_a_long_reply_keeps_its_reservation(tmp_path: Path) -> None:
    """Ten leases long, and never unresolved: a lease is renewed before it ends, however long the reply."""
    now = [1_790_000_000.0]
    store = DuckDBStore(tmp_path, clock=lambda: now[0], background=False)
    service = TokenService(Settings(data_dir=tmp_path, lease_s=60.0), store=store)
    store.open_session(NewSession("s", "Ada", 1_000, "gpt-5.4-mini"))
    store.set_status("s", Status.ACTIVE)
    held = service.reserve("s", 100, lease_s=60.0)
    assert isinstance(held, Reservation)
    loop = asyncio.SelectorEventLoop(JumpingSelector(now))
    began = now[0]
    loop.time = lambda: now[0] - began  # type: ignore[method-assign]  # small: asyncio adds nanoseconds
    seen = []

    async def long_reply() -> None:
        with Lease(60.0, lambda: seen.append(service.renew(held, 60.0))):
            await asyncio.sleep(600.0)

    loop.run_until_complete(long_reply())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert now[0] - began >= 600
    assert all(seen)
    assert (store.totals("s").held, store.totals("s").in_doubt) == (100, 0)
    now[0] += 61  # and when nobody renews it any more
    assert store.totals("s").in_doubt == 100
    store.close()


def test_a_turn_renews_its_lease_while_the_reply_comes(client: Paced, tmp_path: Path) -> None:
    """A reply whose end waits for two renewals comes to its end, and is settled as usual."""
    plugins = Plugins()
    plugins.register(client, name="paced")
    settings = Settings(data_dir=tmp_path, client="paced", lease_s=1.0)
    renewals = []
    store = plugins.store(settings)
    renew = store.renew

    def noted(reservations: Any, *, lease_s: float) -> set[str]:
        kept = renew(reservations, lease_s=lease_s)
        renewals.append(kept)
        return kept

    store.renew = noted  # type: ignore[method-assign]
    with Interview(settings, service=TokenService(settings, plugins=plugins, store=store)) as buddy:
        buddy.start()
        client.pause = 0.05
        client.pieces = Until(lambda: len(renewals) >= 2)
        assert buddy.say_sync("a long story, please").end.source == "api"
    store.close()


class Until(list[str]):
    """Pieces that go on until *done*."""

    def __init__(self, done: Any) -> None:
        super().__init__()
        self.done = done

    def __iter__(self) -> Iterator[str]:
        while not self.done():
            yield "word "
