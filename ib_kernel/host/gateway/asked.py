"""What a candidate's own tool asks for: read, checked field by field, and written anew.

Nothing of the request's bytes is passed on: what is sent is what was checked and counted, so that a field
that is there twice, or hidden from one parser and not from the other, changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.errors import BadRequest, ConfigError
from ib_kernel.host.gateway.quick_json import read_json
from ib_kernel.interview.fields import check_messages, read_extra, text_of_message
from ib_kernel.text import well_formed
from ib_kernel.values import ChatRequest, Message, Session
from ib_kernel.values.passage import Api, Passage

ITEMS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "role", "content", "id", "status", "phase"}),
    "function_call": frozenset({"type", "call_id", "name", "arguments", "id", "status"}),
    "function_call_output": frozenset({"type", "call_id", "output", "id", "status"}),
    "custom_tool_call": frozenset({"type", "call_id", "name", "input", "id", "status"}),
    "custom_tool_call_output": frozenset({"type", "call_id", "output", "id", "status"}),
    "reasoning": frozenset({"type", "summary", "content", "encrypted_content", "id", "status"}),
}
"""The items that a Responses input may have, and their fields (OpenAI's API reference, read 2026-11)."""

TOOLS = frozenset({"function", "custom"})
"""Kinds of tools that run at the candidate's; those that run at the service are billed beside the tokens."""

_OWN = {
    "chat": ("model", "messages", "temperature", "stream", "stream_options"),
    "responses": ("model", "input", "instructions", "temperature", "stream", "stream_options"),
}
_STREAM_OPTIONS = frozenset({"include_usage", "include_obfuscation"})


@dataclass(slots=True)
class AskedFor:
    """One checked request.

    `count_body` is what is counted, `cap` the reply's tokens that were asked for (None: not said), `question`
    what the transcript keeps of it.
    """

    api: Api
    model: str
    stream: bool
    wants_usage: bool
    cap: int | None
    n: int
    question: Message
    temperature: float | None = None
    messages: tuple[Mapping[str, Any], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)

    def body(self, passage: Passage, cap: int) -> dict[str, Any]:
        """Return the body that the service is sent, with the reply capped at *cap* tokens."""
        if self.api == "responses":
            return passage.responses_body({**self.fields, "stream": self.stream}, cap)
        extra = {**self.fields, "stream": self.stream}
        request = ChatRequest(self.model, self.messages, cap, self.temperature, self.n, extra)
        return passage.chat_body(request)


class NoSuchModel(BadRequest):
    """A model that this session was not invited to."""


def invited_models(session: Session) -> tuple[str, ...]:
    """Return the models that a session's tools may ask."""
    return (session.model,)


def read_asked(raw: bytes, api: Api, session: Session) -> AskedFor:
    """Return what a request's body asks for.

    Args:
        raw: The body as it came.
        api: Which of the two APIs it speaks.
        session: Whose tool it is.

    Raises:
        ConfigError: It is no JSON object, or has something in it that nobody could count.
        NoSuchModel: It names a model that the session was not invited to.
    """
    try:
        value = read_json(raw)
    except RecursionError:
        raise ConfigError("the request is nested too deeply; send it flatter") from None
    except ValueError:
        raise ConfigError("the request's body is not JSON; send an object as UTF-8 JSON") from None
    if not isinstance(value, dict):
        raise ConfigError("the request's body is not a JSON object; send one with a model and messages")
    try:
        return _read(value, api, session)
    except RecursionError:
        raise ConfigError("the request is nested too deeply; send it flatter") from None


def _read(value: dict[str, Any], api: Api, session: Session) -> AskedFor:
    own = {name: value.pop(name) for name in _OWN[api] if value.get(name) is not None}
    rest = {name: given for name, given in value.items() if given is not None}
    model = _model(own.get("model"), session)
    stream = _flag(own.get("stream", False), "stream")
    wants_usage = _wants_usage(own.get("stream_options"), stream)
    temperature = _temperature(own.get("temperature"))
    fields, n, cap = read_extra(rest, None, api)
    _check_tools(fields.get("tools"))
    if api == "chat":
        messages = own.get("messages")
        if not isinstance(messages, list):
            raise ConfigError("messages is missing or no list; give at least one with a role and a content")
        check_messages(messages)
        question = _question(messages[-1])
        return AskedFor(
            api, model, stream, wants_usage, cap, n, question, temperature, tuple(messages), fields
        )
    if n != 1:
        raise ConfigError("the Responses API gives one choice; leave n out")
    given = _input(own.get("input"))
    fields = {"model": model, "input": given, **fields}
    if temperature is not None:
        fields["temperature"] = temperature
    if "instructions" in own:
        fields["instructions"] = _text(own["instructions"], "instructions")
    question = _question({"role": "user", "content": given} if isinstance(given, str) else given[-1])
    return AskedFor(api, model, stream, wants_usage, cap, 1, question, temperature, (), fields)


def _model(name: Any, session: Session) -> str:
    allowed = invited_models(session)
    if name is None:
        raise ConfigError(f"the request names no model; this interview has {', '.join(allowed)}")
    if name not in allowed:
        raise NoSuchModel(
            f"this interview was not invited to the model {str(name)[:60]!r}; it has {', '.join(allowed)}",
            outcome="not_sent",
        )
    return str(name)


def _wants_usage(options: Any, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise ConfigError("stream_options is for streams only; set stream, or leave it out")
    if not isinstance(options, Mapping) or not _STREAM_OPTIONS.issuperset(options):
        raise ConfigError(f"stream_options can have: {', '.join(sorted(_STREAM_OPTIONS))}")
    return _flag(options.get("include_usage", False), "stream_options.include_usage")


def _flag(value: Any, name: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{name} cannot be {str(value)[:60]!r}; give true or false")
    return bool(value)


def _temperature(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 2:
        raise ConfigError(f"temperature cannot be {str(value)[:60]!r}; give a number from 0 to 2")
    return float(value)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a text, not of type {type(value).__name__}")
    return value


def _check_tools(tools: Any) -> None:
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type", "function") if isinstance(tool, Mapping) else type(tool).__name__
        if kind not in TOOLS:
            raise ConfigError(
                f"a tool cannot be of type {str(kind)[:60]!r}: nobody could count what the service does; "
                f"allowed: {', '.join(sorted(TOOLS))}"
            )


def _input(given: Any) -> str | list[Any]:
    if isinstance(given, str) and given:
        return given
    if not isinstance(given, list) or not given:
        raise ConfigError("input is missing; give a text, or a list of items")
    for item in given:
        _check_item(item)
    return given


def _check_item(item: Any) -> None:
    kind = item.get("type", "message") if isinstance(item, Mapping) else type(item).__name__
    if not isinstance(kind, str) or kind not in ITEMS:
        raise ConfigError(
            f"an input cannot have an item of type {str(kind)[:60]!r}: nobody could count it; allowed: "
            f"{', '.join(sorted(ITEMS))}"
        )
    unknown = set(item) - ITEMS[kind]
    if unknown:
        name = str(sorted(map(str, unknown))[0])[:60]
        raise ConfigError(f"an item of type {kind} cannot have the field {name!r}: nobody could count it")
    if kind == "message":
        check_messages([{name: item[name] for name in ("role", "content") if name in item}])


def _question(last: Mapping[str, Any]) -> Message:
    """Return what the transcript keeps of a request: its last message, with the role it has here."""
    text = _parts_text(last) or json.dumps(last, ensure_ascii=False)
    now = time.time()
    return Message(0, "gateway_user", well_formed(text), created_at=now, asked_at=now)


def _parts_text(item: Mapping[str, Any]) -> str:
    if "output" in item and isinstance(item["output"], str):
        return item["output"]
    return text_of_message(item)
