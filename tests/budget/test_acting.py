"""Whose name a change is recorded under."""

from __future__ import annotations

import threading

from ib_kernel.budget.access import acting_as
from ib_kernel.budget.service import TokenService
from ib_kernel.settings import Settings


def test_changes_are_recorded_under_the_name_of_who_acts(settings: Settings) -> None:
    """Within the block, every event is that person's; outside it, the system's user's as before."""
    service = TokenService(settings)
    session = service.create_session(candidate="Ada", token_budget=1_000, time_limit_s=60)
    with acting_as("Grace"):
        service.extend_budget(session.session_id, 500)
        service.set_time_limit(session.session_id, 120)
        service.pause(session.session_id)
        service.resume(session.session_id)
    service.complete(session.session_id)
    who = [(e.kind, e.who == "Grace") for e in service.store.events(session.session_id)]
    assert [kind for kind, hers in who if hers] == ["budget", "time_limit", "status", "status"]
    assert who[-1] == ("status", False)
    service.close()


def test_decisions_about_what_is_in_doubt_are_recorded_under_that_name_too(settings: Settings) -> None:
    """Written off by a person, not by the user the process runs as."""
    service = TokenService(settings)
    session = service.create_session(candidate="Ada", token_budget=1_000)
    held = service.reserve_tokens(session.session_id, 100)
    assert held
    service.mark_unresolved(held, "timeout")
    with acting_as("Grace"):
        service.write_off(held.reservation_id)
    (event,) = [e for e in service.store.events(session.session_id) if e.kind == "written_off"]
    assert event.who == "Grace"
    service.close()


def test_another_thread_acts_under_its_own_name(settings: Settings) -> None:
    """One person's request does not lend its name to another's."""
    service = TokenService(settings)
    session = service.create_session(candidate="Ada", token_budget=1_000)
    with acting_as("Grace"):
        other = threading.Thread(target=service.pause, args=(session.session_id,))
        other.start()
        other.join()
    assert service.store.events(session.session_id)[-1].who != "Grace"
    service.close()
