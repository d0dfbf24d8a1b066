"""`UsageViewsContract`: the documented views answer the same, whichever ledger they are asked of.

Inherit beside `BudgetStoreContract`, with the same `make_store`::

    class TestMyViews(UsageViewsContract):
        def make_store(self, folder, clock, *, store_transcript=True):
            return MyStore(folder, clock=clock)

An interview is planted minute by minute through the store's own methods, and every view must say what
happened in it. `before_asking` may bring rows to where they are queried.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("ib_kernel.testing._store_base")  # before its import

from ib_kernel.testing._store_base import Clock, StoreBase  # noqa: E402
from ib_kernel.testing._views_planted import NOON, plant  # noqa: E402
from ib_kernel.values import BudgetStore  # noqa: E402

__all__ = ["UsageViewsContract"]


class UsageViewsContract(StoreBase):
    """Subclass, define `make_store`, and pytest asks your store's views about an interview it knows."""

    def before_asking(self, store: BudgetStore) -> None:
        """Do what a store needs before its views are asked (by default nothing)."""

    @pytest.fixture(scope="class")
    @classmethod
    def planted(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BudgetStore]:
        """Yield the store with the planted interview; its clock stands at the end of it."""
        clock, contract = Clock(NOON), cls()
        store = contract.make_store(Path(tmp_path_factory.mktemp("planted")), clock)
        plant(store, clock)
        contract.before_asking(store)
        yield store
        store.close()

    def test_tables_have_the_documented_rows(self, planted: BudgetStore) -> None:
        """Every row that was written is there, with money exact and nothing that is empty text."""
        assert rows(planted, "SELECT session_id, status FROM sessions ORDER BY 1") == [
            ("ada", "active"),
            ("ben", "active"),
        ]
        (call,) = planted.sql(
            "SELECT model, model_returned, input_tokens, total_tokens, charged_tokens, source, cost_usd,"
            " error, status, held_tokens, response_id FROM calls WHERE session_id = 'ada' AND turn = 1"
        ).dicts()
        assert call == {
            "model": "m",
            "model_returned": None,
            "input_tokens": 400,
            "total_tokens": 500,
            "charged_tokens": 500,
            "source": "api",
            "cost_usd": call["cost_usd"],
            "error": None,
            "status": "settled",
            "held_tokens": 900,
            "response_id": None,
        }
        assert str(call["cost_usd"]) == "0.000100000"
        counts = {"messages": 9, "cells": 3, "checks": 2, "scores": 1, "challenges": 1}
        for table, count in counts.items():
            assert rows(planted, f"SELECT count(*) FROM {table}") == [(count,)]  # noqa: S608

    def test_usage_adds_up(self, planted: BudgetStore) -> None:
        """What a session has used, what is left, and what has no price."""
        sums = (
            "calls, turns, input_tokens, output_tokens, total_tokens, charged_tokens, in_doubt, left_tokens"
        )
        assert rows(planted, f"SELECT {sums}, unpriced_calls FROM session_usage ORDER BY session_id") == [  # noqa: S608
            (4, 4, 1600, 400, 2000, 2000, 0, 8000, 3),
            (0, 0, 0, 0, 0, 0, 700, 9300, 0),
        ]
        by_model = "SELECT model, calls, failed, sessions, total_tokens FROM usage_by_model"
        assert rows(planted, by_model) == [("m", 4, 1, 2, 2000)]
        assert rows(planted, "SELECT day, calls, sessions, total_tokens FROM usage_by_day")[0][1:] == (
            4,
            2,
            2000,
        )
        assert sum(n for (n,) in rows(planted, "SELECT calls FROM usage_by_hour")) == 4

    def test_the_burn_down_falls_call_by_call(self, planted: BudgetStore) -> None:
        """Numbered from one, with what was used and what was left after each."""
        asked = "SELECT call, turn, used, left_tokens FROM burn_down WHERE session_id = 'ada' ORDER BY call"
        assert rows(planted, asked) == [(n, n, 500 * n, 10_000 - 500 * n) for n in range(1, 5)]

    def test_attempts_and_failures_are_told_apart(self, planted: BudgetStore) -> None:
        """A failure that cost nothing, one in doubt, and those that were answered."""
        asked = "SELECT attempts, retries, answered, failed, in_doubt, answered_share FROM attempts"
        assert rows(planted, asked) == [(6, 0, 4, 1, 1, 0.6667)]
        assert rows(planted, "SELECT error, n, most_attempts FROM failures") == [("ServerFailed", 1, 1)]

    def test_latency_is_told_by_its_quantiles(self, planted: BudgetStore) -> None:
        """Between two figures, a quantile is on the line between them."""
        asked = "SELECT n, first_piece_p50_ms, p50_ms, p95_ms, max_ms FROM latency"
        (found,) = rows(planted, asked)
        assert found == (4, 25.0, 250.0, pytest.approx(385.0), 400.0)

    def test_a_constant_difference_comes_with_advice(self, planted: BudgetStore) -> None:
        """Every prompt was billed seven tokens more than counted."""
        names = "n, claimed_exact, exact_share, mean_difference, constant_difference"
        assert rows(planted, f"SELECT {names} FROM count_accuracy") == [(4, 4, 0.0, -7.0, -7)]  # noqa: S608
        ((advice,),) = rows(planted, "SELECT advice FROM count_accuracy")
        assert advice.startswith("every prompt is billed 7 tokens more than counted")

    def test_constructs_belong_to_the_calls_after_them(self, planted: BudgetStore) -> None:
        """A call's constructs are those of the newest event before it."""
        asked = "SELECT construct, n, claims_held FROM count_accuracy_by_construct ORDER BY construct"
        assert rows(planted, asked) == [("system message", 2, 0), ("tools", 2, 0), ("user message", 4, 0)]

    def test_candidates_are_compared(self, planted: BudgetStore) -> None:
        """One row per session on a challenge, with figures per turn."""
        asked = "SELECT candidate, turns, prompt_per_turn, reply_per_turn, percent_used FROM candidates"
        assert rows(planted, asked) == [("Ada", 4, 400.0, 100.0, 20.0)]

    def test_turns_are_foretold(self, planted: BudgetStore) -> None:
        """Prompts that do not grow: as many turns as the budget divides by; and the forecast was right."""
        asked = "SELECT turns, growth_per_turn, next_turn_tokens, turns_left FROM forecast"
        assert rows(planted, asked) == [(4, 0.0, 500, 16)]
        errors = "SELECT turns, known_turns, error_percent, error_percent_without_growth FROM forecast_error"
        assert rows(planted, errors) == [(4, 2, 0.0, 0.0)]

    def test_the_timeline_is_one_order_with_the_budget_after_each(self, planted: BudgetStore) -> None:
        """Questions stand when they were asked, the rest when it ended; the budget falls with each call."""
        kinds = "('question', 'reply', 'call', 'cell', 'check', 'hint', 'refused')"
        asked = f"timeline WHERE session_id = 'ada' AND kind IN {kinds}"
        found = rows(planted, f"SELECT kind, number, ok, left_tokens FROM {asked} ORDER BY n")  # noqa: S608
        assert [row[0] for row in found] == [
            *("question", "call", "reply", "cell", "question", "call", "reply", "cell", "check", "hint"),
            *("question", "call", "reply", "cell", "check", "question", "call", "reply", "refused"),
        ]
        assert [row[3] for row in found if row[0] == "call"] == [9500, 9000, 8500, 8000]
        assert [row[3] for row in found if row[0] == "reply"] == [9500, 9000, 8500, 8000]
        assert found[7][1:3] == (2, False)
        assert [row[2] for row in found if row[0] == "check"] == [False, True]

    def test_the_timeline_has_the_texts(self, planted: BudgetStore) -> None:
        """A cell's source, a hint's words and an error's name are there."""
        asked = "SELECT kind, what, detail ->> 'error' FROM timeline WHERE session_id = 'ada' ORDER BY n"
        found = rows(planted, asked)
        assert ("cell", "1 / 0", "ZeroDivisionError") in found
        assert ("hint", "Look at time.", None) in found
        assert sum(kind == "hint" for kind, _, _ in found) == 1

    def test_a_change_of_the_budget_counts_from_then_on(self, planted: BudgetStore) -> None:
        """Before it the old budget is left, afterwards the new one; what is in doubt counts."""
        asked = "SELECT kind, left_tokens FROM timeline WHERE session_id = 'ben' ORDER BY n"
        left = rows(planted, asked)
        assert left[0][1] == 9_000
        assert ("budget", 10_000) in left
        assert ("call", 9_300) in left

    def test_think_time_runs_from_the_reply_before(self, planted: BudgetStore) -> None:
        """The first question's runs from the start."""
        asked = "SELECT turn, think_s FROM think_time WHERE session_id = 'ada' ORDER BY turn"
        assert rows(planted, asked) == [(1, 60.0), (2, 510.0), (3, 80.0), (4, 180.0)]

    def test_prompt_facts_tell_prose_code_and_attachments_apart(self, planted: BudgetStore) -> None:
        """Words are prose in any script; an attached traceback is no code of the question's."""
        asked = "SELECT words, has_code, attached FROM prompt_facts WHERE session_id = 'ada' ORDER BY turn"
        assert rows(planted, asked) == [
            (7, False, None),
            (7, False, None),
            (3, True, None),
            (2, False, "the last error"),
        ]

    def test_a_question_asked_again_is_found(self, planted: BudgetStore) -> None:
        """The second question has the first one's terms; the others share nothing."""
        assert rows(planted, "SELECT turn, earlier_turn, similarity FROM re_asks") == [(2, 1, 0.75)]

    def test_verification_counts_what_was_run_before_asking_on(self, planted: BudgetStore) -> None:
        """Our own magics are no verification, and a run after the next question is the next reply's."""
        assert rows(planted, "SELECT replies, verified, verified_share FROM verification") == [(4, 2, 0.5)]

    def test_hints_and_refusals(self, planted: BudgetStore) -> None:
        """Each with what was before it, and why."""
        assert rows(planted, "SELECT rung, rungs, questions_before FROM hints") == [(1, 2, 2)]
        asked = "SELECT reason, needed_tokens, left_tokens FROM refusals"
        assert rows(planted, asked) == [("budget", 9000, 8000)]

    def test_tokens_are_told_by_phase(self, planted: BudgetStore) -> None:
        """Before the first cell, until a check passes in full, afterwards."""
        asked = "SELECT phase, turns, charged_tokens FROM tokens_by_phase ORDER BY began_at"
        assert rows(planted, asked) == [
            ("before the first cell", 2, 1000),
            ("until checks pass", 1, 500),
            ("after checks passed", 1, 500),
        ]


def rows(store: BudgetStore, sql: str) -> list[tuple[Any, ...]]:
    """Return what the store answers, as tuples."""
    return [tuple(row) for row in store.sql(sql).rows]
