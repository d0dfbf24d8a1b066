"""Every fault, streamed and whole, over both APIs: what docs/failures.md says is what happens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_runs import KEY, MODEL, TEXT, Run, Trial, ask

from ib_kernel.errors import BudgetRefused, ConfigError
from ib_kernel.testing import FAULTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
ROWS = {
    name: (streamed, whole)
    for name, streamed, whole in re.findall(
        r"^\| `([\w-]+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.M
    )
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IB_CONFIG", "no-config.toml")
        running = Trial(tmp_path_factory.mktemp("ledger"))
    yield running
    running.close()


def test_the_page_lists_every_fault() -> None:
    """A fault that is added to the server shows up in the table, in the server's order."""
    assert list(ROWS) == list(FAULTS)


@pytest.fixture(scope="module")
def runs(trial: Trial) -> dict[tuple[str, bool, str], Run]:
    """Run everything that the tests below look at."""
    wanted = itertools.product(ROWS, (False, True), ("chat", "responses"))
    done = {(f, whole, api): trial.turn(f, whole=whole, api=api) for f, whole, api in wanted}
    trial.read_rows(list(done.values()))
    return done


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", ROWS)
def test_a_fault_does_what_the_page_says(
    runs: dict[tuple[str, bool, str], Run], fault: str, whole: bool, api: str
) -> None:
    """The error, the number of requests and the rows are the documented ones, and the figures are true."""
    run = runs[fault, whole, api]
    assert run.cell == ROWS[fault][whole]
    assert run.held == 0
    assert len(run.rows) == len(run.requests)
    assert KEY not in run.message
    if "in doubt" not in run.ledger:
        assert run.in_doubt == 0
    check_figures(run)


def check_figures(run: Run) -> None:
    """Check each row's tokens against what the server sent, or against our own count."""
    for row, request in zip(run.rows, run.requests, strict=True):
        tokens = (row["input_tokens"], row["output_tokens"])
        if row["status"] == "failed":
            assert tokens == (0, 0)
            assert row["error"] == run.error
        elif row["source"] == "api" and row["status"] == "settled":
            sent = dict(request.usage or {})
            assert tokens == (
                sent.get("prompt_tokens", sent.get("input_tokens")),
                sent.get("completion_tokens", sent.get("output_tokens")),
            )
        elif row["source"] == "counted" and run.result is not None:
            plan, result = run.result.plan, run.result
            assert row["input_tokens"] in (result.count.tokens, plan.prompt)
            assert 0 < row["output_tokens"] <= plan.cap


def test_what_is_in_doubt_is_exactly_what_was_held(trial: Trial) -> None:
    """Four attempts whose outcome nobody knows leave four holds charged."""
    run = trial.run("close-before-headers")
    store = trial.interview("chat").service.store
    held = [r.tokens for r in store.reservations(run.session)]
    assert len(held) == 4
    assert run.in_doubt == sum(held)


def test_several_choices_without_usage_cost_what_was_held(trial: Trial) -> None:
    """The other choices are not seen, so that only the held bound is safe."""
    buddy = trial.interview("chat")
    buddy.start()
    trial.server.decide = None
    trial.server.reply("one two", usage_sent="never")
    end = ask(buddy, whole=False, extra={"n": 2}).end
    assert end.source == "upper_bound"
    assert end.output_tokens == 120


def test_a_cap_by_another_name_is_held_too(trial: Trial) -> None:
    """A request field that caps the reply cannot slip past the budget."""
    buddy = trial.interview("chat")
    buddy.start(token_budget=1_000)
    with pytest.raises(BudgetRefused):
        ask(buddy, whole=False, cap=5_000, extra={"max_completion_tokens": 2_000})
    trial.server.decide = None
    assert ask(buddy, whole=False, cap=60, extra={"max_completion_tokens": 50}).plan.cap == 50
    with pytest.raises(ConfigError, match="number of choices"):
        ask(buddy, whole=False, extra={"n": 0})


def test_the_trial_asks_what_it_says(trial: Trial) -> None:
    """The requests of this file really carry the text, the model and the cap, to the API that was meant."""
    chat = trial.run("no-done").requests[0]
    responses = trial.run("no-done", api="responses", whole=True).requests[0]
    assert (chat.path, chat.body["model"]) == ("/v1/chat/completions", MODEL)
    assert 60 in chat.body.values()
    assert chat.body["messages"][-1]["content"] == TEXT
    assert chat.body["stream"] is True
    assert (responses.path, responses.body["stream"]) == ("/v1/responses", False)


def test_the_ledger_adds_up_after_all_of_them(trial: Trial) -> None:
    """Totals rebuilt from rows equal the totals kept."""
    assert trial.interview("chat").service.store.check() == []
