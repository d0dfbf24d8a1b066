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
    """At least 98.7 % of countable chat requests are exact, at most 0.8 % undercounted."""
    chat = select(counted, "chat")
    assert share([count.tokens == real for real, count in chat]) >= 0.987
    assert share([count.tokens < real for real, count in chat]) <= 0.008


def test_chat_counts_of_the_second_corpus_are_exact(second: Counted) -> None:
    """At least 97 % are exact by the snapshot that answered: aliases of 2023 do not tell which that was."""
    chat = [
        (row["usage"]["input"], ib_tiktoken.count_request(row["request"], row["model_returned"]))
        for row, _ in second
        if row["api"] == "chat" and row["locally_countable"]
    ]
    assert share([count.tokens == real for real, count in chat]) >= 0.97


def test_responses_counts_are_exact(counted: Counted) -> None:
    """At least 95 % of countable Responses requests are exact."""
    assert share([count.tokens == real for real, count in select(counted, "responses")]) >= 0.95


def test_claims_hold_and_cover_most_of_what_is_exact(either: Counted) -> None:
    """Of all counts flagged exact at most 0.55 % are wrong, and four in five exact ones are flagged."""
    claims = [
        row["usage"]["input"] == count.tokens for row, count in either if count.exact and not row["anomaly"]
    ]
    assert share([not right for right in claims]) <= 0.0055
    countable = select(either, "chat") + select(either, "responses")
    exact = [count for real, count in countable if count.tokens == real]
    assert share([count.exact for count in exact]) >= 0.79


def test_bounds_are_safe_and_close(either: Counted) -> None:
    """The bound is below the record for at most 0.3 % and within 12 % for the median inexact count."""
    chat = select(either, "chat")
    assert all(count.upper is not None for _, count in chat)
    assert share([(count.upper or 0) < real for real, count in chat]) <= 0.003
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
