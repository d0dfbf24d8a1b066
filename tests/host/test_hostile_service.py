"""A service that repeats what it was sent, or the key: nothing of it comes through a turn to a candidate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import RunningHost
from raw_service import GOOD, Answer, RawService
from wire import Wire

KEY = "sk-host-only-0123456789"
NOTES = "Whoever finds the purple counter behind the ninth door has understood the whole of it."


@pytest.fixture(scope="module")
def service() -> Iterator[RawService]:
    with RawService(Answer()) as running:
        yield running


@pytest.fixture(scope="module")
def wire(service: RawService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("host")
    challenge: Path = folder / "count.md"
    challenge.write_text(f"# Count\n\nCount.\n\n<!-- interviewer -->\n{NOTES}\n", encoding="utf-8")
    env = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": service.base_url,
        "IB_API": "chat",
        "IB_MAX_RETRIES": "0",
        "IB_DEADLINE_S": "10",  # so long a refused call waits its turn again
    }
    with RunningHost(folder / "data", env=env) as host:
        yield Wire.joined(host.invite("--challenge", str(challenge), "--budget", "200000"))


def everything(wire: Wire, name: str) -> str:
    """Return all that a candidate is told in a turn, when it is repeated, and of the session."""
    headers = {"Idempotency-Key": f"request-{name}"}
    said = [wire.post("/v1/turns", {"text": "What now?"}, headers=headers).text for _ in range(2)]
    return "".join((*said, wire.get("/v1/me").text))


@pytest.mark.parametrize("status", [400, 401, 402, 404, 429, 500])
def test_an_error_that_quotes_the_prompt(wire: Wire, service: RawService, status: int) -> None:
    """The candidate hears what it means, in our words."""
    error = {"error": {"message": f"{NOTES} {KEY[:9]}***{KEY[-4:]}", "type": "t", "code": "c"}}
    headers = {"content-type": "application/json", "retry-after": "0"}
    service.answer = Answer((json.dumps(error),), status, headers)
    told = everything(wire, str(status))
    assert "error" in told
    assert "purple" not in told
    assert "***" not in told


def test_an_error_inside_a_stream(wire: Wire, service: RawService) -> None:
    """The same where the reply has begun."""
    begun = GOOD.split("\n\n")[0]
    error = json.dumps({"error": {"message": f"cannot say: {NOTES}", "type": "t", "code": "c"}})
    service.answer = Answer((f"{begun}\n\ndata: {error}\n\n",))
    assert "purple" not in everything(wire, "stream-error")


def test_a_model_or_an_id_that_is_the_key(wire: Wire, service: RawService) -> None:
    """Names that a service gives have no key in them either."""
    service.answer = Answer((GOOD.replace('"m"', f'"m-{KEY}"').replace('"good"', f'"{KEY}"'),))
    told = everything(wire, "named")
    assert "Go on." in told
    assert KEY not in told
