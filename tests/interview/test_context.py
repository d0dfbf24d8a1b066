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
from ib_kernel.errors import BudgetRefused, ConfigError, NoSession, SessionInactive
from ib_kernel.interview.prompts import WRAP_UP
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
