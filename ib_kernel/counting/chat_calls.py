"""Tool calls in Chat Completions messages, and the results that follow them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import as_text, read, role_of
from ib_kernel.counting.fields import add_content
from ib_kernel.counting.tools import canonical, compact, note_arguments, parse_arguments


def add_call(call: tuple[str, Any], message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add a message with one call, and the header of the result that follows it."""
    add_call_text(message, total)
    name, arguments = call
    written = canonical(arguments)
    total.doubt(total.profile.doubt("tools"), slack=4)
    total.use("one tool call" if message.get("tool_calls") else "legacy function call", slack=4)
    _note_custom(message.get("tool_calls") or (), total)
    note_arguments(arguments, written, total)
    total.tokens += total.profile.per_message + total.profile.call_result_header
    total.tokens += total.text(name) + total.text(written) + total.text(f"functions.{name}")


def single_call(message: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the (name, arguments) of a message with one call, new or legacy style, or None."""
    calls = message.get("tool_calls")
    if isinstance(calls, list | tuple) and calls:
        return _call(calls[0])
    legacy = message.get("function_call")
    return _call({"function": legacy}) if isinstance(legacy, Mapping) else None


def _note_custom(calls: Sequence[Any], total: TokenAccumulator) -> None:
    """Note calls of freeform tools, of which no request was ever recorded."""
    if any(isinstance(call, Mapping) and isinstance(call.get("custom"), Mapping) for call in calls):
        total.use("custom tool call", slack=16)


def _call(call: Any) -> tuple[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        function = call.get("custom") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            return "", as_text(call)
        return str(function.get("name", "")), as_text(function.get("input", ""))
    return str(function.get("name", "")), function.get("arguments", "")


def add_call_text(message: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add the text that a message has besides its calls: a full text message in front of them."""
    content = read(message.get("content"))
    if not content.is_empty:
        total.use("text beside tool calls", slack=8)
        add_content(content, total)
        total.tokens += total.profile.per_message + total.profile.per_assistant


def results_after(messages: Sequence[Any], start: int, most: int) -> list[Mapping[str, Any]]:
    """Return the tool messages directly at *start*, *most* at most."""
    found = []
    for message in messages[start : start + most]:
        if role_of(message) != "tool":
            break
        found.append(message)
    return found


def add_parallel(calls: Sequence[Any], results: Sequence[Mapping[str, Any]], total: TokenAccumulator) -> None:
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
    listed = json.dumps(values, ensure_ascii=total.profile.parallel_escapes)
    total.tokens += total.text(wrapped) + total.text(listed) + total.profile.parallel_wrapper
    total.use("several tool calls in one message", slack=8)
    _note_custom(calls, total)
    if any(not isinstance(use["parameters"], Mapping) for use in uses):
        total.use("tool call whose arguments are no JSON object", slack=16)
    if not listed.isascii() or "\\u" in listed:
        other = json.dumps(values, ensure_ascii=not total.profile.parallel_escapes)
        slack = max(0, total.text(other) - total.text(listed))
        how = "escaped" if total.profile.parallel_escapes else "as they are"
        total.use(f"other characters than ASCII in results of several tool calls, {how}", slack)
    for content in contents:
        content.segments.clear()
        add_content(content, total)


def _result_value(text: str) -> Any:
    """Return a parallel call's result as it is listed: parsed if JSON (4 of 4 recorded), else the text."""
    parsed = parse_arguments(text)
    return text if parsed is None else parsed
