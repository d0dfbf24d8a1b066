"""A candidate who writes, asks or listens without end is slowed down, and counts stay right in a rush."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import httpx2
import pytest
from hosts import RunningHost
from wire import Wire

from ib_kernel.budget.service import TokenService
from ib_kernel.host.answers import Refused
from ib_kernel.host.rates import RateLimit
from ib_kernel.host.written import Written
from ib_kernel.settings import Settings
from ib_kernel.values import Cell


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with RunningHost(tmp_path_factory.mktemp("host")) as running:
        yield running


def test_a_repeat_of_joining_says_nothing_to_whoever_is_out(host: RunningHost) -> None:
    """Code and nonce give the lost answer again, but not once somebody else was let in."""
    line = host.invite("--candidate", "Ada")
    code, _, address = line.partition("@")
    asked = {"code": code, "nonce": secrets.token_urlsafe(16)}
    first = Wire(address).post("/v1/join", asked).json()
    host.invite("--session", first["me"]["session"]["session_id"])
    again = Wire(address).post("/v1/join", asked)
    assert again.status_code == 403
    assert "me" not in again.json()


def test_hints_in_a_rush_come_once_each(host: RunningHost) -> None:
    """Ten requests at once for three hints give three, each once."""
    wire = Wire.joined(host.invite("--candidate", "Bea", "--challenge", "meeting-rooms"))
    assert wire.post("/v1/begin").status_code == 200
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: wire.post("/v1/hints"), range(10)))
    rungs = sorted(a.json()["rung"] for a in answers if a.status_code == 200)
    assert rungs == [1, 2, 3]


def test_only_so_many_streams_of_a_session_are_open(host: RunningHost) -> None:
    """The next one is refused, and another session is not troubled."""
    wire, other = (Wire.joined(host.invite("--candidate", name)) for name in ("Cy", "Di"))
    seen: Counter[int] = Counter()
    open_: list[Iterator[bytes]] = []
    with ExitStack() as stack:
        for one in (*[wire] * 22, other):
            client = stack.enter_context(httpx2.Client(base_url=one.address, timeout=60, trust_env=False))
            headers = {"Authorization": f"Bearer {one.token}"}
            answer = stack.enter_context(client.stream("GET", "/v1/events", headers=headers))
            if answer.status_code == 200:
                open_.append(answer.iter_raw())  # one that is forgotten closes its stream
                next(open_[-1])
            seen[answer.status_code] += 1
    assert seen == {200: 21, 429: 2}


def test_requests_of_one_candidate_are_counted() -> None:
    """However many others there are, each has a bucket of its own."""
    limit = RateLimit(60, 3, all_per_minute=10**9, clock=lambda: 0.0)
    for name in ("a", "b"):
        for _ in range(3):
            limit.require(name)
        with pytest.raises(Refused, match="too many"):
            limit.require(name)


def test_what_a_session_writes_has_an_end(settings: Settings) -> None:
    """Rows and bytes count, also those of before a restart; what is refused is not counted."""
    with closing(TokenService(settings)) as service:
        ada, bob = (
            service.create_session(candidate=name, token_budget=1000, model="gpt-5.4-mini")
            for name in ("A", "B")
        )
        service.store.add_cell(Cell(ada.session_id, "cell text " * 6))  # type: ignore[attr-defined]
        written = Written(service.store, rows=4, size=100)
        with pytest.raises(Refused, match="nothing more is recorded"):
            written.add(ada, "y" * 41)
        written.add(ada, "y" * 40)
        written.add(ada, "", "")
        with pytest.raises(Refused, match="nothing more is recorded"):
            written.add(ada, "")
        written.add(bob, ["z" * 50])
