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


Counted = list[tuple[dict[str, Any], Count]]


@functools.cache
def _counted(folder: str, name: str) -> Counted:
    with lzma.open(Path(folder) / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        (row, ib_tiktoken.count_request(row["request"], row["model_requested"] or row["model_returned"]))
        for row in rows
    ]


def _corpus(name: str) -> Counted:
    folder = os.environ.get("IB_COUNTING_CORPUS")
    if not folder:
        pytest.skip(WHY)
    if not (Path(folder) / f"{name}.jsonl.xz").exists():
        pytest.skip(f"{name}.jsonl.xz is not in the folder that IB_COUNTING_CORPUS names")
    return _counted(folder, name)


@pytest.fixture
def counted() -> Counted:
    """Every request of the first corpus and our count of it, for the model that was asked for."""
    return _corpus("dev")


@pytest.fixture
def second() -> Counted:
    """The same of the second corpus, of other repositories."""
    return _corpus("dev2")


@pytest.fixture(params=["dev", "dev2"])
def either(request: pytest.FixtureRequest) -> Counted:
    """Each corpus in turn."""
    return _corpus(request.param)


def select(counted: Counted, api: str) -> list[tuple[int, Count]]:
    """Return (recorded tokens, count) of an API's countable requests without known anomalies."""
    return [
        (row["usage"]["input"], count)
        for row, count in counted
        if row["api"] == api and row["locally_countable"] and not row["anomaly"]
    ]


def share(found: list[bool]) -> float:
    """Return the share of True."""
    return sum(found) / len(found)


def test_chat_counts_are_exact(counted: Counted) -> None:
    """At least 99 % of countable chat requests are exact (wanted: 98.7 %), at most 0.4 % undercounted."""
    chat = select(counted, "chat")
    assert share([count.tokens == real for real, count in chat]) >= 0.99
    assert share([count.tokens < real for real, count in chat]) <= 0.004


def test_chat_counts_of_the_second_corpus_are_exact(second: Counted) -> None:
    """At least 91 % are exact for the model that was asked for. Wanted: 93 %, which no rule can reach.

    57 of 707 asked in spring 2023 for an alias that then named a snapshot which counts one more per message:
    91.9 % is all that can be had (benchmarks/counting_ceiling.py). By the snapshot that answered 99 % are.
    """
    rows = [row for row, _ in second if row["api"] == "chat" and row["locally_countable"]]
    chat = select(second, "chat")
    assert share([count.tokens == real for real, count in chat]) >= 0.91
    by_answer = [ib_tiktoken.count_request(row["request"], row["model_returned"]).tokens for row in rows]
    real = [row["usage"]["input"] for row in rows]
    assert share([ours == billed for ours, billed in zip(by_answer, real, strict=True)]) >= 0.99


def test_the_alias_that_moved_is_bounded_by_both_readings(second: Counted) -> None:
    """Every request for an alias that the oldest snapshot answered is covered, and none is claimed."""
    moved = [(row["usage"]["input"], count) for row, count in second if _moved(row)]
    assert len(moved) == 57
    assert all(count.tokens < real <= (count.upper or 0) and not count.exact for real, count in moved)


def _moved(row: dict[str, Any]) -> bool:
    return row["model_requested"] == "gpt-3.5-turbo" and row["model_returned"].endswith("-0301")


def test_responses_counts_are_exact(counted: Counted, second: Counted) -> None:
    """At least 96 and 95 % of countable Responses requests are exact (wanted: 95 and 94 %)."""
    assert share([count.tokens == real for real, count in select(counted, "responses")]) >= 0.96
    assert share([count.tokens == real for real, count in select(second, "responses")]) >= 0.95


def test_claims_hold_and_cover_most_of_what_is_exact(either: Counted) -> None:
    """Of all counts flagged exact at most 0.5 % are wrong, and 85 % of the exact ones are flagged in chat.

    In Responses 81 % are, in the first corpus: the others have too few records or repositories.
    """
    claims = [
        row["usage"]["input"] == count.tokens for row, count in either if count.exact and not row["anomaly"]
    ]
    assert share([not right for right in claims]) <= 0.005
    for api, least in (("chat", 0.85), ("responses", 0.81)):
        exact = [count for real, count in select(either, api) if count.tokens == real]
        assert share([count.exact for count in exact]) >= least


def test_bounds_are_safe_and_close(either: Counted) -> None:
    """The bound is below the record for at most 0.2 % and within 12 % for the median inexact count."""
    chat = select(either, "chat")
    assert all(count.upper is not None for _, count in chat)
    every = [*chat, *select(either, "responses")]
    below = [count.upper is not None and count.upper < real for real, count in every]
    assert share(below) <= 0.002
    assert statistics.median((count.upper or 0) / real for real, count in chat if not count.exact) <= 1.12


def test_texts_are_counted_as_billed(counted: list[tuple[dict[str, Any], Count]]) -> None:
    """Recorded plain answers cost their text and the end of turn in at least 98.8 % of cases."""
    allowed = {"chat": (0, 1), "responses": (1, 2)}
    found = []
    for row, _ in counted:
        if row["text_test"]:
            tokens = ib_tiktoken.count_text(row["output"]["text"], row["model_returned"]).tokens
            found.append(row["usage"]["output"] - tokens in allowed[row["api"]])
    assert share(found) >= 0.988
