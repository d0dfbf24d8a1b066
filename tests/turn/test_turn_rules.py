"""Small rules of a turn: what its reader is told, what it waits for, and what is kept of a failed attempt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from ib_kernel import Settings
from ib_kernel.errors import RateLimited, ServerFailed
from ib_kernel.models.limits import get_model
from ib_kernel.turn import session_end
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.notify import Notifier
from ib_kernel.turn.patience import Patience
from ib_kernel.turn.planning import TurnPlanner
from ib_kernel.turn.receiving import THINKING, Notice, Receiver
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.reservation import Pause
from ib_kernel.turn.result import TurnResult
from ib_kernel.turn.usage import Attempt, UsageRecorder
from ib_kernel.turn.waiting import Waiting
from ib_kernel.values import CallEnd, Count, Done, LedgerEvent, Piece, Reservation, Thinking, Totals, Usage

Emit = Callable[[Piece | Notice], None]


class Short:
    """A turn that says one line and one piece, and has ended then."""

    draining, partial, reservation = False, None, None

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    async def run(self) -> Any:
        """Emit both."""
        self.emit(Notice("waiting…"))
        self.emit(Piece("Good morning."))
        return SimpleNamespace(text="Good morning.", stopped=False, end=SimpleNamespace(output_tokens=3))


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    """Where turns run."""
    made = BackgroundLoop("test-turns")
    yield made
    made.close()


def reply(loop: BackgroundLoop, turn: Any = Short) -> Reply:
    """Return the reply of a turn."""
    return Reply(loop, turn)


def test_a_reply_that_had_ended_when_its_reader_left_is_kept(loop: BackgroundLoop) -> None:
    """Whole, though nobody read it; the line says so."""
    with reply(loop) as left:
        assert left._ended.wait(60)
    assert left.text == "Good morning."
    assert not left.stopped
    assert str(left.stop_line()) == "The reply was complete by then; it is kept and counted."


def test_a_line_to_show_reaches_both_kinds_of_readers(loop: BackgroundLoop) -> None:
    """As it was said, and not as a part of the reply."""
    lines: list[str] = []

    async def read() -> list[str]:
        async with reply(loop) as found:
            found.on_notice = lines.append
            return [piece async for piece in found]

    with reply(loop) as found:
        found.on_notice = lines.append
        assert list(found) == ["Good morning."]
    assert asyncio.run(read()) == ["Good morning."]
    assert lines == ["waiting…", "waiting…"]


@pytest.mark.parametrize(
    ("draining", "result", "line"),
    [
        (
            True,
            None,
            "The reply so far is kept; the rest is read in the background, and settled when its real usage "
            "is known (see %budget).",
        ),
        (
            False,
            None,
            "Nothing of the reply had arrived; if it was sent, its tokens are in doubt (see %budget).",
        ),
        (
            False,
            SimpleNamespace(stopped=True, end=SimpleNamespace(output_tokens=1_234)),
            "The reply so far is kept; 1,234 reply tokens were counted.",
        ),
    ],
)
def test_who_stops_a_turn_is_told_what_became_of_it(
    loop: BackgroundLoop, draining: bool, result: Any, line: str
) -> None:
    """In one line, by what had come and by what still comes."""
    stopped = reply(loop, lambda emit: SimpleNamespace(draining=draining))
    stopped.result = result
    assert str(stopped.stop_line()) == line


def test_a_result_shows_its_text_and_its_figures() -> None:
    """And nothing of what it holds besides."""
    result = TurnResult(
        "Good *morning*.", 3, CallEnd(1_200, 34), Totals(10_000, 3_000, 1_000), Plan(9, 9, 1), Count(9),
        get_model("gpt-4o"), "openai", 0,
    )  # fmt: skip
    assert repr(result) == "Good *morning*.\n\n[turn 3 · 1,200 in + 34 out · 6,000 left]"


# --- waiting


class Place:
    """A place in a queue."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.ended = 0

    async def admit(self, model: str, tokens: int, say: Callable[[str], None]) -> None:
        """Say the place once."""
        self.asked.append((model, tokens))
        say("2 are before you")

    def end(self) -> None:
        """Note that it is left."""
        self.ended += 1


def waiting(lines: list[str], **changes: Any) -> Waiting:
    """Return the waits of a turn that asks for 2 replies of 50 tokens with 40 characters."""
    messages = [{"role": "user", "content": "x" * 40}]
    request = SimpleNamespace(model="m", messages=messages, n=2, max_completion_tokens=50)
    client = SimpleNamespace(name="c")
    ask = SimpleNamespace(request=request)
    return Waiting(client, Settings(**changes), ask, lambda notice: lines.append(notice.text))  # type: ignore[arg-type]


def test_a_turns_place_is_asked_for_by_what_it_may_take_and_shown() -> None:
    """Four characters are a token; every reply may be as long as its cap."""
    lines: list[str] = []
    turn, place = waiting(lines), Place()
    turn.place = place  # type: ignore[assignment]
    asyncio.run(turn.for_place())
    assert (place.asked, lines) == ([("m", 110)], ["2 are before you"])


def test_a_turn_that_others_keep_out_until_its_deadline_was_not_sent() -> None:
    """It is told once that it waits; it leaves its place meanwhile, and costs nothing."""
    lines: list[str] = []
    turn, place = waiting(lines, deadline_s=60.0), Place()
    turn.place = place  # type: ignore[assignment]
    for _ in range(2):
        asyncio.run(turn.for_others(Pause(0.0, running=True)))
    assert lines.count("other calls of this interview are running; this one waits until one has ended") == 1
    assert (place.ended, len(place.asked)) == (2, 2)
    turn._others_since = time.monotonic() - 61.0
    with pytest.raises(
        RateLimited, match=r"^not sent: other calls .* all the time; try again later$"
    ) as refused:
        asyncio.run(turn.for_others(Pause(0.0, running=True)))
    assert (refused.value.outcome, refused.value.retryable) == ("not_sent", False)


def test_a_wait_for_a_limit_is_logged_with_its_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """For who asks later why a turn took so long."""
    caplog.set_level(logging.INFO, logger="ib_kernel.turn.waiting")
    asyncio.run(waiting([]).for_limit(Pause(0.0)))
    assert [r.getMessage() for r in caplog.records] == ["waiting 0.0 s for the service's rate limit"]


@pytest.mark.parametrize(("left", "wait"), [(None, 0.5), (90.0, 0.5), (0.3, 0.3), (0.0, 0.01)])
def test_a_running_reply_looks_at_its_session_when_the_time_ends(left: float | None, wait: float) -> None:
    """Or twice a second, for what another process does; never without a pause."""
    session: Any = SimpleNamespace(time_left_s=left)
    assert session_end._until_look(session) == wait


@pytest.mark.parametrize("steps", [(0.01,), (0.01, 0.05), (3_600.0, 0.01), (0.01, 3_600.0, 0.02)])
def test_silence_is_noticed_after_any_step(steps: tuple[float, ...]) -> None:
    """Whether it was given more time than the step before, or less."""

    async def silent() -> None:
        async with Patience() as patience:
            for seconds in steps:
                patience.wait_for(seconds)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(silent())


def test_what_is_stopped_may_take_further_steps() -> None:
    """While its end is awaited another step can be late as well; the loop has nothing to complain about."""
    complaints: list[object] = []

    async def stopped() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with Patience() as patience:
            patience.wait_for(0)
            try:
                await asyncio.Event().wait()
            finally:
                patience.wait_for(0)
                await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(stopped())
    assert complaints == []


def test_a_model_that_thinks_is_told_of_once() -> None:
    """However many pieces of a thought come before the reply's first."""

    async def events() -> AsyncIterator[Thinking | Piece | Done]:
        for event in (Thinking("They ask"), Thinking(" about sets."), Piece("Sets."), Done("stop")):
            yield event

    @contextlib.asynccontextmanager
    async def stream(body: dict[str, Any]) -> AsyncIterator[Any]:
        yield events()

    shown: list[Piece | Notice] = []
    client: Any = SimpleNamespace(name="c", stream=stream)
    receiver = Receiver(client, Settings(), shown.append, len, time.monotonic() + 3_600, set())
    read = attempt()
    assert asyncio.run(receiver.read(read, {"model": "m"})).finish_reason == "stop"
    assert shown == [Notice(THINKING), Piece("Sets.")]
    assert (read.thinks, read.reasoning) == (True, ["They ask", " about sets."])


def test_a_prompt_that_nobody_has_counted_is_counted_once() -> None:
    """As it would be sent, by the rules of the model that is named; one that was counted is not again."""
    asked: list[tuple[Any, str]] = []

    def count_request(body: Any, model: str) -> Count:
        asked.append((body, model))
        return Count(9)

    service: Any = SimpleNamespace(counter=SimpleNamespace(count_request=count_request))
    for given, times in ((None, 1), (Count(7), 0)):
        ask: Any = SimpleNamespace(count=given)
        planner = TurnPlanner(service, ask, "gpt-4o", UsageRecorder(get_model("gpt-4o"), True, len))
        body = {"messages": [], "stream": True}
        assert planner.count(body) == planner.count(body) == (given or Count(9))
        assert asked == [(body, "gpt-4o")] * times
        asked.clear()


# --- what is kept of a failed attempt


def attempt() -> Attempt:
    """Return an attempt that began two seconds ago."""
    reservation: Reservation = SimpleNamespace()  # type: ignore[assignment]
    plan, totals = Plan(100, 50, 1), Totals(1_000)
    return Attempt(1, plan, Count(90), reservation, totals, started=time.monotonic() - 2)


def test_a_failed_attempts_row_has_its_time_and_is_charged_for_its_prompt_if_that_is_billed() -> None:
    """By our own count: the service told none."""
    recorder = UsageRecorder(get_model("gpt-4o"), True, len)
    free = recorder.failed(attempt(), "ServerFailed", prompt_billed=False)
    paid = recorder.failed(attempt(), "ContentFiltered", prompt_billed=True)
    assert (free.error, free.input_tokens, free.source, free.cost_nano_usd) == (
        "ServerFailed",
        0,
        "api",
        None,
    )
    assert (paid.error, paid.input_tokens, paid.source) == ("ContentFiltered", 100, "counted")
    assert paid.cost_nano_usd == int(100 * Decimal("2500"))
    for row in (free, paid):
        assert row.latency_ms is not None
        assert row.latency_ms >= 2_000


def test_usage_that_came_with_an_error_is_kept_as_it_came() -> None:
    """Beside the error's name."""
    error = ServerFailed("broken")
    error.usage, error.raw_usage = Usage(90, 7), '{"prompt_tokens": 90, "completion_tokens": 7}'
    row = UsageRecorder(get_model("gpt-4o"), True, len).reported(attempt(), error)
    assert row is not None
    assert (row.input_tokens, row.output_tokens, row.source, row.error) == (90, 7, "api", "ServerFailed")
    assert row.raw_usage == error.raw_usage


def test_figures_that_cannot_be_true_are_kept_with_what_is_wrong_with_them() -> None:
    """As an event of that attempt of that turn; figures that can be true are none."""
    kept: list[LedgerEvent] = []
    service: Any = SimpleNamespace(record=kept.append)
    notifier = Notifier(service, "s", "c", "m", (), turn=3)
    odd = attempt()
    notifier.usage_rejected(odd)
    assert kept == []
    odd.problems, odd.raw_usage = ("input_tokens fell within the answer",), '{"prompt_tokens": 1}'
    notifier.usage_rejected(odd)
    (event,) = kept
    assert (event.session_id, event.kind) == ("s", "usage_rejected")
    assert dict(event.detail) == {
        "turn": 3,
        "attempt": 1,
        "problems": ["input_tokens fell within the answer"],
        "raw_usage": '{"prompt_tokens": 1}',
    }
