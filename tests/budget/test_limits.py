"""Changing what was agreed: what is written, who is told, and what is no number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_kernel import TokenService, hookimpl
from ib_kernel.budget import lock
from ib_kernel.budget.parsing import parse_nano_usd, parse_time_limit
from ib_kernel.errors import ConfigError, Locked, SessionInactive, UnknownSession
from ib_kernel.plugin.events import SessionChanged
from ib_kernel.settings import Settings

NANO = 10**9


class Heard:
    """A plugin that keeps what changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, int, float | None]] = []

    @hookimpl
    def ib_session_changed(self, event: SessionChanged) -> None:
        """Keep the change, and the session as it is told."""
        self.changes.append((event.change, event.session.token_budget, event.session.time_limit_s))


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    """A service with a session "s" of 1,000 tokens and 60 seconds."""
    made = TokenService(settings)
    made.create_session("Ada", 1_000, time_limit_s=60, session_id="s")
    yield made
    made.close()


def test_each_change_is_written_returned_and_told(service: TokenService) -> None:
    """Budget, money and time, under their own names."""
    heard = Heard()
    service.plugins.register(heard, name="heard")
    assert service.extend_budget("s", 500).token_budget == 1_500
    assert service.extend_budget("s", -300).token_budget == 1_200
    assert service.set_budget("s", 2_000).token_budget == 2_000
    assert service.set_money_budget("s", "0.25").budget_nano_usd == NANO // 4
    assert service.set_time_limit("s", 90).time_limit_s == 90.0
    assert service.set_time_limit("s", None).time_limit_s is None
    assert heard.changes == [
        ("budget", 1_500, 60.0),
        ("budget", 1_200, 60.0),
        ("budget", 2_000, 60.0),
        ("budget", 2_000, 60.0),
        ("time", 2_000, 90.0),
        ("time", 2_000, None),
    ]


@pytest.mark.parametrize("value", [True, "5", 1.5, None])
def test_tokens_are_added_in_whole_numbers(service: TokenService, value: object) -> None:
    """Anything else is one line that names it."""
    with pytest.raises(ConfigError, match=r"^additional_tokens cannot be .*; give a whole number$"):
        service.extend_budget("s", value)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^token_budget cannot be "):
        service.set_budget("s", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["complete", "cancel"])
def test_a_session_that_has_ended_changes_no_more(service: TokenService, end: str) -> None:
    """Whatever is changed; the line says how it has ended."""
    getattr(service, end)("s")
    ended = {"complete": "completed", "cancel": "cancelled"}[end]
    for change in (
        lambda: service.extend_budget("s", 1),
        lambda: service.set_budget("s", 2_000),
        lambda: service.set_money_budget("s", 1),
        lambda: service.set_time_limit("s", 90),
    ):
        with pytest.raises(SessionInactive, match=f"^session s is {ended}; it can no longer") as refused:
            change()
        assert refused.value.status == ended


def test_an_unknown_session_has_nothing_to_change(service: TokenService) -> None:
    """It is named."""
    with pytest.raises(UnknownSession, match="nobody"):
        service.set_time_limit("nobody", 5)


def test_a_refusal_says_what_the_passphrase_is_for(
    service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget is one thing, the time another; with the passphrase each passes."""
    monkeypatch.setattr(lock, "COST", {"n": 16, "r": 1, "p": 1})
    service.create_session("Bob", 1_000, session_id="locked", passphrase="correct horse")
    with pytest.raises(Locked, match="session locked is locked: another budget needs"):
        service.extend_budget("locked", 1)
    with pytest.raises(Locked, match="another budget needs"):
        service.set_budget("locked", 5_000)
    with pytest.raises(Locked, match="another budget needs"):
        service.set_money_budget("locked", 1)
    with pytest.raises(Locked, match="another time limit needs"):
        service.set_time_limit("locked", 5)
    key = "correct horse"
    assert service.extend_budget("locked", 1, passphrase=key).token_budget == 1_001
    assert service.set_budget("locked", 5_000, passphrase=key).token_budget == 5_000
    assert service.set_money_budget("locked", 2, passphrase=key).budget_nano_usd == 2 * NANO
    assert service.set_time_limit("locked", 5, passphrase=key).time_limit_s == 5.0


def test_money_is_whole_nano_dollars() -> None:
    """To the last one."""
    assert parse_nano_usd("0.000000001") == 1
    assert parse_nano_usd("1.234567891") == 1_234_567_891


def test_a_time_limit_is_seconds_or_none() -> None:
    """Whole ones too; the line says what to do for no limit."""
    assert parse_time_limit(None) is None
    assert isinstance(parse_time_limit(5), float)
    assert parse_time_limit(0.5) == 0.5
    with pytest.raises(
        ConfigError, match=r"^time_limit_s cannot be 0; give seconds above 0, or leave it out for no limit$"
    ):
        parse_time_limit(0)
