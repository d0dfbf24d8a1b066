"""Chat Completions prompts: messages, names, tools, response formats, tool calls and their results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import as_text, read
from ib_kernel.counting.fields import add_content, note_fields
from ib_kernel.counting.profile import rules
from ib_kernel.counting.schema import note_schema, response_format
from ib_kernel.counting.tools import (
    Tools,
    canonical,
    compact,
    note_arguments,
    note_tools,
    parse_arguments,
    read_tools,
)

_SYSTEM = ("system", "developer")
_RESULTS = ("tool", "function")
_ROLES = {
    role: f"{role} message" for role in ("system", "developer", "user", "assistant", "tool", "function")
}
_COUNTED_FIELDS = frozenset({"tools", "functions", "response_format"})
_FIELDS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio"),
        *("annotations", "id"),
    }
)


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
        system = next((_content(m) for m in messages if _role(m) in _SYSTEM), None)
        tools = read_tools(request, early=total.profile.early_tools)
        _add_tools(request, tools, system, _role(messages[0] if messages else None) in _SYSTEM, total)
        _add_schema(request.get("response_format"), messages, tools, system, total)
    if total.profile.message_slack and not _is_recent(request, messages):
        total.doubt(total.profile.doubt("before tools"), slack=total.profile.message_slack * len(messages))
    _add_messages(messages, total)


def _is_recent(request: Mapping[str, Any], messages: Sequence[Any]) -> bool:
    """Return True if the request has something that no request of before 2023-06-27 had."""
    if not set(rules()["request"]["since_tools"]).isdisjoint(request):
        return True
    return any(
        _role(message) in ("tool", "developer", "function") or not isinstance(message.get("content"), str)
        for message in messages
        if isinstance(message, Mapping)
    )


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else None


def _content(message: Mapping[str, Any]) -> str:
    return read(message.get("content")).text


# --- messages ---------------------------------------------------------------------------------------------


def _add_messages(messages: Sequence[Any], total: TokenAccumulator) -> None:
    """Add every message; a group of parallel calls takes the results that follow it."""
    if _add_plain(messages, total):
        return
    roles: list[Any] = []
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if not isinstance(message, Mapping):
            raise TypeError("a message is not an object")
        role, content = message.get("role"), message.get("content")
        roles.append(role)
        if len(message) == 2 and "role" in message and type(content) is str and content:
            more = total.profile.per_assistant if role == "assistant" else 0
            total.tokens += total.profile.per_message + more + total.text(content)
            continue
        _note_fields(message, total)
        calls = message.get("tool_calls")
        if isinstance(calls, list | tuple) and len(calls) > 1:
            _add_call_text(message, total)
            results = _results(messages, position, len(calls))
            position += len(results)
            _add_parallel(calls, results, total)
        else:
            _add_message(message, total)
    _note_roles(roles, total)


def _add_plain(messages: Sequence[Any], total: TokenAccumulator) -> bool:
    """Add *messages* and return True if each is a role and a text, as nearly always in an interview."""
    try:
        pairs = [(message["role"], message["content"]) for message in messages if len(message) == 2]
    except (TypeError, KeyError):
        return False
    if len(pairs) != len(messages) or not pairs:
        return False
    roles, contents = zip(*pairs, strict=True)
    if {str} != set(map(type, roles)) or {str} != set(map(type, contents)):
        return False
    _note_roles(roles, total)
    if "" in contents:
        total.use("message without text")
    profile = total.profile
    framing = profile.per_message * len(pairs) + profile.per_assistant * roles.count("assistant")
    total.tokens += framing + total.texts(contents)
    return True


def _note_roles(roles: Sequence[Any], total: TokenAccumulator) -> None:
    """Note which roles speak, and whether a system message comes after another message."""
    try:
        later = set(roles[1:])
        every = later.union(roles[:1])
    except TypeError:  # a role that is a list or an object
        later, every = set(), set(map(str, roles))
    if not later.isdisjoint(_SYSTEM):
        total.use("system message that is not the first message")
    for role in every:
        total.use(_ROLES.get(role) or f"message of the role {str(role)[:40]!r}")


def _note_fields(message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Note the fields of *message* that no rule knows."""
    if _FIELDS.issuperset(message):
        return
    for key in message.keys() - _FIELDS:
        if message[key] is not None:
            total.use_unless_known(f"message field {str(key)[:40]!r}", message[key])


def _add_message(message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add one message that is not a group of parallel calls."""
    call = _single_call(message)
    if call is not None:
        _add_call(call, message, total)
        return
    content = read(message.get("content"))
    refusal = message.get("refusal")
    if message.get("content") is None and isinstance(refusal, str):
        content.segments = [as_text(refusal)]
        content.refusal = True
    if content.is_empty:
        total.use("message without text")
    add_content(content, total)
    total.tokens += total.profile.per_message
    role = message.get("role")
    if role == "assistant":
        total.tokens += total.profile.per_assistant
        if message.get("audio") is not None:
            total.doubt("audio", bounded=False)
    if role not in _RESULTS:
        _add_name(message.get("name"), role, total)


def _add_name(name: Any, role: Any, total: TokenAccumulator) -> None:
    if not isinstance(name, str) or not name:
        return
    total.use("name equal to the role" if name == role else "name of a message", slack=2)
    total.tokens += total.text(name) + (0 if name == role else total.profile.per_name)


# --- tool calls -------------------------------------------------------------------------------------------


def _add_call(call: tuple[str, Any], message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add a message with one call, and the header of the result that follows it."""
    _add_call_text(message, total)
    name, arguments = call
    written = canonical(arguments)
    total.doubt(total.profile.doubt("tools"), slack=4)
    total.use("one tool call" if message.get("tool_calls") else "legacy function call", slack=4)
    note_arguments(arguments, written, total)
    total.tokens += total.profile.per_message + total.profile.call_result_header
    total.tokens += total.text(name) + total.text(written) + total.text(f"functions.{name}")


def _single_call(message: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the (name, arguments) of a message with one call, new or legacy style, or None."""
    calls = message.get("tool_calls")
    if isinstance(calls, list | tuple) and calls:
        return _call(calls[0])
    legacy = message.get("function_call")
    return _call({"function": legacy}) if isinstance(legacy, Mapping) else None


def _call(call: Any) -> tuple[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        function = call.get("custom") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            return "", as_text(call)
        return str(function.get("name", "")), as_text(function.get("input", ""))
    return str(function.get("name", "")), function.get("arguments", "")


def _add_call_text(message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add the text that a message has besides its calls: a full text message in front of them."""
    content = read(message.get("content"))
    if not content.is_empty:
        total.use("text beside tool calls", slack=8)
        add_content(content, total)
        total.tokens += total.profile.per_message + total.profile.per_assistant


def _results(messages: Sequence[Any], start: int, most: int) -> list[Mapping[str, Any]]:
    """Return the tool messages directly at *start*, *most* at most."""
    found = []
    for message in messages[start : start + most]:
        if _role(message) != "tool":
            break
        found.append(message)
    return found


def _add_parallel(
    calls: Sequence[Any], results: Sequence[Mapping[str, Any]], total: TokenAccumulator
) -> None:
    """Add a group of parallel calls and its results: one wrapper call, one JSON list of results."""
    uses = []
    for call in calls:
        name, arguments = _call(call)
        parsed = {} if arguments in ("", None) else parse_arguments(arguments)
        parameters = arguments if parsed is None else parsed
        uses.append({"recipient_name": f"functions.{name}", "parameters": parameters})
    contents = [read(message.get("content")) for message in results]
    wrapped = compact({"tool_uses": uses})
    values = [_result_value(content.text) for content in contents]
    listed = json.dumps(values, ensure_ascii=total.profile.parallel_escapes, default=repr)
    total.tokens += total.text(wrapped) + total.text(listed) + total.profile.parallel_wrapper
    total.use("several tool calls in one message", slack=8)
    if not listed.isascii() or "\\u" in listed:
        other = json.dumps(values, ensure_ascii=not total.profile.parallel_escapes, default=repr)
        slack = max(0, total.text(other) - total.text(listed))
        total.use("results of several tool calls with other characters than ASCII", slack)
    for content in contents:
        content.segments.clear()
        add_content(content, total)


def _result_value(text: str) -> Any:
    """Return a parallel call's result as it is listed: parsed if JSON (4 of 4 recorded), else the text."""
    parsed = parse_arguments(text)
    return text if parsed is None else parsed


# --- tools and response format ------------------------------------------------------------------------------


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
    answers = [m for m in messages if _role(m) == "assistant" and _single_call(m) is None]
    if not profile.reasoning:
        answers = [m for m in answers if _content(m)]
    if answers:
        total.use("schema with assistant messages", slack=4 * len(answers))
    total.tokens += profile.schema_per_assistant * len(answers)
