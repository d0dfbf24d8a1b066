"""Counting by name: which model's rules, which limits, and what a request is made of."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from ib_kernel import count_message_tokens, count_tokens
from ib_kernel.budget.counting import Counting, estimate_completion_tokens
from ib_kernel.errors import UnknownModel
from ib_kernel.settings import Settings
from ib_kernel.values import Count

TEXT = "Ñandú – 日本語のテキスト – unübersehbar"
"""A text that gpt-4 and gpt-4o cut differently."""


@pytest.fixture
def counting() -> Counting:
    return Counting(Settings(model="gpt-4o"))


class Seen:
    """A counter that keeps what it was asked."""

    name = "seen"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, str]] = []

    def count_text(self, text: str, model: str) -> Count:
        """Keep the text."""
        self.asked.append((text, model))
        return Count(len(text), True)

    def count_request(self, body: Mapping[str, Any], model: str) -> Count:
        """Keep the body."""
        self.asked.append((body, model))
        return Count(20, False, upper=30)


@pytest.fixture
def seen(counting: Counting) -> Seen:
    """Let *counting* count by a counter that keeps what it was asked."""
    made = Seen()
    counting.counter = made
    return made


def test_the_model_decides_and_the_settings_where_none_is_named(counting: Counting) -> None:
    """Two encodings give two counts."""
    older, newer = counting.count_tokens(TEXT, "gpt-4"), counting.count_tokens(TEXT, "gpt-4o")
    assert older > newer == counting.count_tokens(TEXT)
    assert count_tokens(TEXT, "gpt-4") == older
    message = [{"role": "user", "content": TEXT}]
    assert count_message_tokens(message, "gpt-4") - older == count_message_tokens(message, "gpt-4o") - newer


def test_whose_rules_apply_is_looked_up(counting: Counting, seen: Seen) -> None:
    """A scripted model counts as the one it names, a dated name as its model, an unknown one as it is."""
    for model in ("demo", "gpt-4o-2024-08-06", "nobody-knows-it"):
        counting.count_tokens("x", model)
    counting.count_tokens("x")
    assert [model for _, model in seen.asked] == ["gpt-4o", "gpt-4o", "nobody-knows-it", "gpt-4o"]


def test_tools_and_fields_go_along_where_they_are_given(counting: Counting, seen: Seen) -> None:
    """A request is counted as it would be sent; what is not named is not in it."""
    message, tool = {"role": "user", "content": "x"}, {"type": "function"}
    assert counting.count_message_tokens([message]) == 20
    counting.count_message_tokens([message], "gpt-4", tools=[tool], response_format={"type": "json_object"})
    assert seen.asked == [
        ({"messages": [message]}, "gpt-4o"),
        (
            {"messages": [message], "tools": [tool], "response_format": {"type": "json_object"}},
            "gpt-4",
        ),
    ]


def test_a_call_is_estimated_by_the_upper_bound_of_its_prompt(counting: Counting, seen: Seen) -> None:
    """And the reply by what is asked for; a text is one message of a user."""
    assert counting.estimate_call_tokens("x", "gpt-4", 100) == 30 + 100
    assert seen.asked == [({"messages": [{"role": "user", "content": "x"}]}, "gpt-4")]


def test_each_count_is_a_line_of_the_log_for_who_looks_closely(
    counting: Counting, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    """With the bound, and whether it is exact."""
    caplog.set_level(logging.DEBUG, logger="ib_kernel.budget.counting")
    counting.count_request({"messages": []})
    assert [record.getMessage() for record in caplog.records] == [
        "counted 20 prompt tokens (exact=False, upper=30)"
    ]


@pytest.mark.parametrize(
    ("prompt", "most", "tokens"),
    [(10, None, 256), (700, None, 700), (9_000, None, 1_200), (9_000, 50, 50), (10, 50, 50), (10, 0, 0)],
)
def test_a_reply_is_taken_to_be_as_long_as_its_prompt_within_limits(
    prompt: int, most: int | None, tokens: int
) -> None:
    """The same from the function and from a service's settings."""
    assert estimate_completion_tokens(prompt, most) == tokens
    assert Counting(Settings()).estimate_completion_tokens(prompt, most) == tokens


def test_the_limits_of_a_reply_are_the_settings() -> None:
    """Not those that are looked up where none are given."""
    short = Settings(min_reply_tokens=10, reply_tokens=20)
    assert [estimate_completion_tokens(n, None, short) for n in (5, 15, 25)] == [10, 15, 20]
    assert [Counting(short).estimate_completion_tokens(n) for n in (5, 15, 25)] == [10, 15, 20]
    assert Counting(short).estimate_completion_tokens(25, 50) == 25


def test_prompt_and_reply_fit_up_to_the_last_token(counting: Counting) -> None:
    """Into the window together, and the reply into the model's own limit."""
    window, longest = 128_000, 16_384
    assert counting.get_model_limit() == counting.get_model_limit("gpt-4o") == window
    assert counting.get_model_limit("gpt-4") == 8_192
    assert counting.check_token_limit(window - 10, 10)
    assert not counting.check_token_limit(window - 10, 11)
    assert counting.check_token_limit(10, longest)
    assert not counting.check_token_limit(10, longest + 1)
    assert not counting.check_token_limit(8_000, 193, "gpt-4")
    with pytest.raises(UnknownModel):
        counting.check_token_limit(1, 1, "nobody-knows-it")
