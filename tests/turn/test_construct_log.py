"""What calls were made of is recorded when it changes, and `%usage accuracy` says how often claims held."""

from __future__ import annotations

from pathlib import Path

from ib_kernel import Interview, Plugins, Settings
from ib_kernel.testing import FaultServer


def test_claims_are_judged_by_construct(server: FaultServer, tmp_path: Path) -> None:
    """One event when the constructs change; each settled call counts for every construct it used."""
    settings = Settings(
        data_dir=tmp_path, base_url=server.base_url, api_key="sk-test-1", model="gpt-4.1-mini"
    )
    usage = {"prompt_tokens": 700, "completion_tokens": 2, "total_tokens": 702}
    with Interview(settings, plugins=Plugins([])) as buddy:
        session = buddy.start("Backend engineer", token_budget=20_000)
        for _ in range(3):
            server.reply(text="Fine.", usage=usage)
            with buddy.ask("Why?") as reply:
                list(reply)
        store = buddy.service.store
        events = [event for event in store.events(session.session_id) if event.kind == "counted"]
        rows = store.sql("SELECT construct, n, claimed_exact, claims_held FROM count_accuracy_by_construct")
    found = {construct: tuple(figures) for construct, *figures in rows.fetchall()}
    assert [event.detail["turn"] for event in events] == [1, 2]  # from the second turn on: assistant messages
    assert [event.detail["model"] for event in events] == ["gpt-4.1-mini"] * 2
    assert "assistant message" in events[1].detail["constructs"]
    assert "assistant message" not in events[0].detail["constructs"]
    assert found["user message"] == (3, 3, 0)
    assert found["assistant message"] == (2, 2, 0)
    assert found["model gpt-4.1-mini"] == (3, 3, 0)
