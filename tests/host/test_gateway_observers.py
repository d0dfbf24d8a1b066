"""Plugins that observe a host hear of its gateway's calls, and of a budget that comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hosting import KEY, served

from ib_kernel import hookimpl
from ib_kernel.plugin.events import AfterCall, BudgetWarning
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer, Step

MODEL = "gpt-5.4-mini"
HI = [{"role": "user", "content": "What is a token bucket?"}]


class Observer:
    """A plugin that keeps what it hears."""

    def __init__(self) -> None:
        self.settled: list[AfterCall] = []
        self.warned: list[BudgetWarning] = []

    @hookimpl
    def ib_after_call(self, event: AfterCall) -> None:
        """Keep it."""
        self.settled.append(event)

    @hookimpl
    def ib_budget_warning(self, event: BudgetWarning) -> None:
        """Keep it."""
        self.warned.append(event)


@pytest.fixture
def service() -> Iterator[FaultServer]:
    """A service whose replies have 60 tokens."""
    with FaultServer(api_key=KEY) as running:
        running.decide = lambda request: Step(pieces=("word ",) * 60, delay_s=0.0)
        yield running


@pytest.mark.parametrize("at_once", [1, 12])
def test_each_level_of_the_budget_is_told_once_however_many_calls_pass_it(
    settings: Settings, service: FaultServer, at_once: int
) -> None:
    """Calls that end together read the same sums: none of them may pass a level unseen or twice."""
    heard, levels = Observer(), (0.25, 0.5, 0.75)
    changes: dict[str, Any] = {
        "base_url": service.base_url,
        "api_key": KEY,
        "dialect": "openai",
        "model": MODEL,
    }
    with served(settings.replace(**changes, warn_at=levels)) as host:
        host.host.service.plugins.register(heard)
        session = host.session(token_budget=12 * 160)
        token = host.token(session)

        async def calls() -> None:
            async with openai.AsyncOpenAI(base_url=host.base_url, api_key=token, max_retries=0) as client:
                for _ in range(0, 12, at_once):
                    asked = (
                        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=61)
                        for _ in range(at_once)
                    )
                    await asyncio.gather(*asked)

        asyncio.run(calls())
        host.wait_until_idle(session)
        used, budget = host.host.service.totals(session.session_id).used, 12 * 160
    assert len(heard.settled) == 12
    passed = [level for level in levels if used >= level * budget]
    told = [event.level for event in heard.warned]
    assert len(told) == len(set(told))
    assert max(told) == max(passed), "of levels that are passed in one step the highest is told"
    assert at_once > 1 or told == passed
