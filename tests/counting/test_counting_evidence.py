"""Exactness is claimed only where every construct of a request has its evidence."""

from __future__ import annotations

from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting import evidence, profile, typescript
from ib_kernel.counting.profile import rules
from ib_kernel.values import Count

HI = {"role": "user", "content": "Hello there"}
TEXT = {"type": "string"}


def count(model: str = "gpt-4o", **body: Any) -> Count:
    """Return the count of a chat body with one short message."""
    return ib_tiktoken.count_request({"messages": [HI], **body}, model)


def tool(properties: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """Return one function tool with *properties* as a tool list."""
    parameters = {"type": "object", "properties": properties, **fields}
    return [{"type": "function", "function": {"name": "f", "description": "Do.", "parameters": parameters}}]


@pytest.mark.parametrize(
    ("evidence_of", "expected"),
    [
        ((5, 2, 0), True),
        ((4, 2, 0), False),
        ((5, 1, 0), False),
        ((500, 1, 0), False),
        ((18, 2, 1), False),
        ((19, 2, 1), True),
    ],
)
def test_a_claim_needs_five_requests_of_two_repositories(
    evidence_of: tuple[int, int, int], expected: bool
) -> None:
    """Too few requests, one repository alone or unexplained wrong counts do not carry a claim."""
    assert evidence.is_supported(*evidence_of) is expected


def test_common_requests_are_claimed_and_name_their_constructs() -> None:
    """A plain request and one with an ordinary tool are exact, and say what they are made of."""
    assert count().exact
    plain = count(tools=tool({"city": TEXT}))
    assert plain.exact
    assert {"tools", "tool type string", "user message", "model gpt-4o"} <= set(plain.constructs)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5"])
def test_common_requests_of_the_responses_api_are_claimed_by_its_own_evidence(model: str) -> None:
    """A text, items after instructions, and an ordinary tool."""
    flat = {"type": "function", **tool({"city": TEXT})[0]["function"]}
    for body in (
        {"input": "Hello"},
        {"instructions": "Be brief.", "input": [HI, {"role": "assistant", "content": "So."}]},
        {"input": [HI], "tools": [flat]},
    ):
        found = ib_tiktoken.count_request(body, model)
        assert (found.exact, found.upper) == (True, found.tokens)


ODD = [
    ({"tools": tool({"city": {**TEXT, "contentEncoding": "base64"}})}, "contentEncoding"),
    ({"tools": tool({"city": TEXT}, patternProperties={"^x": TEXT})}, "patternProperties"),
    ({"tools": tool({"a": {"oneOf": [TEXT, {"type": "null"}]}})}, "oneOf"),
    ({"tools": tool({"a": {"const": "v1"}})}, "const"),
    ({"tools": tool({"a": {"type": "integer", "maximum": 2**53 - 1}})}, "2**53"),
    ({"tools": tool({"a": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}})}, "array among"),
    ({"some_new_field": {"text": "hello"}}, "some_new_field"),
    ({"messages": [{**HI, "mood": "cheerful"}]}, "mood"),
    ({"messages": [{**HI, "role": "critic"}]}, "critic"),
    ({"response_format": {"type": "grammar", "grammar": "x"}}, "grammar"),
]


@pytest.mark.parametrize(("body", "word"), ODD)
def test_constructs_without_evidence_are_named_and_bounded(body: dict[str, Any], word: str) -> None:
    """A construct that is unknown, or known too little, costs the claim, is named, and widens the bound."""
    found = count(**body)
    assert not found.exact
    assert word in found.reason
    assert found.upper is not None
    assert found.upper > found.tokens


LONG = "k" * 39 + "éxyz"
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {LONG: 1}}}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [HI], LONG: 1},
        {"messages": [{**HI, LONG: 1}]},
        {"messages": [{**HI, "role": LONG}]},
        {"messages": [{**HI, "role": LONG, "name": None}]},
        {"messages": [{"role": "user", "content": [{"type": LONG}]}]},
        {"messages": [HI], "response_format": {"type": LONG}},
        {"messages": [HI], "response_format": SCHEMA},
        {"messages": [HI], "tools": [{"type": LONG}]},
        {"messages": [HI], "tools": tool({"a": {LONG: 1}})},
        {"messages": [HI], "tools": tool({}), "tool_choice": {"type": LONG}},
        {"input": [{"type": LONG}]},
        {"input": [{**HI, "role": LONG}]},
        {"input": "Hello", "text": {"format": {"type": LONG}}},
    ],
)
def test_what_nobody_knows_is_named_by_forty_characters(body: dict[str, Any]) -> None:
    """However long its name is: somebody else chose it."""
    assert repr(LONG[:40]) in ib_tiktoken.count_request(body, "gpt-4o").reason


def test_every_doubt_about_a_model_is_said_where_it_holds() -> None:
    """And the request is not claimed: in all of them, in those with tools or before tools, or with parts."""
    parts = [{"role": "user", "content": [{"type": "text", "text": text} for text in ("Hello ", "there")]}]
    bodies = {
        "all": {"messages": [HI]},
        "before tools": {"messages": [HI]},
        "tools": {"messages": [HI], "tools": tool({"city": TEXT})},
        "parts": {"messages": parts},
    }
    for entry in rules()["doubt"]:
        for prefix in entry["prefixes"]:
            found = ib_tiktoken.count_request(bodies[entry["scope"]], prefix.removeprefix("="))
            assert entry["why"] in found.reason
            assert not found.exact


def test_an_unknown_construct_is_bounded_by_its_json() -> None:
    """What no rule knows may cost as many tokens as its JSON has."""
    long = {"words": [f"word {number}" for number in range(500)]}
    tokens = ib_tiktoken.count_text(str(long), "gpt-4o").tokens
    for found in (count(novelty=long), count(tools=tool({"a": {**TEXT, "x-novelty": long}}))):
        assert found.upper is not None
        assert found.upper >= found.tokens + tokens * 0.9


def test_every_reason_against_a_claim_is_said() -> None:
    """One after the other, parted by a semicolon."""
    said = "web search (counted without its results); too few recorded requests with: field 'novelty'"
    assert count(web_search_options={}, novelty=1).reason == said


def test_a_field_that_is_no_json_is_bounded_as_it_is_written() -> None:
    """It cannot be sent; what else the body has is counted all the same."""
    found, plain = count(novelty={1, 2}), count(novelty="{1, 2}")
    assert found.reason == plain.reason == "too few recorded requests with: field 'novelty'"
    assert found.tokens == plain.tokens


def test_free_fields_cost_nothing_and_keep_the_claim() -> None:
    """Settings of sampling, caching and streaming neither add tokens nor cost the claim."""
    bare = count()
    busy = count(
        temperature=0, prompt_cache_key="s1", stream=True, stream_options={}, verbosity="low", seed=3
    )
    assert (busy.tokens, busy.exact) == (bare.tokens, True)


def test_an_alias_that_moved_is_not_claimed_but_its_snapshots_are() -> None:
    """gpt-3.5-turbo once named a snapshot that counts one more per message: its bound covers that."""
    talk = [{"role": "user", "content": "Go on"}] * 400
    alias = ib_tiktoken.count_request({"messages": talk}, "gpt-3.5-turbo")
    oldest = ib_tiktoken.count_request({"messages": talk}, "gpt-3.5-turbo-0301")
    assert not alias.exact
    assert alias.upper is not None
    assert alias.upper >= oldest.tokens == alias.tokens + 400
    assert ib_tiktoken.count_request({"messages": talk}, "gpt-3.5-turbo-0125").exact
    assert count("gpt-3.5-turbo", tools=tool({"city": TEXT})).exact  # that snapshot took no tools


def test_evidence_is_looked_at_for_the_family() -> None:
    """A construct that is known on chat models is not thereby known on reasoning models."""
    row = evidence.table()["construct"]["schema with a system message"]
    assert evidence.is_supported(*row["chat standard"])
    assert not evidence.is_supported(*row["chat reasoning"])
    assert "schema with a system message" in evidence.supported("chat", profile("gpt-4o"))
    assert "schema with a system message" not in evidence.supported("chat", profile("gpt-5"))


def test_an_exact_count_has_room_for_what_its_kind_once_fell_short() -> None:
    """Requests with tools were short by up to two tokens without a reason: only their bound covers it."""
    with_tools = count(tools=tool({"city": TEXT}))
    assert with_tools.exact
    assert with_tools.upper == with_tools.tokens + evidence.table()["short"]["tools"]["chat standard"]
    assert with_tools.upper > with_tools.tokens
    for plain in (count(), count("gpt-5", tools=tool({"city": TEXT}))):
        assert plain.exact
        assert plain.upper == plain.tokens


def test_that_room_is_of_the_api_and_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the table has one: what fell short elsewhere is no reason here."""
    short = {"tools": {"chat reasoning": 3, "responses standard": 1}, "refusal": {"standard": 2}}
    monkeypatch.setattr(evidence, "table", lambda: {"short": short})
    monkeypatch.setattr(evidence, "_shortfalls", evidence._shortfalls.__wrapped__)
    standard, reasoning = profile("gpt-4o"), profile("gpt-5")
    assert evidence.shortfalls("chat", reasoning) == {"tools": 3}
    assert evidence.shortfalls("chat", standard) == {"refusal": 2}
    assert evidence.shortfalls("responses", standard) == {"tools": 1, "refusal": 2}


def test_a_required_choice_of_the_only_tool_is_known_by_what_it_costs() -> None:
    """It is claimed where it is free in both APIs, and not on the models on which it has cost two tokens."""
    body = {"tools": tool({"city": TEXT}), "tool_choice": "required"}
    for model in ("gpt-4o", "gpt-5-mini"):
        assert count(model, **body).exact
        assert count(model, **body).tokens == count(model, tools=body["tools"]).tokens
    for model in ("gpt-3.5-turbo", "gpt-4"):
        found = count(model, **body)
        assert not found.exact
        assert (found.upper or 0) >= count(model, tools=body["tools"]).tokens + 2
    flat = [{"type": "function", **tool({"city": TEXT})[0]["function"]}]
    by_name = ib_tiktoken.count_request({"input": [HI], "tools": flat, "tool_choice": "required"}, "gpt-4o")
    assert not by_name.exact
    assert "tool_choice required of one tool, by its name" in by_name.constructs
    assert "tool_choice required of one tool on an older model" in count("gpt-4-turbo", **body).constructs
    assert "tool_choice required of one tool" in count("gpt-5-mini", **body).constructs


def test_escaped_and_plain_results_are_two_constructs() -> None:
    """Only gpt-4o-mini escapes other characters, in four recorded requests: that is not claimed."""
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ("a", "b")
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": "caffè"} for name in ("a", "b")]
    talk = [HI, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    plain, escaped = (count(model, messages=talk) for model in ("gpt-4o", "gpt-4o-mini"))
    texts = ['["caffè", "caffè"]', '["caff\\u00e8", "caff\\u00e8"]']
    as_they_are, escapes = (ib_tiktoken.count_text(text, "gpt-4o").tokens for text in texts)
    assert escaped.tokens - plain.tokens == escapes - as_they_are > 0
    assert plain.exact
    assert not escaped.exact
    assert "escaped" in escaped.reason


def test_names_and_joined_parts_cost_the_same_in_both_families() -> None:
    """Their one rule is the same everywhere, so their evidence is looked at together."""
    named = {**HI, "name": "ada"}
    parts = {"role": "user", "content": [{"type": "text", "text": text} for text in ("Hello ", "there")]}
    for model in ("gpt-4o", "gpt-5"):
        assert count(model, messages=[named]).exact
        assert count(model, messages=[parts]).exact


def test_call_arguments_with_spaces_are_bounded_as_given() -> None:
    """Responses may bill a call's arguments as given or without spaces: the bound covers both."""
    spaced = '{ "numbers": [ ' + ", ".join(["1.5"] * 200) + " ] }"
    call = {"type": "function_call", "call_id": "1", "name": "add", "arguments": spaced}
    found = ib_tiktoken.count_request({"input": [HI, call]}, "gpt-4o")
    compact = {**call, "arguments": spaced.replace(" ", "")}
    least = ib_tiktoken.count_request({"input": [HI, compact]}, "gpt-4o").tokens
    given, written = (ib_tiktoken.count_text(c["arguments"], "gpt-4o").tokens for c in (call, compact))
    assert given > written * 1.1
    assert found.tokens == least
    assert found.upper is not None
    assert found.upper >= least + given - written


def test_open_questions_are_never_claimed() -> None:
    """Every open construct stands in the table, in its column, and is not supported."""
    for line in rules()["evidence"]["open"]:
        name = next((name for name in evidence.table()["construct"] if line.endswith(f" {name}")), None)
        if name is not None:
            where = line.removesuffix(f" {name}")
            api, _, family = where.partition(" ")
            model = profile("gpt-5" if family == "reasoning" else "gpt-4o")
            assert evidence.is_open(name, where)
            assert name not in evidence.supported("responses" if api == "responses" else "chat", model)


def test_the_default_of_an_object_that_may_be_null_stands_behind_it() -> None:
    """It goes in front of an object, but behind one that may be null: the type is then a union."""
    inner = {"type": "object", "properties": {"x": TEXT}, "required": ["x"], "default": None}
    plain = typescript.Namespace([{"name": "f", "parameters": {"properties": {"a": inner}}}]).text
    union = typescript.Namespace(
        [{"name": "f", "parameters": {"properties": {"a": {**inner, "nullable": True}}}}]
    ).text
    assert "// default: null\na?: { x: string },\n" in plain
    assert "a?: { x: string } | null, // default: null\n" in union
