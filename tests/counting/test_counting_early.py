"""Models of before 2023-06 see tools in an earlier form; a request may show that it is for a later one."""

from __future__ import annotations

from typing import Any

import pytest

import ib_tiktoken
from ib_kernel.counting import typescript

USER = {"role": "user", "content": "Pick a colour."}
EARLY = ["gpt-4", "gpt-4-0613", "gpt-4-32k", "gpt-3.5-turbo-0613"]
TEXT = {"type": "string"}
PICK = {
    "name": "pick",
    "description": "Pick colours.",
    "parameters": {
        "type": "object",
        "title": "PickArguments",
        "description": "What to pick.",
        "properties": {"colour": {**TEXT, "title": "Colour"}, "shade": {**TEXT, "description": "How dark."}},
        "required": ["colour"],
    },
}
WRITTEN = """# Tools

## functions

namespace functions {

// Pick colours.
type pick = (_: {
colour: string,
// How dark.
shade?: string,
}) => any;

} // namespace functions"""


def tokens(text: str) -> int:
    """Return the tokens of *text* on these models."""
    return ib_tiktoken.count_text(text, "gpt-4").tokens


def count(model: str = "gpt-4", *, tool: Any = PICK, **fields: Any) -> int:
    """Return the count of one question and one tool."""
    body = {"messages": [USER], "tools": [{"type": "function", "function": tool}], **fields}
    return ib_tiktoken.count_request(body, model).tokens


@pytest.mark.parametrize("model", EARLY)
def test_early_models_see_no_titles_and_a_line_for_each_property(model: str) -> None:
    """The tool costs its text as it was written then: without titles and without what the root says."""
    assert typescript.HEAD + typescript.Namespace([PICK], early=True).text == WRITTEN
    assert count(model) == 3 + 4 + tokens(USER["content"]) + 4 + tokens(WRITTEN) - 1


@pytest.mark.parametrize(
    "model", ["gpt-4-turbo", "gpt-4-0125-preview", "gpt-4-1106-preview", "gpt-3.5-turbo"]
)
def test_later_models_of_the_same_names_see_the_titles(model: str) -> None:
    """Only the first snapshots are early: the others see titles, and are claimed where the evidence is."""
    body = {"messages": [USER], "tools": [{"type": "function", "function": PICK}]}
    assert ib_tiktoken.count_request(body, model).tokens > count("gpt-4") + 8
    assert "first-generation" not in ib_tiktoken.count_request(body, model).reason


def test_early_models_keep_even_a_short_tool_in_lines() -> None:
    """Properties without comments have lines of their own too."""
    bare = {**PICK, "parameters": {"type": "object", "properties": {"colour": TEXT}, "required": ["colour"]}}
    text = typescript.Namespace([bare], early=True).text
    assert "(_: {\ncolour: string,\n}) => any" in text


def test_early_models_bill_a_required_call_of_one_tool() -> None:
    """Two tokens more where the one tool must be called; nothing where there are two."""
    assert count(tool_choice="required") == count() + 2
    tools = [{"type": "function", "function": {**PICK, "name": name}} for name in ("pick", "choose")]
    assert count(tools=tools, tool_choice="required") == count(tools=tools)
    assert count("gpt-4o", tool_choice="required") == count("gpt-4o")


def test_early_models_bill_a_call_three_less() -> None:
    """A call and its result cost three tokens less than on later models with the same encoding."""
    call = {"id": "1", "type": "function", "function": {"name": "pick", "arguments": '{"colour":"red"}'}}
    result = {"role": "tool", "tool_call_id": "1", "content": "done"}
    body = {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, result]}
    early, later = (ib_tiktoken.count_request(body, model) for model in ("gpt-4-0613", "gpt-4-turbo"))
    assert early.tokens == later.tokens - 3
    assert not early.exact
    assert early.upper is not None
    assert early.upper >= later.tokens


RECENT = [
    {"stream_options": {"include_usage": True}},
    {"seed": 3},
    {"max_completion_tokens": 400},
    {"messages": [USER, {"role": "developer", "content": "Be terse."}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
]


@pytest.mark.parametrize("fields", RECENT)
def test_a_request_that_no_early_model_takes_is_claimed_for_the_alias(fields: dict[str, Any]) -> None:
    """What came after 2023-06 shows that gpt-3.5-turbo means a later snapshot: ours always asks so."""
    plain = ib_tiktoken.count_request({"messages": [USER], "temperature": 0, "stop": ["x"]}, "gpt-3.5-turbo")
    assert not plain.exact
    found = ib_tiktoken.count_request({"messages": [USER], **fields}, "gpt-3.5-turbo")
    assert found.exact
    snapshot = ib_tiktoken.count_request({"messages": [USER], **fields}, "gpt-3.5-turbo-0125")
    assert found.tokens == snapshot.tokens
