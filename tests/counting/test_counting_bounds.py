"""The bound of a count that is not exact has room for everything in the request that is too little known."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting.profile import rules
from ib_kernel.values import Count

ASK = {"role": "user", "content": "Name three primary colours."}
BRIEF = {"role": "system", "content": "Be brief."}
RED = {"role": "assistant", "content": "Red."}
TEXT = {"type": "string"}

ROOM = {
    "refusal": 4,
    "name of a message": 2,
    "name equal to the role": 2,
    "text beside tool calls": 8,
    "one tool call": 4,
    "legacy function call": 4,
    "custom tool call": 16,
    "several tool calls in one message": 8,
    "arguments that are no JSON object": 16,
    "arguments that are not compact": 4,
    "tools with a system message": 4,
    "tools without a system message": 6,
    "tools with a later system message": 6,
    "first of the tools without a description": 1,
    "forced choice": 8,
    "odd choice": 16,
    "other choice": 2,
    "one call at a time, chat": 17,
    "one call at a time, Responses": 8,
    "kind of response format": 8,
    "schema beside a system message, or without": 4,
    "schema with tools": 8,
    "answer under a schema": 4,
    "call item": 6,
    "earlier reasoning": 8,
    "text of several in one message": 1,
    "content that is no text": 8,
    "tools of the first generation": 8,
    "call of the first generation": 4,
    "message that an older snapshot may read": 1,
}
"""The alternatives that were seen of each, in tokens."""

PART = 4
"""The room of each construct in the text of the tools."""


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No construct has any evidence."""
    monkeypatch.setattr("ib_kernel.counting.accumulator.supported", lambda api, profile: frozenset())


def counted(body: dict[str, Any], model: str = "gpt-4.1-mini") -> Count:
    """Return the count of a body, with a question where it has none."""
    asked = body if {"messages", "input"} & body.keys() else {"messages": [ASK], **body}
    return ib_tiktoken.count_request(asked, model)


def room(found: Count) -> int:
    """Return what the bound has beyond the margin that every count has which is not exact."""
    margin = rules()["margin"]
    assert found.upper is not None
    assert not found.exact
    return found.upper - found.tokens - math.ceil(found.tokens * margin["share"]) - margin["fixed"]


def tool(name: str = "pick", *, about: str = "Pick.", **properties: Any) -> dict[str, Any]:
    """Return a function tool all of whose properties are required."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "parameters": parameters, **({"description": about} if about else {})}
    return {"type": "function", "function": function}


def call(arguments: str = "{}") -> dict[str, Any]:
    """Return a call of it."""
    return {"id": "1", "type": "function", "function": {"name": "pick", "arguments": arguments}}


def calling(*calls: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """Return a question and an answer that calls tools."""
    return [ASK, {"role": "assistant", "content": None, "tool_calls": list(calls), **fields}]


def form(api: str) -> dict[str, Any]:
    """Return the fields that ask for an answer by a schema, whose keywords are known."""
    schema = {"name": "n", "schema": {"type": "object"}}
    if api == "chat":
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"text": {"format": {"type": "json_schema", **schema}}}


def item(arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    """Return a call as an item of the Responses API."""
    return {"type": "function_call", "call_id": "1", "name": "pick", "arguments": arguments, **fields}


PICK = tool(a=TEXT)  # with a description, on one line, a string: three constructs
FLAT = {"type": "function", **PICK["function"]}
CUSTOM = {"id": "1", "type": "custom", "custom": {"name": "pick", "input": "{}"}}
THOUGHT = {"type": "reasoning", "summary": []}


@pytest.mark.parametrize(
    ("body", "seen", "parts"),
    [
        ({"messages": [ASK]}, [], 0),
        ({"messages": [BRIEF, ASK, RED]}, [], 0),
        ({"messages": [ASK, {"role": "assistant", "refusal": "No."}]}, ["refusal"], 0),
        ({"messages": [{**ASK, "name": "ada"}]}, ["name of a message"], 0),
        ({"messages": [{**ASK, "name": "user"}]}, ["name equal to the role"], 0),
        ({"messages": [{**ASK, "content": 3}]}, ["content that is no text"], 0),
        ({"messages": [{**ASK, "content": ["a"]}]}, ["content that is no text"], 0),
        (
            {"messages": [{**ASK, "content": [{"type": "text", "text": word} for word in "abc"]}]},
            ["text of several in one message"] * 3,
            0,
        ),
        ({"messages": calling(call())}, ["one tool call"], 0),
        ({"messages": calling(call(), content="So.")}, ["one tool call", "text beside tool calls"], 0),
        ({"messages": calling(call("x"))}, ["one tool call", "arguments that are no JSON object"], 0),
        ({"messages": calling(call('{"a": 1}'))}, ["one tool call", "arguments that are not compact"], 0),
        ({"messages": calling(CUSTOM)}, ["one tool call", "custom tool call"], 0),
        ({"messages": calling(call(), call())}, ["several tool calls in one message"], 0),
        (
            {"messages": calling(call(), call("x"))},
            ["several tool calls in one message", "arguments that are no JSON object"],
            0,
        ),
        (
            {"messages": calling(call(), CUSTOM)},
            ["several tool calls in one message", "custom tool call"],
            0,
        ),
        (
            {"messages": calling(call(), call(), content="So.")},
            ["several tool calls in one message", "text beside tool calls"],
            0,
        ),
        (
            {"messages": [ASK, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]},
            ["legacy function call"],
            0,
        ),
        ({"tools": [PICK]}, ["tools without a system message"], 3),
        ({"functions": [PICK["function"]]}, ["tools without a system message"], 3),
        ({"tools": [PICK], "messages": [BRIEF, ASK]}, ["tools with a system message"], 3),
        ({"tools": [PICK], "messages": [ASK, BRIEF]}, ["tools with a later system message"], 3),
        (
            {"tools": [tool(about="", a=TEXT)]},
            ["tools without a system message", "first of the tools without a description"],
            3,
        ),
        (
            {"tools": [PICK], "tool_choice": {"type": "function", "function": {"name": "pick"}}},
            ["tools without a system message", "forced choice"],
            3,
        ),
        ({"tools": [PICK], "tool_choice": "none"}, ["tools without a system message", "other choice"], 3),
        ({"tools": [PICK], "tool_choice": "required"}, ["tools without a system message", "other choice"], 3),
        ({"tools": [PICK], "tool_choice": "auto"}, ["tools without a system message"], 3),
        (
            {"tools": [PICK], "tool_choice": {"type": "allowed_tools"}},
            ["tools without a system message", "odd choice"],
            3,
        ),
        (
            {"tools": [PICK], "parallel_tool_calls": False},
            ["tools without a system message", "one call at a time, chat"],
            3,
        ),
        ({"response_format": {"type": "json_object"}}, ["kind of response format"], 0),
        (form("chat"), ["schema beside a system message, or without"], 0),
        (
            {**form("chat"), "messages": [BRIEF, ASK]},
            ["schema beside a system message, or without"],
            0,
        ),
        (
            {**form("chat"), "messages": [BRIEF, ASK, RED, ASK, RED, ASK]},
            ["schema beside a system message, or without", "answer under a schema", "answer under a schema"],
            0,
        ),
        ({**form("chat"), "tools": [PICK]}, ["tools without a system message", "schema with tools"], 3),
        ({"input": [ASK], "text": {"format": {"type": "x"}}}, ["kind of response format"], 0),
        ({"input": [ASK, RED, RED], **form("own")}, ["answer under a schema", "answer under a schema"], 0),
        ({"input": [ASK], "tools": [FLAT], **form("own")}, ["schema with tools"], 3),
        (
            {"input": [ASK], "tools": [FLAT], "parallel_tool_calls": False},
            ["one call at a time, Responses"],
            3,
        ),
        ({"input": [ASK, item()]}, ["call item"], 0),
        ({"input": [ASK, item(id="fc_1")]}, ["call item"], 0),
        ({"input": [ASK, item(), item()]}, ["call item", "call item"], 0),
        ({"input": [ASK, item("x")]}, ["call item", "arguments that are no JSON object"], 0),
        ({"input": [THOUGHT, ASK]}, ["earlier reasoning"], 0),
    ],
)
def test_a_construct_has_the_room_of_its_alternatives(
    body: dict[str, Any], seen: list[str], parts: int
) -> None:
    """Each time it is used: what it was seen to cost in other ways, and nothing beside it."""
    assert room(counted(body)) == sum(ROOM[what] for what in seen) + PART * parts


@pytest.mark.parametrize(
    ("body", "model", "seen", "parts"),
    [
        ({"messages": [BRIEF, ASK]}, "gpt-3.5-turbo", ["message that an older snapshot may read"] * 2, 0),
        ({"messages": [BRIEF, ASK]}, "gpt-3.5-turbo-0125", [], 0),
        ({"messages": [BRIEF, ASK], "seed": 1}, "gpt-3.5-turbo", [], 0),
        (
            {"tools": [PICK]},
            "gpt-4-0613",
            ["tools without a system message", "tools of the first generation"],
            1,
        ),
        (
            {"messages": calling(call())},
            "gpt-4-0613",
            ["one tool call", "call of the first generation"],
            0,
        ),
    ],
)
def test_what_a_model_may_do_in_another_way_has_room(
    body: dict[str, Any], model: str, seen: list[str], parts: int
) -> None:
    """For each message, call and list of tools."""
    assert room(counted(body, model)) == sum(ROOM[what] for what in seen) + PART * parts


def tokens(text: str) -> int:
    """Return the tokens of *text*."""
    return ib_tiktoken.count_text(text, "gpt-4.1-mini").tokens


LONG = {"words": ["some", "more", {"of": "them"}], "é": None}


@pytest.mark.parametrize(
    ("body", "content", "rest"),
    [
        ({"weather": LONG}, LONG, 0),
        ({"weather": "sunny and warm"}, None, 0),
        ({"messages": [{**ASK, "mood": LONG}]}, LONG, 0),
        ({"tools": [tool(a={**TEXT, "x-a": LONG})]}, {"x-a": LONG}, 6 + PART * 4),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"x-a": LONG["words"]}},
                }
            },
            {"x-a": LONG["words"]},
            None,
        ),
    ],
)
def test_what_no_rule_knows_has_the_room_of_its_json(
    body: dict[str, Any], content: Any, rest: int | None
) -> None:
    """And two tokens to set it apart; a text has that of its words."""
    said = "sunny and warm" if content is None else json.dumps(content, ensure_ascii="tools" not in body)
    if rest is None:  # a schema's keyword is one at every depth
        rest = ROOM["schema beside a system message, or without"] + tokens(json.dumps({"of": "them"})) + 2
    assert room(counted(body)) == tokens(said) + 2 + rest


def test_a_field_that_says_nothing_has_no_room() -> None:
    """None is as good as no field."""
    empty = {"messages": [{**ASK, "mood": None}], "weather": None}
    assert set(counted(empty).constructs) == {"user message", "model gpt-4.1-mini"}
    assert room(counted(empty)) == 0


def test_arguments_that_were_seen_as_they_are_given_have_the_room_of_that() -> None:
    """In the Responses API, where half of the recorded ones were."""
    given = json.dumps({"colour": "red", "shade": None}, indent=4)
    compact = json.dumps(json.loads(given), separators=(",", ":"))
    more = ROOM["call item"] + ROOM["arguments that are not compact"]
    assert room(counted({"input": [ASK, item(given)]})) == tokens(given) - tokens(compact) + more


@pytest.mark.parametrize(("model", "escaped"), [("gpt-4.1-mini", False), ("gpt-4o-mini", True)])
def test_results_of_several_calls_have_the_room_of_the_other_way_to_write_them(
    model: str, escaped: bool
) -> None:
    """Some models read other characters than ASCII escaped, some as they are; that may change."""
    results = [{"role": "tool", "tool_call_id": "1", "content": text} for text in ("größer", "{}")]
    found = counted({"messages": [*calling(call(), call()), *results]}, model)
    ways = [tokens(json.dumps(["größer", {}], ensure_ascii=way)) for way in (False, True)]
    more = 0 if escaped else ways[True] - ways[False]
    assert ways[True] > ways[False]
    assert room(found) == ROOM["several tool calls in one message"] + more
    how = "escaped" if escaped else "as they are"
    assert f"other characters than ASCII in results of several tool calls, {how}" in found.constructs
