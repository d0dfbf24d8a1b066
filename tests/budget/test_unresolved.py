"""What is in doubt: which call is meant, what its figures cost, and the line on what is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_kernel import TokenService, hookimpl
from ib_kernel.budget.unresolved import find, left_behind, settle
from ib_kernel.errors import Locked, ReservationError
from ib_kernel.models.prices import price_call
from ib_kernel.plugin.events import SessionChanged
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Reservation, Usage


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    """A service with the sessions "s" and "t"."""
    made = TokenService(settings)
    for name in ("s", "t"):
        made.create_session("Ada", 10_000, "gpt-4o", session_id=name)
    yield made
    made.close()


def doubtful(service: TokenService, session_id: str = "s", model: str = "gpt-4o") -> Reservation:
    """Leave a call of 300 tokens in doubt."""
    held = service.reserve(session_id, 300, call=CallStart(turn=None, model=model))
    assert isinstance(held, Reservation)
    service.mark_unresolved(held, "TimedOut")
    return held


# --- which one


def test_the_session_s_only_doubt_needs_no_id(service: TokenService) -> None:
    """Another session's is not taken for it, and what is held is not in doubt."""
    held = service.reserve("s", 10)
    assert isinstance(held, Reservation)
    with pytest.raises(ReservationError, match=r"^nothing is in doubt in this ledger$"):
        find(service, None, "s")
    other, own = doubtful(service, "t"), doubtful(service)
    assert find(service, None, "s").reservation_id == own.reservation_id
    assert find(service, None, "t").reservation_id == other.reservation_id


def test_the_beginning_of_an_id_is_enough_in_any_session(service: TokenService) -> None:
    """Where it fits one; else the line has those that there are."""
    first, second = doubtful(service), doubtful(service, "t")
    assert find(service, second.reservation_id[:12], "s").reservation_id == second.reservation_id
    with pytest.raises(ReservationError, match=r"^'' fits several; in doubt: \w+, \w+$"):
        find(service, "", "s")
    with pytest.raises(ReservationError, match=r"^'zzz' is not in doubt; in doubt: ") as refused:
        find(service, "zzz", "s")
    listed = str(refused.value).partition("in doubt: ")[2]
    assert listed == first.reservation_id  # of this session


def test_a_session_without_a_doubt_is_shown_the_ledger_s(service: TokenService) -> None:
    """Five at the most."""
    ids = {doubtful(service, "t").reservation_id for _ in range(6)}
    with pytest.raises(ReservationError, match=r"^0 calls of this session are in doubt; name one of: ") as no:
        find(service, None, "s")
    listed = str(no.value).partition("name one of: ")[2].split(", ")
    assert len(listed) == 5
    assert set(listed) < ids


# --- settled by somebody


def test_figures_that_somebody_has_cost_what_the_call_would_have(service: TokenService) -> None:
    """At the price of the model that was asked; the row says that it was resolved."""
    end = settle(service, doubtful(service, model="gpt-4.1"), 1_000, 200, reason="the dashboard")
    info = service.plugins.model("gpt-4.1", service.settings)
    assert end.cost_nano_usd == price_call(info, Usage(1_000, 200)).nano_usd
    assert (end.input_tokens, end.output_tokens, end.source) == (1_000, 200, "counted")
    assert end.finish_reason == "resolved"
    assert end.price_source
    totals = service.totals("s")
    assert (totals.used, totals.in_doubt, totals.cost_nano_usd) == (1_200, 0, end.cost_nano_usd)
    (event,) = [e for e in service.store.events("s") if e.kind == "resolved"]
    assert event.detail["reason"] == "the dashboard"


def test_a_call_that_names_no_model_costs_what_its_session_s_does(service: TokenService) -> None:
    """An unknown model has no price, which is better than a wrong one; a scripted one costs nothing."""
    info = service.plugins.model("gpt-4o", service.settings)
    assert settle(service, doubtful(service, model=""), 10, 5).cost_nano_usd == (
        price_call(info, Usage(10, 5)).nano_usd
    )
    unknown = settle(service, doubtful(service, model="nobody-knows-it"), 10, 5)
    assert (unknown.cost_nano_usd, unknown.price_source) == (None, None)
    assert settle(service, doubtful(service, model="demo"), 10, 5).cost_nano_usd is None


def test_what_was_settled_meanwhile_by_other_figures_is_said(service: TokenService) -> None:
    """The first figures stand; the same ones again are no mistake."""
    doubt = doubtful(service)
    first = settle(service, doubt, 10, 5)
    assert settle(service, doubt, 10, 5) == first
    with pytest.raises(ReservationError, match=r"was settled meanwhile, with other figures: %budget shows"):
        settle(service, doubt, 11, 5)
    assert service.totals("s").used == 15


class Heard:
    """A plugin that keeps what changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    @hookimpl
    def ib_session_changed(self, event: SessionChanged) -> None:
        """Keep the change and its session."""
        self.changes.append((event.session.session_id, event.change))


def test_a_decision_is_told_and_recorded_with_its_reason(service: TokenService) -> None:
    """Settled and written off, once each."""
    heard = Heard()
    service.plugins.register(heard, name="heard")
    known, lost = doubtful(service), doubtful(service)
    assert service.resolve(known.reservation_id, CallEnd(5, 5), reason="known")
    assert service.write_off(lost.reservation_id, reason="never sent") is True
    assert service.write_off(lost.reservation_id) is False
    assert heard.changes == [("s", "resolved"), ("s", "written off")]
    (event,) = [e for e in service.store.events("s") if e.kind == "written_off"]
    assert event.detail["reason"] == "never sent"
    assert event.who


def test_a_locked_session_s_doubts_are_decided_with_its_passphrase(
    service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line says which decision it is for."""
    monkeypatch.setattr("ib_kernel.budget.lock.COST", {"n": 16, "r": 1, "p": 1})
    service.create_session("Bob", 9_000, session_id="l", passphrase="correct horse")
    first, second = doubtful(service, "l"), doubtful(service, "l")
    with pytest.raises(Locked, match="settling needs its passphrase"):
        service.resolve(first.reservation_id, CallEnd(1, 1))
    with pytest.raises(Locked, match="writing off needs its passphrase"):
        service.write_off(second.reservation_id)
    assert service.totals("l").in_doubt == 600
    assert service.resolve(first.reservation_id, CallEnd(1, 1), passphrase="correct horse")
    assert service.write_off(second.reservation_id, passphrase="correct horse")
    assert service.totals("l").in_doubt == 0


def test_what_was_to_be_free_of_a_prompt_stays_free_when_somebody_settles_it(service: TokenService) -> None:
    """A session that charges what is new held less than may be billed; figures named as charged are taken."""
    service.create_session("Cy", 10_000, session_id="new", charge="new")
    made = []
    for _ in range(3):
        held = service.reserve("new", 300, call=CallStart(turn=None), billed_tokens=1_000)
        assert isinstance(held, Reservation)
        service.mark_unresolved(held, "lost")
        made.append(held.reservation_id)
    service.resolve(made[0], CallEnd(800, 50))  # 700 of the prompt were to be free
    assert service.totals("new").used == 100 + 50
    service.resolve(made[1], CallEnd(600, 50))
    assert service.totals("new").used == 150 + 50
    service.resolve(made[2], CallEnd(800, 50, charged_tokens=9))
    assert service.totals("new").used == 200 + 9


# --- left behind


def shown(tokens: int, *, in_doubt: bool = False, session_id: str = "abc") -> Reservation:
    return Reservation("r", session_id, tokens, 0.0, in_doubt=in_doubt)


def test_nothing_is_left_behind_where_nothing_is_open() -> None:
    """No line then."""
    assert left_behind([]) == ""


def test_one_line_says_what_is_held_and_what_is_in_doubt() -> None:
    """Together by kind; with a session to go on with, it needs no other to be chosen."""
    held = "held by a turn that was cut short, or still runs in another kernel "
    held += "(in doubt when that kernel no longer renews it)"
    assert left_behind([shown(1)], own="abc") == f"1 token is {held}: %budget shows more."
    assert left_behind([shown(1_000), shown(500)], own="abc") == (
        f"1,500 tokens are {held}: %budget shows more."
    )
    assert left_behind([shown(2, in_doubt=True), shown(7, session_id="last"), shown(3, in_doubt=True)]) == (
        f"7 tokens are {held} and 5 tokens are in doubt from a turn that was cut short: "
        "%interview use abc, then %budget, shows more."
    )
