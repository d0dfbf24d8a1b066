"""Which further fields a request may have: an allow-list, so that everything that is sent is counted.

A field that is not named here could carry text that nobody counts, or another model than the one that is
recorded. Fields by their names in OpenAI's API reference (read 2026-11); a few of local servers beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.errors import ConfigError, did_you_mean

CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The names under which services know the cap of a reply."""

_BOTH = (
    *("stream", "n", *CAPS, "tools", "tool_choice", "parallel_tool_calls", "response_format", "verbosity"),
    *("reasoning_effort", "service_tier", "metadata", "user", "safety_identifier", "prompt_cache_key"),
    *("prompt_cache_retention", "top_p", "top_logprobs", "store"),
)
_CHAT = (
    *("seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "functions"),
    *("function_call", "top_k", "min_p", "repeat_penalty", "repetition_penalty"),
)
ALLOWED: Mapping[str, frozenset[str]] = {
    "chat": frozenset((*_BOTH, *_CHAT)),
    "responses": frozenset((*_BOTH, "text", "reasoning", "include", "max_tool_calls")),
}
"""The further fields of a request, by API: counted, or without influence on the count."""

IN_A_MESSAGE = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "function_call"}
)
"""What a Chat Completions message may have."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
"""Who speaks in a Chat Completions message (OpenAI's API reference, read 2026-11)."""

COUNTED = frozenset({"tools", "functions"})
"""Fields whose text the counter counts whatever it is, and so of any size; a JSON schema is counted too."""

LARGEST = 4_096
"""Characters of JSON that a field which is not counted may have: none of them needs more."""

OWN = frozenset({"model", "messages", "input", "instructions", "temperature"})
"""What the session, the prompt and the arguments decide, and a further field never does."""


def read_extra(extra: Mapping[str, Any], cap: int | None, api: str) -> tuple[dict[str, Any], int, int | None]:
    """Return *extra* without what decides how much is reserved, the number of choices, and the reply's cap.

    Args:
        extra: Further fields of the request by their API names.
        cap: The reply's cap in tokens as an argument gave it, if one did; the least of all caps counts.
        api: "chat" or "responses".

    Raises:
        ConfigError: A field is not on the allow-list of *api*, too large, or cannot be written as JSON.
    """
    rest = dict(extra)
    for name, value in rest.items():
        _check(name, value, api)
    caps = [parse_reply_tokens(rest.pop(name)) for name in CAPS if name in rest]
    choices = rest.pop("n", 1)
    if isinstance(choices, bool) or not isinstance(choices, int) or not 1 <= choices <= 128:
        raise ConfigError(
            f"n, the number of choices, cannot be {choices!r}; give a whole number from 1 to 128"
        )
    return rest, choices, min([c for c in (cap, *caps) if c is not None], default=None)


def parse_reply_tokens(value: Any) -> int:
    """Return *value* if a reply can have so many tokens; else raise `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        shown = str(value)[:60]
        raise ConfigError(f"the reply's tokens cannot be {shown!r}; give a whole number of at least 1")
    return value


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse messages with anything in them that nobody counts.

    Args:
        messages: Chat Completions messages.

    Raises:
        ConfigError: There is no message, one is no mapping, has a field that is not in `IN_A_MESSAGE`, a role
            that is not in `ROLES`, or a content that is neither text nor a list of parts.
    """
    if not messages:
        raise ConfigError("there is no message to send; give at least one with a role and a content")
    for message in messages:
        if not isinstance(message, Mapping):
            raise ConfigError(
                f"a message is a dict with a role and a content, not of type {type(message).__name__}"
            )
        if not message.keys() <= IN_A_MESSAGE:
            unknown = set(message) - IN_A_MESSAGE
            name = str(sorted(map(str, unknown))[0])[:60]
            known = ", ".join(sorted(IN_A_MESSAGE))
            raise ConfigError(
                f"a message cannot have the field {name!r}: nobody could count it; allowed: {known}"
            )
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in ROLES:
            shown = repr(role)[:60]
            raise ConfigError(f"a message cannot have the role {shown}; allowed: {', '.join(sorted(ROLES))}")
        if content is not None and not isinstance(content, (str, list, tuple)):
            raise ConfigError(
                f"the content of a message is text or a list of parts, not of type {type(content).__name__}"
            )


def text_of_message(message: Mapping[str, Any]) -> str:
    """Return the text of a message, its parts joined; "" where it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content or () if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _check(name: Any, value: Any, api: str) -> None:
    allowed = ALLOWED[api]
    if name in OWN:
        how = (
            "pass it as an argument" if name in ("model", "temperature") else "the messages are what is sent"
        )
        raise ConfigError(f"a further field cannot set {name!r}: {how}")
    if name not in allowed:
        hint = did_you_mean(str(name), allowed) or f"; allowed: {', '.join(sorted(allowed))}"
        raise ConfigError(f"a request cannot have the field {str(name)[:60]!r}: nobody could count it{hint}")
    if name not in COUNTED and not _is_small(value):
        size = _size(name, _uncounted(name, value))
        if size > LARGEST:
            raise ConfigError(
                f"the field {name!r} has {size:,} characters that are not counted; at most {LARGEST:,} are "
                "sent"
            )


def _is_small(value: Any) -> bool:
    """Return True if *value* cannot be larger than `LARGEST`, however it is written."""
    if isinstance(value, str):
        return len(value) <= LARGEST // 8  # a character is written with six at most
    return type(value) in (bool, float) or (type(value) is int and -(2**63) < value < 2**63)


def _uncounted(name: str, value: Any) -> Any:
    """Return *value* without the JSON schema that the counter counts."""
    place = {"text": "format", "response_format": "json_schema"}.get(name)
    if place is None or not isinstance(value, Mapping):
        return value
    inner = value.get(place)
    kind = inner.get("type") if place == "format" and isinstance(inner, Mapping) else value.get("type")
    if not isinstance(inner, Mapping) or kind != "json_schema":
        return value
    return {**value, place: {k: v for k, v in inner.items() if k not in ("schema", "name", "description")}}


def _size(name: str, value: Any) -> int:
    try:
        return len(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        raise ConfigError(
            f"the field {name!r} cannot be written as JSON; give texts, numbers, lists and dicts"
        ) from None
