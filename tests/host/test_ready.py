"""A turn waits for the notice to be seen, and that is looked up until it was."""

from __future__ import annotations

import pytest
from hosting import served

from ib_kernel.host import ready
from ib_kernel.host.answers import Refused
from ib_kernel.host.notice import notice_of, record_shown
from ib_kernel.host.ready import require_ready
from ib_kernel.settings import Settings


def test_a_notice_that_was_seen_is_looked_up_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that at every turn, and each session by itself; of too many, some are forgotten."""
    looked_up: list[str] = []
    real = ready.was_shown
    monkeypatch.setattr(
        ready, "was_shown", lambda store, name: [looked_up.append(name), real(store, name)][1]
    )
    monkeypatch.setattr(ready, "MOST_KNOWN", 1)
    with served(settings) as running:
        host, one, other = running.host, running.session(), running.session(candidate="Bo")
        for session in (one, one, other):
            with pytest.raises(Refused, match="first read what is recorded"):
                require_ready(host, session)
        for session in (one, other):
            record_shown(host.store, session.session_id, notice_of(settings, session), session.candidate)
        looked_up.clear()
        for session in (one, one, other, other, one):
            require_ready(host, session)
        assert looked_up == [one.session_id, other.session_id, one.session_id]
