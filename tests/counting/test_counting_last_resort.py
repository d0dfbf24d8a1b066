"""What is counted where no rule or encoder can: from bytes, worked out by hand; and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting import CachedCounts, is_failure
from ib_kernel.counting.fallback import rough_count
from ib_kernel.values import Count

ITSELF: list[Any] = []
ITSELF.append(ITSELF)
TWICE = ["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abcd efgh", Count(2, exact=False, upper=9, reason="cannot be encoded")),
        ("é", Count(1, exact=False, upper=2, reason="cannot be encoded")),
        ("", Count(0, exact=False, upper=0, reason="cannot be encoded")),
        # a, 1, None, b'xy', 64 for an object and 1.5 are 78 bytes in 8 places of 16
        (
            {"a": [1, None, b"xy", object(), 1.5]},
            Count(19, exact=False, upper=206, reason="cannot be encoded"),
        ),
        ([TWICE, TWICE], Count(1, exact=False, upper=82, reason="cannot be encoded")),
        (["abcdefgh", ITSELF], Count(0, exact=False, upper=None, reason="the request contains itself")),
        ([ITSELF, "abcdefgh"], Count(2, exact=False, upper=None, reason="the request contains itself")),
    ],
)
def test_bytes_bound_what_nobody_can_count(value: object, expected: Count) -> None:
    """A quarter of them is the guess; each place in a request adds room for framing."""
    assert rough_count(value) == expected


class Asked:
    """Counts characters, and how often it is asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        """Return as many ids as there are characters."""
        return [0] * len(text)

    def count(self, text: str) -> int:
        """Return the number of characters."""
        self.texts.append(text)
        return len(text)


def test_a_text_of_more_than_an_eighth_is_not_kept() -> None:
    """One that is just as long is."""
    asked = Asked()
    cache = CachedCounts(asked, limit=800)
    for text in ("a" * 100, "a" * 100, "b" * 101, "b" * 101):
        assert cache.count(text) == len(text)
    assert asked.texts == ["a" * 100, "b" * 101, "b" * 101]


def test_two_generations_are_remembered() -> None:
    """What was left behind once is still known, and comes back when asked for; what was twice is not."""
    asked = Asked()
    cache = CachedCounts(asked, limit=100 + 64)
    texts = [f"{n:020}" for n in range(4)]  # two of them are 168 with what an entry costs: over the limit
    for text in (*texts[:2], texts[0]):
        cache.count(text)
    assert asked.texts == texts[:2]
    for text in (texts[2], texts[0], texts[3]):
        cache.count(text)
    assert asked.texts == texts
    cache.count(texts[1])
    assert asked.texts == [*texts, texts[1]]


def test_what_is_kept_may_fill_its_limit_again_and_again() -> None:
    """Only what goes beyond it leaves a generation behind, the second time as the first."""
    asked = Asked()
    cache = CachedCounts(asked, limit=2 * (20 + 64))
    texts = [f"{n:020}" for n in range(5)]  # the third goes beyond the limit; two more fill it
    for text in (*texts, texts[0]):
        cache.count(text)
    assert asked.texts == texts


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"messages": [{"role": "user", "content": "Hi", "name": "a"}, 3]}, "a message is not an object"),
        ({"messages": [3], "tools": []}, "a message is not an object"),
        ({"messages": "Hi"}, "messages is not a list"),
        ({"input": 3}, "input is neither a text nor a list"),
        ({"input": ["Hi"]}, "an input item is not an object"),
    ],
)
def test_a_body_that_is_none_is_bounded_and_says_why(body: dict[str, object], why: str) -> None:
    """In the words of what was expected."""
    found = ib_tiktoken.count_request(body, "gpt-4o")
    assert (found.exact, found.reason) == (False, f"counting failed (TypeError: {why})")
    assert found.upper


def test_what_made_counting_fail_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback, for who looks for the fault."""
    with caplog.at_level("DEBUG", "ib_kernel.counting"):
        ib_tiktoken.count_request({"messages": "Hi"}, "gpt-4o")
    (record,) = caplog.records
    assert record.message == "counting fell back to the bytes bound"
    assert isinstance((record.exc_info or (None, None))[1], TypeError)


class PanicException(BaseException):
    """What a library written in Rust raises."""


@pytest.mark.parametrize(
    ("error", "failed"),
    [(ValueError(), True), (PanicException(), True), (KeyboardInterrupt(), False), (SystemExit(), False)],
)
def test_a_panic_of_an_encoder_is_a_failure_and_an_interrupt_is_none(
    error: BaseException, failed: bool
) -> None:
    """The first is counted by bytes, the second stops what is running."""
    assert is_failure(error) is failed
