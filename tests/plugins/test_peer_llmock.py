"""Against a peer that no one here wrote: llmock breaks things and judges how a client takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llmock", reason="llmock is not installed: pip install -e '.[dev]'")

from ib_kernel import Interview, Settings
from ib_kernel.errors import ClientError, ContextTooLong, RateLimited, ServerFailed, StreamBroken, TimedOut
from ib_kernel.values import Message

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peer's own web framework

MODEL = "gpt-4.1-mini"


@pytest.fixture(params=["chat", "responses"])
def buddy(llmock: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Interview]:
    """An interview against the peer, over either API."""
    settings = Settings(
        data_dir=tmp_path,
        base_url=llmock.base_url(),
        api_key="sk-peer-0123456789",
        model=MODEL,
        api=request.param,
        backoff_s=0.01,
        gap_s=1.0,
        first_piece_s=5.0,
    )
    with Interview(settings) as interview:
        interview.start(token_budget=50_000)
        yield interview


def say(buddy: Interview, *, whole: bool = False) -> Any:
    extra = {"stream": False} if whole else {}
    question = Message(0, "user", "Hello")
    with buddy.send([{"role": "user", "content": "Hello"}], question, extra=extra) as reply:
        for _ in reply:
            pass
    return reply.result


def row(buddy: Interview) -> tuple[Any, ...]:
    """Return status and source of the last attempt."""
    found = buddy.service.store.sql("SELECT status, source FROM calls ORDER BY started_at DESC LIMIT 1")
    return found.fetchall()[0]


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
def test_a_good_answer_is_settled_as_the_peer_bills_it(buddy: Interview, llmock: Any, whole: bool) -> None:
    """Text and usage come from the peer, and the peer has nothing to complain about."""
    llmock.reply("Why a bucket?")
    result = say(buddy, whole=whole)
    assert result.text == "Why a bucket?"
    assert result.end.source == "api"
    assert result.end.output_tokens > 0
    llmock.assert_resilient()


def test_rate_limits_are_waited_out_as_the_peer_asks(buddy: Interview, llmock: Any) -> None:
    """Never sooner than asked, and then answered."""
    llmock.rate_limit(times=2, retry_after=0.2)
    assert say(buddy).text
    assert len(llmock.requests) == 3
    llmock.assert_resilient()


def test_an_outage_ends_after_four_attempts(buddy: Interview, llmock: Any) -> None:
    """A service that always answers 503 is given up, without a storm of requests and without a charge."""
    llmock.outage()
    with pytest.raises(ServerFailed):
        say(buddy)
    assert len(llmock.requests) == 4
    assert buddy.service.totals(buddy.session.session_id).left == 50_000


def test_a_rate_limit_that_never_ends_is_given_up(buddy: Interview, llmock: Any) -> None:
    """The last error is the one that the user sees."""
    llmock.rate_limit(times=None, retry_after=0.01)
    with pytest.raises(RateLimited):
        say(buddy)


def test_a_context_overflow_is_not_retried(buddy: Interview, llmock: Any) -> None:
    """Sending the same prompt again cannot help."""
    llmock.context_overflow()
    with pytest.raises(ContextTooLong):
        say(buddy)
    assert len(llmock.requests) == 1
    llmock.assert_resilient()


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt", "stall"])
def test_a_broken_stream_is_never_taken_for_an_answer(buddy: Interview, llmock: Any, fault: str) -> None:
    """Each ends in an error, one request, and a row in doubt; the peer finds nothing wrong with that."""
    text_begun = 6 if buddy.settings.api == "responses" else 2  # before that, it would be tried again
    getattr(llmock, fault)(after_chunks=text_begun)
    with pytest.raises(ClientError) as caught:
        say(buddy)
    assert isinstance(caught.value, StreamBroken | TimedOut)
    assert row(buddy)[0] == "in_doubt"
    assert len(llmock.requests) == 1
    totals = buddy.service.totals(buddy.session.session_id)
    assert totals.held == 0
    if fault != "truncate":  # judged by whether it is tried again, which nobody does who has shown a part
        llmock.assert_resilient()


def test_the_peers_rate_limit_headers_are_read(buddy: Interview, llmock: Any) -> None:
    """What it says about requests and tokens is kept for the model."""
    llmock.limits(rpm=60, tpm=100_000)
    say(buddy)
    told = buddy.rate_limits()[MODEL]
    assert told.limit_requests == 60
    assert told.remaining_requests is not None
