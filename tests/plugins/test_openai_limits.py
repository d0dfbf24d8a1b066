"""Whatever a service sends, it costs bounded memory and time."""

from __future__ import annotations

import resource
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from answer_runs import AnswerTrial
from raw_service import Answer, RawService

from ib_openai.limits import read_duration, read_rate_limits, read_retry_after

PACKED = {"content-type": "application/json", "content-encoding": "gzip"}
EVENT = 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 3}}\n\n'


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnswerTrial]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IB_CONFIG", "no-config.toml")
        running = AnswerTrial(tmp_path_factory.mktemp("ledger"))
        running.run(Answer((EVENT, USAGE, "data: [DONE]\n\n")))  # imports are not counted
        yield running
        running.close()


def packed(unit: bytes, times: int) -> bytes:
    """Return *unit* so many times over, as gzip, without ever holding all of it."""
    pack = zlib.compressobj(6, zlib.DEFLATED, 31)
    return b"".join([*(pack.compress(unit) for _ in range(times)), pack.flush()])


@pytest.mark.parametrize("status", [200, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "unit", [b" " * 1_000_000, b"{" + b" " * 999_999, (b":" + b"x" * 98 + b"\n") * 10_000]
)
def test_a_small_body_that_unpacks_to_a_large_one_is_given_up(
    trial: AnswerTrial, status: int, unit: bytes
) -> None:
    """Blanks, JSON and comments; answered and refused: memory grows by less than 64 MB."""
    bomb = packed(unit, 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = trial.run(Answer((bomb,), status, PACKED), attempts=1)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert seen.error == ("StreamBroken" if status == 200 else "ServerFailed")
    assert seen.requests == 1
    assert grown < 64 * 1024


def test_what_is_packed_as_it_should_be_is_read(trial: AnswerTrial) -> None:
    """A stream in gzip, in zlib's frame and in bare deflate."""
    body = (EVENT + USAGE + "data: [DONE]\n\n").encode()
    for wbits, name in ((31, "gzip"), (15, "deflate"), (-15, "deflate")):
        pack = zlib.compressobj(9, zlib.DEFLATED, wbits)
        whole = pack.compress(body) + pack.flush()
        headers = {"content-type": "text/event-stream", "content-encoding": name}
        seen = trial.run(Answer((whole[:20], whole[20:]), 200, headers))
        assert (seen.text, seen.figures) == ("Hi", (90, 3))


def test_long_names_are_cut(trial: AnswerTrial) -> None:
    """A model, an id and a finish reason of ten million characters are kept in part."""
    long = "m" * 10_000_000
    for field in ('"model": "%s", "choices"', '"id": "%s", "choices"'):
        seen = trial.run(Answer((EVENT.replace('"choices"', field % long), "data: [DONE]\n\n")))
        assert seen.text == "Hi"
        assert len(str(seen.rows[-1]["model_returned"]) + str(seen.rows[-1]["response_id"])) < 1_000
    seen = trial.run(Answer((EVENT.replace("stop", long), "data: [DONE]\n\n")))
    assert len(seen.rows[-1]["finish_reason"]) < 1_000


_ASKED = """
import resource, sys
from ib_kernel import Interview, Settings

with Interview(Settings(data_dir=sys.argv[1], base_url=sys.argv[2], api_key="sk-0123456789")) as buddy:
    buddy.start(model="gpt-4.1-mini", token_budget=100_000)
    buddy.say_sync("Hello")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("ready", flush=True)
    for line in sys.stdin:
        assert buddy.say_sync("Hello").text == "Hi"
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, flush=True)
"""


def test_long_names_cost_little_memory(tmp_path: Path) -> None:
    """A kernel that gets ten megabytes of model, id and finish reason grows by less than 64 MB over all."""
    long = "m" * 10_000_000
    named = ['"model": "%s", "choices"', '"id": "%s", "choices"']
    texts = [*(EVENT.replace('"choices"', field % long) for field in named), EVENT.replace("stop", long)]
    with RawService(Answer((EVENT, "data: [DONE]\n\n"))) as service:
        command = [sys.executable, "-c", _ASKED, str(tmp_path), service.base_url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kernel:
            assert kernel.stdin is not None
            assert kernel.stdout is not None
            assert kernel.stdout.readline() == "ready\n"
            for text in texts:
                service.answer = Answer((text, "data: [DONE]\n\n"))
                kernel.stdin.write("next\n")
                kernel.stdin.flush()
                grown = int(kernel.stdout.readline())
            kernel.stdin.close()
    assert grown < 64 * 1024


def test_comments_without_end_do_not_hold_a_reply_back(
    trial: AnswerTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the finish reason and the usage the reply is there, whatever else is sent."""
    monkeypatch.setattr("ib_openai.reading.TAIL_S", 0.2)
    comments: list[str | float] = [0.05, ": still here\n\n"] * 20_000  # longer than any test may run
    seen = trial.run(Answer((EVENT, USAGE, *comments)))
    assert (seen.text, seen.figures, seen.error) == ("Hi", (90, 3), "")


@pytest.mark.parametrize("digits", ["9" * 8_000, "1" * 4_000 + "s", "1s" * 4_000, "é" * 4_000])
def test_headers_of_thousands_of_digits_are_no_numbers(digits: str) -> None:
    """They are ignored, in no time."""
    code = f"from ib_openai.limits import read_duration; read_duration({digits!r})"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
    assert read_duration(digits) is None
    assert read_retry_after({"retry-after": digits, "retry-after-ms": digits}) is None
    assert read_rate_limits({"x-ratelimit-reset-requests": digits}) is None


@pytest.mark.parametrize("size", [200_000, 2_000_000])
def test_headers_that_are_too_long_are_named(trial: AnswerTrial, size: int) -> None:
    """A lost connection would be tried again, and is another fault."""
    seen = trial.run(Answer(("{}",), 200, {"x-padding": "a" * size}), attempts=3)
    assert (seen.error, seen.requests) == ("StreamBroken", 1)
    assert "headers of the service's answer are longer than 100 KiB" in seen.message


def test_redirects_are_followed_within_the_origin_only(tmp_path: Path) -> None:
    """The same host and port is asked again, twice at most; another one is named and never asked."""
    from ib_kernel import Interview, Settings
    from ib_kernel.errors import BadRequest
    from ib_kernel.testing import FaultServer, Step

    with FaultServer() as server:
        server.decide = lambda seen: (
            Step(status=307, error="", headers={"location": "/v2/chat/completions"})
            if seen.path.startswith("/v1")
            else None
        )
        with Interview(
            Settings(data_dir=tmp_path, base_url=server.base_url, api_key="sk-0123456789")
        ) as buddy:
            buddy.start(model="gpt-4.1-mini")
            assert buddy.say_sync("Hello").text.startswith("You said")
            assert [seen.path for seen in server.requests] == ["/v1/chat/completions", "/v2/chat/completions"]
            server.decide = lambda seen: Step(
                status=308, error="", headers={"location": f"/v{len(server.requests)}"}
            )
            with pytest.raises(BadRequest, match="answers from another address, /v"):
                buddy.say_sync("Hello")
            assert len(server.requests) == 5
