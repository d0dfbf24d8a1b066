"""Chat Completions prompts: what a body costs besides its messages, which are `chat_messages`' part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.chat_calls import single_call
from ib_kernel.counting.chat_messages import add_messages
from ib_kernel.counting.content import SYSTEM, role_of, text_of
from ib_kernel.counting.fields import note_fields
from ib_kernel.counting.profile import rules
from ib_kernel.counting.schema import note_schema, response_format
from ib_kernel.counting.tools import Tools, note_tools, read_tools

_COUNTED_FIELDS = frozenset({"tools", "functions", "response_format"})


def add_chat(request: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add the prompt of a Chat Completions body. Raises `TypeError` for a body that is none."""
    messages = request["messages"]
    if not isinstance(messages, list | tuple):
        raise TypeError("messages is not a list")
    total.tokens += total.profile.per_request
    if len(request) > 1:
        note_fields(request, total)
        if request.get("web_search_options") is not None:
            total.doubt("web search (counted without its results)", bounded=False)
    if not _COUNTED_FIELDS.isdisjoint(request):
        system = next((text_of(m) for m in messages if role_of(m) in SYSTEM), None)
        tools = read_tools(request, early=total.profile.early_tools)
        _add_tools(request, tools, system, role_of(messages[0] if messages else None) in SYSTEM, total)
        _add_schema(request.get("response_format"), messages, tools, system, total)
    if total.profile.message_slack and not _is_recent(request, messages):
        total.doubt(total.profile.doubt("before tools"), slack=total.profile.message_slack * len(messages))
    add_messages(messages, total)


def _is_recent(request: Mapping[str, Any], messages: Sequence[Any]) -> bool:
    """Return True if the request has something that no request of before 2023-06-27 had."""
    if not set(rules()["request"]["since_tools"]).isdisjoint(request):
        return True
    return any(
        role_of(message) in ("tool", "developer", "function") or not isinstance(message.get("content"), str)
        for message in messages
        if isinstance(message, Mapping)
    )


def _add_tools(
    request: Mapping[str, Any], tools: Tools, system: str | None, first: bool, total: TokenAccumulator
) -> None:
    """Add what the tools cost besides the messages.

    Args:
        request: The body.
        tools: Its tools.
        system: The text of the first system message, or None.
        first: Whether that is the first message of all: only then do the tools join it (chat models: 2 of
            2 recorded requests, reasoning models: 13 of 13, until 2026-08).
        total: The request's accumulator.
    """
    note_tools(tools, total)
    if not tools.functions:
        return
    profile = total.profile
    text = typescript.HEAD + tools.text
    if system is None or not first:
        total.use(
            "tools without a system message" if system is None else "tools with a later system message", 6
        )
        total.tokens += profile.per_message + total.text(text) - 1
    else:
        total.use("tools with a system message", 4)
        joined = total.text(f"{system}\n\n{text}") - total.text(system)
        total.tokens += joined + (2 if profile.reasoning else -1)
    total.tokens += profile.chat_tools
    if profile.reasoning and tools.first_is_undescribed:
        total.tokens -= 1
    if tools.forced and profile.chat_forced_choice >= 0:
        total.tokens += profile.chat_forced_choice + total.text(tools.forced)
    if tools.choice == "required" and len(tools.functions) == 1:
        total.tokens += profile.chat_required_one
    if tools.choice == "none":
        total.tokens += profile.chat_choice_none
    if request.get("parallel_tool_calls") is False:
        total.use("parallel_tool_calls off", slack=17)
        total.tokens += profile.chat_parallel_off


def _add_schema(
    given: Any, messages: Sequence[Any], tools: Tools, system: str | None, total: TokenAccumulator
) -> None:
    """Add what ``response_format`` costs besides the messages."""
    if not isinstance(given, Mapping) or given.get("type") == "text":
        return
    if given.get("type") != "json_schema":
        total.use(f"response format {str(given.get('type'))[:40]!r}", slack=8)
        return
    spec = given.get("json_schema")
    spec = spec if isinstance(spec, Mapping) else {}
    name = str(spec.get("name", ""))
    text = response_format(name, spec.get("description"), spec.get("schema"))
    profile = total.profile
    note_schema(spec, text, total)
    if tools.functions:
        total.use("schema with tools", slack=8)
        total.tokens += total.text(f"\n\n{text}" if not profile.reasoning else text)
        total.tokens += profile.per_message if profile.reasoning else 0
    elif profile.reasoning:
        total.use(
            "schema with a system message" if system is not None else "schema without a system message", 4
        )
        total.tokens += total.text(text) + profile.per_message - (system is not None)
    elif system is None:
        total.use("schema without a system message", slack=4)
        total.tokens += profile.per_message + total.text(text) + 2 + total.text(name)
    else:
        total.use("schema with a system message", slack=4)
        total.tokens += total.text(f"{system}\n\n{text}") - total.text(system) + 2 + total.text(name)
    answers = [m for m in messages if role_of(m) == "assistant" and single_call(m) is None]
    if not profile.reasoning:
        answers = [m for m in answers if text_of(m)]
    if answers:
        total.use("schema with assistant messages", slack=4 * len(answers))
    total.tokens += profile.schema_per_assistant * len(answers)
