"""Reservations by their owner: what is written, whose they are, and what `update_consumption` may settle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import TokenService
from ib_kernel.budget.reservations import OWNER
from ib_kernel.errors import ConfigError, ReservationError, SessionInactive
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    """A service with the sessions "s" and "t" of 1,000 tokens."""
    store = DuckDBStore(settings.data_dir, background=False)
    made = TokenService(settings, store=store)
    for name in ("s", "t"):
        made.create_session("Ada", 1_000, session_id=name)
    yield made
    store.close()


def reserved(service: TokenService, tokens: int = 100, **given: object) -> Reservation:
    """Reserve in "s"."""
    held = service.reserve("s", tokens, **given)  # type: ignore[arg-type]
    assert isinstance(held, Reservation)
    return held


def test_what_is_known_of_an_attempt_is_written_with_its_reservation(service: TokenService) -> None:
    """Tokens, money, its turn and this process; what may be billed beside what is charged."""
    service.set_money_budget("s", 1)
    reserved(service, 100, lease_s=60, nano_usd=7, call=CallStart(turn=None, model="m"), billed_tokens=400)
    (shown,) = service.store.reservations("s")
    assert (shown.tokens, shown.billed_tokens, shown.nano_usd) == (100, 400, 7)
    assert (shown.turn, shown.call.model, shown.owner) == (1, "m", OWNER)
    assert service.totals("s").held_billed == 400


def test_what_may_be_billed_is_what_is_charged_unless_it_is_named(service: TokenService) -> None:
    """An older ledger is not asked for more than it knows."""
    held = [reserved(service, 100), reserved(service, 100, billed_tokens=100)]
    assert [one.billed_tokens for one in held] == [100, 100]


class Old:
    """A ledger that knows no `billed_tokens`."""

    def __init__(self, store: object) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def reserve(self, session_id: str, tokens: int, *, lease_s, nano_usd, owner, call):  # type: ignore[no-untyped-def]
        """Reserve."""
        return self._store.reserve(  # type: ignore[attr-defined]
            session_id, tokens, lease_s=lease_s, nano_usd=nano_usd, owner=owner, call=call
        )


def test_a_ledger_that_knows_no_bill_still_reserves(settings: Settings, service: TokenService) -> None:
    """Where both figures are one."""
    old = TokenService(settings, store=Old(service.store))  # type: ignore[arg-type]
    assert old.reserve("s", 100, billed_tokens=100)
    assert old.reserve_tokens("s", 100)


def test_a_reservation_without_a_lease_of_its_own_lasts_as_the_settings_say(settings: Settings) -> None:
    """Renewed without a figure, too; another process may not renew it."""
    now = [1_000.0]
    store = DuckDBStore(settings.data_dir, clock=lambda: now[0], background=False)
    service = TokenService(settings.replace(hold_s=50.0), store=store)
    service.create_session("Ada", 1_000, session_id="s")
    held = reserved(service)
    assert held.lease_until == 1_050.0
    assert reserved(service, lease_s=7).lease_until == 1_007.0
    now[0] += 10
    assert service.renew(held) is True
    assert {one.lease_until for one in store.reservations("s")} >= {1_060.0}
    assert service.renew(held, lease_s=0.5) is True
    assert service.release(held)
    assert service.renew(held) is False
    store.close()


def test_what_has_a_lease_of_its_own_is_a_turn_s_and_not_settled_for_it(service: TokenService) -> None:
    """`update_consumption` charges directly beside it."""
    reserved(service, 100, lease_s=60)
    assert service.update_consumption("s", 5, 5).total_tokens == 10
    assert service.totals("s").held == 100


@pytest.mark.parametrize("end", ["settle", "release", "unresolved", "failed release"])
def test_a_reservation_that_has_ended_is_not_settled_again(service: TokenService, end: str) -> None:
    """Whatever its end was; the next one in order is, once."""
    first, second = reserved(service, 100), reserved(service, 200)
    other = service.reserve_tokens("t", 50)
    assert other
    if end == "settle":
        assert service.settle_call(first, CallEnd(1, 1)) is True
    elif end == "release":
        assert service.release(first) is True
    else:
        assert service.mark_unresolved(first, "lost") is True
        assert service.mark_unresolved(first, "lost") is False
    if end == "failed release":
        with pytest.raises(ReservationError):
            service.release(first)
    used = service.totals("s").used
    service.update_consumption("s", 10, 0)
    assert (service.totals("s").held, service.totals("s").used) == (0, used + 10)
    assert service.release(second) is False
    assert service.totals("t").held == 50


def test_messages_go_along_with_each_end(service: TokenService) -> None:
    """With what was used, and with what nobody knows."""
    said = [Message(1, "user", "hello")]
    service.settle_call(reserved(service, call=CallStart(turn=None)), CallEnd(1, 1), messages=said)
    service.mark_unresolved(
        reserved(service, call=CallStart(turn=None)), "lost", messages=[Message(2, "user", "again")]
    )
    assert [(m.turn, m.content) for m in service.store.history("s")] == [(1, "hello"), (2, "again")]


def test_how_an_attempt_failed_is_kept_as_a_row(service: TokenService) -> None:
    """Released with its error, and without one with none."""
    service.release(reserved(service, call=CallStart(turn=None)), CallEnd(0, 0, error="TimedOut"))
    service.release(reserved(service, call=CallStart(turn=None)))
    assert service.store.sql("SELECT error FROM calls").fetchall() == [("TimedOut",)]


def test_a_refusal_says_why_and_what_was_left(service: TokenService) -> None:
    """`reserve_tokens` has None for it; a figure that is no number of tokens is a mistake."""
    refused = service.reserve("s", 1_001)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.left) == ("budget", 1_000)
    assert service.reserve_tokens("s", 1_001) is None
    with pytest.raises(ConfigError, match=r"^estimated cannot be 1.5"):
        service.reserve("s", 1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^session_id cannot be 5"):
        service.reserve(5, 1)  # type: ignore[arg-type]


def test_consumption_in_a_paused_session_is_refused_by_its_state(service: TokenService) -> None:
    """Unless something is held, which may always be settled."""
    reserved(service)
    service.pause("s")
    assert service.update_consumption("s", 3, 4).total_tokens == 7
    with pytest.raises(SessionInactive, match="session s is paused, not active") as no:
        service.update_consumption("s", 3, 4)
    assert no.value.status == "paused"


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"])
def test_a_figure_that_is_none_is_named(service: TokenService, name: str) -> None:
    """Nothing is settled then."""
    held = reserved(service)
    figures = {"input_tokens": 5, "output_tokens": 5, name: -1}
    with pytest.raises(ConfigError, match=f"^{name} cannot be -1; give a whole number of tokens"):
        service.settle(held, **figures)  # type: ignore[arg-type]
    if name in ("input_tokens", "output_tokens"):
        with pytest.raises(ConfigError, match=f"^{name} cannot be -1"):
            service.update_consumption("s", figures["input_tokens"], figures["output_tokens"])
    assert service.totals("s").held == 100


def test_details_of_a_settlement_are_kept(service: TokenService) -> None:
    """Cached, reasoning and where the figures come from; none of them where none are given."""
    service.settle(
        reserved(service), input_tokens=50, output_tokens=20, cached_tokens=8, reasoning_tokens=4,
        source="counted",
    )  # fmt: skip
    totals = service.totals("s")
    assert (totals.cached_tokens, totals.reasoning_tokens) == (8, 4)
    service.settle(reserved(service), input_tokens=5, output_tokens=2)
    totals = service.totals("s")
    assert (totals.cached_tokens, totals.reasoning_tokens) == (8, 4)
    rows = service.store.sql("SELECT source FROM calls ORDER BY input_tokens").fetchall()
    assert rows == [("api",), ("counted",)]
