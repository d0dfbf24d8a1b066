"""How a turn tries again, waits, and is stopped: the settings under "Limits of a turn"."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clock import Clock, Waits, eventually
from raw_service import Answer, RawService

from ib_kernel import Interview, Plugins, Settings, hookimpl
from ib_kernel.errors import ClientError, RateLimited, ServerFailed, Stopped
from ib_kernel.plugin.events import CallFailed
from ib_kernel.testing import FaultServer
from ib_kernel.turn.rate_limits import countdown
from ib_kernel.turn.retry import EARNED, Retries, RetryBudget
from ib_kernel.values import RateLimits

KEY = "sk-test-0123456789abcdef"
MODEL = "gpt-4.1-mini"


class Failures:
    """An observer that keeps what it is told about failures."""

    def __init__(self) -> None:
        self.events: list[CallFailed] = []

    @hookimpl
    def ib_call_failed(self, event: CallFailed) -> None:
        self.events.append(event)


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def open_interview(
    server: FaultServer, failures: Failures, tmp_path: Path
) -> Iterator[Callable[..., Interview]]:
    """Return a function that opens an interview with the settings it is given."""
    opened: list[Interview] = []

    def open_one(**given: Any) -> Interview:
        base: dict[str, Any] = {"backoff_s": 0.001, "base_url": server.base_url, "api_key": KEY}
        settings = Settings(data_dir=tmp_path, model=MODEL, **{**base, **given})
        opened.append(Interview(settings, plugins=Plugins([failures])))
        opened[-1].start(token_budget=100_000)
        return opened[-1]

    yield open_one
    for interview in opened:
        interview.close()


def rows(buddy: Interview, columns: str) -> list[tuple[object, ...]]:
    return buddy.service.store.sql(f"SELECT {columns} FROM calls ORDER BY started_at, attempt").fetchall()


def test_an_outage_does_not_multiply_load(
    server: FaultServer, open_interview: Callable[..., Interview], failures: Failures
) -> None:
    """When the interview's retries are used up, each further turn is one request, and the event says why."""
    server.decide = lambda request: FAULT_500
    buddy = open_interview(retry_budget=4)
    notices: list[str] = []
    for _ in range(5):
        with pytest.raises(ServerFailed), buddy.ask("Hello") as reply:
            reply.on_notice = notices.append
            list(reply)
    assert len(server.requests) == 5 + 4
    assert [event.gave_up for event in failures.events if event.gave_up] == ["attempts"] + [
        "retry budget"
    ] * 4
    assert notices[-1] == "not tried again: this interview's retries are used up for now"


def test_answers_earn_retries_back(server: FaultServer, open_interview: Callable[..., Interview]) -> None:
    """After five answers one retry is there again."""
    buddy = open_interview(retry_budget=1)
    for _ in range(2):
        server.script("500")
    with pytest.raises(ServerFailed):
        buddy.say_sync("Hello")
    for _ in range(round(1 / EARNED)):
        buddy.say_sync("Hello")
    server.script("500")
    assert buddy.say_sync("Hello").text


def test_a_retry_budget_starts_full_and_never_holds_more() -> None:
    """Earning stops at the capacity; an empty budget gives nothing."""
    budget = RetryBudget(2)
    budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_a_service_that_only_refuses_is_given_up_at_the_deadline(settings: Settings) -> None:
    """A host's queue takes none of a turn's time; still such a wait has an end."""
    refused = []

    async def told(error: ClientError, seconds: float) -> None:
        refused.append(error)
        assert len(refused) < 1000

    short = settings.replace(deadline_s=0.05)
    retries = Retries(short, RetryBudget(0), lambda: False, lambda: 60.0, told, asyncio.sleep, queued=True)

    async def turn() -> None:
        async for attempt in retries.retrier():
            with attempt:
                await asyncio.sleep(0.01)
                raise RateLimited("busy")

    with pytest.raises(RateLimited, match="busy"):
        asyncio.run(turn())
    assert retries.gave_up == "deadline"
    assert refused


@pytest.mark.parametrize(
    ("script", "changes", "why", "requests"),
    [
        ({"fault": "429-no-retry"}, {}, "cannot help", 1),
        ({"fault": "quota"}, {}, "cannot help", 1),
        ({"fault": "reset"}, {}, "reply had begun", 1),
        ({"fault": "429", "retry_after": 61}, {}, "asked to wait too long", 1),
        ({"fault": "429", "retry_after": 50}, {"deadline_s": 40.0}, "deadline", 1),
        ({"fault": "500"}, {"attempts": 1}, "attempts", 1),
    ],
)
def test_an_observer_learns_why_there_is_no_other_attempt(
    server: FaultServer,
    open_interview: Callable[..., Interview],
    failures: Failures,
    script: dict[str, Any],
    changes: dict[str, Any],
    why: str,
    requests: int,
) -> None:
    """`gave_up` names the rule, and nothing further is sent or waited for."""
    fields = dict(script)
    server.script(fields.pop("fault"), **fields)
    with pytest.raises(ClientError):
        open_interview(**changes).say_sync("Hello")
    assert [(event.retry_in_s, event.gave_up) for event in failures.events] == [(None, why)]
    assert len(server.requests) == requests


def test_a_retry_that_follows_is_told_with_its_wait(
    server: FaultServer, open_interview: Callable[..., Interview], failures: Failures
) -> None:
    """The event before a retry holds the wait, which is at least what the server asked, and no reason."""
    server.script("429", retry_after_ms=20)
    open_interview().say_sync("Hello")
    ((event),) = failures.events
    assert event.retry_in_s is not None
    assert event.retry_in_s >= 0.02
    assert event.gave_up == ""


def test_the_deadline_covers_waits_and_attempts(
    server: FaultServer, open_interview: Callable[..., Interview], failures: Failures, clock: Clock
) -> None:
    """A turn whose next wait would pass the deadline ends, however many attempts are left."""
    server.decide = lambda request: FAULT_503
    buddy = open_interview(deadline_s=1_000.0, attempts=1_000, retry_budget=1_000, retry_after_max_s=500)
    with pytest.raises(ServerFailed), buddy.ask("Hello") as reply:
        reply.on_notice = Waits(clock, 300, buddy, server)
        list(reply)
    assert len(server.requests) == 4, "at 0, 300, 600 and 900 s"
    assert failures.events[-1].gave_up == "deadline"


# --- rate limits


def test_a_short_rate_limit_is_waited_for_with_a_countdown(
    server: FaultServer, open_interview: Callable[..., Interview], clock: Clock
) -> None:
    """When the service said that nothing remains, the next request leaves after the reset, and says so."""
    server.headers |= {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "900s",
    }
    buddy = open_interview(rate_limit_wait_s=1_000.0, deadline_s=10_000.0)
    buddy.say_sync("Hello")
    server.headers.clear()
    waits = Waits(clock, 900, buddy, server)
    with buddy.ask("Hello") as reply:
        reply.on_notice = waits
        list(reply)
    assert list(waits.lines) == [1], "the second request had not left yet"
    assert re.fullmatch(r"rate limit reached: sending in [89]\d\d\.\d s…", waits.lines[1])
    assert len(rows(buddy, "1")) == 2


@pytest.mark.parametrize(("setting", "reset"), [(0.0, "400ms"), (20.0, "90s")])
def test_a_limit_is_not_waited_for_when_that_is_long_or_not_wanted(
    server: FaultServer, open_interview: Callable[..., Interview], setting: float, reset: str
) -> None:
    """Then the request is sent at once, and the service decides."""
    server.headers |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    buddy = open_interview(rate_limit_wait_s=setting)
    notices: list[str] = []
    for _ in range(2):
        with buddy.ask("Hello") as reply:
            reply.on_notice = notices.append
            list(reply)
    assert notices == []
    assert len(server.requests) == 2


@pytest.mark.parametrize("wait", ["limit", "retry"])
def test_a_wait_is_interrupted_at_once_and_leaves_nothing_held(
    server: FaultServer, open_interview: Callable[..., Interview], wait: str
) -> None:
    """Leaving while waiting sends nothing further and charges nothing."""
    longer = 1_000.0  # than a test may run
    buddy = open_interview(rate_limit_wait_s=longer, retry_after_max_s=longer, deadline_s=2 * longer)
    if wait == "limit":
        server.headers |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "900s"}
        buddy.say_sync("Hello")
    else:
        server.script("429", retry_after=900)
    seen = len(server.requests)
    waiting = threading.Event()

    def interrupt(text: str) -> None:
        waiting.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), buddy.ask("Hello") as reply:
        reply.on_notice = interrupt
        list(reply)
    assert waiting.is_set()
    totals = buddy.service.totals(buddy.session.session_id)
    assert (totals.held, totals.in_doubt) == (0, 0)
    assert buddy._turns.shared.retries.left == buddy.settings.retry_budget, (
        "a retry that was not made is not spent"
    )
    assert len(server.requests) == seen + (wait == "retry")


def test_how_long_a_known_limit_is_waited_for() -> None:
    """Only for what is used up, only what is left of the reset, never for what could never fit."""
    requests = RateLimits(remaining_requests=0, reset_requests_s=6.0, seen_at=100.0)
    assert requests.wait_s(10, now=102.0) == 4.0
    assert requests.wait_s(10, now=107.0) == 0.0
    tokens = RateLimits(limit_tokens=1_000, remaining_tokens=50, reset_tokens_s=3.0, seen_at=100.0)
    assert tokens.wait_s(50, now=100.0) == 0.0
    assert tokens.wait_s(51, now=100.0) == 3.0
    assert tokens.wait_s(1_001, now=100.0) == 0.0
    assert RateLimits().wait_s(1) == 0.0


def test_a_countdown_says_about_every_second_what_is_left() -> None:
    """The first line comes at once; a rest of less than half a second gets no line of its own."""
    said: list[float] = []
    asyncio.run(countdown(1.2, said.append))
    assert said == [1.2]
    asyncio.run(countdown(0.0, said.append))
    assert said == [1.2, 0.0]


def test_a_countdown_waits_to_the_end_and_is_silent_about_the_last_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Second by second, then for what is left."""
    now, slept, said = [0.0], [], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(countdown(3.375, said.append))
    assert slept == [1.0, 1.0, 1.0, 0.375]
    assert said == [3.375, 2.375, 1.375]


# --- the cancel policy


def test_close_ends_the_stream_and_counts(
    server: FaultServer, open_interview: Callable[..., Interview]
) -> None:
    """By default a stop closes the connection; what had arrived is counted."""
    server.reply(pieces=["word "] * 300, delay_s=0.02)
    buddy = open_interview()
    with buddy.ask("Hello") as reply:
        next(iter(reply))
    assert server.wait_for_disconnect().pieces_sent < 300
    assert rows(buddy, "source, finish_reason") == [("counted", "stopped")]


def test_drain_gives_control_back_and_settles_with_the_real_usage(
    open_interview: Callable[..., Interview],
) -> None:
    """The reader leaves at once; the row appears when the service has said what it billed."""
    chunk = 'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'
    end = (
        'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], '
        '"usage": {"prompt_tokens": 90, "completion_tokens": 20}}\n\ndata: [DONE]\n\n'
    )
    rest = threading.Event()
    with RawService(Answer((chunk, chunk, rest, *([chunk] * 18), end))) as service:
        buddy = open_interview(cancel="drain", base_url=service.base_url)
        with buddy.ask("Hello") as reply:
            next(iter(reply))
        assert isinstance(reply.stop_line(), Stopped)
        assert "read in the background" in str(reply.stop_line())
        sid = buddy.session.session_id
        assert buddy.service.totals(sid).held > 0
        rest.set()
        eventually(lambda: buddy.service.totals(sid).held == 0)
    assert rows(buddy, "source, input_tokens, output_tokens") == [("api", 90, 20)]
    assert buddy.history()[-1].content == "word " * 20


def test_drain_ends_after_its_limit(server: FaultServer, open_interview: Callable[..., Interview]) -> None:
    """What has not ended by then is closed and counted, with everything that was read meanwhile."""
    server.script("stall", after=3)
    buddy = open_interview(cancel="drain", drain_s=0.2)
    with buddy.ask("Hello") as reply:
        next(iter(reply))
    server.wait_for_disconnect()
    eventually(lambda: buddy.service.totals(buddy.session.session_id).held == 0)
    assert rows(buddy, "source, finish_reason") == [("counted", "stopped")]


def test_drain_before_the_first_piece_waits_for_the_answer(
    server: FaultServer, open_interview: Callable[..., Interview]
) -> None:
    """Even an answer that had not begun is settled with its real usage instead of being in doubt."""
    server.reply("one two three", delay_s=0.1)
    buddy = open_interview(cancel="drain")
    with buddy.ask("Hello"):
        server.wait_for_requests(1)
    eventually(lambda: buddy.service.totals(buddy.session.session_id).held == 0)
    assert rows(buddy, "source, status") == [("api", "settled")]


def test_a_failure_while_draining_is_told_and_not_retried(
    server: FaultServer, open_interview: Callable[..., Interview], failures: Failures
) -> None:
    """Nobody waits for that reply any more: it is in doubt, and observers know."""
    server.script("reset", after=3, delay_s=0.05)
    buddy = open_interview(cancel="drain")
    with buddy.ask("Hello") as reply:
        next(iter(reply))
    eventually(lambda: bool(failures.events))
    assert [event.error for event in failures.events] == ["StreamBroken"]
    assert len(server.requests) == 1
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.held == 0
    assert totals.in_doubt > 0


def test_closing_the_interview_ends_a_drain(
    server: FaultServer, open_interview: Callable[..., Interview], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing stays held, and no task complains."""
    caplog.set_level(logging.WARNING, "asyncio")
    server.script("stall", after=3)
    buddy = open_interview(cancel="drain")
    with buddy.ask("Hello") as reply:
        next(iter(reply))
    settings = buddy.settings
    session = buddy.session.session_id
    assert buddy.service.totals(session).held > 0
    buddy.close()
    server.wait_for_disconnect()
    with Interview(settings) as again:
        assert again.service.totals(session).held == 0
    assert caplog.records == []


def test_rate_limited_says_what_the_server_asked(
    server: FaultServer, open_interview: Callable[..., Interview]
) -> None:
    """A wait that is too long is in the line that the user sees."""
    server.script("429-long")
    with pytest.raises(RateLimited, match="600 s"):
        open_interview().say_sync("Hello")


def _step(fault: str) -> Any:
    from ib_kernel.testing import FAULTS

    return FAULTS[fault].step


FAULT_500 = _step("500")
FAULT_503 = dataclasses.replace(_step("503"), retry_after=300)


class Tty(io.StringIO):
    """A terminal's standard output."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Tty, io.StringIO])
def test_a_countdown_in_a_terminal_is_one_line(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written over itself and gone when the reply comes; in a log only its first line stands."""
    from ib_kernel.notebook.output.screen import Terminal

    out = stream()
    monkeypatch.setattr("sys.stdout", out)
    screen = Terminal()
    for left in (3, 2, 1):
        screen.notice(f"RateLimited: trying again in {left}.0 s…")
    screen.piece("Why?")
    shown = out.getvalue()
    if out.isatty():
        assert "\n" not in shown
        assert shown.rpartition("\r\x1b[2K")[2] == "Why?"
        assert "in 1.0 s" in shown
    else:
        assert shown == "RateLimited: trying again in 3.0 s…\nWhy?"
