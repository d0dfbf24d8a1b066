"""Responses prompts: instructions, input items, tools and text formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import read
from ib_kernel.counting.fields import add_content, note_fields
from ib_kernel.counting.schema import note_schema, response_format
from ib_kernel.counting.tools import canonical, note_arguments, note_tools, read_tools

_ROLES = {role: f"{role} message" for role in ("system", "developer", "user", "assistant")}
_SERVER_STATE = ("previous_response_id", "conversation", "prompt", "context_management")


def add_responses(request: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add the prompt of a Responses body. Raises `TypeError` for a body that is none."""
    for key in _SERVER_STATE:
        if request.get(key):
            total.doubt(f"{key} (what the server adds is not known)", bounded=False)
    note_fields(request, total)
    profile = total.profile
    total.tokens += profile.per_request
    if request.get("instructions"):
        total.use("instructions")
        _add_message({"role": "system", "content": request["instructions"]}, total)
    given = request.get("input")
    if isinstance(given, str):
        total.use("input as one text")
        items: Sequence[Any] = [{"role": "user", "content": given}]
    elif isinstance(given, list | tuple):
        items = given
    elif given is None and any(request.get(key) for key in _SERVER_STATE):
        items = []
    else:
        raise TypeError("input is neither a text nor a list")
    _Items(items, total).add()
    _add_tools(request, total)
    _add_format(request, items, total)
    reasoning = request.get("reasoning")
    if isinstance(reasoning, Mapping) and reasoning.get("mode") == "pro":
        total.doubt("pro mode", bounded=False)


def _kind(item: Any) -> str:
    if not isinstance(item, Mapping):
        raise TypeError("an input item is not an object")
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "?"
    return str(kind)


def _add_message(item: Mapping[str, Any], total: TokenAccumulator) -> None:
    role = item.get("role")
    known = _ROLES.get(role) if isinstance(role, str) else None
    total.use(known or f"message of the role {str(role)[:40]!r}")
    total.tokens += total.profile.per_message
    if role == "assistant":
        total.tokens += total.profile.per_assistant
    given = item.get("content")
    if type(given) is str and given:
        total.tokens += total.text(given)
        return
    content = read(given)
    if content.is_empty:
        total.use("message without text")
    add_content(content, total)


class _Items:
    """Adds the input items, which partly depend on their neighbours and on the last user message."""

    def __init__(self, items: Sequence[Any], total: TokenAccumulator) -> None:
        self.items = items
        self.kinds = [_kind(item) for item in items]
        self.total = total
        users = [
            i for i, item in enumerate(items) if self.kinds[i] == "message" and item.get("role") == "user"
        ]
        self.last_user = users[-1] if users else -1

    def add(self) -> None:
        """Add every item."""
        for position, (kind, item) in enumerate(zip(self.kinds, self.items, strict=True)):
            if kind == "message":
                _add_message(item, self.total)
            elif kind == "function_call":
                self._add_call(position, item)
            elif kind == "function_call_output":
                self._add_result(item)
            elif kind == "reasoning":
                self._doubt_reasoning(position)
            else:
                self.total.doubt(f"an item of type {kind[:40]!r} (counted without it)", bounded=False)

    def _add_call(self, position: int, item: Mapping[str, Any]) -> None:
        total, profile = self.total, self.total.profile
        name = str(item.get("name", ""))
        alone = "function_call" not in self.kinds[max(0, position - 1) : position]
        alone = alone and "function_call" not in self.kinds[position + 1 : position + 2]
        with_id = bool(item.get("id")) and alone
        constant = profile.responses_call_with_id if with_id else profile.responses_call
        # the call and its result are both addressed by the full name (7 of 8 recorded, 2025-08 to 2026-08)
        total.tokens += profile.per_message + constant + 2 * total.text(f"functions.{name}")
        given = item.get("arguments", "")
        written = canonical(given)
        total.tokens += total.text(written)
        note_arguments(given, written, total, "function_call item")
        if isinstance(given, str) and written != given:  # as given in 2 of 4 recorded requests
            total.slack += max(0, total.text(given) - total.text(written))
        about = "function_call item with an id" if with_id else "function_call item"
        total.use(about if alone else "function_call items in a row", slack=6)

    def _add_result(self, item: Mapping[str, Any]) -> None:
        self.total.use("function_call_output item")
        self.total.tokens += self.total.profile.per_message
        content = read(item.get("output"))
        if content.images:
            self.total.doubt("an image in a tool result", bounded=False)
        add_content(content, self.total)

    def _doubt_reasoning(self, position: int) -> None:
        if position > self.last_user:
            self.total.doubt("reasoning of the running turn", bounded=False)
        elif self.total.profile.keeps_reasoning:
            self.total.doubt("this model keeps earlier reasoning", bounded=False)
        else:
            self.total.use("earlier reasoning item", slack=8)


def _add_tools(request: Mapping[str, Any], total: TokenAccumulator) -> None:
    tools = read_tools(request, early=total.profile.early_tools)
    note_tools(tools, total)
    if not tools.functions:
        return
    profile = total.profile
    if profile.reasoning:
        total.tokens += profile.per_message + total.text(typescript.HEAD + tools.text) - 1
        if tools.first_is_undescribed:
            total.tokens -= 1
    else:
        total.tokens += total.text(tools.text)
    forced = tools.forced
    if tools.choice == "required" and len(tools.functions) == 1:
        forced = str(tools.functions[0].get("name", ""))
    if forced and profile.responses_forced_choice >= 0:
        total.tokens += profile.responses_forced_choice + total.text(forced)
    if request.get("parallel_tool_calls") is False:
        total.use("parallel_tool_calls off", slack=8)
        total.tokens += profile.responses_parallel_off


def _add_format(request: Mapping[str, Any], items: Sequence[Any], total: TokenAccumulator) -> None:
    given = request.get("text")
    given = given.get("format") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or given.get("type", "text") == "text":
        return
    if given.get("type") != "json_schema":
        total.use(f"response format {str(given.get('type'))[:40]!r}", slack=8)
        return
    name = str(given.get("name", ""))
    text = response_format(name, given.get("description"), given.get("schema"))
    answers = sum(_kind(item) == "message" and item.get("role") == "assistant" for item in items)
    profile = total.profile
    note_schema(given, text, total)
    if answers:
        total.use("schema with assistant messages", slack=4 * answers)
    if request.get("tools"):
        total.use("schema with tools", slack=8)
    total.tokens += total.text(text) + profile.responses_schema
    total.tokens += profile.responses_schema_per_assistant * answers
