"""Two hosts on one ledger are one system: what happens at one is so at the other, and one may die."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_runs import crash
from hosts import NEVER_ENDS, RunningHost
from postgres_servers import Databases
from test_turns import at_the_host, key_for, settled, wait_until
from wire import Wire

from ib_kernel.errors import ConfigError
from ib_kernel.testing import FaultServer, Step

PIECES = tuple(f"word{n} " for n in range(40))
WHOLE = "".join(PIECES)


@pytest.fixture(scope="module")
def service() -> Iterator[FaultServer]:
    """The model's service, whose replies take a while."""
    with FaultServer(decide=lambda request: Step(pieces=PIECES, delay_s=0.01)) as running:
        yield running


@pytest.fixture(scope="module")
def pair(service: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two hosts on one data directory."""
    data = tmp_path_factory.mktemp("ledger")
    with RunningHost(data, env=key_for(service)) as first, RunningHost(data, env=key_for(service)) as second:
        yield first, second


def invited(host: RunningHost, budget: str = "500000") -> Wire:
    """Return a new candidate's line to *host*; `ib invite` on this machine names the host that came last."""
    code = host.invite("--budget", budget).partition("@")[0]
    return Wire.joined(f"{code}@{host.address}")


def environment(ledger: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return what names an empty ledger to a host: none for the embedded one."""
    if ledger == "embedded":
        return {}
    ledgers: Databases = request.getfixturevalue("ledgers")
    request.addfinalizer(lambda: ledgers.give_back(folder))
    return {"IB_STORE": "postgres", "IB_POSTGRES_URL": ledgers.server.url(ledgers.take(folder))}


def there(wire: Wire, host: RunningHost) -> Wire:
    """Return the same candidate's line to another host."""
    return Wire(host.address, wire.token, wire.me)


def test_a_candidate_of_one_host_is_one_of_the_other(pair: Any, service: FaultServer) -> None:
    """Code, token, notice, turns and their request ids: all of it stands in the ledger."""
    first, second = pair
    wire = invited(first)
    other = there(wire, second)
    assert other.get("/v1/me").json()["notice"]["shown"] is True
    before = len(service.requests)
    assert wire.whole("Hello", "here-and-there")[:2] == (WHOLE, "end")
    assert other.whole("Hello", "here-and-there")[:2] == (WHOLE, "end")
    assert len(service.requests) == before + 1
    assert [m["content"] for m in other.get("/v1/me").json()["history"]] == ["Hello", WHOLE]
    Wire.joined(second.invite("--session", wire.me["session"]["session_id"]))
    assert {w.get("/v1/status").status_code for w in (wire, other)} == {401}


def test_each_host_tells_of_the_other(pair: Any) -> None:
    """A candidate learns where to go on before there is need to."""
    first, second = pair
    wire = invited(first)
    wait_until(lambda: wire.get("/v1/me").json()["hosts"] == [second.address])
    wait_until(lambda: there(wire, second).get("/v1/me").json()["hosts"] == [first.address])


def test_a_turn_is_heard_and_stopped_at_the_other_host(pair: Any, service: FaultServer) -> None:
    """Its text comes as it is stored; a stop there ends the upstream here, by id or by number."""
    first, second = pair
    wire = invited(first)
    other, whole = there(wire, second), "".join(NEVER_ENDS.pieces or ())
    for name in ("stop-by-id-1", "2"):
        service.script(NEVER_ENDS)
        request_id = name if not name.isdigit() else "stop-by-number"
        with wire.turn("Hello", request_id) as events:
            assert next(events)[0] == "piece"
            with other.turn("Hello", request_id) as heard:
                kind, data = next(heard)
                assert kind == "piece"
                assert whole.startswith(data["text"])
            assert other.post(f"/v1/turns/{name}/stop").json() == {"stopped": True}
            end = next(data for kind, data in events if kind == "end")
            assert end["stopped"]
        upstream = service.requests[-1]
        wait_until(lambda upstream=upstream: upstream.stopped_early)
    assert not other.post("/v1/turns/never-there/stop").json()["stopped"]


def test_pausing_at_one_host_stops_what_runs_at_the_other(pair: Any, service: FaultServer) -> None:
    """Within seconds, and the candidate is told why."""
    first, second = pair
    wire = invited(first)
    service.script(NEVER_ENDS)
    with wire.turn("Hello", secrets.token_hex(8)) as events:
        next(events)
        at_the_host(second, "pause", wire.me["session"]["session_id"])
        seen = [(kind, data) for kind, data in events if kind != "piece"]
        assert [kind for kind, data in seen if kind == "end" and "paused" in data["why"]], seen
    upstream = service.requests[-1]
    wait_until(lambda: upstream.stopped_early)


def test_two_calls_of_a_session_run_at_all_hosts_together(pair: Any, service: FaultServer) -> None:
    """The third waits wherever it was asked, is told so, and goes when one has ended; none is refused."""
    first, second = pair
    wire = invited(first)
    other, before, said = there(wire, second), len(service.requests), []
    most = 0

    def ask(at: Wire) -> None:
        nonlocal most
        with at.turn("Go on", secrets.token_hex(8)) as events:
            for kind, data in events:
                most = max(most, sum(not (r.complete or r.stopped_early) for r in service.requests[before:]))
                if kind in ("notice", "end", "error", "refused"):
                    said.append((kind, str(data.get("text", ""))))

    threads = [threading.Thread(target=ask, args=(at,)) for at in (wire, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kind for kind, _ in said].count("end") == 6
    assert any("waits until one has ended" in text for kind, text in said if kind == "notice")
    assert len(service.requests) == before + 6
    assert most <= 2
    assert settled(wire)["turns"] == 6


def test_a_tools_call_waits_for_turns_at_the_other_host(pair: Any, service: FaultServer) -> None:
    """Turns and the gateway have two places together; the tool's call goes when a turn has ended."""
    first, second = pair
    code = first.invite("--budget", "500000", "--gateway").partition("@")[0]
    wire = Wire(first.address)
    joined = wire.post("/v1/join", {"code": code, "nonce": secrets.token_urlsafe(16)}).json()
    wire.token, tool = joined["token"], Wire(second.address, joined["gateway_token"])
    wire.post("/v1/notice", {"version": joined["me"]["notice"]["version"]})
    for _ in range(2):
        service.script(NEVER_ENDS)
    before, answers = len(service.requests), []
    body = {"model": joined["me"]["session"]["model"], "messages": [{"role": "user", "content": "Hi"}]}
    call = threading.Thread(
        target=lambda: answers.append(tool.post("/openai/v1/chat/completions", body).status_code)
    )
    with wire.turn("One", "a-turn-here-1") as one, wire.turn("Two", "a-turn-here-2") as two:
        next(one), next(two)
        call.start()
        time.sleep(0.7)  # however long it is, the call waits
        assert (answers, len(service.requests)) == ([], before + 2)
        wire.post("/v1/turns/a-turn-here-1/stop")
        call.join()
        wire.post("/v1/turns/a-turn-here-2/stop")
    assert answers == [200]


def test_a_waiting_turn_can_be_stopped_from_the_other_host(pair: Any, service: FaultServer) -> None:
    """It is in no row yet, and is not sent later."""
    first, second = pair
    wire = invited(first)
    for _ in range(2):
        service.script(NEVER_ENDS)
    before = len(service.requests)
    with wire.turn("One", "running-turn-1") as one, wire.turn("Two", "running-turn-2") as two:
        next(one), next(two)
        with wire.turn("Three", "waiting-turn-3") as three:
            assert next(three)[0] == "notice"
            there(wire, second).post("/v1/turns/waiting-turn-3/stop")
            assert next(kind for kind, _ in three if kind != "wait") == "error"
        for name in ("running-turn-1", "running-turn-2"):
            wire.post(f"/v1/turns/{name}/stop")
    assert settled(wire)["turns"] == 2
    assert len(service.requests) == before + 2


def test_hidden_checks_are_counted_at_all_hosts_together(tmp_path: Path) -> None:
    """Each begins by taking one of five, so that hosts that run them at once give five answers."""
    from ib_duckdb.store import DuckDBStore
    from ib_kernel.evidence.work import Work
    from ib_kernel.values import NewSession, Status

    store = DuckDBStore(tmp_path)
    store.open_session(NewSession("s", "Ada", 1_000, "gpt-5.4-mini"))
    session = store.set_status("s", Status.ACTIVE)
    hosts = [Work(store, lambda _: None) for _ in range(3)]
    taken: list[int] = []

    def take(work: Work) -> None:
        for _ in range(3):
            try:
                taken.append(work._take_hidden(session)[0])
            except ConfigError:
                continue

    threads = [threading.Thread(target=take, args=(work,)) for work in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert sorted(taken) == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what a process has loaded")
def test_a_host_is_ready_before_anybody_asks(service: FaultServer, tmp_path: Path) -> None:
    """It loads its counter and its client ahead: the first turns after a neighbour has died are quick."""
    with RunningHost(tmp_path, env=key_for(service)) as host:
        assert host.process is not None
        loaded = Path(f"/proc/{host.process.pid}/maps")
        wait_until(lambda: all(name in loaded.read_text() for name in ("_tiktoken", "pydantic_core")))


@pytest.mark.parametrize(("ledger", "candidates"), [("embedded", 4), ("postgres", 4)])
def test_candidates_go_on_at_the_other_host(
    tmp_path: Path, ledger: str, candidates: int, request: pytest.FixtureRequest
) -> None:
    """One host is killed while replies stream: finished ones are whole, cut ones unfinished and in doubt.

    Nothing is asked or charged twice, everybody's next turn is answered at the other, and a kernel that
    starts anew goes there, too: what a host has told of others is kept with the token.
    """
    found = crash(tmp_path, candidates, environment(ledger, tmp_path, request))
    assert found.problems == []
    assert found.cut
    assert found.whole
