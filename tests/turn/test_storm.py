"""Thirty calls in flight against random faults: nothing held, nothing leaked, no overdraft of our making."""

from __future__ import annotations

from pathlib import Path

import pytest
from storm import brew


@pytest.mark.parametrize("seed", [1, 2])
def test_random_faults_leave_nothing_behind(tmp_path: Path, seed: int) -> None:
    """Every call ends, every hold ends, the ledger adds up, and no task, thread or socket is left."""
    storm = brew(100, 30, tmp_path, seed=seed)
    assert storm.endings.total() == 100
    assert len(storm.endings) > 4
    assert storm.held == 0
    assert storm.problems == []
    assert storm.tasks_left == []
    assert storm.threads_left == []
    assert storm.sockets_left == 0
    assert storm.complaints == []


def test_a_tight_budget_is_overdrawn_only_by_what_the_service_over_reports(tmp_path: Path) -> None:
    """Calls are refused when it is used up; only usage beyond a hold can pass it."""
    storm = brew(100, 30, tmp_path, seed=3, budget=5_000)
    assert storm.endings["BudgetRefused"] > 0
    assert storm.held == 0
    assert storm.overdraft <= storm.over_reported
    assert storm.problems == []
