"""Refusals are recorded, and asking again and again fills no disk."""

from __future__ import annotations

import contextlib

import pytest

from ib_kernel import Interview, TokenService
from ib_kernel.budget import refused
from ib_kernel.errors import SessionInactive
from ib_kernel.settings import Settings
from ib_kernel.values import LedgerEvent


def test_a_session_s_refusals_are_recorded_up_to_a_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first are kept; what is refused afterwards is refused all the same; other events are recorded."""
    monkeypatch.setattr(refused, "MOST", 3)
    with Interview(settings) as interview:
        session_id = interview.start("Engineer", client="demo").session_id
        interview.service.pause(session_id)
        for _ in range(5):
            with pytest.raises(SessionInactive):
                interview.say_sync("hello")
        kinds = [event.kind for event in interview.service.store.events(session_id)]
        assert kinds.count("refused") == 3
        interview.service.record(LedgerEvent(session_id, "warned", 0.0))
        assert interview.service.store.events(session_id)[-1].kind == "warned"


def test_another_process_goes_on_counting(settings: Settings) -> None:
    """What the ledger has already counts."""
    with contextlib.closing(TokenService(settings)) as service:
        session_id = service.create_session("Ada", 1_000).session_id
        service.record(LedgerEvent(session_id, "refused", 0.0))
        events = refused.RefusedEvents(lambda: service.store, most=2)
        event = LedgerEvent(session_id, "refused", 0.0)
        assert [events.take(event) for _ in range(3)] == [True, False, False]


def test_each_session_is_counted_for_itself_and_other_events_are_not(settings: Settings) -> None:
    """Two services beside each other may each record up to the limit; neither records more."""
    with contextlib.closing(TokenService(settings)) as service:
        for name in ("s", "t"):
            service.create_session("Ada", 1_000, session_id=name)
        events = refused.RefusedEvents(lambda: service.store, most=2)
        taken = [
            events.take(LedgerEvent(name, "refused", 0.0)) for name in ("s", "s", "s", "t", "s", "t", "t")
        ]
        assert taken == [True, True, False, True, False, True, False]
        assert all(events.take(LedgerEvent("s", "warned", 0.0)) for _ in range(5))
