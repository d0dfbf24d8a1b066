"""The messages of a Chat Completions request: roles, names, contents, and groups of calls with results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.chat_calls import add_call, add_call_text, add_parallel, results_after, single_call
from ib_kernel.counting.content import SYSTEM, as_text, read
from ib_kernel.counting.fields import add_content

_RESULTS = ("tool", "function")
_ROLES = {
    role: f"{role} message" for role in ("system", "developer", "user", "assistant", "tool", "function")
}
_FIELDS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio"),
        *("annotations", "id"),
    }
)


def add_messages(messages: Sequence[Any], total: TokenAccumulator) -> None:
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
            add_call_text(message, total)
            results = results_after(messages, position, len(calls))
            position += len(results)
            add_parallel(calls, results, total)
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
    if not later.isdisjoint(SYSTEM):
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
    call = single_call(message)
    if call is not None:
        add_call(call, message, total)
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
