"""Prompt counts of the made-up examples that the counting rules were written down with."""

from __future__ import annotations

import json
from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting import profile, schema, typescript

USER = {"role": "user", "content": "Name three primary colours."}
SYSTEM = {"role": "system", "content": "You are terse."}
TALK = [
    SYSTEM,
    USER,
    {"role": "assistant", "content": "Red, yellow, blue."},
    {"role": "user", "content": "And secondary ones?"},
]
PARTS = {
    "role": "user",
    "content": [{"type": "text", "text": "Name three "}, {"type": "text", "text": "primary colours."}],
}
OSLO = {"role": "user", "content": "Weather in Oslo?"}
RESULT = {"role": "tool", "tool_call_id": "1", "content": '{"temp":3}'}
WEATHER = {
    "name": "get_weather",
    "description": "Look up the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
TOOL = {"type": "function", "function": WEATHER}
SILENT = {"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "description"}}
FLAT = {"type": "function", **WEATHER}
PALETTE = {
    "type": "object",
    "properties": {"colours": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["colours"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "palette", "strict": True, "schema": PALETTE}}
TEXT_FORMAT = {"format": {"type": "json_schema", "name": "palette", "schema": PALETTE}}
CALL_ITEM = {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
OUTPUT_ITEM = {"type": "function_call_output", "call_id": "1", "output": '{"temp":3}'}
ITEMS = [OSLO, CALL_ITEM, OUTPUT_ITEM]
DICE = {"type": "function_call", "call_id": "1", "name": "dice", "arguments": "{}"}
FOUR = {"type": "function_call_output", "call_id": "1", "output": "4"}
WITH_ID = [OSLO, {**CALL_ITEM, "id": "fc_1"}, OUTPUT_ITEM]
MORE = [{"role": "assistant", "content": "3 degrees."}, {"role": "user", "content": "Thanks."}]


def calls(*cities: str, content: str | None = None) -> dict[str, Any]:
    """Return an assistant message that asks for the weather of *cities*."""
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [
            {
                "id": str(number),
                "type": "function",
                "function": {"name": "get_weather", "arguments": json.dumps({"city": city})},
            }
            for number, city in enumerate(cities)
        ],
    }


BOTH = [
    {"role": "user", "content": "Weather in Oslo and Rome?"},
    calls("Oslo", "Rome"),
    RESULT,
    {"role": "tool", "tool_call_id": "2", "content": '{"temp":19}'},
]


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a Chat Completions body."""
    return {"messages": list(messages), **fields}


def responses(items: Any, **fields: Any) -> dict[str, Any]:
    """Return a Responses body."""
    return {"input": items, **fields}


def pick(properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a body that offers one tool with *properties*, all required."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    tool = {"name": "pick", "description": "Pick colours.", "parameters": parameters}
    return chat(USER, **{"tools": [{"type": "function", "function": tool}], **fields})


TEXT = {"type": "string"}
CITY = pick({"city": TEXT})
STEP = {
    "type": "object",
    "description": "One step.",
    "properties": {"n": {"type": "integer"}, "what": TEXT},
    "required": ["n", "what"],
}
DAY = {"anyOf": [{"type": "string", "description": "A day of the week."}, {"type": "null"}]}

EXAMPLES = [
    ("one call at a time, chat", {**CITY, "parallel_tool_calls": False}, {"gpt-4o": 44}),
    ("no call", {**CITY, "tool_choice": "none"}, {"gpt-4o": 45}),
    ("tools, later system", {**CITY, "messages": [USER, SYSTEM]}, {"gpt-4o": 52}),
    ("oldest snapshot", chat(SYSTEM, USER), {"gpt-3.5-turbo-0301": 22}),
    ("name, reasoning", chat({**USER, "name": "alice"}), {"gpt-5.4-mini": 13}),
    (
        "described items",
        pick({"colours": {"type": "array", "items": {**TEXT, "description": "One colour."}}}),
        {"gpt-4o": 53},
    ),
    (
        "a row of several lines",
        pick({"items": {"type": "array", "items": STEP}, "answer": TEXT}),
        {"gpt-4o": 63},
    ),
    ("nullable", pick({"age": {"type": "integer", "nullable": True}}), {"gpt-4o": 46}),
    (
        "items of two types",
        pick({"values": {"type": "array", "items": {"anyOf": [TEXT, {"type": "integer"}]}}}),
        {"gpt-4o": 48},
    ),
    ("described alternative", pick({"when": DAY}), {"gpt-4o": 56}),
    ("plain", chat(USER), {"gpt-4o": 12, "gpt-3.5-turbo": 12, "gpt-5": 11, "o3-mini": 11, "o1-mini": 12}),
    ("system", chat(SYSTEM, USER), {"gpt-4o": 20, "gpt-5": 19}),
    ("developer", chat({**SYSTEM, "role": "developer"}, USER), {"gpt-4o": 20}),
    ("talk", chat(*TALK), {"gpt-4o": 38, "gpt-5": 39}),
    ("name", chat({**USER, "name": "alice"}), {"gpt-4o": 14}),
    ("name equal to role", chat({**USER, "name": "user"}), {"gpt-4o": 13}),
    ("parts", chat(PARTS), {"gpt-4o": 12}),
    ("one call", chat(OSLO, calls("Oslo"), RESULT), {"gpt-4o": 39, "gpt-5": 44}),
    ("call with text", chat(OSLO, calls("Oslo", content="Checking."), RESULT), {"gpt-4o": 45}),
    ("tool", chat(USER, tools=[TOOL]), {"gpt-4o": 51, "gpt-3.5-turbo": 52, "gpt-5": 132, "o4-mini": 50}),
    ("tool o3", chat(USER, tools=[TOOL]), {"o3-mini": 51}),
    (
        "tool, system",
        chat(SYSTEM, USER, tools=[TOOL]),
        {"gpt-4o": 55, "gpt-5": 139, "o4-mini": 57, "o3-mini": 58},
    ),
    ("tool, system, old", chat(SYSTEM, USER, tools=[TOOL]), {"gpt-3.5-turbo": 56}),
    ("silent tool", chat(USER, tools=[SILENT]), {"gpt-4o": 46, "gpt-5": 126}),
    ("legacy function", chat(USER, functions=[WEATHER]), {"gpt-4o": 51}),
    (
        "forced",
        chat(USER, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "get_weather"}}),
        {"gpt-4o": 60, "gpt-5": 132},
    ),
    ("required", chat(USER, tools=[TOOL], tool_choice="required"), {"gpt-4o": 51}),
    ("schema", chat(USER, response_format=FORMAT), {"gpt-4o": 47, "gpt-5": 43}),
    ("schema, system", chat(SYSTEM, USER, response_format=FORMAT), {"gpt-4o": 51, "gpt-5": 50}),
    ("schema, tool", chat(USER, tools=[TOOL], response_format=FORMAT), {"gpt-4o": 80, "gpt-5": 164}),
    ("text", responses("Name three primary colours."), {"gpt-4o": 12, "gpt-5": 11}),
    (
        "instructions",
        responses("Name three primary colours.", instructions="You are terse."),
        {"gpt-4o": 20, "gpt-5": 19},
    ),
    ("flat tool", responses([USER], tools=[FLAT]), {"gpt-4o": 45, "gpt-5": 50, "o4-mini": 50}),
    ("one required", responses([USER], tools=[FLAT], tool_choice="required"), {"gpt-4o": 54}),
    (
        "one at a time",
        responses([USER], tools=[FLAT], parallel_tool_calls=False),
        {"gpt-4o": 61, "gpt-5": 128},
    ),
    ("text format", responses([USER], text=TEXT_FORMAT), {"gpt-4o": 41, "gpt-5": 39}),
    ("call item", responses(ITEMS), {"gpt-4o": 37, "gpt-5.4": 45}),
    ("call item, id", responses(WITH_ID), {"gpt-4o": 40}),
    # "functions.dice" has three tokens, two more than "dice": both the call and its result bear it
    ("call item, longer in full", responses([USER, DICE, FOUR]), {"gpt-4o": 29, "gpt-5.4": 37}),
    ("call items in a row", responses([USER, DICE, DICE, FOUR, FOUR]), {"gpt-4o": 46}),
    ("later call item", responses([*ITEMS, *MORE]), {"gpt-5": 57, "gpt-5.4": 60}),
    ("later call item, id", responses([*WITH_ID, *MORE]), {"gpt-4o": 53}),
]


@pytest.mark.parametrize(
    ("body", "model", "expected"),
    [pytest.param(body, m, n, id=f"{what}-{m}") for what, body, by in EXAMPLES for m, n in by.items()],
)
def test_examples_cost_what_was_worked_out(body: dict[str, Any], model: str, expected: int) -> None:
    """A made-up request costs what the rules say by hand, and its bound is not below."""
    count = ib_tiktoken.count_request(body, model)
    assert count.tokens == expected
    assert count.upper is not None
    assert count.upper >= count.tokens
    assert count.exact == (count.reason == "")


def test_parallel_results_that_are_json_are_listed_as_json() -> None:
    """Results of parallel calls that are JSON go in as values; plain text goes in as JSON strings."""
    base = ib_tiktoken.count_request(chat(*BOTH), "gpt-4o")
    texts = [{**m, "content": f"It is {m['content']}"} if m["role"] == "tool" else m for m in BOTH]
    wrapped = '{"tool_uses":[{"recipient_name":"functions.get_weather","parameters":{"city":"Oslo"}},'
    wrapped += '{"recipient_name":"functions.get_weather","parameters":{"city":"Rome"}}]}'

    def text(value: str) -> int:
        return len(ib_tiktoken.encode(value, "gpt-4o"))

    frame = 4 + 6 + text(wrapped) + 20 + 3
    assert base.tokens == frame + text('[{"temp": 3}, {"temp": 19}]')
    listed = json.dumps(['It is {"temp":3}', 'It is {"temp":19}'])
    assert ib_tiktoken.count_request(chat(*texts), "gpt-4o").tokens == frame + text(listed)


def test_parallel_groups_take_only_the_results_behind_them() -> None:
    """A tool message beyond the number of calls is a message of its own."""
    extra = {"role": "tool", "tool_call_id": "9", "content": "late"}
    more = ib_tiktoken.count_request(chat(*BOTH, extra), "gpt-4o").tokens
    assert more == ib_tiktoken.count_request(chat(*BOTH), "gpt-4o").tokens + 4 + 1


def test_small_tool_is_written_as_worked_out() -> None:
    """One tool with a required and an optional property becomes one inline TypeScript type."""
    assert typescript.HEAD + typescript.Namespace([WEATHER]).text == (
        "# Tools\n\n## functions\n\nnamespace functions {\n\n// Look up the weather.\n"
        "type get_weather = (_: { city: string, days?: number }) => any;\n\n} // namespace functions"
    )


PLAN = {
    "name": "plan",
    "description": "Make a plan.\n\n  Indented second line.  ",
    "parameters": {
        "title": "PlanArgs",
        "type": "object",
        "$defs": {
            "Step": {
                "type": "object",
                "title": "Step",
                "description": "One step.",
                "properties": {
                    "do": {"type": "string", "description": "Action."},
                    "n": {"type": ["integer", "null"], "description": "Count."},
                },
                "required": ["do", "n"],
            }
        },
        "properties": {
            "goal": {"type": "string", "title": "Goal", "description": "What to reach."},
            "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe"},
            "level": {"type": "integer", "minimum": 1, "maximum": 5},
            "tags": {"type": "array", "items": {"type": "string"}},
            "kinds": {"type": "array", "items": {"enum": ["a", "b"]}},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "pairs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                    "required": ["x", "y"],
                },
            },
            "where": {
                "type": "object",
                "properties": {
                    "lat": {"type": "number"},
                    "lon": {"type": "number", "description": "East positive."},
                },
                "required": ["lat"],
            },
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "free": {"type": "object"},
            "any": {},
            "k": {"const": "v1"},
            "nul": {"type": ["string", "null"]},
            "f": {"type": "boolean"},
            "note2": {"type": "string", "default": "x", "maxLength": 9, "format": "date"},
        },
        "required": ["goal", "steps"],
    },
}
PLAN_TEXT = """# Tools

## functions

namespace functions {

// Make a plan.
//
// Indented second line.
type plan = (_: // PlanArgs
{
// Goal
//
// What to reach.
goal: string,
mode?: "fast" | "safe", // default: safe
level?: number, // minimum: 1.0, maximum: 5.0
tags?: string[],
kinds?: "a" | "b"[],
steps: Array<
// Step
//
// One step.
{
// Action.
do: string,
// Count.
n:
// Count.
 | number
// Count.
 | null
,
}
>,
pairs?: { x: number, y: number }[],
where?: {
lat: number,
// East positive.
lon?: number,
},
note?: string | null, // default: null
free?: object,
any?: any,
k?: "v1",
nul?: string | null,
f?: boolean,
note2?: string, // default: "x", maxLength: 9, format: date
}) => any;

// Check liveness.
type ping = () => any;

} // namespace functions"""


def test_every_construct_of_a_tool_is_written_as_worked_out() -> None:
    """Comments, trailers, enums, references, arrays, unions and nesting come out character by character."""
    ping = {
        "name": "ping",
        "description": "Check liveness.",
        "parameters": {"type": "object", "properties": {}},
    }
    assert typescript.HEAD + typescript.Namespace([PLAN, ping]).text == PLAN_TEXT


def test_titled_tool_without_properties_keeps_an_empty_object() -> None:
    """A root title or description with no properties is written before empty braces."""
    tool = {"name": "ping", "parameters": {"type": "object", "description": "Nothing."}}
    assert "type ping = (_: // Nothing.\n{}) => any;" in typescript.Namespace([tool]).text


def test_schema_is_cleaned_but_its_property_names_are_not() -> None:
    """Validation keywords vanish at every level; a property of such a name stays; non-ASCII is escaped."""
    given = {
        "type": "object",
        "properties": {"format": {"type": "string", "format": "date", "description": "Größe"}},
        "required": ["format"],
    }
    assert schema.response_format("n", "About.", given) == (
        "# Response Formats\n\n## n\n\n// About.\n"
        '{"type":"object","properties":{"format":{"type":"string","description":"Gr\\u00f6\\u00dfe"}}}'
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"type": "array", "items": {**TEXT, "minLength": 3}}, {"type": "array", "items": TEXT}),
        ({"anyOf": [{**TEXT, "pattern": "a"}, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"$defs": {"strict": {**TEXT, "strict": True}}}, {"$defs": {"strict": TEXT}}),
        (
            {"properties": {"properties": {"type": "object", "properties": {"default": {"default": 1}}}}},
            {"properties": {"properties": {"type": "object", "properties": {"default": {}}}}},
        ),
        ({"items": ({"format": "date"}, {"title": "format"})}, {"items": [{}, {"title": "format"}]}),
    ],
)
def test_keywords_that_are_not_shown_are_dropped_at_every_depth(given: Any, shown: Any) -> None:
    """Wherever a schema stands, but not where a name does."""
    assert schema.clean(given) == shown


def test_unmeasured_schema_keyword_is_not_called_exact() -> None:
    """A keyword that no recorded request used costs the claim of exactness, and is named."""
    odd = {"type": "object", "properties": {"t": {"type": "array", "prefixItems": [{"type": "string"}]}}}
    body = chat(USER, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": odd}})
    count = ib_tiktoken.count_request(body, "gpt-4o")
    assert not count.exact
    assert "prefixItems" in count.reason


def test_assistant_texts_cost_more_under_a_schema() -> None:
    """With a JSON schema each assistant text message costs four more on chat models."""
    plain = ib_tiktoken.count_request(chat(*TALK[1:]), "gpt-4o").tokens
    one = ib_tiktoken.count_request(chat(USER, response_format=FORMAT), "gpt-4o").tokens
    bare = ib_tiktoken.count_request(chat(USER), "gpt-4o").tokens
    both = ib_tiktoken.count_request(chat(*TALK[1:], response_format=FORMAT), "gpt-4o").tokens
    assert both == plain + (one - bare) + 4


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5"])
def test_tools_join_the_system_message_only_when_it_comes_first(model: str) -> None:
    """A system message further down leaves the tools in a message of their own."""
    tools = len(ib_tiktoken.encode(typescript.HEAD + typescript.Namespace([WEATHER]).text, model))
    late = ib_tiktoken.count_request(chat(USER, SYSTEM, tools=[TOOL]), model).tokens
    plain = ib_tiktoken.count_request(chat(USER, SYSTEM), model).tokens
    assert late == plain + 4 + tools - 1 + profile(model).chat_tools


def written(properties: dict[str, Any]) -> str:
    """Return the type that a tool with optional *properties* is written as."""
    tool = {"name": "f", "parameters": {"type": "object", "properties": properties}}
    text = typescript.Namespace([tool]).text
    return text.partition("type f = (_: ")[2].partition(") => any;")[0]


def test_alternatives_with_words_or_limits_get_a_line_each() -> None:
    """An alternative with a description or a format of its own puts every alternative on a line."""
    assert written({"when": DAY}) == "{\nwhen?:\n// A day of the week.\n | string\n | null\n,\n}"
    dated = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
    assert written({"day": dated}) == "{\nday?:\n | string, // format: date\n | null\n,\n}"
    assert written({"day": {"anyOf": [TEXT, {"type": "null"}]}}) == "{ day?: string | null }"


def test_defaults_of_long_types_stand_in_front() -> None:
    """Behind an object or a type of several lines there is no room for its default: it goes in front."""
    many = {"type": "array", "items": {**TEXT, "description": "One."}, "default": []}
    assert written({"a": many}) == "{\n// default: []\na?: Array<\n// One.\nstring\n>,\n}"
    inner = {"type": "object", "properties": {"x": TEXT}, "default": None}
    assert written({"o": inner}) == "{\n// default: null\no?: { x?: string },\n}"
    assert written({"n": {"type": "integer", "default": 3}}) == "{\nn?: number, // default: 3\n}"
