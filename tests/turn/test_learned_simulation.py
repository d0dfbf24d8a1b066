"""A service whose tokenizer is not ours, simulated over a real socket: what the learned bound admits."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ib_tiktoken
from ib_kernel import Interview, Plugins, Settings, hookimpl
from ib_kernel.errors import BudgetRefused, ContextTooLong
from ib_kernel.testing import FaultServer
from ib_kernel.turn.learned_bound import FIXED, MARGIN, NEW
from ib_kernel.values import Count

MODEL, LEAST = "llama3.2", 256
QUESTION = "and then which limit would you try " * 20 + "first of all, if you please, and also why"
REPLY = "because " * 400
FACTORS = [1.3, 0.75]
LIMITS = [(131_072, 20_000), (131_072, 12_500), (8_192, 20_000), (4_096, 20_000)]


def truth(factor: float) -> Callable[[Mapping[str, Any]], int]:
    """Return what a service bills a body as whose tokenizer needs *factor* of our tokens."""
    return lambda body: math.ceil(ib_tiktoken.count_request(body, MODEL).tokens * factor)


class Knows:
    """A counter that knows that tokenizer, and the plugin that offers it as "truth"."""

    name = "truth"

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def count_text(self, text: str, model: str) -> Count:
        """Return the text's tokens, exactly."""
        return Count(math.ceil(ib_tiktoken.count_text(text, model).tokens * self.factor))

    def count_request(self, request: Mapping[str, Any], model: str) -> Count:
        """Return what the service will bill."""
        return Count(truth(self.factor)(request))

    @hookimpl
    def ib_register(self, catalog: Any) -> None:
        """Offer the counter."""
        catalog.add_counter("truth", lambda settings: self)


@dataclass
class Run:
    """What one session came to: turns answered, tokens used, and the least that was too much at the end."""

    turns: int
    used: int
    overdraft: int
    refused_though_it_fits: bool


def interview(server: FaultServer, folder: Path, window: int, counter: Knows | None = None) -> Interview:
    """Return an interview with the model, whose window is *window*."""
    settings = Settings(
        data_dir=folder,
        base_url=server.base_url,
        api_key="sk-test-1",
        model=MODEL,
        models={MODEL: {"context_window": window, "max_output": min(window, 8_192)}},
        counter="truth" if counter else None,
    )
    return Interview(settings, plugins=Plugins([counter] if counter else []))


def ask(buddy: Interview, text: str = QUESTION) -> None:
    """Ask and read the reply to its end."""
    with buddy.ask(text) as reply:
        list(reply)


def run(folder: Path, factor: float, window: int, budget: int, counter: Knows | None = None) -> Run:
    """Ask until a turn is refused."""
    bill = truth(factor)
    with FaultServer() as server, interview(server, folder, window, counter) as buddy:
        session = buddy.start("Backend engineer", token_budget=budget)
        turns = 0
        while turns < 60:
            server.reply(REPLY, prompt_tokens=bill)
            try:
                ask(buddy)
            except (BudgetRefused, ContextTooLong):
                break
            turns += 1
        totals = buddy.service.totals(session.session_id)
        talk = [*server.requests[-1].body["messages"], {"role": "assistant", "content": REPLY}]
        following = bill({"messages": [*talk, {"role": "user", "content": QUESTION}]})
        new = following - bill(server.requests[-1].body)
        margin = 0 if counter else math.ceil(max(following * MARGIN, new * NEW)) + FIXED + 1
        fits = following + LEAST <= window and following + LEAST + margin <= totals.left
        return Run(turns, totals.used, max(0, totals.used - budget), fits)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "budget"), LIMITS)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_tokenizer_that_is_not_ours_gets_about_as_many_turns(
    tmp_path: Path, factor: float, window: int, budget: int
) -> None:
    """Within 20 % of a model whose size is known, nothing overspent, and no turn refused that would fit.

    It would fit if its true size fits the window, and the budget with the bound's margin on what is new.
    """
    known = run(tmp_path / "known", factor, window, budget, Knows(factor))
    learned = run(tmp_path / "learned", factor, window, budget)
    assert known.turns >= 3
    assert learned.turns >= 0.8 * known.turns
    assert learned.overdraft == 0
    assert not learned.refused_though_it_fits


@pytest.mark.parametrize("factor", FACTORS)
def test_two_turns_at_once_hold_by_the_same_reports(tmp_path: Path, factor: float) -> None:
    """Both learn from what is settled; together they never hold more than is left."""
    bill = truth(factor)
    with FaultServer() as server, interview(server, tmp_path, 131_072) as buddy:
        session = buddy.start("Backend engineer", token_budget=9_000)
        for _ in range(3):
            server.reply(REPLY, prompt_tokens=bill)
            ask(buddy)
        refused: list[Exception] = []

        def one() -> None:
            try:
                ask(buddy)
            except BudgetRefused as error:
                refused.append(error)

        for _ in range(2):
            server.reply(REPLY, prompt_tokens=bill, delay_s=0.0005)
        both = [threading.Thread(target=one) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(60)
        totals = buddy.service.totals(session.session_id)
        rows = buddy.service.store.sql("SELECT input_tokens, source FROM calls").fetchall()
    assert len(rows) == 5 - len(refused)
    assert {source for _, source in rows} == {"api"}
    assert totals.used <= 9_000
    assert totals.left == 9_000 - totals.used  # nothing is held any more


@pytest.mark.parametrize("jump", [2.5, 0.4])
def test_a_figure_that_jumps_moves_the_next_bound_and_ends_nothing(tmp_path: Path, jump: float) -> None:
    """A bill far from the others is recorded as it came; the next turns are held by it and go on."""
    usual, odd = truth(1.0), truth(jump)
    with FaultServer() as server, interview(server, tmp_path, 131_072) as buddy:
        session = buddy.start("Backend engineer", token_budget=60_000)
        for bill in (usual, usual, usual, odd, usual, usual):
            server.reply(REPLY, prompt_tokens=bill)
            ask(buddy)
        rows = buddy.service.store.sql(
            "SELECT turn, counted_tokens, input_tokens, held_tokens - 1200 FROM calls ORDER BY turn"
        ).fetchall()
        totals = buddy.service.totals(session.session_id)
    assert [turn for turn, *_ in rows] == [1, 2, 3, 4, 5, 6]
    for turn, counted, billed, held in rows:
        assert billed == math.ceil(counted * (jump if turn == 4 else 1.0))
        if turn > 4:
            assert held >= counted * max(jump, 1.0)
            assert held <= counted * max(jump, 1.0) * 1.6
    assert totals.used <= 60_000
