"""Counts against recorded usage. The corpus is not part of the project; its folder is named by a variable."""

from __future__ import annotations

import functools
import json
import lzma
import os
import statistics
from pathlib import Path
from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.values import Count

WHY = "IB_COUNTING_CORPUS is not set: the recorded-usage corpus is not distributed with the project"


@functools.cache
def _counted(folder: str) -> list[tuple[dict[str, Any], Count]]:
    with lzma.open(Path(folder) / "dev.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        (row, ib_tiktoken.count_request(row["request"], row["model_requested"] or row["model_returned"]))
        for row in rows
    ]


@pytest.fixture
def counted() -> list[tuple[dict[str, Any], Count]]:
    """Every recorded request and our count of it, for the model that was asked for."""
    folder = os.environ.get("IB_COUNTING_CORPUS")
    if not folder:
        pytest.skip(WHY)
    return _counted(folder)


def select(counted: list[tuple[dict[str, Any], Count]], api: str) -> list[tuple[int, Count]]:
    """Return (recorded tokens, count) of an API's countable requests without known anomalies."""
    return [
        (row["usage"]["input"], count)
        for row, count in counted
        if row["api"] == api and row["locally_countable"] and not row["anomaly"]
    ]


def share(found: list[bool]) -> float:
    """Return the share of True."""
    return sum(found) / len(found)


def test_chat_counts_are_exact(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """At least 98 % of countable chat requests are exact, at most 0.8 % undercounted."""
    chat = select(counted, "chat")
    assert share([count.tokens == real for real, count in chat]) >= 0.98
    assert share([count.tokens < real for real, count in chat]) <= 0.008


def test_chat_claims_hold(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """Of all chat counts flagged exact at most 0.5 % are wrong, and most countable ones are flagged."""
    every = [(row["usage"]["input"], count) for row, count in counted if row["api"] == "chat"]
    claimed = [count.tokens != real for real, count in every if count.exact]
    assert share(claimed) <= 0.005
    assert len(claimed) >= 0.9 * len(select(counted, "chat"))


def test_responses_counts_are_exact(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """At least 94 % of countable Responses requests are exact; at most 2 % of the claims are wrong."""
    responses = select(counted, "responses")
    assert share([count.tokens == real for real, count in responses]) >= 0.94
    assert share([count.tokens != real for real, count in responses if count.exact]) <= 0.02


def test_bounds_are_safe_and_close(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """The bound is below the record for at most 0.1 % and within 10 % for the median inexact count."""
    chat = select(counted, "chat")
    assert all(count.upper is not None for _, count in chat)
    assert share([(count.upper or 0) < real for real, count in chat]) <= 0.001
    assert statistics.median((count.upper or 0) / real for real, count in chat if not count.exact) <= 1.1


def test_texts_are_counted_as_billed(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """Recorded plain answers cost their text and the end of turn in at least 98.8 % of cases."""
    allowed = {"chat": (0, 1), "responses": (1, 2)}
    found = []
    for row, _ in counted:
        if row["text_test"]:
            tokens = ib_tiktoken.count_text(row["output"]["text"], row["model_returned"]).tokens
            found.append(row["usage"]["output"] - tokens in allowed[row["api"]])
    assert share(found) >= 0.988
