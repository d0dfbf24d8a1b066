"""Sessions, reservations, settlement, figures."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import Plugins, Settings, TokenService, TokenUsage, get_token_service, hookimpl
from ib_kernel.budget.service import warning_level
from ib_kernel.errors import (
    BudgetRefused,
    ConfigError,
    ReservationError,
    SessionInactive,
    UnknownModel,
    UnknownSession,
)
from ib_kernel.plugin.registry import Catalog
from ib_kernel.values import Reservation, Totals

STATS = {
    "session_id",
    "token_budget",
    "tokens_used",
    "billed_tokens",
    "charge",
    "input_tokens",
    "output_tokens",
    "remaining_budget",
    "percentage_used",
    "message_count",
    "avg_tokens_per_message",
    "status",
    "held",
    "in_doubt",
}


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    made = TokenService(settings)
    yield made
    made.close()


@pytest.fixture
def sid(service: TokenService) -> str:
    return service.create_session(candidate="Ada", token_budget=1_000).session_id


@pytest.mark.parametrize("field", ["candidate", "role", "level"])
@pytest.mark.parametrize("value", [5, b"x", ["Ada"], "x" * 501])
def test_a_name_is_a_text_that_fits_a_table(service: TokenService, field: str, value: object) -> None:
    """Anything else is one line, and no session is opened."""
    with pytest.raises(ConfigError, match=f"^{field} (cannot be of type|has 501 characters)"):
        service.create_session(**{field: value})  # type: ignore[arg-type]
    assert service.store.sessions() == []


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), 0, -1, "9"])
def test_a_time_limit_is_a_number_of_seconds(service: TokenService, limit: object) -> None:
    """Also not without end: no limit is to leave it out."""
    with pytest.raises(ConfigError, match="give seconds above 0"):
        service.create_session(candidate="Ada", time_limit_s=limit)  # type: ignore[arg-type]


def test_a_reservation_holds_what_it_says(service: TokenService, sid: str) -> None:
    """Held tokens are gone for everybody else until they are settled or released."""
    hold = service.reserve_tokens(sid, 700)
    assert hold
    assert service.get_remaining_budget(sid) == 300
    assert service.reserve_tokens(sid, 301) is None
    assert not service.check_budget(sid, 301)
    assert service.check_budget(sid, 300)
    assert service.release(hold)
    assert not service.release(hold)
    assert service.get_remaining_budget(sid) == 1_000


def test_settling_charges_what_was_used_and_frees_the_rest(service: TokenService, sid: str) -> None:
    """A second settle of the same hold changes nothing."""
    hold = service.reserve_tokens(sid, 700)
    assert isinstance(hold, Reservation)
    usage = service.settle(hold, input_tokens=200, output_tokens=100)
    assert usage == TokenUsage(200, 100, 300, 700, 30.0, 300)
    assert usage.to_dict()["remaining_budget"] == 700
    service.settle(hold, input_tokens=900, output_tokens=900)
    assert service.get_usage_stats(sid)["tokens_used"] == 300


def test_update_consumption_settles_the_oldest_hold_of_this_service(service: TokenService, sid: str) -> None:
    """Reservations are used up in order; without one the tokens are charged directly."""
    first, second = service.reserve_tokens(sid, 400), service.reserve_tokens(sid, 500)
    assert first
    assert second
    assert service.update_consumption(sid, 100, 50).remaining_budget == 1_000 - 150 - 500
    assert service.update_consumption(sid, 10, 10).remaining_budget == 1_000 - 150 - 20
    usage = service.update_consumption(sid, 5, 5)
    assert usage.total_tokens == 180
    assert usage.remaining_budget == 820
    assert service.get_usage_stats(sid)["message_count"] == 3
    assert service.store.reservations(sid) == []


def test_consumption_is_the_sessions_so_far(service: TokenService, sid: str) -> None:
    """Each update returns what the session has used up to then, and what is left of its budget."""
    assert service.update_consumption(sid, 100, 50) == TokenUsage(100, 50, 150, 850, 15.0, 150)
    assert service.update_consumption(sid, 80, 40) == TokenUsage(180, 90, 270, 730, 27.0, 270)


def test_only_who_reserved_ends_a_reservation(service: TokenService, sid: str) -> None:
    """What a listing shows cannot be settled or released; its own value can, and shows no secret."""
    held = service.reserve_tokens(sid, 400)
    assert held
    (shown,) = service.store.reservations(sid)
    with pytest.raises(ReservationError):
        service.settle(shown, input_tokens=1, output_tokens=1)
    with pytest.raises(ReservationError):
        service.release(shown)
    assert not service.renew(shown)
    assert held.owner_token not in repr(held)
    assert service.get_remaining_budget(sid) == 600
    assert service.settle(held, input_tokens=1, output_tokens=1).total_tokens == 2


def test_renewing_gives_a_reservation_more_time(settings: Settings) -> None:
    """A renewed lease counts from now; one that has run out is not revived."""
    now = [1_790_000_000.0]
    store = DuckDBStore(settings.data_dir, clock=lambda: now[0], background=False)
    service = TokenService(settings, store=store)
    sid = service.create_session(token_budget=1_000).session_id
    held = service.reserve_tokens(sid, 100)
    assert held
    for _ in range(3):
        now[0] += 0.9 * settings.hold_s
        assert service.renew(held)
    assert service.renew(held, lease_s=5.0)
    now[0] += 5.0
    assert not service.renew(held)
    assert service.totals(sid).in_doubt == 100
    store.close()


def test_a_hold_that_ended_elsewhere_is_passed_over(
    service: TokenService, settings: Settings, sid: str
) -> None:
    """Another service released the hold: the tokens are charged directly, once."""
    hold = service.reserve_tokens(sid, 400)
    assert hold
    other = TokenService(settings, plugins=service.plugins, store=service.store)
    assert other.release(hold)
    assert service.update_consumption(sid, 100, 0).remaining_budget == 900


def test_usage_beyond_the_budget_is_recorded_and_nothing_is_left(service: TokenService, sid: str) -> None:
    """Remaining is 0, never negative; the percentage says how far it went."""
    usage = service.update_consumption(sid, 1_500, 500)
    assert usage.remaining_budget == 0
    assert usage.budget_percentage_used == 200.0
    assert service.is_budget_exhausted(sid)
    assert service.totals(sid).overdraft == 1_000
    assert service.reserve_tokens(sid, 1) is None


def test_usage_stats_have_the_names_users_know(service: TokenService, sid: str) -> None:
    """Held tokens are shown beside what is used."""
    service.update_consumption(sid, 100, 100)
    service.reserve_tokens(sid, 50)
    stats = service.get_usage_stats(sid)
    assert set(stats) == STATS
    assert stats["percentage_used"] == 20.0
    assert stats["avg_tokens_per_message"] == 200.0
    assert (stats["held"], stats["remaining_budget"], stats["status"]) == (50, 750, "active")


def test_unknown_sessions_are_refused_or_raise(service: TokenService) -> None:
    """Reserving and checking refuse, everything else raises one clear line."""
    assert service.reserve_tokens("nobody", 1) is None
    assert service.check_budget("nobody", 1) is False
    for method, *arguments in (
        (service.get_remaining_budget,),
        (service.get_usage_stats,),
        (service.update_consumption, 1, 1),
        (service.is_budget_exhausted,),
        (service.get_warning_level,),
        (service.estimate_turns_left,),
        (service.extend_budget, 1),
        (service.pause,),
        (service.resume,),
        (service.complete,),
    ):
        with pytest.raises(UnknownSession, match="nobody"):
            method("nobody", *arguments)  # type: ignore[operator]


def test_an_inactive_session_is_refused_or_raises(service: TokenService, sid: str) -> None:
    """A paused session spends nothing until it is resumed; a completed one never again."""
    service.pause(sid)
    assert service.reserve_tokens(sid, 1) is None
    with pytest.raises(SessionInactive, match="paused"):
        service.update_consumption(sid, 1, 1)
    with pytest.raises(SessionInactive):
        service.check_budget(sid, 1)
    service.resume(sid)
    hold = service.reserve_tokens(sid, 10)
    assert hold
    service.complete(sid)
    assert service.reserve_tokens(sid, 1) is None
    with pytest.raises(SessionInactive):
        service.extend_budget(sid, 1)
    assert service.update_consumption(sid, 2, 3).total_tokens == 5  # its owner can still settle it
    with pytest.raises(SessionInactive):
        service.resume(sid)
    assert service.get_usage_stats(sid)["status"] == "completed"


def test_every_transition_is_recorded(service: TokenService, sid: str) -> None:
    """The ledger's events tell the session's story in order."""
    service.pause(sid)
    service.resume(sid)
    service.complete(sid)
    steps = [e.detail["to"] for e in service.store.events(sid) if e.kind == "status"]
    assert steps == ["active", "paused", "active", "completed"]


def test_extending_lets_more_be_held_and_shrinking_stops_at_what_is_charged(
    service: TokenService, sid: str
) -> None:
    """A budget can be lowered, but not below used + held."""
    service.update_consumption(sid, 300, 0)
    service.reserve_tokens(sid, 200)
    service.extend_budget(sid, 500)
    assert service.get_remaining_budget(sid) == 1_000
    service.set_budget(sid, 500)
    assert service.get_remaining_budget(sid) == 0
    with pytest.raises(BudgetRefused):
        service.set_budget(sid, 499)
    with pytest.raises(BudgetRefused):
        service.extend_budget(sid, -1)


def test_a_session_that_was_only_created_is_started_later(service: TokenService) -> None:
    """Its clock does not run and it holds nothing before."""
    session = service.create_session(token_budget=100, time_limit_s=60, start=False)
    assert session.status == "created"
    assert service.reserve_tokens(session.session_id, 1) is None
    assert service.start(session.session_id).status == "active"
    assert service.reserve_tokens(session.session_id, 1)


@pytest.mark.parametrize("value", [-1, 1.5, "10", True, None])
def test_token_figures_must_be_whole_numbers(service: TokenService, sid: str, value: object) -> None:
    """One line says what is allowed."""
    with pytest.raises(ConfigError, match="whole number of tokens"):
        service.reserve_tokens(sid, value)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="whole number of tokens"):
        service.update_consumption(sid, 1, value)  # type: ignore[arg-type]


def test_a_session_needs_a_known_model_and_sensible_limits(service: TokenService) -> None:
    """Nothing is recorded when something cannot be used."""
    with pytest.raises(UnknownModel, match="did you mean"):
        service.create_session(model="gpt-4oo")
    with pytest.raises(ConfigError, match="token_budget"):
        service.create_session(token_budget=-5)
    with pytest.raises(ConfigError, match="time_limit_s"):
        service.create_session(time_limit_s=0)
    assert service.store.sessions() == []


def test_an_estimate_of_a_text_is_its_tokens(service: TokenService) -> None:
    """A short text has a single-digit number of tokens: no message around it, no reply; the model decides."""
    assert service.estimate_tokens("Hello there.", "gpt-4o") == 3
    assert service.estimate_tokens("") == 0
    assert service.estimate_tokens("Hello there." * 200) == service.count_tokens("Hello there." * 200)
    with pytest.raises(ConfigError, match="estimate_call_tokens"):
        service.estimate_tokens([{"role": "user", "content": "Hello"}])  # type: ignore[arg-type]


def test_estimates_of_a_call_cover_the_prompt_and_a_reply(service: TokenService) -> None:
    """Such an estimate is the prompt's bound plus the reply that was asked for."""
    text = "Name three primary colours."
    assert service.estimate_call_tokens(text, "gpt-4o", 100) == 12 + 100
    assert service.estimate_call_tokens([{"role": "user", "content": text}], "gpt-4o", 100) == 112
    assert service.estimate_completion_tokens(10) == 256
    assert service.estimate_completion_tokens(700) == 700
    assert service.estimate_completion_tokens(9_000) == 1_200
    assert service.estimate_completion_tokens(9_000, 50) == 50


@pytest.mark.parametrize(
    ("used", "level"),
    [(0, "normal"), (749, "normal"), (750, "warning"), (900, "critical"), (1_000, "exhausted")],
)
def test_the_warning_level_follows_what_is_charged(used: int, level: str) -> None:
    """Used, held and in doubt count alike."""
    assert warning_level(Totals(1_000, input_tokens=used), (0.75, 0.9)) == level
    assert warning_level(Totals(1_000, held=used), (0.75, 0.9)) == level


def test_a_service_counts_by_its_own_plugins(settings: Settings) -> None:
    """A model that only they offer has its limits there."""

    class Offers:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_model("acme-1", context_window=777, max_output=70)

    service = TokenService(settings, plugins=Plugins([Offers()]))
    assert service.get_model_limit("acme-1") == 777
    assert service.check_token_limit(707, 70, "acme-1")
    assert not service.check_token_limit(708, 70, "acme-1")


def test_there_is_one_service_per_settings(tmp_path: Path) -> None:
    """Equal settings share a service, others do not."""
    one, same, other = (Settings(data_dir=tmp_path / name) for name in ("a", "a", "b"))
    assert get_token_service(one) is get_token_service(same)
    assert get_token_service(one) is not get_token_service(other)
    assert get_token_service(other).settings == other


def test_threads_sharing_a_service_never_hold_more_than_the_budget(service: TokenService) -> None:
    """Sixteen threads race for the last tokens; exactly the budget is handed out."""
    sid = service.create_session(token_budget=1_000).session_id
    held: list[Reservation] = []

    def grab() -> None:
        while hold := service.reserve_tokens(sid, 10):
            held.append(hold)

    threads = [threading.Thread(target=grab) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 100
    assert service.get_remaining_budget(sid) == 0


WORKER = """
import sys
from ib_kernel import Settings, TokenService
service = TokenService(Settings(data_dir=sys.argv[1]))
settled = 0
for number in range(200):
    hold = service.reserve_tokens(sys.argv[2], 100)
    if hold:
        service.settle(hold, input_tokens=30, output_tokens=10)
        settled += 1
service.close()
print(settled)
"""


def test_eight_processes_never_exceed_one_budget_and_their_rows_add_up(settings: Settings) -> None:
    """8 x 200 holds of 100 tokens against a budget for about half of them."""
    service = TokenService(settings)
    sid = service.create_session(token_budget=30_000).session_id
    command = [sys.executable, "-c", WORKER, str(settings.data_dir), sid]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    settled = [int(worker.communicate(timeout=280)[0]) for worker in workers]
    totals = service.totals(sid)
    assert totals.used == 40 * sum(settled)
    assert totals.used <= 30_000
    assert totals.held == 0
    assert 30_000 - totals.used < 100 * 8
    assert service.store.check() == []
    answer = service.store.sql("SELECT count(*), sum(total_tokens) FROM calls WHERE status = 'settled'")
    assert answer.fetchone() == (sum(settled), totals.used)
    service.close()


def test_logging_tells_counts_calls_and_warnings_and_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Counts at DEBUG, calls at INFO, warnings at WARNING."""
    from ib_kernel import Interview

    caplog.set_level(logging.DEBUG, logger="ib_kernel")
    with Interview(Settings(data_dir=tmp_path, api_key="sk-veryverysecret", client="demo")) as buddy:
        buddy.start(token_budget=1_300)
        buddy.say_sync("A token bucket.")
        buddy.say_sync("Kept in Redis.", max_tokens=150)
    levels = {record.levelname for record in caplog.records if record.name.startswith("ib_kernel")}
    assert {"DEBUG", "INFO", "WARNING"} <= levels
    assert "veryverysecret" not in caplog.text
