"""`TokenCounterContract`: what every `TokenCounter` must keep, whatever it knows about models.

A plugin author writes::

    from ib_kernel.testing import TokenCounterContract

    class TestMyCounter(TokenCounterContract):
        def make_counter(self):
            return MyCounter()

and runs pytest. Whether a count is *right* is for the plugin's own tests; here it must be honest (`upper` is
never below `tokens`, `exact` means both are the truth), steady, and never raise.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ib_kernel.values import Count, TokenCounter

TEXTS: tuple[str, ...] = (
    "",
    " ",
    "Hello, how would you design a rate limiter?",
    "<|endoftext|> and <|im_start|>system<|im_end|> as plain text",
    "half an emoji \ud83d and \udc00 the other half",
    "\x00\x01\x7f\u200b\ufeff\u2028",
    "日本語、한국어، العربية और हिन्दी",
    "👩‍👩‍👧‍👦 e\u0301 ﬃ",
    " " * 100_000,
    "\n" * 50_000,
    "a" * 100_000,
    "=" * 20_000 + "\t" * 20_000,
    "naïve → 😀 " * 2_000,
)
"""Texts that have crashed counters, or could."""

REQUESTS: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "Hi"}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "ada", "content": "Hi"},
        ]
    },
    {"input": "Hi", "instructions": "Be brief."},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
    {
        "messages": [{"role": "user", "content": "What is it?"}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    },
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
)
"""Requests of every kind that a client sends."""

MALFORMED: tuple[Any, ...] = (
    {},
    {"messages": None},
    {"messages": []},
    {"messages": "Hi"},
    {"messages": [None, 3, "x", []]},
    {"messages": [{}]},
    {"messages": [{"role": None, "content": 5}]},
    {"messages": [{"role": "user", "content": [None, {"type": "text"}, {"type": "nonsense", "x": {}}]}]},
    {"messages": [{"role": "assistant", "tool_calls": "no"}]},
    {"input": 7},
    {"input": [{"type": "function_call_output", "output": None}]},
    {"messages": [{"role": "user", "content": "Hi"}], "tools": {"a": 1}, "response_format": 4},
    {"messages": [{"role": "user", "content": "Hi"}], "tools": [None, {"type": "function"}]},
)
"""Request shapes that no client should send; counting them must not raise all the same."""


class TokenCounterContract:
    """Subclass, define `make_counter`, and pytest runs every test of this class against your counter.

    `model` is one that the counter knows, `unknown_model` one that it does not.
    """

    model = "gpt-5.4-mini"
    unknown_model = "some-model-nobody-has-heard-of"

    def make_counter(self) -> TokenCounter:
        """Return a counter."""
        raise NotImplementedError("define make_counter() in your subclass")

    @pytest.fixture
    def counter(self) -> TokenCounter:
        """Make a fresh counter for each test."""
        return self.make_counter()

    @pytest.fixture(params=["known", "unknown"])
    def any_model(self, request: pytest.FixtureRequest) -> str:
        """Run a test with a model that the counter knows and with one that it does not."""
        return self.model if request.param == "known" else self.unknown_model

    def check(self, count: Count) -> Count:
        """Check what is true of every count, and return it."""
        assert isinstance(count, Count)
        assert isinstance(count.tokens, int)
        assert count.tokens >= 0
        if count.upper is not None:
            assert count.upper >= count.tokens
        if count.exact:
            assert count.upper is not None, "an exact count has a bound"
            most = count.tokens + count.tokens // 50 + 8
            assert count.tokens <= count.upper <= most, "the bound of an exact count is that count, or close"
            assert count.reason == ""
        else:
            assert count.reason, "a count that is not exact says why"
        return count

    def test_it_is_a_counter(self, counter: TokenCounter) -> None:
        """The object has the protocol's methods and a name."""
        assert isinstance(counter, TokenCounter)
        assert counter.name

    @pytest.mark.parametrize("number", range(len(TEXTS)))
    def test_any_text_is_counted(self, counter: TokenCounter, any_model: str, number: int) -> None:
        """Surrogates, special-token text, control characters and huge runs give a count, twice the same."""
        first = self.check(counter.count_text(TEXTS[number], any_model))
        assert counter.count_text(TEXTS[number], any_model) == first

    def test_no_text_costs_nothing_and_text_costs_something(self, counter: TokenCounter) -> None:
        """The empty text has no tokens; a sentence has some, and no more than it has bytes."""
        assert counter.count_text("", self.model).tokens == 0
        text = "Hello, how would you design a rate limiter?"
        assert 0 < counter.count_text(text, self.model).tokens <= len(text.encode())

    @pytest.mark.parametrize("number", range(len(REQUESTS)))
    def test_any_request_is_counted(self, counter: TokenCounter, any_model: str, number: int) -> None:
        """Chat and Responses requests, tools and images get a count; the request stays as it was."""
        request = copy.deepcopy(REQUESTS[number])
        count = self.check(counter.count_request(request, any_model))
        assert count.tokens > 0
        assert request == REQUESTS[number]
        assert counter.count_request(request, any_model) == count

    @pytest.mark.parametrize("number", range(len(MALFORMED)))
    def test_malformed_requests_do_not_raise(
        self, counter: TokenCounter, any_model: str, number: int
    ) -> None:
        """A shape that no client sends still gets a count."""
        self.check(counter.count_request(MALFORMED[number], any_model))

    def test_a_further_message_never_costs_less(self, counter: TokenCounter) -> None:
        """Counts, and bounds, grow with every message."""
        messages: list[Mapping[str, Any]] = []
        last, last_upper = 0, 0
        for i in range(8):
            role = ("user", "assistant")[i % 2]
            messages.append({"role": role, "content": f"Message number {i}: " + "word " * i})
            count = self.check(counter.count_request({"messages": list(messages)}, self.model))
            assert count.tokens > last
            last = count.tokens
            if count.upper is not None:
                assert count.upper > last_upper
                last_upper = count.upper

    def test_threads_get_the_same_answers(self, counter: TokenCounter) -> None:
        """Eight threads that count at once get what one thread gets alone."""
        texts = [f"{text[:500]} {i}" for i, text in enumerate(TEXTS)]
        alone = self._all(counter, texts)
        answers: list[Sequence[Count]] = []
        barrier = threading.Barrier(8)

        def work() -> None:
            barrier.wait()
            answers.append(self._all(counter, texts))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [alone] * 8

    def _all(self, counter: TokenCounter, texts: Sequence[str]) -> list[Count]:
        counts = [counter.count_text(text, self.model) for text in texts]
        return counts + [counter.count_request(request, self.model) for request in REQUESTS]
