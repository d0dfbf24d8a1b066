"""What goes along with a question, what a start promises, and what the next turn would take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_shell import Paced

from ib_kernel import Interview, Plugins, Settings
from ib_kernel.budget.unresolved import find, settle
from ib_kernel.errors import (
    BudgetRefused,
    ConfigError,
    ContentFiltered,
    NoSession,
    SessionInactive,
    TimedOut,
)
from ib_kernel.interview.prompts import WRAP_UP
from ib_kernel.interview.turns import asked_now
from ib_kernel.notebook.commands.start import limits_line
from ib_kernel.notebook.output.gauge import gauge_text
from ib_kernel.show.figures import read_budget
from ib_kernel.values import NextTurn, Status, Usage

QUESTION = "word " * 149 + "?"
REPLY = ["word "] * 400


class Counted(Paced):
    """A client that bills what it is sent, to the token, and keeps it."""

    def __init__(self, pieces: list[str]) -> None:
        super().__init__(pieces)
        self.sent: list[dict[str, Any]] = []
        self.buddy: Interview | None = None

    def stream(self, body: Any) -> Any:
        self.sent.append(body)
        assert self.buddy is not None
        prompt = self.buddy.service.count_request(body, body["model"]).tokens
        self.usage = Usage(prompt, self.buddy.service.count_tokens("".join(self.pieces), body["model"]))
        return super().stream(body)


def interview(folder: Path, pieces: list[str], **given: Any) -> tuple[Interview, Counted]:
    """Return an interview with such a client."""
    client = Counted(pieces)
    plugins = Plugins()
    plugins.register(client, name="paced")
    settings = Settings(data_dir=folder, client="paced", **{"model": "gpt-4.1-mini", **given})
    client.buddy = Interview(settings, plugins=plugins)
    return client.buddy, client


@pytest.fixture
def room(tmp_path: Path) -> Iterator[tuple[Interview, Counted]]:
    buddy, client = interview(tmp_path, REPLY)
    yield buddy, client
    buddy.close()


def turns_until_refused(buddy: Interview) -> list[int | None]:
    """Talk until a turn is refused; return what was foretold after each."""
    foretold: list[int | None] = []
    while True:
        try:
            foretold.append(buddy.say_sync(QUESTION).turns_left)
        except BudgetRefused:
            return foretold


# --- forecasts


@pytest.mark.parametrize("budget", [20_000, 50_000])
def test_turns_left_are_right_from_the_first_turn_on(room: tuple[Interview, Counted], budget: int) -> None:
    """Within one, each time; before the first turn the start says it with assumed sizes."""
    buddy, _ = room
    session = buddy.start("Backend engineer", challenge="rate-limiter", token_budget=budget).session_id
    promised = buddy.service.estimate_turns_left(session)
    foretold = turns_until_refused(buddy)
    truth = list(range(len(foretold) - 1, -1, -1))
    assert all(abs((said or 0) - true) <= 1 for said, true in zip(foretold, truth, strict=True))
    assert abs((promised or 0) - len(foretold)) <= 1


def test_the_next_turn_is_known_before_it_is_sent(room: tuple[Interview, Counted]) -> None:
    """The prompt of the estimate is the count that is made at sending, in every turn."""
    buddy, client = room
    buddy.start("Backend engineer", challenge="rate-limiter", token_budget=20_000)
    for _ in range(3):
        foreseen = buddy.estimate(QUESTION)
        result = buddy.say_sync(QUESTION)
        assert foreseen.prompt == result.count.tokens == result.end.input_tokens
        assert (foreseen.exact, foreseen.refusal) == (True, "")
        assert foreseen.held == result.plan.tokens
        assert foreseen.turns_left == (result.turns_left or 0) + 1
    assert foreseen.reply == buddy.service.count_tokens("".join(REPLY))
    assert foreseen.new == buddy.service.count_tokens(QUESTION)
    assert len(client.sent) == 3
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.held == 0


def test_an_estimate_says_what_would_be_refused(room: tuple[Interview, Counted]) -> None:
    """In the line that sending would raise; a shorter reply changes it."""
    buddy, _ = room
    buddy.start("Backend engineer", challenge="rate-limiter", token_budget=1_200)
    foreseen = buddy.estimate("word " * 20)
    assert foreseen.held == 0
    with pytest.raises(BudgetRefused) as caught:
        buddy.say_sync("word " * 20)
    assert foreseen.refusal == str(caught.value)
    assert "-n " in foreseen.refusal
    assert buddy.estimate("word " * 20, max_tokens=50).refusal == ""


def test_an_estimate_crosses_a_wire(room: tuple[Interview, Counted]) -> None:
    """It is plain figures; a field from a newer host does not break it."""
    buddy, _ = room
    buddy.start(token_budget=20_000)
    foreseen = buddy.estimate("hello")
    sent = json.loads(json.dumps({**foreseen.to_json(), "later": 1}))
    assert NextTurn.from_json(sent) == foreseen


def test_an_estimate_needs_a_session_and_leaves_a_created_one_alone(
    room: tuple[Interview, Counted],
) -> None:
    """Looking ahead begins nothing."""
    buddy, _ = room
    with pytest.raises(NoSession):
        buddy.estimate("hello")
    buddy.start(token_budget=20_000, begin=False)
    assert buddy.estimate("").new == 0
    assert buddy.session.status is Status.CREATED


# --- starting


def test_a_budget_that_carries_no_turn_is_refused_with_the_least_that_does(
    room: tuple[Interview, Counted],
) -> None:
    """Nothing is recorded, and the figure in the line is right."""
    buddy, _ = room
    with pytest.raises(BudgetRefused, match=r"Give --budget (\d+) at least") as caught:
        buddy.start("Backend engineer", challenge="rate-limiter", token_budget=500)
    assert buddy.service.store.sessions() == []
    session = buddy.start("Backend engineer", challenge="rate-limiter", token_budget=caught.value.needed)
    assert buddy.service.estimate_turns_left(session.session_id) == 1
    assert buddy.say_sync(QUESTION).turns_left == 0


def test_a_created_session_begins_with_its_first_turn(room: tuple[Interview, Counted]) -> None:
    """Or with `begin`, which may be said twice."""
    buddy, _ = room
    first = buddy.start(begin=False)
    assert first.status is Status.CREATED
    assert buddy.say_sync("hello").turn == 1
    buddy.start(begin=False)
    assert buddy.begin().status is buddy.begin().status is Status.ACTIVE


def test_a_turn_in_a_session_that_takes_none_is_refused_and_recorded(
    room: tuple[Interview, Counted],
) -> None:
    """With the state that it is in."""
    buddy, _ = room
    session = buddy.start().session_id
    buddy.service.pause(session)
    with pytest.raises(SessionInactive, match="%interview resume"):
        buddy.say_sync("hello")
    refused = [e.detail for e in buddy.service.store.events(session) if e.kind == "refused"]
    assert refused == [{"reason": "inactive", "status": "paused"}]


def test_nothing_to_say_is_one_line(room: tuple[Interview, Counted]) -> None:
    """An empty text is no turn."""
    buddy, _ = room
    buddy.start()
    with pytest.raises(ConfigError, match="nothing to send"):
        buddy.ask("  \n")


# --- the last turn


def test_the_last_turn_asks_the_model_to_wrap_up(room: tuple[Interview, Counted]) -> None:
    """One line after the history, in the last prompt only; the transcript has what was typed."""
    buddy, client = room
    buddy.start("Backend engineer", challenge="rate-limiter", token_budget=5_000)
    turns = len(turns_until_refused(buddy))
    assert turns >= 2
    ends = [body["messages"][-1]["content"].endswith(WRAP_UP["interviewer"]) for body in client.sent]
    assert ends == [False] * (turns - 1) + [True]
    before, last = (body["messages"] for body in client.sent[-2:])
    assert last[: len(before)] == before  # the cached beginning stays as it was
    assert [m.content for m in buddy.history() if m.role == "user"] == [QUESTION] * turns


# --- the window


def test_what_does_not_fit_the_window_is_left_out_from_the_oldest_turn_on(tmp_path: Path) -> None:
    """An 8,192-token model goes on past turn 13; the task stays, row and footer say from where."""
    buddy, client = interview(tmp_path, REPLY, model="gpt-4")
    with buddy:
        buddy.start("Backend engineer", challenge="rate-limiter", token_budget=500_000)
        results = [buddy.say_sync(f"{turn} {QUESTION}") for turn in range(1, 21)]
        task = client.sent[0]["messages"][0]
        assert all(body["messages"][0] == task for body in client.sent)
        assert results[0].history_from_turn is None
        first = results[-1].history_from_turn
        assert first is not None
        assert 5 < first < 20
        said = [m["content"] for m in client.sent[-1]["messages"] if m["role"] == "user"]
        assert [int(text.split()[0]) for text in said] == list(range(first, 21))
        assert all(r.plan.prompt + r.plan.cap <= 8_192 for r in results)
        assert all(not r.plan.shrunk_by for r in results)
        with buddy.ask(QUESTION) as reply:
            list(reply)
        assert f"sent from turn {first + 1} on" in reply.footer
        assert buddy.service.estimate_turns_left(buddy.session.session_id) is not None


def test_prompts_go_to_what_only_just_fits(tmp_path: Path) -> None:
    """One turn more than what goes along would not have fitted."""
    buddy, _ = interview(tmp_path, REPLY, model="gpt-4")
    with buddy:
        buddy.start(token_budget=500_000)
        for _ in range(16):
            result = buddy.say_sync(QUESTION)
        a_turn = buddy.service.count_tokens(QUESTION) + buddy.service.count_tokens("".join(REPLY))
        assert result.plan.prompt + 1_200 + a_turn > 8_192


def test_a_task_that_leaves_room_for_short_replies_only_is_still_sent(tmp_path: Path) -> None:
    """The reply gives way before the task does."""
    task = tmp_path / "long.md"
    task.write_text("word " * 6_900, encoding="utf-8")
    buddy, _ = interview(tmp_path, ["Fine."], model="gpt-4")
    with buddy:
        buddy.start(challenge=str(task), token_budget=500_000)
        for _ in range(3):
            assert buddy.say_sync("hello").plan.shrunk_by == "the context window"


def test_overlapping_turns_compose_for_themselves(room: tuple[Interview, Counted]) -> None:
    """Two at once see the same history, and both are answered."""
    buddy, _ = room
    buddy.start(token_budget=50_000)

    async def both() -> list[Any]:
        return list(await asyncio.gather(buddy.say("one"), buddy.say("two")))

    assert sorted(r.turn for r in asyncio.run(both())) == [1, 2]


def test_the_session_names_its_conversation_to_a_cache(room: tuple[Interview, Counted]) -> None:
    """Every turn under the same name; an id that is too long for a service by its hash."""
    buddy, _ = room
    session = buddy.start().session_id
    assert buddy.ask("hello")._turn.ask.request.cache_key == session
    buddy.start(session_id="x" * 65)
    assert len(buddy.ask("hello")._turn.ask.request.cache_key) == 64


# --- charging what is new


def test_only_what_turns_add_is_charged_and_thirty_turns_fit(room: tuple[Interview, Counted]) -> None:
    """20,000 tokens carry 36 turns of 150 and 400, foretold within one; the bill keeps its ceiling."""
    buddy, client = room
    session = buddy.start(
        "Backend engineer", challenge="rate-limiter", token_budget=20_000, charge="new"
    ).session_id
    promised = buddy.service.estimate_turns_left(session)
    foretold = turns_until_refused(buddy)
    truth = list(range(len(foretold) - 1, -1, -1))
    assert len(foretold) >= 30
    assert all(abs((said or 0) - true) <= 1 for said, true in zip(foretold, truth, strict=True))
    assert abs((promised or 0) - len(foretold)) <= 1
    totals = buddy.service.totals(session)
    assert totals.used <= 20_000 < totals.billed <= totals.billed_ceiling == 200_000
    said = buddy.service.count_tokens(QUESTION), buddy.service.count_tokens("".join(REPLY))
    rows = buddy.service.store.sql("SELECT charged_tokens, history_from_turn FROM calls ORDER BY turn").rows
    assert [row[0] for row in rows[:-1]] == [sum(said)] * (len(rows) - 1)
    assert rows[9][1] is None  # the whole conversation went along for as long as the bill allows
    assert rows[-1][1] is not None
    task = client.sent[0]["messages"][0]
    assert all(body["messages"][0] == task and len(body["messages"]) >= 4 for body in client.sent[3:])


def test_the_footer_says_charged_where_less_is_charged(room: tuple[Interview, Counted]) -> None:
    """Both figures stand there; the gauge and the figures by name tell them apart."""
    buddy, _ = room
    session = buddy.start(challenge="rate-limiter", token_budget=20_000, charge="new").session_id
    with buddy.ask(QUESTION) as reply:
        list(reply)
    charged = buddy.service.count_tokens(QUESTION) + buddy.service.count_tokens("".join(REPLY))
    assert f"{charged:,} charged · {20_000 - charged:,} of 20,000 left" in reply.footer
    stats = buddy.service.get_usage_stats(session)
    assert (stats["tokens_used"], stats["charge"]) == (charged, "new")
    assert stats["billed_tokens"] > charged
    assert "charged for what turns add" in limits_line(buddy.session, buddy.service.totals(session))
    gauge = gauge_text(read_budget(buddy.service, session))
    assert f"charged {charged:,}, what turns added · billed {stats['billed_tokens']:,} =" in gauge


def test_what_the_engine_did_not_compose_is_charged_as_billed(room: tuple[Interview, Counted]) -> None:
    """Messages that are sent as they are, and reported use, are free of nothing."""
    buddy, _ = room
    session = buddy.start(token_budget=20_000, charge="new").session_id
    messages = [{"role": "system", "content": "word " * 300}, {"role": "user", "content": "hello"}]
    with buddy.send(messages, asked_now("user", "hello")) as reply:
        list(reply)
    totals = buddy.service.totals(session)
    assert totals.used == totals.billed > 700
    buddy.service.update_consumption(session, 100, 50)
    assert buddy.service.totals(session).used == totals.used + 150


def test_failures_and_decisions_charge_by_the_same_rule(room: tuple[Interview, Counted]) -> None:
    """A filtered prompt, a retry that was billed, and a call in doubt that somebody settles."""
    buddy, client = room
    session = buddy.start(challenge="rate-limiter", token_budget=20_000, charge="new").session_id
    new = buddy.service.count_tokens(QUESTION)

    def filtered(i: int) -> None:
        raise ContentFiltered("The prompt was filtered.", outcome="prompt_billed")

    client.before = filtered
    with pytest.raises(ContentFiltered):
        buddy.say_sync(QUESTION)
    first = buddy.service.totals(session)
    assert first.used == new < first.billed

    def lost(i: int) -> None:
        raise TimedOut("no answer", outcome="unknown", retryable=False)

    client.before = lost
    with pytest.raises(TimedOut):
        buddy.say_sync(QUESTION)
    doubt = find(buddy.service, None, session)
    assert doubt.tokens < doubt.billed_tokens
    assert buddy.service.totals(session).in_doubt == new + 1_200
    end = settle(buddy.service, doubt, first.billed, 40)
    assert end.input_tokens == first.billed
    assert buddy.service.totals(session).used == 2 * new + 40


def test_a_tight_ceiling_ends_in_its_own_words(room: tuple[Interview, Counted]) -> None:
    """Tokens of the budget may be left when nothing more may be billed."""
    buddy, _ = room
    opened = buddy.service.create_session(
        "Ada", 20_000, "gpt-4.1-mini", client="paced", charge="new", billed_ceiling=4_000
    )
    buddy.use(opened.session_id)
    foretold = turns_until_refused(buddy)
    assert foretold[-1] == 0
    refused = [e.detail for e in buddy.service.store.events(opened.session_id) if e.kind == "refused"]
    assert refused[-1]["reason"] == "billed"
    assert buddy.service.totals(opened.session_id).left > 10_000


def test_a_setting_chooses_what_is_charged(tmp_path: Path) -> None:
    """For every session that is started without saying."""
    buddy, _ = interview(tmp_path, ["Fine."], charge="new")
    with buddy:
        assert buddy.start().charge == "new"
        assert buddy.start(charge="billed").charge == "billed"
        assert buddy.service.create_session("Ada", 9_000, "gpt-4.1-mini").charge == "new"
