"""Chat Completions prompts: messages, names, tools, response formats, tool calls and their results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import Content, as_text, read
from ib_kernel.counting.images import add_image
from ib_kernel.counting.schema import doubt_schema, response_format
from ib_kernel.counting.tools import Tools, canonical, compact, doubt_tools, parse_arguments, read_tools

_SYSTEM = ("system", "developer")
_RESULTS = ("tool", "function")


def add_chat(request: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add the prompt of a Chat Completions body. Raises `TypeError` for a body that is none."""
    messages = request["messages"]
    if not isinstance(messages, list | tuple):
        raise TypeError("messages is not a list")
    total.tokens += total.profile.per_request
    if len(request) > 1:
        system = next((_content(m) for m in messages if _role(m) in _SYSTEM), None)
        tools = read_tools(request)
        # reasoning models join tools only with a system message that comes first (13 of 13 recorded)
        late = total.profile.reasoning and _role(messages[0] if messages else None) not in _SYSTEM
        _add_tools(request, tools, None if late else system, total)
        _add_schema(request.get("response_format"), messages, tools, system, total)
        if request.get("web_search_options") is not None:
            total.doubt("web search (counted without its results)", bounded=False)
    _add_messages(messages, total)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else None


def _content(message: Mapping[str, Any]) -> str:
    return read(message.get("content")).text


# --- messages ---------------------------------------------------------------------------------------------


def _add_messages(messages: Sequence[Any], total: TokenAccumulator) -> None:
    """Add every message; a group of parallel calls takes the results that follow it."""
    profile = total.profile
    plain, assistant = profile.per_message, profile.per_message + profile.per_assistant
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        # the fast path: nearly every message of an interview is a role and a text
        if type(message) is dict and len(message) == 2 and type(content := message.get("content")) is str:
            role = message.get("role")
            total.tokens += (assistant if role == "assistant" else plain) + total.text(content)
            continue
        if not isinstance(message, Mapping):
            raise TypeError("a message is not an object")
        calls = message.get("tool_calls")
        if isinstance(calls, list | tuple) and len(calls) > 1:
            _add_call_text(message, total)
            results = _results(messages, position, len(calls))
            position += len(results)
            _add_parallel(calls, results, total)
        else:
            _add_message(message, total)


def _add_message(message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add one message that is not a group of parallel calls."""
    call = _single_call(message)
    if call is not None:
        _add_call_text(message, total)
        name, arguments = call
        total.tokens += total.profile.per_message + total.profile.call_result_header
        total.tokens += total.text(name) + total.text(canonical(arguments)) + total.text(f"functions.{name}")
        return
    content = read(message.get("content"))
    refusal = message.get("refusal")
    if message.get("content") is None and isinstance(refusal, str):
        content.segments = [as_text(refusal)]
    _add_content(content, total)
    total.tokens += total.profile.per_message
    role = message.get("role")
    if role == "assistant":
        total.tokens += total.profile.per_assistant
        if message.get("audio") is not None:
            total.doubt("audio", bounded=False)
    if role not in _RESULTS:
        _add_name(message.get("name"), role, total)


def _add_content(content: Content, total: TokenAccumulator) -> None:
    total.tokens += sum(map(total.text, content.segments))
    for part in content.images:
        add_image(part, total)
    for what in content.foreign:
        total.doubt(f"{what} (counted without it)", bounded=False)
    if content.malformed:
        total.doubt("content that is neither a text nor a list of parts", slack=8)
    if content.parts > 1:
        total.doubt(total.profile.doubt("parts"))


def _add_name(name: Any, role: Any, total: TokenAccumulator) -> None:
    if not isinstance(name, str) or not name:
        return
    total.tokens += total.text(name) + (0 if name == role else total.profile.per_name)
    if total.profile.reasoning:
        total.doubt("names on reasoning models have not been measured", slack=1)


# --- tool calls -------------------------------------------------------------------------------------------


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
    if content.text or content.images or content.foreign:
        _add_content(content, total)
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
    other = json.dumps(values, ensure_ascii=not total.profile.parallel_escapes, default=repr)
    for content in contents:
        content.segments.clear()
        _add_content(content, total)
    total.doubt("parallel tool calls", slack=max(0, total.text(other) - total.text(listed)))


def _result_value(text: str) -> Any:
    """Return a parallel call's result as it is listed: parsed if JSON (4 of 4 recorded), else the text."""
    parsed = parse_arguments(text)
    return text if parsed is None else parsed


# --- tools and response format ------------------------------------------------------------------------------


def _add_tools(request: Mapping[str, Any], tools: Tools, system: str | None, total: TokenAccumulator) -> None:
    """Add what the tools cost besides the messages; *system* is the first system message's text."""
    doubt_tools(tools, total)
    if not tools.functions:
        return
    profile = total.profile
    text = typescript.HEAD + tools.text
    if system is None:
        total.tokens += profile.per_message + total.text(text) - 1
    else:
        joined = total.text(f"{system}\n\n{text}") - total.text(system)
        total.tokens += joined + (2 if profile.reasoning else -1)
    total.tokens += profile.chat_tools
    if profile.reasoning and tools.first_is_undescribed:
        total.tokens -= 1
    if tools.forced and profile.chat_forced_choice >= 0:
        total.tokens += profile.chat_forced_choice + total.text(tools.forced)
    if request.get("parallel_tool_calls") is False:
        total.tokens += profile.chat_parallel_off
        total.doubt("parallel_tool_calls is off")


def _add_schema(
    given: Any, messages: Sequence[Any], tools: Tools, system: str | None, total: TokenAccumulator
) -> None:
    """Add what ``response_format`` costs besides the messages."""
    if not isinstance(given, Mapping) or given.get("type") != "json_schema":
        return
    spec = given.get("json_schema")
    spec = spec if isinstance(spec, Mapping) else {}
    name = str(spec.get("name", ""))
    text = response_format(name, spec.get("description"), spec.get("schema"))
    profile = total.profile
    doubt_schema(spec.get("schema"), total)
    if profile.reasoning:
        total.tokens += profile.per_message + total.text(text)
    elif tools.functions:
        total.tokens += total.text(f"\n\n{text}")
    else:
        if system is None:
            total.tokens += profile.per_message + total.text(text)
        else:
            total.tokens += total.text(f"{system}\n\n{text}") - total.text(system)
        total.tokens += 2 + total.text(name)
    answers = [m for m in messages if _role(m) == "assistant" and _single_call(m) is None]
    if not profile.reasoning:
        answers = [m for m in answers if _content(m)]
    total.tokens += profile.schema_per_assistant * len(answers)
