"""Ends that are seen coming: warnings, refusals that help, and a time limit that is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_shell import Paced

from ib_duckdb.store import DuckDBStore
from ib_kernel import Interview, Plugins, Settings, TokenService
from ib_kernel.errors import BudgetRefused, ContentFiltered, Outcome, SessionInactive
from ib_kernel.models.limits import get_model
from ib_kernel.turn import session_end
from ib_kernel.turn.admission import Person, Purse, Wish, inactive, over_money, plan_turn, refused
from ib_kernel.values import CallEnd, CallStart, Count, Refusal, Status, Totals, Usage

MODEL = get_model("gpt-4.1-mini")


class Room:
    """An interview whose client and clock the test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_790_000_000.0
        self.client = Paced(["word "] * 3, usage=Usage(1_000, 100))
        plugins = Plugins()
        plugins.register(self.client, name="paced")
        settings = Settings(data_dir=folder, client="paced", model=MODEL.name, min_reply_tokens=50)
        self.store = DuckDBStore(folder, clock=lambda: self.now, background=False)
        service = TokenService(settings, plugins=plugins, store=self.store)
        self.buddy = Interview(settings, service=service)

    def let_pass(self, seconds: float) -> None:
        """Let time pass in steps that the ledger believes: a computer that sleeps uses up no limit."""
        session = self.buddy.session.session_id
        while seconds > 0:
            self.now += min(60.0, seconds)
            seconds -= 60.0
            self.buddy.service.pause(session)
            self.buddy.service.resume(session)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the details of the session's events of one kind."""
        found = self.store.events(self.buddy.session.session_id)
        return [dict(event.detail) for event in found if event.kind == kind]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.buddy.close()
    made.store.close()


# --- warnings


def test_the_last_turns_are_told_once_each_before_the_next_answer_is_written(room: Room) -> None:
    """Two more, one more, and at the last one that there is none; each is an event."""
    room.buddy.start(token_budget=4_800)
    said = [room.buddy.say_sync("word " * 20) for _ in range(4)]
    assert [r.turns_left for r in said] == [3, 2, 1, 0]
    assert [r.warnings for r in said] == [
        (),
        ("⚠ Two more turns fit into the budget.",),
        ("⚠ One more turn fits into the budget: the next is the last.",),
        ("⚠ This was the last turn that fits into the budget.",),
    ]
    with pytest.raises(BudgetRefused):
        room.buddy.say_sync("word " * 20)
    warned = [w for w in room.events("warned") if w["about"] == "turns"]
    assert [w["turns_left"] for w in warned] == [2, 1, 0]


def test_a_warning_comes_again_only_after_a_limit_was_changed(room: Room) -> None:
    """Overlapping or free turns do not repeat it; more tokens that run out again do."""
    session = room.buddy.start(token_budget=3_500).session_id
    assert room.buddy.say_sync("word " * 20).warnings == ("⚠ Two more turns fit into the budget.",)
    room.client.usage = Usage(1, 1)
    assert room.buddy.say_sync("word " * 20).warnings == ()
    room.client.usage = Usage(1_000, 100)
    room.buddy.service.extend_budget(session, 1_600)
    assert room.buddy.say_sync("word " * 20).warnings == ("⚠ Two more turns fit into the budget.",)


@pytest.mark.parametrize(("limit", "warns_at"), [(600.0, 120.0), (3_600.0, 360.0)])
def test_the_end_of_the_time_is_told_at_a_tenth_or_two_minutes(
    room: Room, limit: float, warns_at: float
) -> None:
    """Once, with the minutes that are left, in the footer too."""
    room.buddy.start(token_budget=90_000, time_limit_s=limit)
    room.let_pass(limit - warns_at - 1)
    assert room.buddy.say_sync("hello").warnings == ()
    room.let_pass(1)
    result = room.buddy.say_sync("hello")
    minutes = f"{warns_at / 60:.0f} min left"
    assert result.warnings == (f"⚠ {minutes}.",)
    with room.buddy.ask("hello") as reply:
        list(reply)
    assert reply.result is not None
    assert reply.result.warnings == ()
    assert reply.footer.endswith(f"more turns · {minutes}")
    assert [w["time_left_s"] for w in room.events("warned") if w["about"] == "time"] == [warns_at]


def test_what_a_turn_may_be_billed_is_held_beside_what_it_is_charged(room: Room) -> None:
    """Where only what a turn adds is charged: the ceiling on the bill sees the whole prompt meanwhile."""
    session = room.buddy.start(token_budget=20_000, charge="new").session_id
    seen: list[Totals] = []
    room.client.before = lambda i: seen.append(room.buddy.service.totals(session))
    with room.buddy.ask("hello") as reply:
        list(reply)
        plan = reply._turn._attempt.plan  # type: ignore[union-attr]
    assert plan.billed > plan.tokens > 0
    assert {(totals.held, totals.held_billed) for totals in seen} == {(plan.tokens, plan.billed)}
    after = room.buddy.service.totals(session)
    assert (after.held, after.held_billed) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "charged"), [("prompt_billed", True), ("rejected", False), ("not_sent", False)]
)
def test_a_failure_is_charged_for_its_prompt_where_that_is_billed(
    room: Room, outcome: Outcome, charged: bool
) -> None:
    """And for nothing where the service has refused it; nothing stays held or in doubt."""
    session = room.buddy.start(token_budget=20_000).session_id

    def fail(number: int) -> None:
        raise ContentFiltered("no", outcome=outcome)

    room.client.before = fail
    with pytest.raises(ContentFiltered):
        room.buddy.say_sync("hello")
    totals = room.buddy.service.totals(session)
    assert ((totals.used > 0), totals.held, totals.in_doubt) == (charged, 0, 0)


def test_what_ended_a_reply_names_the_sessions_state() -> None:
    """Where it should ever be shown."""
    over = session_end.SessionOver(Status.PAUSED)
    assert (str(over), over.status) == ("paused", Status.PAUSED)


def test_a_share_of_the_budget_is_told_with_its_true_percentage(room: Room) -> None:
    """Passing 75 % by far says how far."""
    room.buddy.start(token_budget=100_000)
    room.client.usage = Usage(80_000, 1)
    room.client.pieces = []
    room.buddy.service.store.charge(room.buddy.session.session_id, CallEnd(1, 0), call=CallStart())
    room.buddy.service.settings = room.buddy.settings.replace(reply_tokens=50)
    result = room.buddy.say_sync("hello", max_tokens=50)
    assert result.warnings[0].startswith(("⚠ 80% of the budget is used: 19,998 tokens", "⚠ This", "⚠ One"))


# --- refusals


WISH = Wish(1_200, 256)


def refusal(purse: Purse, wish: Wish = WISH) -> BudgetRefused:
    """Return what refuses a turn with a prompt of 984 tokens."""
    with pytest.raises(BudgetRefused) as caught:
        plan_turn(Count(984), MODEL, purse, wish)
    return caught.value


def test_a_shorter_reply_is_advised_where_one_fits() -> None:
    """The figure in the advice is admitted, and one more is not."""
    error = refusal(Purse(1_200, 1_200))
    assert "984 in + 256 reply at the least) and 1,200 of 1,200 are left" in str(error)
    assert "%%interview -n 216; or raise the total with %budget N." in str(error)
    assert (error.reason, error.needed, error.left) == ("budget", 1_240, 1_200)
    assert plan_turn(Count(984), MODEL, Purse(1_200, 1_200), Wish(216, 256, explicit=True)).cap == 216
    assert "-n 216" in str(refusal(Purse(1_200, 1_200), Wish(217, 256, explicit=True)))


@pytest.mark.parametrize(
    ("person", "advice"),
    [
        ("owner", "%budget N"),
        ("locked", "needs the session's passphrase"),
        ("hosted", "Ask your interviewer for more tokens."),
    ],
)
def test_advice_names_what_this_person_can_do(person: Person, advice: str) -> None:
    """Nobody is told to type what is refused to them."""
    said = str(refusal(Purse(900, 20_000, person=person)))
    assert advice in said
    assert ("%budget" in said) == (person == "owner")
    for status in ("paused", "expired"):
        line = str(inactive(status, person))
        assert ("%interview resume" in line) == (person != "hosted")


def test_the_ceiling_on_the_bill_refuses_in_its_own_words() -> None:
    """Tokens of the budget may be left, and yet nothing more be billed."""
    error = refusal(Purse(5_000, 20_000, new=100, bill_left=1_000, bill_ceiling=200_000))
    assert error.reason == "billed"
    assert "1,000 of the 200,000 that this session may be billed are left" in str(error)


def test_a_money_refusal_has_figures_and_a_next_step() -> None:
    """What it may cost, what is left, and the reply that fits."""
    error = over_money(2_000_000, 1_500_000, 50_000_000, 100, Wish(1_200, 256), "owner")
    assert str(error) == (
        "not sent. This turn may cost $0.00200 and $0.00150 of $0.0500 are left. A reply of 100 fits: "
        "%%interview -n 100; or raise the budget in money with %budget --usd N."
    )
    assert (error.reason, error.needed, error.left) == ("money", 2_000_000, 1_500_000)


def test_money_shortens_a_reply_before_it_refuses_one(room: Room) -> None:
    """The cap gives way to the budget in money as to the one in tokens."""
    room.buddy.start(token_budget=90_000, budget_usd="0.0008")
    result = room.buddy.say_sync("word " * 20)
    assert result.plan.shrunk_by == "the budget in money"
    assert 50 <= result.plan.cap < 1_200
    with pytest.raises(BudgetRefused, match=r"may cost \$0\.\d+ and \$0\.\d+ of \$0\.000800 are left"):
        room.buddy.say_sync("word " * 20)
    assert [e["reason"] for e in room.events("refused")] == ["money"]


def test_what_another_call_took_just_now_is_said() -> None:
    """The ledger's own refusal names the budget that it means."""
    plan = plan_turn(Count(100), MODEL, Purse(5_000, 5_000, new=10), Wish(300, 256))
    totals = Totals(5_000, billed_ceiling=9_000)
    assert "310 tokens and 7 of 5,000" in str(refused(Refusal("budget", 7), plan, totals))
    assert "400 tokens and 7 of 9,000" in str(refused(Refusal("billed", 7), plan, totals))
    assert "coordinator" in str(refused(Refusal("ceiling", 0), plan, totals))
    assert "your interviewer" in str(refused(Refusal("ceiling", 0), plan, totals, "hosted"))


def test_a_refusal_by_the_session_s_state_says_which_and_what_helps() -> None:
    """As the ledger has found it, for the person who asks."""
    plan = plan_turn(Count(10), MODEL, Purse(1_000, 1_000), Wish(100, 50))
    for status, words in (("paused", "Go on with %interview resume."), ("completed", "Start another with")):
        error = refused(Refusal("inactive", status=status), plan, Totals(1_000))
        assert isinstance(error, SessionInactive)
        assert str(error).startswith(f"not sent. The session is {status}. {words}")
        assert error.status == status
    unknown = refused(Refusal("unknown_session"), plan, Totals(1_000), "hosted")
    assert str(unknown) == "not sent. The session is not active."


def test_a_refusal_is_an_event_with_its_figures(room: Room) -> None:
    """What was needed and what was left can be queried."""
    room.buddy.start(token_budget=4_000)
    room.client.usage = Usage(3_900, 50)
    room.buddy.say_sync("hello")
    with pytest.raises(BudgetRefused) as caught:
        room.buddy.say_sync("hello")
    found = room.events("refused")
    assert found == [{"reason": "budget", "needed": caught.value.needed, "left": 50}]


# --- time


def stream_until_cut(room: Room, limit: float, seconds_a_piece: float = 1.0) -> None:
    """Make the client's pieces take so many seconds of the ledger's clock."""
    room.client.pieces = ["word "] * 120
    room.client.pause = 0.02

    def pass_time(i: int) -> None:
        room.now += seconds_a_piece

    room.client.before = pass_time


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the session at each piece, as half a second is to real ones."""
    monkeypatch.setattr(session_end, "CHECK_S", 0.005)


@pytest.mark.usefixtures("often")
def test_a_reply_is_cut_at_the_end_of_the_time(room: Room) -> None:
    """Two minutes of reply in a session of 24 seconds: what came is kept, marked and counted as a stop."""
    room.buddy.start(token_budget=90_000, time_limit_s=24.0)
    stream_until_cut(room, 24.0)
    with room.buddy.ask("hello") as reply:
        list(reply)
    result = reply.result
    assert result is not None
    assert result.end.finish_reason == "time_up"
    assert 0 < result.text.count("word") < 120
    assert result.end.source == "counted"
    assert "time is up · counted · cut at the end of the time" in reply.footer
    assert room.buddy.history()[-1].partial
    assert room.client.closed == 1
    assert room.buddy.session.status is Status.EXPIRED
    totals = room.buddy.service.totals(room.buddy.session.session_id)
    assert (totals.held, totals.in_doubt) == (0, 0)


@pytest.mark.usefixtures("often")
def test_more_time_in_time_lets_the_reply_go_on(room: Room) -> None:
    """A limit that is set while the reply runs moves its end."""
    session = room.buddy.start(token_budget=90_000, time_limit_s=24.0).session_id
    stream_until_cut(room, 24.0)
    take_time = room.client.before

    def extend(i: int) -> None:
        take_time(i)
        if i == 15:
            room.buddy.service.set_time_limit(session, 600.0)

    room.client.before = extend
    assert room.buddy.say_sync("hello").end.finish_reason == "stop"


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("change", "finish", "mark"),
    [("pause", "session_paused", "was paused"), ("complete", "session_ended", "was ended")],
)
def test_a_session_that_somebody_ends_ends_its_reply(room: Room, change: str, finish: str, mark: str) -> None:
    """Pausing and ending stop a running turn: it is counted, nothing stays held."""
    session = room.buddy.start(token_budget=90_000).session_id
    stream_until_cut(room, 0.0)
    room.client.before = lambda i: i == 10 and getattr(room.buddy.service, change)(session)
    with room.buddy.ask("hello") as reply:
        list(reply)
    assert reply.result is not None
    assert reply.result.end.finish_reason == finish
    assert mark in reply.footer
    assert room.store.totals(session).held == 0


@pytest.mark.usefixtures("often")
def test_a_reply_that_had_not_begun_is_in_doubt_at_the_end_of_the_time(room: Room) -> None:
    """It was sent, and nobody knows what it has cost."""
    session = room.buddy.start(token_budget=90_000, time_limit_s=24.0).session_id
    room.client.pause = 3_600.0
    room.client.before = lambda i: setattr(room, "now", room.now + 30.0)
    with pytest.raises(SessionInactive, match="nothing of the reply had arrived"):
        room.buddy.say_sync("hello")
    assert room.store.totals(session).in_doubt > 0
