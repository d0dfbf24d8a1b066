"""How many turns are left: worked out by hand, and against conversations that are spent turn by turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import TokenService
from ib_kernel.budget.forecast import (
    FRAME,
    KEEP,
    MOST,
    QUESTION,
    RECENT,
    REPLY,
    Means,
    Pace,
    average_turns_left,
    first_pace,
    pace_of,
    turns_left,
)
from ib_kernel.budget.outlook import FIRST_PROMPT
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Message, Spent, Totals


def spent(*turns: tuple[int, int]) -> list[Spent]:
    """Return one settled attempt per turn, given as input and output tokens."""
    return [Spent(number, 0.0, *tokens, 10**6) for number, tokens in enumerate(turns, start=1)]


@pytest.mark.parametrize(
    ("pace", "means", "turns"),
    [
        (Pace(10, question=0, reply=5, again=0), Means(100), 6),  # 6 × 15, and 10 leave no reply
        (Pace(10, question=0, reply=5, again=0), Means(101), 7),  # the last reply is cut to one token
        (Pace(10, question=0, reply=5, again=0), Means(104, least_reply=5), 6),
        (Pace(100, question=10, reply=50, again=60), Means(700), 3),  # 160 + 220 + 280
        (Pace(100, question=10, reply=50, again=60), Means(160, new=True), 3),  # 60 + 60 + (10 + 30)
        # 160 + 220 + 280 of the bill, and the 200 that are left pay for no prompt of 290
        (Pace(100, question=10, reply=50, again=60), Means(10**9, bill_left=860), 3),
        (Pace(100, question=10, reply=50, again=60), Means(10**9, room=0.0), MOST),
        (Pace(100, question=10, reply=50, again=60), Means(0), 0),
    ],
)
def test_turns_are_counted_as_they_are_admitted(pace: Pace, means: Means, turns: int) -> None:
    """One after another, the last one with a reply as short as admission allows."""
    assert turns_left(pace, means) == turns


def test_a_window_bounds_what_a_prompt_costs() -> None:
    """Prompts that have reached the window grow no further, so that more turns fit."""
    pace = Pace(1_000, question=100, reply=100, again=200)
    assert turns_left(pace, Means(20_000, room=1_500)) > turns_left(pace, Means(20_000))


def test_a_tight_bill_leaves_out_old_turns_before_it_ends_the_interview() -> None:
    """Under `new` the bill is spared by sending fewer old turns; the forecast knows that."""
    pace = Pace(1_000, question=150, reply=400, again=558, prefix=1_000)
    means = Means(20_000, least_reply=256, new=True, bill_left=200_000)
    assert pace.least_prompt == 1_150  # nothing was said yet
    later = Pace(1_000 + 9 * 558, question=150, reply=400, again=558, prefix=1_000)
    assert later.least_prompt == 1_000 + KEEP * 558 + 150
    assert turns_left(pace, means) == turns_left(pace, Means(20_000, least_reply=256, new=True))
    assert turns_left(later, Means(20_000, least_reply=256, new=True, bill_left=8_000)) == 2


def test_before_the_first_turn_sizes_are_assumed() -> None:
    """A start knows its prompt to the token and assumes the rest; a short reply is taken at its cap."""
    assert first_pace(984, 1_200) == Pace(984, QUESTION, REPLY, QUESTION + REPLY + FRAME, 984)
    assert first_pace(984, 100).reply == 100


def test_nothing_is_foretold_from_attempts_that_got_no_answer() -> None:
    """No turn, no figure; attempts outside turns and failures that were billed do not count."""
    assert pace_of([], []) is None
    assert pace_of([Spent(0, 0.0, 5, 5, 10), Spent(1, 0.0, 900, 0, 10)], []) is None


def test_without_texts_prompts_go_on_growing_as_they_did() -> None:
    """Where no transcript is kept, rows are all there is."""
    pace = pace_of(spent((200, 100), (400, 100), (600, 100)), [])
    assert pace == Pace(800, question=0, reply=100, again=200, prefix=200)


def test_a_retried_turn_counts_once() -> None:
    """The attempt that was answered says what a turn is like."""
    tried = [Spent(1, 0.0, 500, 0, 10**6), Spent(1, 1.0, 500, 40, 10**6)]
    pace = pace_of(tried, [(10, 40)])
    assert pace is not None
    assert (pace.prompt, pace.reply, pace.again) == (500 + 40 + FRAME, 40, 10 + 40 + FRAME)


def test_texts_are_scaled_to_the_services_tokens() -> None:
    """Where a service bills twice what we count, what is sent again costs twice as much, too."""
    row = Spent(1, 0.0, 2_000, 100, 10**6, counted_tokens=1_000)
    pace = pace_of([row], [(50, 100)])
    assert pace is not None
    assert (pace.question, pace.again) == (100, 100 + 200 + FRAME)


@given(
    prefix=st.integers(10, 3_000), question=st.integers(1, 600), reply=st.integers(1, 900),
    past=st.integers(1, 20), left=st.integers(0, 300_000), new=st.booleans(),
)  # fmt: skip
def test_a_steady_conversation_is_foretold_from_its_first_turn_on(
    prefix: int, question: int, reply: int, past: int, left: int, new: bool
) -> None:
    """As many turns fit as spending them one by one shows, whatever was said so far."""
    again = question + reply + FRAME
    rows = spent(*((prefix + question + again * n, reply) for n in range(past)))
    pace = pace_of(rows, [(question, reply)] * past)
    assert pace is not None
    fits, rest, prompt = 0, left, prefix + question + again * past
    while rest - (charged := question if new else prompt) >= 256:
        rest, fits, prompt = rest - charged - min(reply, rest - charged), fits + 1, prompt + again
    assert turns_left(pace, Means(left, least_reply=256, new=new)) == min(fits, MOST)


def test_turns_of_the_average_size_are_a_last_resort() -> None:
    """There is no estimate before the first turn."""
    assert average_turns_left(Totals(1_000)) is None
    assert average_turns_left(Totals(1_000, input_tokens=200, calls=2, turns=2)) == 8
    assert average_turns_left(Totals(0)) is None


@pytest.fixture
def service(settings: Settings) -> TokenService:
    return TokenService(settings)


def test_the_service_knows_the_texts(service: TokenService) -> None:
    """After one turn the next prompt is known: what was sent, its answer and a question like the last."""
    session = service.create_session(token_budget=10_000, model="gpt-4.1-mini").session_id
    assert service.estimate_turns_left(session) is None
    said = [Message(1, "user", "word " * 100), Message(1, "assistant", "word " * 200)]
    service.store.charge(session, CallEnd(1_100, 201), call=CallStart(turn=1), messages=said)
    pace = service.pace(service.get_session(session), service.totals(session))
    assert pace is not None
    assert (pace.prompt, pace.question, pace.reply) == (1_100 + 201 + FRAME, 101, 201)
    assert service.estimate_turns_left(session) == 4  # 1,611 + 1,921 + 2,231 and 2,541 of 8,699
    service.close()


def test_a_start_that_was_counted_foretells_its_turns(service: TokenService) -> None:
    """Before the first turn, the counted prompt is what a forecast has."""
    session = service.create_session(token_budget=20_000, meta={FIRST_PROMPT: 984}).session_id
    assert service.estimate_turns_left(session) == 6
    service.close()


def test_money_bounds_the_turns_too(service: TokenService) -> None:
    """What is left of a budget in money pays for so many tokens at the session's price so far."""
    session = service.create_session(
        token_budget=100_000, model="gpt-4.1-mini", budget_nano_usd=2_000_000
    ).session_id
    end = CallEnd(900, 100, cost_nano_usd=1_000_000)
    service.store.charge(session, end, call=CallStart(turn=1))
    assert service.means(service.get_session(session), service.totals(session)).bill_left == 1_000
    assert service.estimate_turns_left(session) == 0  # 900 + 256 do not fit into 1,000
    service.close()


TOKENS = st.integers(0, 3_000)


@given(
    numbers=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS),
    left=st.integers(0, 300_000),
    least_reply=st.integers(1, 300),
    new=st.booleans(),
    bill=st.none() | st.integers(0, 300_000),
    room=st.none() | st.integers(0, 20_000),
)
def test_turns_are_foretold_as_if_each_were_counted(
    numbers: tuple[int, ...], left: int, least_reply: int, new: bool, bill: int | None, room: int | None
) -> None:
    """The many turns that surely fit are not gone through one by one, and it makes no difference."""
    pace, means = Pace(*numbers), Means(left, least_reply, new, bill, room)
    assert turns_left(pace, means) == one_by_one(pace, means)


def one_by_one(pace: Pace, means: Means) -> int:
    """Go through the turns until one is refused."""
    left, bill, prompt = means.left, means.bill_left, pace.prompt + pace.question
    for turns in range(MOST):
        sent = prompt if means.room is None else min(prompt, means.room)
        billed = min(sent, pace.least_prompt) if means.new else sent
        charged = pace.question if means.new else sent
        fits = left - charged if bill is None else min(left - charged, bill - billed)
        if fits < means.least_reply:
            return turns
        reply = min(pace.reply, fits)
        left, prompt = left - charged - reply, prompt + pace.again
        bill = None if bill is None else bill - billed - reply
    return MOST


def test_a_pace_is_told_anew_when_the_session_has_gone_on(service: TokenService) -> None:
    """It is read once while nothing is settled, and again after each turn, for each session on its own."""
    first, other = (service.create_session(token_budget=10_000, model="gpt-4.1-mini") for _ in range(2))
    for turn, prompt in ((1, 100), (2, 300)):
        service.store.charge(first.session_id, CallEnd(prompt, 50), call=CallStart(turn=turn))
        pace = service.pace(first, service.totals(first.session_id))
        assert pace is not None
        assert pace.prompt >= prompt
        assert service.pace(first, service.totals(first.session_id)) is pace
        assert service.pace(other, service.totals(other.session_id)) is None
    service.close()


# --- what there is to spend


def test_money_left_is_what_was_spent_and_held_at_the_price_so_far(service: TokenService) -> None:
    """Nothing is known without a price or a budget in money; below nothing there is nothing."""
    session = service.create_session(token_budget=9_000, model="gpt-4.1-mini")

    def bill(**sums: int | None) -> float | None:
        totals = Totals(9_000, input_tokens=900, output_tokens=100, **sums)  # type: ignore[arg-type]
        return service.means(session, totals).bill_left

    assert bill(cost_nano_usd=1_000, budget_nano_usd=5_000) == 4_000
    assert bill(cost_nano_usd=1_000, budget_nano_usd=5_000, held_nano_usd=1_500) == 2_500
    assert bill(cost_nano_usd=1_000, budget_nano_usd=1_500, held_nano_usd=900) == 0
    assert bill(cost_nano_usd=None, budget_nano_usd=5_000) is None
    assert bill(cost_nano_usd=0, budget_nano_usd=5_000) is None
    assert bill(cost_nano_usd=1_000, budget_nano_usd=None) is None
    service.close()


def test_a_ceiling_on_what_is_billed_leaves_what_is_neither_billed_nor_held(service: TokenService) -> None:
    """The tighter of two bills counts."""
    session = service.create_session(token_budget=9_000, model="gpt-4.1-mini")

    def bill(**sums: int) -> float | None:
        return service.means(session, Totals(9_000, input_tokens=900, output_tokens=100, **sums)).bill_left

    assert bill(billed_ceiling=5_000) == 4_000
    assert bill(billed_ceiling=5_000, held_billed=1_500) == 2_500
    assert bill(billed_ceiling=1_200, held_billed=900) == 0
    money = {"cost_nano_usd": 1_000, "budget_nano_usd": 4_000}
    assert bill(billed_ceiling=5_000, **money) == 3_000
    assert bill(billed_ceiling=2_000, **money) == 1_000
    service.close()


def test_means_follow_the_session_and_the_settings(settings: Settings) -> None:
    """What is left, the shortest reply that is admitted, what is charged, and the window beside a reply."""
    service = TokenService(settings.replace(min_reply_tokens=300, reply_tokens=200))
    session = service.create_session(token_budget=9_000, model="gpt-4", charge="new")
    means = service.means(session, Totals(9_000, input_tokens=1_000, held=500))
    assert (means.left, means.least_reply, means.new) == (7_500, 200, True)
    assert means.room == 8_192 - 200
    service.settings = settings.replace(min_reply_tokens=100, reply_tokens=50_000)
    other = service.create_session(token_budget=9_000, model="gpt-4", charge="billed")
    means = service.means(other, Totals(9_000))
    assert (means.least_reply, means.new, means.room) == (100, False, 8_192 - 8_192)
    service.close()


def test_a_model_s_own_limit_on_prompts_bounds_the_window(settings: Settings) -> None:
    """The smaller one counts; a model that is no longer known has none."""
    own = {"context_window": 10_000, "max_output": 1_000}
    models = {"tight": {**own, "max_input": 6_000}, "wide": {**own, "max_input": 9_900}, "gone": own}
    service = TokenService(settings.replace(models=models, reply_tokens=500))
    sessions = {name: service.create_session(token_budget=9_000, model=name) for name in models}
    rooms = {name: service.means(session, Totals(9_000)).room for name, session in sessions.items()}
    assert rooms == {"tight": 6_000, "wide": 9_500, "gone": 9_500}
    service.settings = settings
    assert service.means(sessions["gone"], Totals(9_000)).room is None
    service.close()


class Old:
    """A ledger that cannot list what a session's calls have used."""

    def __init__(self, service: TokenService) -> None:
        self._store = service.store

    def __getattr__(self, name: str) -> object:
        if name in ("spent", "spent_lately"):
            raise AttributeError(name)
        return getattr(self._store, name)


def test_a_ledger_that_lists_no_calls_has_turns_of_the_average_size(service: TokenService) -> None:
    """From the first turn on; before it, the counted start is what there is."""
    old = TokenService(service.settings, store=Old(service))  # type: ignore[arg-type]
    session = old.create_session(token_budget=1_000, meta={FIRST_PROMPT: 300}, model="gpt-4.1-mini")
    assert old.estimate_turns_left(session.session_id) == 1
    old.store.charge(session.session_id, CallEnd(80, 20), call=CallStart(turn=1))
    assert old.estimate_turns_left(session.session_id) == 9
    service.close()


def test_what_was_said_is_read_of_the_first_turn_and_the_last_ones(service: TokenService) -> None:
    """Lines of an interviewer are nobody's turn."""
    session = service.create_session(token_budget=90_000, model="gpt-4.1-mini")
    newest = RECENT + 3
    for turn in range(1, newest + 1):
        words = 10 * turn
        said = [Message(turn, "user", "word " * words), Message(turn, "assistant", "word " * 2 * words)]
        service.store.charge(session.session_id, CallEnd(900, 50), call=CallStart(turn=turn), messages=said)
    service.store.add_message(session.session_id, Message(0, "interviewer", "word " * 500))
    found = service._outlook._said(session, service.store.history(session.session_id))
    assert found == [(10 * turn + 1, 20 * turn + 1) for turn in (1, *range(4, newest + 1))]
    service.close()
