"""Chat Completions prompts: messages, names, tool calls and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_kernel.counting.content import as_text, read
from ib_kernel.counting.ruler import Ruler


def add_chat(request: Mapping[str, Any], ruler: Ruler) -> None:
    """Add the prompt of a Chat Completions body."""
    messages = request["messages"]
    if not isinstance(messages, list | tuple):
        raise TypeError("messages is not a list")
    ruler.tokens += ruler.profile.per_request
    for key in ("tools", "functions", "response_format"):
        if request.get(key):
            ruler.doubt(key, slack=len(as_text(request[key]).encode()))
    for message in messages:
        add_message(message, ruler)


def add_message(message: Mapping[str, Any], ruler: Ruler) -> None:
    """Add one message with text content."""
    profile = ruler.profile
    content = read(message.get("content"))
    ruler.tokens += profile.per_message + ruler.text(content.text)
    role = message.get("role")
    if role == "assistant":
        ruler.tokens += profile.per_assistant
    name = message.get("name")
    if isinstance(name, str) and name and role not in ("tool", "function"):
        ruler.tokens += ruler.text(name) + (0 if name == role else profile.per_name)
        if profile.reasoning:
            ruler.doubt("names on reasoning models have not been measured")
    if message.get("tool_calls"):
        ruler.doubt("tool calls", slack=len(as_text(message["tool_calls"]).encode()))
    if content.images or content.foreign:
        ruler.doubt("not text", bounded=False)
