"""Opening and moving sessions: what is kept of what was asked for, and who hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ib_kernel import TokenService, hookimpl
from ib_kernel.budget import lock
from ib_kernel.budget.access import default_candidate
from ib_kernel.budget.sessions import new_session_id
from ib_kernel.errors import ConfigError
from ib_kernel.plugin.events import SessionChanged, SessionEnded
from ib_kernel.settings import Settings

CHEAP = {"n": 16, "r": 1, "p": 1}


class Heard:
    """A plugin that keeps what it hears of sessions."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.ended: list[SessionEnded] = []

    @hookimpl
    def ib_session_changed(self, event: SessionChanged) -> None:
        """Keep the change."""
        self.changes.append(event.change)

    @hookimpl
    def ib_session_ended(self, event: SessionEnded) -> None:
        """Keep the end."""
        self.ended.append(event)


@pytest.fixture
def service(settings: Settings) -> Iterator[TokenService]:
    made = TokenService(settings.replace(token_budget=7_000, time_limit_s=90.0, model="gpt-4o", charge="new"))
    yield made
    made.close()


def test_what_is_not_given_comes_from_the_settings(service: TokenService) -> None:
    """Budget, limit, model, charge, and the system's user."""
    session = service.create_session()
    assert (session.token_budget, session.time_limit_s, session.model) == (7_000, 90.0, "gpt-4o")
    assert (session.charge, session.candidate, session.status) == ("new", default_candidate(), "active")
    assert service.create_session().session_id != session.session_id


def test_what_is_given_is_kept_as_it_was_given(service: TokenService) -> None:
    """Whole seconds become seconds; further fields go along."""
    session = service.create_session(
        "Ada", 100, "gpt-4.1", 60, session_id="mine", role="Engineer", level="senior", charge="billed",
        meta={"a": 1}, budget_usd="0.5",
    )  # fmt: skip
    assert (session.session_id, session.candidate, session.token_budget) == ("mine", "Ada", 100)
    assert (session.model, session.time_limit_s, session.charge) == ("gpt-4.1", 60.0, "billed")
    assert isinstance(session.time_limit_s, float)
    assert (session.role, session.level, session.meta) == ("Engineer", "senior", {"a": 1})
    assert session.budget_nano_usd == 500_000_000


def test_whole_nano_dollars_come_before_a_sum_in_dollars(service: TokenService) -> None:
    """Who names both has the exact one."""
    assert service.create_session(budget_usd=1, budget_nano_usd=7).budget_nano_usd == 7


def test_a_lock_stands_beside_what_else_the_session_keeps(
    service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fixes the length of replies of now and the temperature that the session keeps, None for none."""
    monkeypatch.setattr(lock, "COST", CHEAP)
    locked = service.create_session(
        "Ada", passphrase="correct horse", meta={"temperature": 0.5, "a": 1}, session_id="one"
    )
    assert locked.meta["a"] == 1
    assert lock.fixes(locked) == {"reply_tokens": service.settings.reply_tokens, "temperature": 0.5}
    other = service.create_session("Bob", passphrase="correct horse")
    assert lock.fixes(other) == {"reply_tokens": service.settings.reply_tokens, "temperature": None}
    assert "correct horse" not in json.dumps(dict(locked.meta))
    assert not lock.is_locked(service.create_session("Cy"))


def test_each_step_is_heard_of_and_recorded_with_its_name(service: TokenService) -> None:
    """Opened, started, paused, resumed, ended: the same words for observers as for the log."""
    heard = Heard()
    service.plugins.register(heard, name="heard")
    service.create_session("Ada", session_id="s", start=False)
    service.start("s")
    service.pause("s")
    assert service.resume("s").status == "active"
    service.complete("s")
    service.create_session("Bob", session_id="t", start=False)
    assert service.cancel("t").status == "cancelled"
    assert heard.changes == [
        *("created", "started", "paused", "resumed", "completed"),
        *("created", "cancelled"),
    ]
    who = {event.who for event in service.store.events("s") if event.kind == "status"}
    assert who == {default_candidate()}


def test_an_end_is_heard_of_with_the_last_sums(service: TokenService) -> None:
    """Once, when all is written."""
    heard = Heard()
    service.plugins.register(heard, name="heard")
    service.create_session("Ada", session_id="s", charge="billed")
    service.update_consumption("s", 30, 12)
    service.complete("s")
    (end,) = heard.ended
    assert (end.session.session_id, end.session.status) == ("s", "completed")
    assert (end.totals.used, end.totals.token_budget) == (42, 7_000)


def test_an_id_is_a_text(service: TokenService) -> None:
    """Whatever asks for a session."""
    for call in (service.get_session, service.pause, service.totals, service.is_locked):
        with pytest.raises(ConfigError, match="session_id cannot be 5"):
            call(5)  # type: ignore[operator]


def test_ids_sort_by_the_second_they_were_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the length of a number, and two of one second differ."""
    made = []
    for moment in (0xFF, 0x1_0000_0000 - 1, 0x7000_0000):
        monkeypatch.setattr("ib_kernel.budget.sessions.time.time", lambda moment=moment: float(moment))
        made.append(new_session_id())
        assert made[-1] != new_session_id()
    assert sorted(made) == [made[0], made[2], made[1]]
    assert {len(one) for one in made} == {14}
    assert made[0].startswith("000000ff")
