"""What cannot be counted says so; nothing raises; nothing panics."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ib_tiktoken
from ib_kernel.counting import CachedCounts, RuleCounter, Uncountable
from ib_kernel.values import TokenCounter

HI = {"role": "user", "content": "Hello there"}
MODELS = ["gpt-4o", "gpt-4", "gpt-5", "o3-mini", "gpt-5.6-luna", "mystery"]

UNBOUNDED = [
    ({"messages": [HI], "tools": [{"type": "web_search"}]}, "web_search"),
    ({"messages": [HI], "web_search_options": {}}, "web search"),
    ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "audio"),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "file"),
    ({"messages": [{"role": "assistant", "audio": {"id": "a"}}, HI]}, "audio"),
    ({"input": "Hello", "previous_response_id": "resp_1"}, "previous_response_id"),
    ({"input": "Hello", "conversation": "conv_1"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"input": "Hello", "tools": [{"type": "mcp"}]}, "mcp"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
    ({"input": [HI, {"type": "reasoning", "summary": []}]}, "reasoning"),
    ({"input": "Hello", "reasoning": {"mode": "pro"}}, "pro"),
]


@pytest.mark.parametrize(("body", "word"), UNBOUNDED)
def test_what_the_server_adds_has_no_bound(body: dict[str, Any], word: str) -> None:
    """Built-in tools, server state, audio and files are not exact, have no bound, and are named."""
    count = ib_tiktoken.count_request(body, "gpt-5")
    assert not count.exact
    assert count.upper is None
    assert word in count.reason


INEXACT = [
    ({"messages": [{**HI, "name": "user"}]}, "gpt-5", "name equal"),
    ({"messages": [HI]}, "o1", "o1"),
    ({"messages": [HI]}, "gpt-oss-20b", "not been measured"),
    ({"messages": [HI], "tools": [{"type": "function", "function": {"name": "f"}}]}, "gpt-4", "tools"),
]


@pytest.mark.parametrize(("body", "model", "word"), INEXACT)
def test_what_varies_has_a_bound_with_a_margin(body: dict[str, Any], model: str, word: str) -> None:
    """A countable request in a group that varies is bounded by 2 % and 8 tokens more."""
    count = ib_tiktoken.count_request(body, model)
    assert not count.exact
    assert count.upper is not None
    assert count.upper >= count.tokens * 1.02 + 8
    assert word in count.reason


def test_earlier_reasoning_is_free_except_where_the_model_keeps_it() -> None:
    """A reasoning item before the last user message costs nothing up to gpt-5.5."""
    items = [HI, {"type": "reasoning", "summary": []}, {"role": "assistant", "content": "Hi"}, HI]
    bare = [item for item in items if item.get("type") != "reasoning"]
    kept = ib_tiktoken.count_request({"input": items}, "gpt-5.4")
    assert kept.tokens == ib_tiktoken.count_request({"input": bare}, "gpt-5.4").tokens
    assert kept.upper is not None
    assert ib_tiktoken.count_request({"input": items}, "gpt-5.6-luna").upper is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.text(max_size=3) | st.sampled_from(
    [
        *("role", "content", "name", "type", "text", "tool_calls", "function", "arguments", "id", "summary"),
        *("parameters", "properties", "items", "anyOf", "enum", "default", "$ref", "required", "title"),
        *("image_url", "url", "detail", "description", "output", "examples", "json_schema", "schema"),
    ]
)
WORDS = st.sampled_from(
    [
        *("user", "system", "assistant", "tool", "function", "text", "image_url", "message", "string"),
        *("function_call", "object", "array", "#/x", "{}", "[]"),
    ]
)
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(
    st.sampled_from(
        [
            *("messages", "input", "tools", "functions", "response_format", "tool_choice", "function_call"),
            *("text", "instructions", "parallel_tool_calls", "reasoning"),
        ]
    ),
    JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=5), max_size=4),
)


@settings(max_examples=120, deadline=None)
@given(BODIES, st.sampled_from(MODELS))
@example({"messages": [{"role": "user", "content": 3}]}, "gpt-4o")
@example({"messages": [None]}, "gpt-4o")
@example({"messages": {"role": "user"}}, "gpt-4o")
@example({"messages": [{"role": "assistant", "tool_calls": [1, None]}]}, "gpt-4o")
@example({}, "gpt-4o")
def test_any_body_gets_a_count(body: dict[str, Any], model: str) -> None:
    """Malformed requests are counted somehow: never an exception, never a bound below the count."""
    count = ib_tiktoken.count_request(body, model)
    assert count.tokens >= 0
    assert count.upper is None or count.upper >= count.tokens
    assert count.exact == (not count.reason)


def test_bodies_that_contain_themselves_are_refused_a_bound() -> None:
    """A circular request, body or schema is an inexact count, not a crash."""
    body: dict[str, Any] = {"messages": [HI]}
    body["messages"].append({"role": "user", "content": body})
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"again": schema}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    for circular in (body, {"messages": [HI], "tools": [tool]}):
        count = ib_tiktoken.count_request(circular, "gpt-4o")
        assert not count.exact
        assert count.reason


def test_self_referring_schemas_end() -> None:
    """A schema that refers to itself in many places is cut off, and said to be."""
    node = {"type": "object", "properties": {f"p{n}": {"$ref": "#/$defs/Node"} for n in range(12)}}
    schema = {**node, "$defs": {"Node": node}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    count = ib_tiktoken.count_request({"messages": [HI], "tools": [tool]}, "gpt-4o")
    assert (count.exact, count.upper) == (False, None)
    assert "refers" in count.reason


@pytest.mark.parametrize("bad", [None, 3, [], "text", b"bytes"])
def test_things_that_are_no_request_get_a_count(bad: Any) -> None:
    """Not even a value of the wrong type raises."""
    assert not ib_tiktoken.count_request(bad, "gpt-4o").exact
    assert not ib_tiktoken.count_request({"messages": [HI]}, bad).exact or isinstance(bad, str)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(["gpt-4o", "gpt-4"]))
@example("<|endoftext|>", "gpt-4o")
@example("a\ud83d", "gpt-4o")
@example("\ud83d\ude00", "gpt-4")
def test_texts_count_as_tiktoken_counts_them(text: str, model: str) -> None:
    """Text counts equal tiktoken's ordinary encoding and stay within the UTF-8 bytes."""
    encoding = ib_tiktoken.TiktokenCounter().encoder("o200k_base" if model == "gpt-4o" else "cl100k_base")
    tokens = encoding.tiktoken.encode_ordinary(text)  # type: ignore[attr-defined]
    count = ib_tiktoken.count_text(text, model)
    assert (count.tokens, count.exact) == (len(tokens), True)
    assert ib_tiktoken.encode(text, model) == tokens
    assert count.tokens <= len(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=40)), max_size=8)
)
def test_messages_add_up(talk: list[tuple[str, str]]) -> None:
    """A conversation costs the sum of its messages and one constant."""
    messages = [{"role": role, "content": content} for role, content in talk]
    for model, constant in (("gpt-4o", 3), ("gpt-5", 2), ("gpt-4", 3)):
        each = [ib_tiktoken.count_request({"messages": [m]}, model).tokens - constant for m in messages]
        assert ib_tiktoken.count_request({"messages": messages}, model).tokens == sum(each) + constant


def test_million_spaces_do_not_panic(capfd: pytest.CaptureFixture[str]) -> None:
    """Runs of white space that make tiktoken panic are counted as it would count them, quietly."""
    for model in ("gpt-4o", "gpt-4"):
        assert ib_tiktoken.count_text(" " * 1_000_000, model).tokens == 7813
        assert ib_tiktoken.count_text(" \t" * 500_000, model).tokens == 499_999
        assert ib_tiktoken.count_text("x" + " " * 1_000_000 + "y", model).exact
    assert capfd.readouterr() == ("", "")


RUNS = st.lists(
    st.sampled_from([" ", "\n", "\t", "\r", "a", "é", "!", "/", "'s", "1", "　", "\u0301"]), max_size=30
)


@settings(max_examples=300, deadline=None)
@given(RUNS, st.sampled_from(["o200k_base", "cl100k_base"]))
@example(["!", "\n", "\n", "/", "a"], "o200k_base")
def test_cutting_runs_out_changes_nothing(parts: list[str], name: str) -> None:
    """The tokens with white-space runs cut out are tiktoken's own, whatever stands around them."""
    from ib_tiktoken import _encoder

    encoder = _encoder.encoder(name)
    text = "".join(parts)
    space = "[" + _encoder._SPACE + "]"
    pattern = _encoder.re.compile(f"(?<!{space}){space}{{2,}}")
    try:
        cut = encoder._encode_long(text, pattern)
    except Uncountable:
        assert "\u0301" in text
    else:
        assert cut == encoder.tiktoken.encode_ordinary(text)


class Panicking:
    """An encoder that fails on a marked text, as a panicking extension would."""

    name = "o200k_base"

    def encode(self, text: str) -> list[int]:
        """Fail on texts with a bang."""
        if "!" in text:
            raise Uncountable("panic")
        return [0] * len(text)

    def count(self, text: str) -> int:
        """Count characters."""
        return len(self.encode(text))


def test_uncountable_text_is_bounded_by_its_bytes() -> None:
    """A text that the encoder cannot handle gets an estimate with its bytes as the bound."""
    counter = RuleCounter(lambda name: Panicking())
    count = counter.count_text("dé!", "gpt-4o")
    assert (count.exact, count.upper, count.reason) == (False, 4, "panic")
    body = {"messages": [HI, {"role": "user", "content": "dé!"}]}
    request = counter.count_request(body, "gpt-4o")
    assert request.tokens == 3 + 4 + len(HI["content"]) + 4 + 4
    assert (request.exact, request.reason) == (False, "panic")
    assert (request.upper or 0) >= request.tokens


def test_interrupts_pass_through() -> None:
    """Only failures are turned into estimates: an interrupt while counting reaches the caller."""

    class Interrupted(Panicking):
        def encode(self, text: str) -> list[int]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RuleCounter(lambda name: Interrupted()).count_text("x", "gpt-4o")


def test_cache_is_bounded_and_asks_once() -> None:
    """A text is encoded once while it is remembered, and old texts are forgotten."""
    asked: list[str] = []

    class Asked(Panicking):
        def count(self, text: str) -> int:
            asked.append(text)
            return len(text)

    cache = CachedCounts(Asked(), limit=2_000)
    for _ in range(3):
        assert cache.count("again") == 5
    assert asked == ["again"]
    for number in range(500):
        cache.count(f"text {number}")
    assert len(cache) < 2 * 2_000 // 64 + 2
    assert cache.count("x" * 1_000) == 1_000
    assert cache.count("again") == 5


def test_growing_conversation_encodes_each_message_once() -> None:
    """Counting turn N encodes only the messages that turn N added."""
    asked: list[str] = []

    class Asked(Panicking):
        def count(self, text: str) -> int:
            asked.append(text)
            return len(text)

    counter = RuleCounter(lambda name: Asked())
    messages: list[dict[str, str]] = []
    for turn in range(50):
        messages += [{"role": "user", "content": f"q{turn}"}, {"role": "assistant", "content": f"a{turn}"}]
        counter.count_request({"messages": messages, "model": "gpt-4o", "stream": True}, "gpt-4o")
    assert len(asked) == 100


def test_many_threads_get_the_same_answers() -> None:
    """Sixteen threads that count the same texts with a fresh counter agree with one thread."""
    counter = ib_tiktoken.TiktokenCounter()
    assert isinstance(counter, TokenCounter)
    texts = [f"Line {n}: " + "rate limiter " * (n % 17) + chr(0x400 + n) for n in range(400)]
    expected = [ib_tiktoken.count_text(text, "gpt-4o").tokens for text in texts]
    start = threading.Barrier(16)

    def count(_: int) -> list[int]:
        start.wait()
        messages = [[{"role": "user", "content": text}] for text in texts]
        return [counter.count_request({"messages": m}, "gpt-4o").tokens - 7 for m in messages]

    with ThreadPoolExecutor(16) as pool:
        assert all(answer == expected for answer in pool.map(count, range(16)))


PLAIN = st.lists(
    st.tuples(
        st.sampled_from(["system", "developer", "user", "assistant", "critic"]),
        st.sampled_from(["", "Hello there", "Why?", "\ud83d half", "é" * 40]),
    ),
    min_size=1,
    max_size=8,
)


@given(PLAIN, st.sampled_from(["gpt-4o", "gpt-5", "gpt-3.5-turbo-0301", "o3-mini", "nobody-knows"]))
def test_plain_conversations_count_the_same_with_and_without_empty_fields(
    talk: list[tuple[str, str]], model: str
) -> None:
    """The short way for roles and texts gives what the general way gives: tokens, bound and constructs."""
    short = [{"role": role, "content": text} for role, text in talk]
    general = [{**message, "name": None} for message in short]
    counts = [ib_tiktoken.count_request({"messages": messages}, model) for messages in (short, general)]
    one, other = ((found.tokens, found.exact, found.reason, found.constructs) for found in counts)
    assert one == other
    if model != "nobody-knows":  # its bound is the bytes of the body, empty fields included
        assert counts[0].upper == counts[1].upper


def test_tools_that_change_between_two_counts_are_counted_anew() -> None:
    """The same objects with another content cost what they cost now."""
    function = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
    body = {"messages": [HI], "tools": [{"type": "function", "function": function}]}
    before = ib_tiktoken.count_request(body, "gpt-4o").tokens
    function["description"] = "Look around, then look again, and say what you have seen."
    assert ib_tiktoken.count_request(body, "gpt-4o").tokens > before + 8
    function["parameters"] = {"type": "object", "properties": {"a": {"type": "string", "title": "A"}}}
    assert (
        ib_tiktoken.count_request(body, "gpt-4").tokens
        != ib_tiktoken.count_request(body, "gpt-4-turbo").tokens
    )


@given(PLAIN, st.sampled_from(["gpt-4o", "gpt-5", "o3-mini"]))
def test_plain_messages_cost_the_same_beside_one_with_more_fields(
    talk: list[tuple[str, str]], model: str
) -> None:
    """One message with a name adds its own cost and changes that of no other message."""
    plain = [{"role": role, "content": text} for role, text in talk]
    named = {**HI, "name": "ada"}
    both = ib_tiktoken.count_request({"messages": [*plain, named]}, model).tokens
    alone = ib_tiktoken.count_request({"messages": plain}, model).tokens
    empty = ib_tiktoken.count_request({"messages": [named]}, model).tokens
    assert both == alone + empty - ib_tiktoken.count_request({"messages": []}, model).tokens
