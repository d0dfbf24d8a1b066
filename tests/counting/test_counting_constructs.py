"""Every construct of a request is noted under its name, and widens the bound where its cost is not known."""

from __future__ import annotations

from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting.profile import profile

ASK = {"role": "user", "content": "Name three primary colours."}
STRINGS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PICK = {
    "type": "function",
    "function": {"name": "pick", "description": "Pick colours.", "parameters": STRINGS},
}
PLAIN = {"user message", "model gpt-4.1-mini"}
ONE_LINE = {"tools", "tool with a description", "tool object on one line", "tool type string"}


def tool(properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a function tool without a description."""
    parameters = {"type": "object", "properties": properties, **fields}
    return {"type": "function", "function": {"name": "pick", "parameters": parameters}}


def said(role: str, content: Any = None, **fields: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": content, **fields}


def call(number: str, arguments: str = "{}") -> dict[str, Any]:
    """Return a call of the tool."""
    return {"id": number, "type": "function", "function": {"name": "pick", "arguments": arguments}}


MESSAGES: list[tuple[list[dict[str, Any]], set[str], int, int | None]] = [
    ([ASK, said("assistant", refusal="I cannot.")], {"assistant message", "refusal"}, 19, 4),
    (
        [ASK, said("assistant", [{"type": "refusal", "refusal": "I cannot."}])],
        {"assistant message", "refusal"},
        19,
        4,
    ),
    (
        [said("user", [{"type": "text", "text": "Name"}, {"type": "text", "text": " three."}])],
        {"several text parts in one message"},
        10,
        None,
    ),
    ([said("user", {"a": 1})], set(), 12, 8),
    ([said("user", ["Name"])], set(), 8, 8),
    (
        [ASK, said("system", "Be brief.")],
        {"system message", "system message that is not the first message"},
        19,
        None,
    ),
    (
        [said("user", "Hello", name="user")],
        {"name equal to the role"},
        9,
        2,
    ),
    (
        [
            ASK,
            said("assistant", "So.", tool_calls=[call("1", '{ "a": 1 }')]),
            said("tool", "red", tool_call_id="1"),
        ],
        {
            *("assistant message", "tool message", "one tool call", "text beside tool calls"),
            "tool call whose arguments are not compact JSON",
        },
        39,
        8,
    ),
    (
        [ASK, said("assistant", tool_calls=[{"id": "1", "custom": {"name": "pick", "input": "red"}}])],
        {
            *("assistant message", "one tool call", "custom tool call"),
            "tool call whose arguments are no JSON object",
        },
        24,
        16,
    ),
    (
        [
            ASK,
            said("assistant", tool_calls=[call("1"), call("2", "no")]),
            said("tool", "é", tool_call_id="1"),
        ],
        {
            *("assistant message", "several tool calls in one message"),
            "other characters than ASCII in results of several tool calls, as they are",
            "tool call whose arguments are no JSON object",
        },
        0,
        None,
    ),
    (
        [
            ASK,
            said("assistant", function_call={"name": "pick", "arguments": "{}"}),
            said("function", "red", name="pick"),
        ],
        {"assistant message", "function message", "legacy function call"},
        29,
        4,
    ),
]


@pytest.mark.parametrize(("messages", "constructs", "tokens", "slack"), MESSAGES)
def test_messages_name_their_constructs(
    messages: list[dict[str, Any]], constructs: set[str], tokens: int, slack: int | None
) -> None:
    """What a message is made of is noted, counted, and leaves room where it was seldom recorded."""
    found = ib_tiktoken.count_request({"messages": messages}, "gpt-4.1-mini")
    assert set(found.constructs) == PLAIN | constructs
    assert found.tokens == tokens or not tokens
    if slack is not None:
        assert not found.exact
        assert (found.upper or 0) >= found.tokens + slack


def test_a_role_that_is_no_text_is_a_role_that_nobody_knows() -> None:
    """It is named, and its message counted as any other."""
    odd, other = (ib_tiktoken.count_request({"messages": [said(r, "Hi")]}, "gpt-4o") for r in (["user"], "x"))
    assert "message of the role \"['user']\"" in odd.constructs
    assert (odd.tokens, odd.upper) == (other.tokens, other.upper)


def test_a_refusal_beside_a_text_costs_nothing() -> None:
    """Only where there is no text does it stand for one."""
    plain, both = (
        ib_tiktoken.count_request({"messages": [ASK, said("assistant", "So.", **more)]}, "gpt-4o")
        for more in ({}, {"refusal": "I cannot do that."})
    )
    assert plain == both


def test_a_cache_breakpoint_cuts_a_text_before_it_is_encoded() -> None:
    """Parts without one are one text."""
    whole, cut = (
        [said("user", [{"type": "text", "text": "Understand", **more}, {"type": "text", "text": "ing"}])]
        for more in ({}, {"prompt_cache_breakpoint": {"mode": "explicit"}})
    )
    one, two = (ib_tiktoken.count_request({"messages": m}, "gpt-5.6-luna").tokens for m in (whole, cut))
    assert two == one + 1


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "file", "file": {}}, "a file "),
        ({"type": "input_audio"}, "audio "),
        ({"type": "video"}, "a content part of type 'video'"),
    ],
)
def test_what_cannot_be_counted_has_no_bound(part: dict[str, Any], reason: str) -> None:
    """Its cost is not known from its size."""
    found = ib_tiktoken.count_request({"messages": [said("user", [part])]}, "gpt-4.1-mini")
    assert (found.exact, found.upper) == (False, None)
    assert found.reason.startswith(reason)


BODIES: list[tuple[dict[str, Any], set[str], int]] = [
    ({"tools": [PICK]}, ONE_LINE | {"tools without a system message"}, 44),
    (
        {"tools": [PICK], "tool_choice": {"type": "function", "function": {"name": "pick"}}},
        ONE_LINE | {"tools without a system message", "forced choice of a tool"},
        52,
    ),
    (
        {"tools": [PICK], "tool_choice": "required"},
        ONE_LINE | {"tools without a system message", "tool_choice required of one tool"},
        44,
    ),
    (
        {"tools": [PICK, tool({})], "tool_choice": "required"},
        ONE_LINE
        | {"tools without a system message", "tool_choice required"}
        | {"tool without a description", "tool without parameters"},
        51,
    ),
    (
        {"functions": [PICK["function"]]},
        ONE_LINE | {"tools without a system message", "legacy functions"},
        44,
    ),
    ({"response_format": {"type": "json_object"}}, {"response format 'json_object'"}, 12),
    ({"response_format": {"type": "text"}}, set(), 12),
    ({"weather": "sunny"}, {"field 'weather'"}, 12),
    (
        {
            "tools": [
                tool({"a": {"$ref": "#/$defs/b~1c"}}, **{"$defs": {"b/c": {"type": "integer", "minimum": 1}}})
            ]
        },
        {
            *("tools", "tools without a system message", "first of the tools without a description"),
            *("tool without a description", "tool $ref", "tool minimum", "tool type integer"),
            *("tool object of several lines", "tool optional property"),
        },
        50,
    ),
    (
        {
            "tools": [
                tool(
                    {"a": {"type": "string", "examples": ["x"], "description": "One."}},
                    additionalProperties=False,
                    title="T",
                )
            ]
        },
        {
            *("tools", "tools without a system message", "first of the tools without a description"),
            *("tool without a description", "title or description of a tool's parameters", "tool examples"),
            *("tool keyword that is left out", "tool object of several lines", "tool optional property"),
            *("tool property description", "tool type string"),
        },
        53,
    ),
]


@pytest.mark.parametrize(("fields", "constructs", "tokens"), BODIES)
def test_fields_of_a_body_name_their_constructs(
    fields: dict[str, Any], constructs: set[str], tokens: int
) -> None:
    """Tools, their keywords, choices, formats and unknown fields."""
    found = ib_tiktoken.count_request({"messages": [ASK], **fields}, "gpt-4.1-mini")
    assert set(found.constructs) == PLAIN | constructs
    assert found.tokens == tokens


@pytest.mark.parametrize(
    ("given", "text"), [({"größe": ["é", None]}, '{"größe":["é",null]}'), ({1}, '"{1}"')]
)
def test_content_that_is_no_text_costs_its_json(given: object, text: str) -> None:
    """As compact as it can be, and with its own characters; what is no JSON, as it is shown."""
    counts = [ib_tiktoken.count_request({"messages": [said("user", c)]}, "gpt-4o") for c in (given, text)]
    assert counts[0].tokens == counts[1].tokens


def schema(**fields: Any) -> dict[str, Any]:
    """Return a response format."""
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, **fields}}


@pytest.mark.parametrize(
    ("body", "constructs"),
    [
        ({"response_format": schema()}, {"schema without a system message"}),
        (
            {"response_format": schema(description="Größe")},
            {"schema without a system message", "schema with a description"},
        ),
        ({"response_format": schema(description="")}, {"schema without a system message"}),
        (
            {"response_format": schema(schema={"type": "object", "title": "Größe", "strict": True})},
            {
                *("schema without a system message", "schema with escaped characters"),
                "schema keyword that is left out",
            },
        ),
        (
            {
                "response_format": schema(),
                "messages": [said("system", "Be brief."), ASK, said("assistant", "Red."), ASK],
            },
            {
                *("schema with a system message", "schema with assistant messages"),
                *("system message", "assistant message"),
            },
        ),
        (
            {"response_format": schema(), "tools": [PICK]},
            ONE_LINE | {"schema with tools", "tools without a system message"},
        ),
        (
            {"response_format": schema(schema={"type": "object", "x-a": 1})},
            {"schema without a system message", "schema keyword 'x-a'"},
        ),
        (
            {"response_format": schema(schema={"properties": {"x-a": {"type": "string"}, "minimum": {}}})},
            {"schema without a system message"},
        ),
        (
            {"response_format": schema(schema={"properties": {"properties": {"x-a": 1}}})},
            {"schema without a system message", "schema keyword 'x-a'"},
        ),
        (
            {"response_format": schema(schema={"type": "object", "const": {"x-a": {1}}})},
            {"schema without a system message", "schema keyword 'const'"},
        ),
    ],
)
def test_a_response_format_names_its_constructs(body: dict[str, Any], constructs: set[str]) -> None:
    """What it is made of, and what stands beside it."""
    found = ib_tiktoken.count_request({"messages": [ASK], **body}, "gpt-4.1-mini")
    known = PLAIN | {"schema", "schema keyword that stands as it is"}
    assert set(found.constructs) == known | constructs


@pytest.mark.parametrize(
    ("before", "construct"),
    [
        ([], "schema without a system message"),
        ([said("system", "Be brief.")], "schema with a system message"),
    ],
)
def test_a_reasoning_model_reads_a_format_as_a_message(before: list[dict[str, Any]], construct: str) -> None:
    """Of its own, one token less where a system message stands before it."""
    body = {"messages": [*before, ASK]}
    plain = ib_tiktoken.count_request(body, "gpt-5").tokens
    found = ib_tiktoken.count_request({**body, "response_format": schema()}, "gpt-5")
    assert construct in found.constructs
    text = ib_tiktoken.count_text('# Response Formats\n\n## n\n\n{"type":"object"}', "gpt-5").tokens
    assert found.tokens == plain + profile("gpt-5").per_message + text - len(before)


def test_tools_are_counted_beside_no_message() -> None:
    """As beside one, which costs what it costs."""
    for model in ("gpt-4o", "gpt-5"):
        with_tools, without = (
            [ib_tiktoken.count_request({"messages": m, **tools}, model).tokens for m in ([], [ASK])]
            for tools in ({"tools": [PICK]}, {})
        )
        assert with_tools[1] - with_tools[0] == without[1] - without[0]


def test_a_description_of_a_format_is_counted() -> None:
    """As a comment above the schema, in both APIs."""
    given = {"name": "n", "schema": {"type": "object"}, "description": "A list of primary colours."}
    bare = {key: value for key, value in given.items() if key != "description"}
    for body in (
        lambda spec: {"messages": [ASK], "response_format": {"type": "json_schema", "json_schema": spec}},
        lambda spec: {"input": [ASK], "text": {"format": {"type": "json_schema", **spec}}},
    ):
        more, less = (ib_tiktoken.count_request(body(spec), "gpt-4o").tokens for spec in (given, bare))
        assert more - less == ib_tiktoken.count_text("// A list of primary colours.\n", "gpt-4o").tokens


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"tools": [PICK], "tool_choice": {"type": "allowed_tools"}},
            "a tool choice of type 'allowed_tools'",
        ),
        (
            {"tools": [PICK], "tool_choice": {"type": "custom", "name": "pick"}},
            "a tool choice of type 'custom'",
        ),
        (
            {"tools": [PICK], "tool_choice": {"type": "function"}},
            "a tool choice of type 'function'",
        ),
        (
            {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
            "a tool of type 'custom' (counted without it)",
        ),
        (
            {"tools": [tool({"a": {"$ref": "#/$defs/none"}})]},
            "a tool schema that is nested too deep or refers to nothing",
        ),
        (
            {"tools": [tool({"a": {"$ref": "elsewhere.json"}})]},
            "a tool schema that is nested too deep or refers to nothing",
        ),
    ],
)
def test_what_forbids_a_claim_is_said(fields: dict[str, Any], reason: str) -> None:
    """In words that name it."""
    found = ib_tiktoken.count_request({"messages": [ASK], **fields}, "gpt-4.1-mini")
    assert not found.exact
    assert reason in found.reason.split("; ")


@pytest.mark.parametrize(
    ("body", "constructs", "tokens"),
    [
        (
            {"input": [ASK, {"type": "function_call", "call_id": "1", "name": "pick", "arguments": "{}"}]},
            {"function_call item"},
            0,
        ),
        (
            {
                "input": [
                    ASK,
                    *({"type": "function_call", "name": "pick", "arguments": a} for a in ("{}", "x")),
                ]
            },
            {"function_call items in a row", "function_call item whose arguments are no JSON object"},
            32,
        ),
        ({"input": [said("user", "")]}, {"message without text"}, 7),
        (
            {
                "input": [ASK, said("assistant", "Red.")],
                "text": {"format": {"type": "json_schema", "name": "palette", "schema": {"type": "object"}}},
            },
            {
                "assistant message",
                "schema",
                "schema keyword that stands as it is",
                "schema with assistant messages",
            },
            31,
        ),
        (
            {
                "input": [ASK],
                "tools": [{"type": "function", **PICK["function"]}],
                "parallel_tool_calls": False,
            },
            ONE_LINE | {"parallel_tool_calls off"},
            54,
        ),
        (
            {"instructions": "Be brief.", "input": "Hello"},
            {"input as one text", "instructions", "system message"},
            15,
        ),
    ],
)
def test_items_of_the_responses_api_name_their_constructs(
    body: dict[str, Any], constructs: set[str], tokens: int
) -> None:
    """Calls, texts and formats."""
    found = ib_tiktoken.count_request(body, "gpt-4.1-mini")
    assert set(found.constructs) == PLAIN | constructs
    assert found.tokens == tokens or not tokens


@pytest.mark.parametrize(
    ("model", "name", "encoding", "construct", "per_message"),
    [
        ("openai/gpt-4o", "gpt-4o", "o200k_base", "model gpt-4o", 4),
        ("a/b/gpt-4o", "gpt-4o", "o200k_base", "model gpt-4o", 4),
        ("ft:gpt-4.1-mini:org:x:y", "gpt-4.1-mini", "o200k_base", "model gpt-4.1-mini", 4),
        ("GPT-4o", "gpt-4o", "o200k_base", "model gpt-4o", 4),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "o200k_base", "model gpt-4o", 4),
        ("nobody-1", "nobody-1", "o200k_base", "", 4),
        ("gpt-3.5-turbo-0301", "gpt-3.5-turbo-0301", "cl100k_base", "model gpt-3.5-turbo-0301", 5),
        ("gpt-4-0613", "gpt-4-0613", "cl100k_base", "model gpt-4", 4),
    ],
)
def test_a_models_name_decides_how_it_counts(
    model: str, name: str, encoding: str, construct: str, per_message: int
) -> None:
    """Prefixes, fine-tuning, capitals and dates; a name that no rule knows counts as a current model."""
    found = profile(model)
    assert (found.model, found.encoding, found.construct) == (name, encoding, construct)
    assert (found.per_message, found.known) == (per_message, bool(construct))
    assert (found.fine_tuned, found.reasoning) == (model.startswith("ft:"), False)


def test_reasoning_models_are_of_a_family_of_their_own() -> None:
    """They frame tools and names in another way."""
    assert profile("o3-mini").reasoning
    assert not profile("gpt-4.1").reasoning
