"""Budgets in money, calls in doubt and who decided about them, and forecasts of the turns that are left."""

from __future__ import annotations

import pytest
from notebook_shell import Notebook, Paced, notebook

from ib_kernel.budget.parsing import parse_nano_usd
from ib_kernel.budget.service import TokenService
from ib_kernel.budget.unresolved import find, settle
from ib_kernel.errors import BudgetRefused, ConfigError, Locked, ReservationError
from ib_kernel.settings import Settings
from ib_kernel.values import CallStart, Reservation, Usage

NANO = 10**9


@pytest.fixture
def nb():
    """A shell with the extension loaded and a paid client called paced."""
    with notebook() as loaded:
        loaded.magics.engine.plugins.register(Paced(["Fine."], usage=Usage(1_000, 500)), name="paced")
        yield loaded


@pytest.fixture
def service(settings: Settings):
    """A token service with a ledger of its own."""
    service = TokenService(settings)
    yield service
    service.close()


def doubtful(service: TokenService, session_id: str, tokens: int = 300) -> Reservation:
    """Leave a call in doubt."""
    held = service.reserve(session_id, tokens, call=CallStart(turn=None, model="gpt-5.4-mini"))
    assert isinstance(held, Reservation)
    service.store.mark_unresolved(held, "TimedOut")
    return held


# --- money


def test_a_budget_in_money_is_held_and_settled_beside_the_tokens(nb: Notebook) -> None:
    """The gauge shows money used, held and left; the session keeps whole nano-dollars."""
    nb.ok("%interview start --client paced --budget-usd 0.50")
    nb.ok("%%interview\nhello")
    session = nb.magics.engine.interview.session
    totals = nb.magics.engine.service.totals(session.session_id)
    assert session.budget_nano_usd == NANO // 2
    assert totals.cost_nano_usd is not None
    assert totals.cost_nano_usd > 0
    assert totals.held_nano_usd == 0
    line = next(line for line in nb.ok("%budget").text.splitlines() if line.startswith("money:"))
    assert line.endswith("of $0.50 left")
    assert "$0.00 held" in line


def test_a_turn_that_may_cost_more_than_is_left_is_refused(nb: Notebook) -> None:
    """A budget of a thousandth of a cent does not pay for a turn: nothing is sent."""
    nb.ok("%interview start --client paced --budget-usd 0.00001")
    assert nb.fails("%%interview\nhello").startswith("Not sent. ")
    assert nb.magics.engine.interview.history() == []


def test_the_budget_in_money_can_be_set_later(nb: Notebook) -> None:
    """%budget --usd sets it, also where there was none, and refuses less than was used."""
    nb.ok("%interview start --client paced")
    nb.ok("%%interview\nhello")
    assert "of $1.20 left" in nb.ok("%budget --usd 1.20").text
    assert "are used, held or in doubt" in nb.fails("%budget --usd 0.000000001")


def test_a_model_without_a_price_takes_no_budget_in_money(service: TokenService) -> None:
    """It is refused before a session exists, with the way out."""
    mine = {"mine": {"context_window": 9_000, "max_output": 900}}
    service = TokenService(Settings(data_dir=service.settings.data_dir, models=mine), store=service.store)
    way_out = r"for mine; leave --budget-usd out, or choose another model \(%interview models\)$"
    with pytest.raises(ConfigError, match=way_out):
        service.create_session(model="mine", budget_usd="0.5")
    assert service.store.sessions() == []
    session = service.create_session(model="mine")
    with pytest.raises(ConfigError, match="none is known for mine"):
        service.set_money_budget(session.session_id, 1)


def test_the_setting_gives_every_new_session_its_budget_in_money(settings: Settings) -> None:
    """IB_BUDGET_USD applies unless another sum is named."""
    service = TokenService(Settings(data_dir=settings.data_dir, budget_usd="0.25"))
    assert service.create_session().budget_nano_usd == NANO // 4
    assert service.create_session(budget_usd=2).budget_nano_usd == 2 * NANO
    service.close()


@pytest.mark.parametrize("value", ["", "free", 0, -1, "1e9", "0.0000000001", True, float("nan"), None])
def test_what_is_no_sum_of_money_is_refused(value: object) -> None:
    """Sums are above 0 and exact to the nano-dollar."""
    with pytest.raises(ConfigError, match="allowed: US dollars above 0"):
        parse_nano_usd(value)


# --- doubt


def test_a_call_in_doubt_is_shown_and_settled_by_its_owner(nb: Notebook) -> None:
    """%budget and %interview doctor show it; settling charges what was billed, and records who and when."""
    nb.ok("%interview start --client paced")
    engine = nb.magics.engine
    session_id = engine.interview.session.session_id
    held = doubtful(engine.service, session_id)
    assert f"in doubt: 300 tokens of turn 1, {held.reservation_id}" in nb.ok("%budget").text
    assert held.reservation_id in nb.ok("%interview doctor").text
    assert "needs a decision" in nb.fails("%budget resolve")
    nb.ok(f"%budget resolve {held.reservation_id[:8]} --settle 120+30 --reason 'from the dashboard'")
    totals = engine.service.totals(session_id)
    assert (totals.used, totals.in_doubt, totals.held) == (150, 0, 0)
    assert totals.cost_nano_usd is not None
    event = next(e for e in engine.service.store.events(session_id) if e.kind == "resolved")
    assert event.who
    assert event.created_at > 0
    assert event.detail["reason"] == "from the dashboard"
    assert "Nothing is in doubt" in nb.fails("%budget resolve --write-off")


def test_a_call_in_doubt_is_written_off(nb: Notebook) -> None:
    """Writing off frees what it holds; the only one in doubt needs no id."""
    nb.ok("%interview start --client paced")
    service, session = nb.magics.engine.service, nb.magics.engine.interview.session
    doubtful(service, session.session_id)
    nb.ok("%budget resolve --write-off")
    assert service.totals(session.session_id).left == session.token_budget
    written = next(e for e in service.store.events(session.session_id) if e.kind == "written_off")
    assert written.who


def test_which_call_is_meant_must_be_clear(service: TokenService) -> None:
    """Several in doubt need an id; an unknown one is answered with those there are."""
    session = service.create_session().session_id
    first, second = doubtful(service, session), doubtful(service, session)
    with pytest.raises(ReservationError, match="2 calls of this session are in doubt"):
        find(service, None, session)
    with pytest.raises(ReservationError, match="is not in doubt; in doubt"):
        find(service, "nonsense", session)
    assert find(service, second.reservation_id, session).reservation_id == second.reservation_id
    assert first.reservation_id != second.reservation_id


def test_settling_a_doubt_of_a_locked_session_needs_its_passphrase(service: TokenService) -> None:
    """Otherwise the candidate could settle an expensive call with small figures."""
    session = service.create_session(passphrase="correct horse").session_id
    doubt = doubtful(service, session)
    with pytest.raises(Locked):
        settle(service, doubt, 1, 1)
    settle(service, doubt, 100, 10, passphrase="correct horse")
    (resolved,) = [event for event in service.store.events(session) if event.kind == "resolved"]
    assert resolved.detail["reason"] == ""  # nobody gave one
    assert service.totals(session).used == 110


def test_an_unaffordable_session_is_refused_not_clipped(service: TokenService) -> None:
    """A budget in money below what is held is refused."""
    session = service.create_session(budget_usd=1).session_id
    held = service.reserve(session, 10, nano_usd=NANO // 2)
    assert isinstance(held, Reservation)
    with pytest.raises(BudgetRefused):
        service.set_money_budget(session, "0.4")
