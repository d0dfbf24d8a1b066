"""A provider that speaks another protocol, through any-llm and the whole pipeline, against llmock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("any_llm", reason="any-llm is not installed: pip install 'interview-buddy-kernel[many]'")
pytest.importorskip("llmock", reason="llmock is not installed: pip install -e '.[dev]'")

from ib_kernel import Interview, Settings
from ib_kernel.errors import BadRequest, BudgetRefused, ConfigError, RateLimited, ServerFailed
from ib_kernel.models import price_list

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peer's own web framework

MODEL = "anthropic:claude-haiku-4-5"


@pytest.fixture
def buddy(llmock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interview]:
    settings = Settings(
        data_dir=tmp_path,
        client="anyllm",
        base_url=llmock.base_url("anthropic"),
        api_key="sk-ant-0123456789",
        model=MODEL,
        backoff_s=0.01,
    )
    with Interview(settings) as interview:
        interview.plugins.load()
        if "anyllm" not in interview.plugins.catalog.clients.names():
            import ib_anyllm

            interview.plugins.register(ib_anyllm)
        interview.start(token_budget=60_000)
        yield interview


def test_claude_is_interviewed_under_the_same_budget(buddy: Interview, llmock: Any) -> None:
    """Streamed through Anthropic's own protocol, and settled with the usage that it reports."""
    llmock.reply("Why a bucket?")
    result = buddy.say_sync("Hello")
    assert result.text == "Why a bucket?"
    assert (result.client, result.end.source) == ("anyllm", "api")
    assert result.end.input_tokens > 0
    assert llmock.last_request.provider == "anthropic"
    assert buddy.service.totals(buddy.session.session_id).held == 0


def test_claude_has_its_own_limits_and_price(buddy: Interview, llmock: Any) -> None:
    """Limits and price are Anthropic's, from the price list, and a budget in money holds the turn."""
    info = buddy.plugins.model(MODEL, buddy.settings, "anyllm")
    assert (info.provider, info.context_window) == ("anthropic", 200_000)
    buddy.start(token_budget=60_000, budget_usd="0.05")
    llmock.reply("Why a bucket?")
    result = buddy.say_sync("Hello")
    assert result.end.cost_nano_usd == result.end.input_tokens * 1_000 + result.end.output_tokens * 5_000
    assert result.end.price_source == price_list.source()
    totals = buddy.service.totals(buddy.session.session_id)
    assert (totals.cost_nano_usd, totals.held_nano_usd) == (result.end.cost_nano_usd, 0)
    buddy.start(token_budget=60_000, budget_usd="0.0001")
    with pytest.raises(BudgetRefused, match="money"):
        buddy.say_sync("Hello")


def test_its_errors_are_ours(buddy: Interview, llmock: Any) -> None:
    """A rate limit is waited for, an outage given up after four attempts: one retrier for all."""
    llmock.rate_limit(times=1, retry_after=0.05)
    assert buddy.say_sync("Hello").text
    assert len(llmock.requests) == 2
    llmock.reset().outage()
    with pytest.raises(ServerFailed):
        buddy.say_sync("Hello")
    assert len(llmock.requests) == 4
    llmock.reset().rate_limit(times=None, retry_after=100)
    with pytest.raises(RateLimited):
        buddy.say_sync("Hello")


def test_an_unknown_provider_is_one_line(buddy: Interview) -> None:
    """Nothing was sent, so nothing is charged."""
    settings = buddy.settings.replace(models={"nope:model": {"context_window": 8_000, "max_output": 2_000}})
    with Interview(settings, plugins=buddy.plugins) as other:
        other.start(model="nope:model")
        with pytest.raises((BadRequest, ConfigError)):
            other.say_sync("Hello")
        totals = other.service.totals(other.session.session_id)
        assert (totals.held, totals.in_doubt, totals.used) == (0, 0, 0)
