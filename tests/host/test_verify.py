"""`ib verify`: the chain and what was sent agree, until somebody changes either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import RunningHost
from wire import Wire

TASK = "# Count\n\nWrite a counter.\n\n<!-- interviewer -->\nAsk about locks.\n"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunningHost]:
    """A host whose sessions the scripted interviewer answers."""
    with RunningHost(tmp_path / "host") as running:
        yield running


def test_what_was_sent_is_built_again_and_agrees(host: RunningHost, tmp_path: Path) -> None:
    """After some turns, with a task and with a reply that was cut, nothing differs; a changed note does."""
    file = tmp_path / "count.md"
    file.write_text(TASK, encoding="utf-8")
    wire = Wire.joined(host.invite("--candidate", "Ada", "--challenge", str(file)))
    for question in ("Hello", "I would use a lock", "And then?"):
        assert wire.whole(question)[1] == "end"
    assert host.ib("verify") == "the chain and what was sent agree"
    host.stop()
    assert host.ib("verify", wire.me["session"]["session_id"]) == "the chain and what was sent agree"
    (private,) = (host.data / "challenges").glob("*.json")
    before = hashlib.sha256(private.read_bytes()).digest()
    private.write_text(private.read_text(encoding="utf-8").replace("locks", "sheep"), encoding="utf-8")
    assert hashlib.sha256(private.read_bytes()).digest() != before
    status, said = host.ib_any("verify")
    assert status == 1
    assert "turn 1" in said
    assert "is not what prompt" in said
