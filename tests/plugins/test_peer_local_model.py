"""Against a real model: xllamacpp and SmolLM2-135M over loopback. Skipped where they are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import local_model
import pytest

from ib_kernel import Interview, Settings
from ib_kernel.errors import ContextTooLong
from ib_kernel.values import Message

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(local_model.missing()), reason=local_model.missing() or "installed"),
]

MODEL = "smollm2-135m"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with local_model.serving() as url:
        yield url


@pytest.fixture
def buddy(base_url: str, tmp_path: Path) -> Iterator[Interview]:
    settings = Settings(
        data_dir=tmp_path,
        base_url=base_url,
        dialect="llama.cpp",
        model=MODEL,
        temperature=0.0,
        min_reply_tokens=1,
        first_piece_s=300.0,
        gap_s=120.0,
        deadline_s=500.0,
        models={MODEL: {"context_window": 32_768, "max_output": 256}},
    )
    with Interview(settings) as interview:
        interview.start(token_budget=20_000)
        yield interview


def test_a_real_model_streams_and_its_usage_is_the_row(buddy: Interview) -> None:
    """Pieces arrive one by one, the cap holds, and tokens are those that the server counted itself."""
    question = Message(0, "user", "Say hello.")
    with buddy.send([{"role": "user", "content": question.content}], question, max_tokens=12) as reply:
        pieces = list(reply)
    assert reply.result is not None
    end = reply.result.end
    assert len(pieces) > 1
    assert end.source == "api"
    assert 0 < end.output_tokens <= 12
    assert end.input_tokens > 0
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.used == end.input_tokens + end.output_tokens
    assert (totals.held, totals.overdraft) == (0, 0)


def test_a_prompt_that_is_too_long_for_the_server_is_refused_by_it(buddy: Interview) -> None:
    """The server's context is smaller than we were told: its own error is understood, and costs nothing."""
    text = "token bucket " * 600
    with (
        pytest.raises(ContextTooLong),
        buddy.send([{"role": "user", "content": text}], Message(0, "user", text), max_tokens=5) as reply,
    ):
        list(reply)
    assert buddy.service.totals(buddy.session.session_id).left == 20_000


def test_leaving_a_real_stream_early_settles_what_arrived(buddy: Interview) -> None:
    """After a break the next turn is answered: the server was really released."""
    question = Message(0, "user", "Count to one hundred.")
    with buddy.send([{"role": "user", "content": question.content}], question, max_tokens=200) as reply:
        next(iter(reply))
    assert reply.result is not None
    assert reply.result.end.source == "counted"
    with buddy.send([{"role": "user", "content": "Hi"}], question, max_tokens=3) as reply:
        list(reply)
    assert reply.result is not None
    assert buddy.service.totals(buddy.session.session_id).held == 0
