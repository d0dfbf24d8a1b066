"""`ib host --workers N`: any request at any worker, a dead worker is started again, a clean stop."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hosts import NEVER_ENDS, RunningHost
from test_turns import key_for, settled, wait_until
from wire import Wire

from ib_kernel.cli import main
from ib_kernel.host.address import is_running
from ib_kernel.testing import FaultServer, Step
from ib_kernel.values.sse import Decoder

PIECES = tuple(f"word{n} " for n in range(40))
WHOLE = "".join(PIECES)


@pytest.fixture(scope="module")
def service() -> Iterator[FaultServer]:
    """The model's service."""
    with FaultServer(decide=lambda request: Step(pieces=PIECES, delay_s=0.005)) as running:
        yield running


@pytest.fixture(scope="module")
def host(service: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host of two workers."""
    with RunningHost(
        tmp_path_factory.mktemp("host"),
        env={**key_for(service), "IB_LEASE_S": "2"},
        options=("--workers", "2"),
    ) as running:
        yield running


def workers(host: RunningHost) -> list[int]:
    """Return the processes of the workers that were started last."""
    newest: dict[str, int] = {}
    for line in list(host.said):
        for number, pid in re.findall(r"Worker (\d) of 2 is process (\d+)", line):
            newest[number] = int(pid)
    return list(newest.values())


def signed_in(host: RunningHost) -> httpx2.Client:
    """Return a browser's client whose link was opened: each request is a connection of its own."""
    token = host.here("link")[1].rpartition("#")[2]
    client = httpx2.Client(
        base_url=host.address, trust_env=False, timeout=60, headers={"Connection": "close"}
    )
    answer = client.post("/v1/link", json={"token": token}).json()
    cookie = client.cookies.get("__Host-ib")
    client.headers.update(
        {"X-IB-CSRF": answer["csrf"], "Cookie": f"__Host-ib={cookie}", "Origin": host.address}
    )
    return client


def test_one_line_for_each_worker(host: RunningHost) -> None:
    """Whoever starts it sees one link, and each worker with its process."""
    wait_until(lambda: len(workers(host)) == 2)
    assert len(set(workers(host))) == 2
    assert sum("/#ib_l_" in line for line in host.said) == 1
    assert host.here("link")[1].startswith(host.address)


def test_any_request_goes_to_any_worker(host: RunningHost, service: FaultServer) -> None:
    """A turn, its resuming, the page's news and a stop: no connection has to meet the worker of another."""
    wire = Wire.joined(host.invite("--budget", "500000"))
    with closing(signed_in(host)) as page:
        session_id = wire.me["session"]["session_id"]
        for n in range(6):
            assert wire.whole("Hello", f"anywhere-{n:03}")[:2] == (WHOLE, "end")
            assert wire.whole("Hello", f"anywhere-{n:03}", at=20)[0] == WHOLE[20:]
            assert page.get(f"/v1/desk/sessions/{session_id}").json()["session"]["turns"] == n + 1
        with page.stream("GET", "/v1/desk/events") as news:
            chunks, decoder = news.iter_raw(), Decoder()
            assert b"hello" in next(chunks)
            for n in range(3):
                service.script(NEVER_ENDS)
                with wire.turn("Go on", f"stopped-{n:03}") as events:
                    assert next(events)[0] == "piece"
                    assert wire.post(f"/v1/turns/stopped-{n:03}/stop").json()["stopped"]
                    assert next(data for kind, data in events if kind == "end")["stopped"]
            told = (event for chunk in chunks for event in decoder.feed(chunk))
            assert (
                session_id
                in json.loads(next(event.data for event in told if event.kind == "changed"))["sessions"]
            )
        service.script(NEVER_ENDS)
        with wire.turn("Go on", "paused-by-the-page") as events:
            next(events)
            assert page.post(f"/v1/desk/sessions/{session_id}/pause", json={}).status_code == 200
            assert "paused" in next(data for kind, data in events if kind == "end")["why"]
    assert settled(wire)["turns"] == 10


def test_a_worker_that_dies_is_started_again(host: RunningHost, service: FaultServer) -> None:
    """The others go on, its reply is unfinished and in doubt, and nothing is asked twice."""
    wait_until(lambda: len(workers(host)) == 2)
    wire = Wire.joined(host.invite("--budget", "500000"))
    before, asked = workers(host), len(service.requests)
    service.script(NEVER_ENDS)
    request_id, said = secrets.token_hex(8), ""
    with wire.turn("Hello", request_id) as events, pytest.raises(httpx2.HTTPError):
        while True:
            kind, data = next(events)
            said += data["text"] if kind == "piece" else ""
            if len(said) > 20:
                for pid in before:
                    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(before) & set(workers(host)))
    assert sum("is started again" in line for line in host.said) == 2
    text, kind, data = wire.whole("Hello", request_id)
    assert (kind, data["error"]["code"]) == ("error", "unresolved")
    assert "".join(NEVER_ENDS.pieces or ()).startswith(text)
    assert len(service.requests) == asked + 1
    assert wire.whole("And now?")[:2] == (WHOLE, "end")


def test_it_stops_with_all_its_workers(service: FaultServer, tmp_path: Path) -> None:
    """SIGINT to the one that watches ends running turns as stops; nothing is left of any process."""
    with RunningHost(tmp_path / "host", env=key_for(service), options=("--workers", "2")) as host:
        wire = Wire.joined(host.invite("--budget", "50000"))
        wait_until(lambda: len(workers(host)) == 2)
        service.script(NEVER_ENDS)
        with wire.turn("Hello", "stops-with-all") as events:
            next(events)
            assert host.stop() == 0
            assert [kind for kind, _ in events][-1] in ("end", "error")
        assert not any(is_running(pid) for pid in workers(host))
        assert not list((host.data / "hosts").iterdir())
        host.start()
        totals = wire.get("/v1/status").json()["totals"]
        assert (totals["held"], totals["in_doubt"], totals["turns"]) == (0, 0, 1)
        wait_until(lambda: len(workers(host)) == 2)
        gone = workers(host)
        host.kill()  # the one that watches, by a power cut: no worker is left behind
        wait_until(lambda: not any(is_running(pid) for pid in gone))


def test_what_cannot_start_is_one_line(tmp_path: Path, capfd: Any) -> None:
    """A ledger that cannot be opened ends all of them, with the reason once for each at most."""
    (tmp_path / "hot.sqlite3").write_text("no database" * 500)
    began = time.monotonic()
    given = ["host", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--workers", "2"]
    assert main(given) == 1
    assert time.monotonic() - began < 60
    assert "Traceback" not in capfd.readouterr().err
    assert main(["host", "--data", str(tmp_path), "--workers", "65"]) == 1
    assert "from 1 to 64" in capfd.readouterr().err
