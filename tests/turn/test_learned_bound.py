"""The bound of prompts for models whose tokenizer we do not know: from bytes, then learned from usage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import Interview, Plugins, Settings
from ib_kernel.errors import BudgetRefused, ContextTooLong
from ib_kernel.models.limits import ModelInfo
from ib_kernel.testing import FaultServer
from ib_kernel.turn.learned_bound import LearnedBound, how_counted
from ib_kernel.values import Count, Spent

QUESTION = "and then which limit would you try " * 20 + "first of all, if you please, and also why"
REPLY = "because " * 400
OUTSIDE = "llama3.2"


def guess(tokens: int) -> Count:
    """Return a count for an unknown model: bounded by bytes, four and a half times the tokens."""
    return Count(tokens, exact=False, upper=tokens * 9 // 2, reason="unknown model", by_bytes=True)


def row(counted: int | None, reported: int, model: str = OUTSIDE, source: str = "api") -> Spent:
    """Return a settled attempt."""
    return Spent(1, 0.0, reported, 10, 20_000, model, counted, source)


REPORTS = st.lists(st.tuples(st.integers(1, 50_000), st.integers(1, 100_000)), max_size=12)


def test_one_report_is_not_enough() -> None:
    """Until the second report the bytes hold: one figure alone may be an exception."""
    assert LearnedBound(((100, 120),)).upper(guess(200)) == 900
    assert LearnedBound(((100, 120), (200, 240))).upper(guess(400)) == 240 + 200 * 1.2 * 1.25 + 16
    assert LearnedBound(((100, 120), (200, 240))).upper(guess(200)) == math.ceil(200 * 1.2 * 1.02) + 16


@given(REPORTS, st.integers(1, 50_000))
def test_the_bound_covers_what_the_last_reports_say(reports: list[tuple[int, int]], tokens: int) -> None:
    """It is never below the ratio of any recent report of a prompt of that size, nor half the count."""
    bound = LearnedBound.of([row(*report) for report in reports], OUTSIDE)
    upper = bound.upper(guess(tokens))
    assert upper is not None
    assert upper >= tokens / 2
    recent = reports[-8:]
    if len(reports) >= 2:
        largest = max(counted for counted, _ in recent)
        ratios = [reported / counted for counted, reported in recent if 2 * counted >= largest]
        assert all(upper >= tokens * ratio for ratio in ratios)
    assert bound.estimate(guess(tokens)) >= tokens / 2


def test_what_a_service_adds_to_every_prompt_is_not_taken_for_a_ratio() -> None:
    """A fixed surplus weighs in short prompts: once longer ones are reported, these speak."""
    reports = tuple((tokens, tokens + 200) for tokens in (300, 900, 1_500, 2_100))
    upper = LearnedBound(reports).upper(guess(2_700))
    assert upper is not None
    assert 2_900 <= upper <= 2_900 * 1.15


def test_a_larger_figure_widens_the_bound_at_once() -> None:
    """The next turn after a report that exceeds the bound is held at more than that report's ratio."""
    usual = [row(1_000 + step, 1_100 + step) for step in range(6)]
    before = LearnedBound.of(usual, OUTSIDE).upper(guess(2_000))
    after = LearnedBound.of([*usual, row(1_500, 9_000)], OUTSIDE).upper(guess(2_000))
    assert before is not None
    assert after is not None
    assert before < 2_700
    assert after >= 2_000 * 6


def test_only_believed_figures_of_the_same_model_teach() -> None:
    """Our own counts, other models' rows, rows without a count and rows without input teach nothing."""
    others = [
        row(100, 5_000, source="counted"),
        row(100, 5_000, source="upper_bound"),
        row(100, 5_000, model="deepseek-chat"),
        row(None, 5_000),
        row(100, 0),
    ]
    assert LearnedBound.of(others, OUTSIDE) == LearnedBound()
    assert LearnedBound.of([*others, row(100, 110)], OUTSIDE).reports == ((100, 110),)


def test_models_with_rules_keep_their_bound() -> None:
    """Where rules know the model, exactly or with a margin, nothing is learned."""
    learned = LearnedBound(((100, 500), (100, 500)))
    model = ModelInfo("m", 8_192, 4_096)
    for count in (Count(900), Count(900, exact=False, upper=926, reason="images")):
        assert learned.applied(count, model, 256) is count
        assert learned.estimate(count) == count.upper


def test_the_first_turn_is_admitted_where_only_the_bytes_do_not_fit() -> None:
    """A prompt whose bytes exceed the window is bounded by one and a half times the count."""
    small, large = ModelInfo("m", 4_096, 2_048), ModelInfo("m", 131_072, 8_192)
    assert LearnedBound().applied(guess(1_000), small, 256).upper == 1_500
    assert LearnedBound().applied(guess(1_000), large, 256).upper == 4_500


def test_missing_usage_is_charged_as_an_estimate_not_by_bytes() -> None:
    """Before any report one and a half times the count; then what the newest report says."""
    assert LearnedBound().estimate(guess(1_000)) == 1_500
    assert LearnedBound(((500, 560),)).estimate(guess(1_000)) == 1_120
    assert LearnedBound(((500, 560), (800, 880))).estimate(guess(1_000)) == 1_100


def test_how_a_model_is_counted_is_said_in_words() -> None:
    """Exact rules, a margin, a learned multiple or bytes."""
    assert how_counted(Count(5)) == "exact rules"
    assert how_counted(Count(5, exact=False, upper=9, reason="x")) == "rules, with a margin"
    assert how_counted(guess(5)) == "bytes"
    assert how_counted(guess(5), [(100, 120), (100, 110)]) == "reference × 1.22, learned"


def interview(server: FaultServer, folder: Path, model: str, window: int) -> Interview:
    """Return an interview with *model*, whose window is *window*."""
    limits = {model: {"context_window": window, "max_output": min(window, 8_192)}}
    settings = Settings(
        data_dir=folder, base_url=server.base_url, api_key="sk-test-1", model=model, models=limits
    )
    return Interview(settings, plugins=Plugins([]))


def ask(buddy: Interview, text: str = QUESTION) -> None:
    """Ask and read the reply to its end."""
    with buddy.ask(text) as reply:
        list(reply)


def counted(buddy: Interview) -> list[tuple[int, int, str]]:
    """Return (counted, charged input, source) of every row."""
    query = "SELECT counted_tokens, input_tokens, source FROM calls ORDER BY started_at"
    return [tuple(found) for found in buddy.service.store.sql(query).fetchall()]  # type: ignore[misc]


def turns(folder: Path, model: str, window: int) -> int:
    """Return how many turns 20,000 tokens carry when the service bills what we count."""
    with FaultServer() as server, interview(server, folder, model, window) as buddy:
        buddy.start("Backend engineer", token_budget=20_000)
        prompt, step = 0, 0
        for number in range(60):
            prompt = prompt + step if prompt else 800
            usage = {"prompt_tokens": prompt, "completion_tokens": 400, "total_tokens": prompt + 400}
            server.reply(text=REPLY, usage=usage)
            try:
                ask(buddy)
            except (BudgetRefused, ContextTooLong):
                return number
            known = [our for our, _, _ in counted(buddy)]
            step = known[-1] - known[-2] if len(known) > 1 else 560
            prompt = known[-1]
    return 60


@pytest.mark.slow
@pytest.mark.parametrize("window", [131_072, 8_192, 4_096])
def test_a_model_outside_the_table_gets_about_as_many_turns(tmp_path: Path, window: int) -> None:
    """Within 20 % of the turns that a known model with the same window and the same bills gets."""
    known = turns(tmp_path / "known", "gpt-4.1-mini", window)
    assert known >= 4
    for model in (OUTSIDE, "deepseek-chat"):
        assert turns(tmp_path / model.replace("/", "-"), model, window) >= 0.8 * known, model


def test_a_service_without_usage_is_charged_by_the_estimate(server: FaultServer, tmp_path: Path) -> None:
    """A local model that reports nothing is charged one and a half times the count, not its bytes."""
    with interview(server, tmp_path, OUTSIDE, 131_072) as buddy:
        buddy.start("Backend engineer", token_budget=20_000)
        server.reply(text="Fine.", usage_sent="never")
        ask(buddy)
        ((our, charged, source),) = counted(buddy)
    assert source == "counted"
    assert charged == math.ceil(our * 1.5)


def test_what_was_learned_survives_a_restart(server: FaultServer, tmp_path: Path) -> None:
    """Another process that opens the same session holds by the same reports: they stand in the ledger."""

    with interview(server, tmp_path, OUTSIDE, 131_072) as buddy:
        session = buddy.start("Backend engineer", token_budget=20_000)
        for billed in (900, 950):
            usage = {"prompt_tokens": billed, "completion_tokens": 2, "total_tokens": billed + 2}
            server.reply(text="Fine.", usage=usage)
            ask(buddy, "Why?")
        store: Sequence[Spent] = buddy.service.store.spent(session.session_id)  # type: ignore[attr-defined]
        before = LearnedBound.of(store, OUTSIDE)
    with interview(server, tmp_path, OUTSIDE, 131_072) as again:
        assert LearnedBound.read(again.service.store, session.session_id, OUTSIDE) == before
    assert len(before.reports) == 2
