"""The whole path with the real SDK, the real ledger and a real loopback server."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clock import Clock, Waits
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ib_kernel import Interview, Plugins, Settings, hookimpl
from ib_kernel.errors import (
    AuthFailed,
    BuddyError,
    BudgetRefused,
    ConfigError,
    ContextTooLong,
    NoKey,
    NoSession,
    QuotaExceeded,
    RateLimited,
    SessionInactive,
    Stopped,
    StreamBroken,
    TimedOut,
)
from ib_kernel.models.limits import get_model
from ib_kernel.plugin.events import BudgetWarning
from ib_kernel.testing import FaultServer
from ib_kernel.testing.server import Recorded
from ib_kernel.turn.admission import Purse, Wish, plan_turn
from ib_kernel.turn.token_cap import ReplyTruncator
from ib_kernel.values import Count, Message

KEY = "sk-test-0123456789abcdef"
MODEL = "gpt-4.1-mini"


class Watcher:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    @hookimpl
    def ib_before_call(self, event: object) -> None:
        self.events.append(event)

    @hookimpl
    def ib_after_call(self, event: object) -> None:
        self.events.append(event)

    @hookimpl
    def ib_call_failed(self, event: object) -> None:
        self.events.append(event)

    @hookimpl
    def ib_budget_warning(self, event: object) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def buddy(server: FaultServer, watcher: Watcher, tmp_path: Path) -> Iterator[Interview]:
    settings = Settings(
        data_dir=tmp_path / "ledger", base_url=server.base_url, api_key=KEY, model=MODEL, backoff_s=0.01
    )
    with Interview(settings, plugins=Plugins([watcher])) as interview:
        interview.start("Backend engineer", candidate="Ada", token_budget=20_000)
        yield interview


def rows(buddy: Interview, columns: str) -> list[tuple[object, ...]]:
    return buddy.service.store.sql(f"SELECT {columns} FROM calls ORDER BY started_at, attempt").fetchall()


def nothing_held(buddy: Interview) -> bool:
    totals = buddy.service.totals(buddy.session.session_id)
    return totals.held == 0 and buddy.service.store.check() == []


def test_a_streamed_answer_arrives_piece_by_piece_and_its_row_equals_the_servers_usage(
    buddy: Interview, server: FaultServer
) -> None:
    """Pieces are seen while the server still sends; the row is what the server billed."""
    server.reply(pieces=["Why ", "a ", "bucket?"], delay_s=0.05)
    seen_before_the_end = 0
    with buddy.ask("A token bucket per user.") as reply:
        for _ in reply:
            seen_before_the_end += not server.requests[0].complete
    usage = server.requests[0].usage
    assert reply.text == "Why a bucket?"
    assert seen_before_the_end >= 2
    assert usage is not None
    assert rows(buddy, "input_tokens, output_tokens, source, status") == [
        (usage["prompt_tokens"], usage["completion_tokens"], "api", "settled")
    ]
    assert nothing_held(buddy)


def test_the_footer_says_what_the_turn_used_and_what_is_left(buddy: Interview, server: FaultServer) -> None:
    """The footer's figures are the ledger's."""
    usage = {"prompt_tokens": 412, "completion_tokens": 187, "total_tokens": 599}
    server.reply(text="Fine.", usage=usage)
    with buddy.ask("Hello") as reply:
        list(reply)
    assert (
        reply.footer
        == "openai · turn 1 · 412 in + 187 out = 599 · 19,401 of 20,000 left · about 25 more turns"
    )


def test_the_same_engine_serves_an_event_loop(buddy: Interview, server: FaultServer) -> None:
    """`async with` and `async for` give the reply word by word, and `say` the whole."""
    server.reply(pieces=["one", " two"])
    server.reply(text="three")

    async def talk() -> tuple[list[str], str]:
        async with buddy.ask("Hello") as reply:
            pieces = [piece async for piece in reply]
        return pieces, (await buddy.say("And?")).text

    assert asyncio.run(talk()) == (["one ", "two"], "three")


def test_the_history_goes_with_every_turn(buddy: Interview, server: FaultServer) -> None:
    """The second request carries the system prompt, the first question and its answer."""
    server.reply(text="Why?")
    buddy.say_sync("First {braces} $dollars")
    buddy.say_sync("Second")
    sent = [(m["role"], m["content"]) for m in server.requests[1].body["messages"]]
    assert sent[0][0] == "system"
    assert sent[1:] == [("user", "First {braces} $dollars"), ("assistant", "Why?"), ("user", "Second")]


def test_leaving_mid_stream_ends_the_servers_stream_and_keeps_the_partial_answer(
    buddy: Interview, server: FaultServer
) -> None:
    """A reader that leaves is charged for what arrived, counted, and nothing stays held."""
    server.reply(pieces=["word "] * 500, delay_s=0.02)
    with buddy.ask("Tell me everything") as reply:
        for number, _ in enumerate(reply):
            if number == 4:
                break
    gone = server.wait_for_disconnect()
    assert gone.pieces_sent < 500
    assert rows(buddy, "source, status, finish_reason") == [("counted", "settled", "stopped")]
    assert nothing_held(buddy)
    partial = buddy.history()[-1]
    assert partial.partial
    assert partial.content.startswith("word word")
    assert "reply tokens were counted" in str(reply.stop_line())


def test_an_interrupt_in_the_readers_thread_does_the_same(buddy: Interview, server: FaultServer) -> None:
    """A KeyboardInterrupt passes through, after the ledger is right."""
    server.reply(pieces=["word "] * 500, delay_s=0.02)
    with pytest.raises(KeyboardInterrupt), buddy.ask("Go on") as reply:
        for _ in reply:
            raise KeyboardInterrupt
    server.wait_for_disconnect()
    assert nothing_held(buddy)
    assert buddy.say_sync("Next").turn == 2


def test_leaving_before_the_first_piece_is_in_doubt_and_stays_charged(
    buddy: Interview, server: FaultServer
) -> None:
    """Nobody can say what a request cost whose answer was not awaited."""
    server.script("hang-before-headers")
    with buddy.ask("Hello") as reply:
        server.wait_for_requests(1)
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.held == 0
    assert totals.in_doubt > 0
    assert totals.left == 20_000 - totals.in_doubt
    assert isinstance(reply.stop_line(), Stopped)
    assert rows(buddy, "status") == [("in_doubt",)]


def test_leaving_an_async_generator_ends_the_response(buddy: Interview, server: FaultServer) -> None:
    """`aclose` on the streaming facade closes the HTTP response and settles."""
    from ib_kernel.interview.openai_client import BudgetedClient

    server.reply(pieces=["word "] * 500, delay_s=0.02)
    client = BudgetedClient(buddy)

    async def peek() -> str:
        stream = client.stream_chat_completion([{"role": "user", "content": "Hello"}])
        first = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return first

    assert asyncio.run(peek()) == "word "
    server.wait_for_disconnect()
    assert nothing_held(buddy)


def test_a_retried_attempt_has_a_row_of_its_own(
    buddy: Interview, server: FaultServer, watcher: Watcher
) -> None:
    """Two refusals and an answer are three rows of one turn; only the answer costs tokens."""
    server.script("429", retry_after=0)
    server.script("503")
    assert buddy.say_sync("Hello").turn == 1
    assert [(r[0], r[1], r[2]) for r in rows(buddy, "turn, attempt, status")] == [
        (1, 1, "failed"),
        (1, 2, "failed"),
        (1, 3, "settled"),
    ]
    assert [(type(event).__name__, event.attempt) for event in watcher.events] == [
        ("BeforeCall", 1),
        ("CallFailed", 1),
        ("BeforeCall", 2),
        ("CallFailed", 2),
        ("BeforeCall", 3),
        ("AfterCall", 3),
    ]
    assert nothing_held(buddy)


def test_the_pipeline_never_retries_sooner_than_the_server_asks(
    buddy: Interview, server: FaultServer, clock: Clock
) -> None:
    """The wait that is announced is at least Retry-After, and is over when that time has passed."""
    server.script("429", retry_after=40)
    waits = Waits(clock, 40, buddy, server)
    with buddy.ask("Hello") as reply:
        reply.on_notice = waits
        list(reply)
    assert waits.lines == {1: "the service is busy: trying again in 40.0 s…"}
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        ("quota", QuotaExceeded, 1),
        ("401", AuthFailed, 1),
        ("context", ContextTooLong, 1),
        ("429-long", RateLimited, 1),
    ],
)
def test_what_retrying_cannot_help_is_tried_once(
    buddy: Interview, server: FaultServer, fault: str, error: type[BuddyError], attempts: int
) -> None:
    """Quota, key, context and long waits fail at once, cost nothing and leak no key."""
    server.script(fault)
    with pytest.raises(error) as caught:
        buddy.say_sync("Hello")
    assert KEY not in str(caught.value)
    assert len(server.requests) == attempts
    assert buddy.service.totals(buddy.session.session_id).left == 20_000
    assert nothing_held(buddy)


def test_a_stream_that_breaks_after_its_first_piece_is_in_doubt_and_not_retried(
    buddy: Interview, server: FaultServer
) -> None:
    """The partial answer is kept; what it has cost stays charged until somebody decides."""
    server.script("reset")
    with pytest.raises(StreamBroken):
        buddy.say_sync("Hello")
    assert len(server.requests) == 1
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.in_doubt > 0
    assert buddy.history()[-1].partial
    (doubtful,) = buddy.service.store.reservations()
    assert buddy.service.store.write_off(doubtful.reservation_id, who="test")
    assert buddy.service.totals(buddy.session.session_id).left == 20_000


def test_a_stalled_reply_is_given_up_after_the_gap(server: FaultServer, tmp_path: Path, clock: Clock) -> None:
    """The time between pieces is limited apart from the time to the first."""
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL, gap_s=20)
    server.script("stall")
    read, over = threading.Event(), threading.Event()

    def hang(request: Recorded) -> None:
        read.wait()
        clock.forward_until(over.is_set, 20, buddy)

    server.on_hang = hang
    with Interview(settings) as buddy:
        buddy.start()
        with pytest.raises(TimedOut, match="stalled"), buddy.ask("Hello") as reply:
            for _ in reply:
                read.set()
        over.set()
        server.wait_for_disconnect()
        assert buddy.service.totals(buddy.session.session_id).held == 0


def test_a_server_that_ignores_the_cap_is_stopped_at_the_cap(buddy: Interview, server: FaultServer) -> None:
    """The stream is cut client-side; the reply is never longer than what was held for it."""
    server.reply(pieces=["word "] * 1_000, cap=False, delay_s=0.001)
    result = buddy.say_sync("Hello", max_tokens=50)
    assert result.end.finish_reason == "cap"
    assert result.end.output_tokens <= 50
    assert result.end.source == "counted"
    server.wait_for_disconnect()


@pytest.mark.parametrize("content", ["Solve it.", [{"type": "text", "text": "Solve it."}]])
def test_what_is_recorded_is_what_was_sent(buddy: Interview, server: FaultServer, content: object) -> None:
    """A question that says another thing than the message does not stand in for it."""
    with buddy.send([{"role": "user", "content": content}], Message(0, "user", "May I ask?")) as reply:
        list(reply)
    assert server.requests[-1].body["messages"][-1]["content"] == content
    asked = [message.content for message in buddy.history() if message.role == "user"]
    assert asked == ["Solve it."]


def test_usage_beyond_the_hold_is_recorded_as_overdraft(server: FaultServer, tmp_path: Path) -> None:
    """What the service bills is never clipped."""
    server.reply(text="x", usage={"prompt_tokens": 10, "completion_tokens": 5_000, "total_tokens": 5_010})
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL)
    with Interview(settings) as buddy:
        buddy.start(token_budget=2_000)
        result = buddy.say_sync("Hello")
        assert result.totals.used == 5_010
        assert result.totals.overdraft == 3_010
        assert result.totals.left == 0


def test_a_reply_without_usage_is_counted_and_says_so(buddy: Interview, server: FaultServer) -> None:
    """Missing usage is never zero."""
    server.reply(text="one two three", usage_sent="never")
    with buddy.ask("Hello") as reply:
        list(reply)
    assert reply.result is not None
    assert reply.result.end.source == "counted"
    assert reply.result.end.output_tokens == buddy.service.count_tokens("one two three", MODEL)
    assert reply.result.end.input_tokens == reply.result.count.tokens
    assert reply.footer.endswith("· counted")


def test_a_reasoning_model_without_usage_is_charged_what_was_held(
    buddy: Interview, server: FaultServer
) -> None:
    """Hidden tokens cannot be counted from outside, so the bound is what is safe."""
    server.reply(text="one", usage_sent="never")
    result = buddy.say_sync("Hello", model="gpt-5.4-mini", max_tokens=300)
    assert result.end.source == "upper_bound"
    assert result.end.output_tokens == 300


def test_a_refused_turn_sends_nothing_and_says_what_would_fit(buddy: Interview, server: FaultServer) -> None:
    """The suggestion in the message works."""
    with pytest.raises(BudgetRefused, match=r"Try %%interview -n (\d+)\.") as caught:
        buddy.say_sync("Hello", max_tokens=25_000)
    assert server.requests == []
    fits = int(str(caught.value).rsplit(" ", 1)[1].rstrip("."))
    assert buddy.say_sync("Hello", max_tokens=fits).end.source == "api"


def test_a_reply_is_shrunk_to_the_budget_and_the_footer_names_it(server: FaultServer, tmp_path: Path) -> None:
    """Without -n the cap gives way, down to the minimum; below that the turn is refused."""
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL)
    with Interview(settings) as buddy:
        session = buddy.start(token_budget=1_500)
        with buddy.ask("Hello") as reply:
            list(reply)
        assert "by the budget" in reply.footer
        buddy.service.store.set_budget(
            session.session_id, tokens=buddy.service.totals(session.session_id).used + 300
        )
        with pytest.raises(BudgetRefused, match="at least"):
            buddy.say_sync("Hello")
        assert len(server.requests) == 1


def test_warnings_come_once_per_level(server: FaultServer, watcher: Watcher, tmp_path: Path) -> None:
    """Passing 75 % and 90 % is told once each, and recorded."""
    settings = Settings(data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL)
    with Interview(settings, plugins=Plugins([watcher])) as buddy:
        session = buddy.start(token_budget=10_000)
        for used in (7_000, 600, 100, 1_400):
            server.reply(
                text="x", usage={"prompt_tokens": used - 1, "completion_tokens": 1, "total_tokens": used}
            )
        said = [buddy.say_sync("Hello").warnings for _ in range(4)]
        assert [event.level for event in watcher.events if isinstance(event, BudgetWarning)] == [0.75, 0.9]
        facts = [e.detail for e in buddy.service.store.events(session.session_id) if e.kind == "warned"]
        assert [f["level"] for f in facts if f["about"] == "budget"] == [0.75, 0.9]
        assert said[1] == (
            "⚠ 76% of the budget is used: 2,400 tokens are left. %budget shows where they went.",
        )


def test_a_paused_session_refuses_turns_in_one_line(buddy: Interview, server: FaultServer) -> None:
    """The line names what to type."""
    buddy.service.pause(buddy.session.session_id)
    with pytest.raises(SessionInactive, match="%interview resume"):
        buddy.say_sync("Hello")
    assert server.requests == []


def test_without_a_session_one_line_names_both_ways_to_get_one(settings: Settings) -> None:
    """After a restart the last active session is offered."""
    with Interview(settings) as first:
        session = first.start(candidate="Ada", client="demo")
    with Interview(settings) as second:
        with pytest.raises(NoSession, match=f"%interview use {session.session_id}") as caught:
            second.ask("Hello")
        assert "%interview start" in str(caught.value)
        second.use(session.session_id)
        assert second.say_sync("Hello").turn == 1


def test_a_missing_key_is_one_line(settings: Settings) -> None:
    """The openai client without a key says what to do instead."""
    with Interview(settings) as buddy, pytest.raises(NoKey, match="OPENAI_API_KEY is not set"):
        buddy.start(client="openai")
        buddy.say_sync("Hello")


def test_the_demo_interview_needs_no_key_and_counts_its_tokens(settings: Settings) -> None:
    """The demo is a real turn: held, streamed, counted, settled."""
    with Interview(settings) as buddy:
        session = buddy.start("Backend engineer", challenge="rate-limiter")
        first = buddy.say_sync("I would start with a token bucket per user, kept in Redis.")
        assert session.client == "demo"
        assert first.end.source == "counted"
        assert first.end.output_tokens == buddy.service.count_tokens(first.text, session.model)
        assert first.end.cost_nano_usd is None
        assert nothing_held(buddy)


def test_chat_completion_is_a_turn_under_the_budget(server: FaultServer, tmp_path: Path) -> None:
    """The names of the earlier app go through the same ledger."""
    from ib_kernel import get_openai_client

    settings = Settings(
        data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL, token_budget=5_000
    )
    client = get_openai_client(settings)
    try:
        server.reply(text="Hi Ada")
        messages = [{"role": "user", "content": "Hello"}]
        answer = asyncio.run(client.chat_completion(messages, temperature=0.2, max_tokens=100))
        assert set(answer) == {"content", "usage", "model", "finish_reason", "id", "created"}
        assert answer["content"] == "Hi Ada"
        assert server.requests[0].body["temperature"] == 0.2
        session = client.interview.session
        used = client.interview.service.totals(session.session_id).used
        assert used == answer["usage"]["total_tokens"]
        with pytest.raises(BudgetRefused):
            asyncio.run(client.chat_completion(messages, max_tokens=6_000))
        assert asyncio.run(client.validate_api_key()) is True
        with pytest.raises(ConfigError, match="messages must be a list"):
            asyncio.run(client.chat_completion("Hello"))  # type: ignore[arg-type]
    finally:
        client.close()


def test_temperature_is_left_out_where_the_model_rejects_it(buddy: Interview, server: FaultServer) -> None:
    """A reasoning model gets no temperature."""
    buddy.say_sync("Hello", temperature=0.5)
    buddy.say_sync("Hello", temperature=0.5, model="gpt-5-mini")
    assert [request.body.get("temperature") for request in server.requests] == [0.5, None]


def test_thirty_turns_at_once_leave_nothing_held_and_nothing_overspent(
    server: FaultServer, tmp_path: Path
) -> None:
    """Readers race for one budget; the ledger adds up and no thread or task is left behind."""
    settings = Settings(
        data_dir=tmp_path, base_url=server.base_url, api_key=KEY, model=MODEL, store_transcript=False
    )
    outcomes: list[str] = []
    with Interview(settings) as buddy:
        session = buddy.start(token_budget=12_000)

        def talk() -> None:
            try:
                buddy.say_sync("Hello")
                outcomes.append("answered")
            except BudgetRefused:
                outcomes.append("refused")

        threads = [threading.Thread(target=talk) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        totals = buddy.service.totals(session.session_id)
        assert len(outcomes) == 30
        assert outcomes.count("answered") == totals.calls
        assert totals.used <= 12_000
        assert nothing_held(buddy)
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name == "ib-kernel"]


@given(
    upper=st.integers(0, 5_000),
    left=st.integers(0, 20_000),
    asked=st.integers(1, 3_000),
    explicit=st.booleans(),
    n=st.integers(1, 3),
    new=st.none() | st.integers(0, 500),
)
def test_an_admitted_turn_always_fits(
    upper: int, left: int, asked: int, explicit: bool, n: int, new: int | None
) -> None:
    """Whatever is admitted fits the budget, the context and the output limit, and wishes are not shrunk."""
    model = get_model("gpt-4")
    charged = upper if new is None else min(upper, new)
    try:
        plan = plan_turn(Count(upper), model, Purse(left, 20_000, new=new), Wish(asked, 256, explicit, n))
    except (BudgetRefused, ContextTooLong):
        fits = (
            charged + n * asked <= left
            and upper + asked <= model.context_window
            and asked <= model.max_output
        )
        assert not fits
        return
    assert plan.tokens == charged + n * plan.cap <= left
    assert plan.billed == upper + n * plan.cap
    assert upper + plan.cap <= model.context_window
    assert min(asked, 256) <= plan.cap <= asked
    if explicit:
        assert plan.cap == asked


@hypothesis_settings(deadline=None)
@given(pieces=st.lists(st.text(max_size=20), max_size=30), cap=st.integers(0, 40))
def test_a_capped_reply_is_the_longest_start_that_fits(pieces: list[str], cap: int) -> None:
    """The meter cuts only when the whole text is over the cap, and never beyond it."""
    meter = ReplyTruncator(cap, len)
    kept = ""
    for piece in pieces:
        kept += meter.take(piece)
        if meter.full:
            break
    assert kept == "".join(pieces)[:cap] if meter.full else kept == "".join(pieces)
    assert len(kept) <= cap or not meter.full


def test_what_adds_no_token_is_not_cut_off() -> None:
    """The longest start that fits, also where it reaches the cap long before its end."""
    meter = ReplyTruncator(1, lambda text: text.count("x"))
    assert meter.take("x" + " " * 100 + "x") == "x" + " " * 100
    assert meter.full
