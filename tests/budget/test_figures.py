"""What a session has used and what is left: each figure under its own name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_kernel import TokenService
from ib_kernel.budget.figures import percentage_used, warning_level
from ib_kernel.errors import ConfigError
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, Totals


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    """A service with a session "s" that has used, holds and doubts something."""
    made = TokenService(settings)
    made.create_session("Ada", 1_000, session_id="s", charge="new")
    for tokens in (100, 200):
        held = made.reserve_tokens("s", tokens)
        assert held
        made.settle_call(held, CallEnd(90, 10, charged_tokens=60))
    doubt = made.reserve_tokens("s", 30)
    assert doubt
    made.mark_unresolved(doubt, "lost")
    assert made.reserve_tokens("s", 40)
    yield made
    made.close()


def test_every_figure_stands_under_its_own_name(service: TokenService) -> None:
    """What was billed beside what is charged of it, and what is held and in doubt."""
    assert service.get_usage_stats("s") == {
        "session_id": "s",
        "token_budget": 1_000,
        "tokens_used": 120,
        "input_tokens": 180,
        "output_tokens": 20,
        "billed_tokens": 200,
        "charge": "new",
        "remaining_budget": 1_000 - 120 - 30 - 40,
        "percentage_used": 12.0,
        "message_count": 2,
        "avg_tokens_per_message": 100.0,
        "status": "active",
        "held": 40,
        "in_doubt": 30,
    }


def test_a_session_without_calls_has_no_average(service: TokenService) -> None:
    """Nothing is divided by nothing."""
    service.create_session("Bob", 1_000, session_id="new")
    assert service.get_usage_stats("new")["avg_tokens_per_message"] == 0.0


def test_whether_something_fits_is_told_to_the_token(service: TokenService) -> None:
    """What is held and in doubt is not free; what is no number of tokens is no question."""
    assert service.check_budget("s", 810) is True
    assert service.check_budget("s", 811) is False
    assert service.check_budget("s", 0) is True
    with pytest.raises(ConfigError, match="estimated cannot be -1"):
        service.check_budget("s", -1)


def test_a_budget_is_exhausted_when_nothing_is_left_to_hold(service: TokenService) -> None:
    """The last token may be held, not used."""
    assert not service.is_budget_exhausted("s")
    assert service.reserve_tokens("s", 809)
    assert not service.is_budget_exhausted("s")
    assert service.reserve_tokens("s", 1)
    assert service.is_budget_exhausted("s")
    assert service.get_warning_level("s") == "exhausted"


def test_a_session_s_warning_level_follows_the_settings(settings: Settings) -> None:
    """Their fractions, not others."""
    service = TokenService(Settings(data_dir=settings.data_dir, warn_at=(0.1, 0.2)))
    service.create_session("Ada", 1_000, session_id="s")
    found = []
    for _ in range(3):
        found.append(service.get_warning_level("s"))
        service.update_consumption("s", 100, 0)
    assert found == ["normal", "warning", "critical"]
    service.close()


def test_without_fractions_nobody_is_warned_before_the_end() -> None:
    """One fraction is the critical one."""
    assert warning_level(Totals(1_000, input_tokens=999), ()) == "normal"
    assert warning_level(Totals(1_000, input_tokens=1_000), ()) == "exhausted"
    assert warning_level(Totals(1_000, input_tokens=500), (0.5,)) == "critical"


def test_an_empty_budget_is_used_up() -> None:
    """Of no tokens, all are used."""
    assert percentage_used(Totals(0)) == 100.0
    assert percentage_used(Totals(200, input_tokens=50)) == 25.0
    assert percentage_used(Totals(200, input_tokens=300)) == 150.0
