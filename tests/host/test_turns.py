"""Turns through a host: asked once whatever breaks, stopped upstream, kept when the host dies."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hosts import NEVER_ENDS, RunningHost, joined
from wire import Wire

from ib_kernel.errors import SessionInactive
from ib_kernel.host.running import RunningTurn, RunningTurns
from ib_kernel.host.withhold import PrivateText
from ib_kernel.testing import FaultServer, Step

CUTS = int(os.environ.get("CUTS", "40"))
PIECES = tuple(f"word{n} " for n in range(40))
WHOLE = "".join(PIECES)


@pytest.fixture(scope="module")
def service() -> Iterator[FaultServer]:
    """The model's service, whose replies take a while."""
    with FaultServer(decide=lambda request: Step(pieces=PIECES, delay_s=0.01)) as running:
        yield running


@pytest.fixture(scope="module")
def host(service: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host in front of that service."""
    with RunningHost(tmp_path_factory.mktemp("host"), env=key_for(service)) as running:
        yield running


def key_for(service: FaultServer) -> dict[str, str]:
    """Return the environment of a host that speaks to *service*."""
    return {"OPENAI_API_KEY": "sk-host-only-0123456789", "OPENAI_BASE_URL": service.base_url}


def wait_until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until a condition holds, for a busy machine's time at most."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not become true"
        time.sleep(0.02)


def settled(wire: Wire) -> Any:
    """Return the session's sums once nothing is held."""
    wait_until(lambda: wire.get("/v1/status").json()["totals"]["held"] == 0)
    return wire.get("/v1/status").json()["totals"]


def test_the_same_request_is_the_same_turn(host: RunningHost, service: FaultServer) -> None:
    """A repeated id answers the same reply and asks the service nothing; another body under it is refused."""
    wire = Wire.joined(host.invite("--budget", "50000"))
    before = len(service.requests)
    said, kind, end = wire.whole("Hello", "request-0001")
    assert (said, kind) == (WHOLE, "end")
    assert wire.whole("Hello", "request-0001")[:2] == (WHOLE, "end")
    assert wire.whole("Hello", "request-0001", at=len(WHOLE) - 7)[0] == WHOLE[-7:]
    assert wire.whole("Goodbye", "request-0001")[2]["status"] == 409
    assert len(service.requests) == before + 1
    assert settled(wire)["turns"] == 1
    assert end["totals"]["turns"] == 1


def test_two_at_once_with_one_id_are_one_turn(host: RunningHost, service: FaultServer) -> None:
    """A client that sends twice before the first is answered pays once, and both hear the whole reply."""
    wire = Wire.joined(host.invite("--budget", "50000"))
    before = len(service.requests)
    heard: list[str] = []
    threads = [
        threading.Thread(target=lambda: heard.append(wire.whole("Hi", "twice-0001")[0])) for _ in "123"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [WHOLE] * 3
    assert len(service.requests) == before + 1


def test_broken_lines_cost_nothing_twice(host: RunningHost, service: FaultServer) -> None:
    """Cut at random places while streaming and resumed: the reply is whole, each turn is charged once.

    CUTS says how often (`make test-host-long`).
    """
    rng, wire = random.Random(20261126), Wire.joined(host.invite("--budget", str(2_250 * CUTS)))
    before, cuts, turns = len(service.requests), 0, 0
    while cuts < CUTS:
        turns += 1
        request_id, said, kind = f"cut-turn-{turns:04}", "", "lost"
        while kind != "end":
            with wire.turn("Go on", request_id, len(said)) as events:
                for kind, data in events:
                    if kind == "piece":
                        said += data["text"]
                    assert kind in ("piece", "end", "wait"), data
                    if kind != "end" and rng.random() < 0.2:
                        cuts += 1
                        kind = "lost"
                        break
        assert said == WHOLE
    assert len(service.requests) == before + turns
    totals = settled(wire)
    assert (totals["turns"], totals["held"], totals["in_doubt"]) == (turns, 0, 0)


def test_a_line_that_is_gone_for_good_reads_on(host: RunningHost, service: FaultServer) -> None:
    """Who comes back later finds the whole reply in the transcript."""
    wire = Wire.joined(host.invite("--budget", "50000"))
    with wire.turn("Hello", "gone-for-good") as events:
        next(events)
    assert settled(wire)["turns"] == 1
    assert wire.get("/v1/me").json()["history"][-1]["content"] == WHOLE
    assert wire.get("/v1/me").json()["history"][-1]["partial"] is False


def test_an_interrupt_ends_the_upstream(host: RunningHost, service: FaultServer, tmp_path: Path) -> None:
    """Leaving a reply stops it at the service, and what had come is kept and counted."""
    interview = joined(host.invite("--budget", "50000"), tmp_path).interview
    with interview:
        service.script(NEVER_ENDS)
        with interview.ask("Hello") as reply:
            for _ in reply:
                break
        assert reply.result is not None
        assert reply.result.stopped
        assert "kept" in str(reply.stop_line())
        request = service.requests[-1]
        wait_until(lambda: request.stopped_early)
        assert interview.history()[-1].partial
        assert interview.service.totals(interview.session_id).held == 0


def test_pausing_ending_and_time_stop_what_runs(host: RunningHost, service: FaultServer) -> None:
    """The candidate is told why, and the upstream ends."""
    for words, do in (((), "pause"), ((), "complete"), (("--minutes", "0.02"), "")):
        line = host.invite("--budget", "50000", *words)
        wire = Wire.joined(line)
        service.script(NEVER_ENDS)
        with wire.turn("Hello", secrets.token_hex(8)) as events:
            kind, _ = next(events)
            if do:
                at_the_host(host, do, wire.me["session"]["session_id"])
            while kind not in ("end", "error"):
                kind, data = next(events)
        assert "pause" in str(data) or "ended" in str(data) or "time" in str(data), data
        request = service.requests[-1]
        wait_until(lambda request=request: request.stopped_early)


def at_the_host(host: RunningHost, do: str, session_id: str) -> None:
    """Do something with a session in another process on the host's ledger."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.settings import Settings

    service = TokenService(Settings(data_dir=host.data))
    try:
        getattr(service, do)(session_id)
    finally:
        service.close()


def test_what_the_interviewer_says_arrives(host: RunningHost, tmp_path: Path) -> None:
    """A line reaches the notebook without being asked for, stands in the transcript, and is never sent on."""
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings
    from ib_kernel.values import Message

    interview = joined(host.invite("--budget", "50000"), tmp_path).interview
    with interview:
        interview.begin()
        store = Plugins().store(Settings(data_dir=host.data))
        try:
            said = Message(0, "interviewer", "Think about two servers.", time.time())
            store.add_message(interview.session_id, said)  # type: ignore[attr-defined]
        finally:
            store.close()
        lines: list[str] = []
        wait_until(lambda: lines.extend(interview.state.take_lines()) or lines)
        assert lines == ["Think about two servers."]
        assert interview.history()[-1].role == "interviewer"


def test_a_host_that_dies_loses_nothing_and_asks_nothing_twice(service: FaultServer, tmp_path: Path) -> None:
    """kill -9 while a reply streams: after a restart it is there, unfinished, in doubt, and asked once."""
    with RunningHost(tmp_path / "host", env={**key_for(service), "IB_LEASE_S": "1"}) as host:
        wire = Wire.joined(host.invite("--budget", "50000"))
        said, request_id = "", "dies-0001"
        service.script(NEVER_ENDS)
        asked = len(service.requests)
        with wire.turn("Hello", request_id) as events:
            for kind, data in events:
                said += data["text"] if kind == "piece" else ""
                if len(said) > 20:
                    break
            time.sleep(0.5)
            host.kill()
        host.start()
        text, kind, data = wire.whole("Hello", request_id)
        assert kind == "error"
        assert data["error"]["code"] == "unresolved"
        assert text.startswith(said)
        assert "".join(NEVER_ENDS.pieces or ()).startswith(text)
        assert len(service.requests) == asked + 1
        me = wire.get("/v1/me").json()
        assert [(m["role"], m["partial"]) for m in me["history"]] == [("user", False), ("assistant", True)]
        assert me["history"][0]["content"] == "Hello"
        assert me["totals"]["in_doubt"] > 0
        assert wire.whole("And now?")[1] == "end"


def test_what_nobody_comes_back_for_is_in_the_transcript(service: FaultServer, tmp_path: Path) -> None:
    """A host that starts again finds by itself what a dead one was reading."""
    with RunningHost(tmp_path / "host", env={**key_for(service), "IB_LEASE_S": "1"}) as host:
        wire = Wire.joined(host.invite("--budget", "50000"))
        service.script(NEVER_ENDS)
        with wire.turn("Hello", "left-0001") as events:
            next(events)
            next(events)
            time.sleep(0.6)
            host.kill()
        host.start()
        wait_until(lambda: len(wire.get("/v1/me").json()["history"]) == 2)
        asked, answered = wire.get("/v1/me").json()["history"]
        assert (asked["content"], answered["partial"]) == ("Hello", True)
        assert "".join(NEVER_ENDS.pieces or ()).startswith(answered["content"])


def test_a_host_that_is_asked_to_stop_settles_and_says_so(service: FaultServer, tmp_path: Path) -> None:
    """SIGINT ends running turns as stops: nothing is left in doubt, and the address file is gone."""
    with RunningHost(tmp_path / "host", env=key_for(service)) as host:
        wire = Wire.joined(host.invite("--budget", "50000"))
        service.script(NEVER_ENDS)
        with wire.turn("Hello", "stops-0001") as events:
            next(events)
            assert host.stop() == 0
            kinds = [kind for kind, _ in events]
        assert kinds[-1] in ("end", "error")
        assert not list((host.data / "hosts").iterdir())
        host.start()
        totals = wire.get("/v1/status").json()["totals"]
        assert (totals["held"], totals["in_doubt"], totals["turns"]) == (0, 0, 1)


def test_a_session_that_has_ended_takes_no_turn(host: RunningHost, tmp_path: Path) -> None:
    """The refusal is one line and its kind is the local one's."""
    interview = joined(host.invite("--budget", "50000"), tmp_path).interview
    with interview:
        interview.begin()
        interview.end()
        with pytest.raises(SessionInactive, match="completed"):
            interview.say_sync("Hello")


@pytest.mark.parametrize("name", ["0", "²", "٣", "-1", "99999999999999999999"])
def test_a_number_that_no_turn_has_stops_none(host: RunningHost, name: str) -> None:
    """The answer says that none was running, and the one that runs goes on."""
    wire = Wire.joined(host.invite("--budget", "100000"))
    with wire.turn("Go on", "goes-on-0001") as events:
        next(kind for kind, _ in events if kind == "piece")
        answer = wire.post(f"/v1/turns/{name}/stop")
        *_, (kind, data) = events
    assert (answer.status_code, answer.json()) == (200, {"stopped": False})
    assert kind == "end", data


def test_a_turn_without_a_number_is_not_found_as_turn_0() -> None:
    """A turn has none until the ledger has given one; its request id finds it from the start."""
    turns = RunningTurns(None)  # type: ignore[arg-type]
    reply: Any = SimpleNamespace(reservation=None)
    waiting = RunningTurn("s", "request-1", "", reply, "", PrivateText([]))
    turns._turns["s", "request-1"] = waiting
    assert turns.find("s", "0") is None
    assert turns.find("s", "request-1") is waiting


def test_a_service_that_refuses_again_and_again_is_waited_for(
    host: RunningHost, service: FaultServer
) -> None:
    """More refusals than a turn has attempts: the call waits its turn, and its clock stands meanwhile."""
    wire = Wire.joined(host.invite("--budget", "100000", "--minutes", "60"))
    for _ in range(7):
        service.script("429", retry_after=0.15)
    text, kind, data = wire.whole("Go on")
    assert (kind, bool(text)) == ("end", True), data
    stopped = [e["detail"] for e in wire.get("/v1/me").json()["events"] if e["kind"] == "clock_stopped"]
    assert sum(one["seconds"] for one in stopped) >= 0.5
    assert {one["reason"] for one in stopped} == {"the service's limit"}
