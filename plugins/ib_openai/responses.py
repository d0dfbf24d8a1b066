"""The Responses API: the body that is sent, and the reader of what comes back.

A `ChatRequest` speaks Chat Completions; `responses_body` says the same in the other API's words. Replies are
not stored with the service (``store: false``) unless `extra` asks for it. Finish reasons are told in the
words of Chat Completions (*stop*, *length*), so that rows of both APIs compare; others pass as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import BadRequest
from ib_kernel.secrets import Secret
from ib_kernel.values import ChatRequest, Piece, Thinking, ends
from ib_kernel.values.reported import usages_in
from ib_openai.answers import AnswerReader, Heard, heard_in, thoughts_in
from ib_openai.dialects import Dialect, messages_for
from ib_openai.values import name_of, text_of

PATH = "/responses"

_DELTAS = ("response.output_text.delta", "response.refusal.delta")
_TEXTS_DONE = ("response.output_text.done", "response.refusal.done")
_THOUGHTS = (
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning.delta",
    "response.reasoning_summary.delta",
)
_WHOLE = "whole"
_ENDS = {
    "response.completed": "completed",
    "response.done": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    _WHOLE: "completed",
}
"""Events that end an answer, and the status of one that names none."""

_KNOWN = frozenset(
    {"id", "object", "created_at", "model", "status", "output", "usage", "error", "incomplete_details",
     "text", "reasoning", "metadata", "tools", "tool_choice", "instructions", "service_tier", "type",
     "response", "parallel_tool_calls", "temperature", "top_p", "prompt", "input", "store", "truncation",
     "user"}
)  # fmt: skip
_FINISH = {"completed": "stop", "max_output_tokens": "length"}


def responses_body(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the Responses body for *request*. Pure. `BadRequest` for several choices, which it has not."""
    if request.n != 1:
        raise BadRequest("not sent: the Responses API gives one choice; use --api chat", outcome="not_sent")
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in messages_for(request.messages, dialect) for item in _items(message)],
        "max_output_tokens": request.max_completion_tokens,
        "stream": True,
        "store": False,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if dialect.cache_key and request.cache_key:
        body["prompt_cache_key"] = request.cache_key
    for name, value in request.extra.items():
        _add(body, name, value)
    if not dialect.reasoning_effort:
        body.pop("reasoning", None)
    return body


def _add(body: dict[str, Any], name: str, value: Any) -> None:
    """Add one field by its Chat Completions name."""
    if name == "tools" and isinstance(value, (list, tuple)):
        body["tools"] = [_flat(tool) for tool in value]
    elif name == "tool_choice":
        body["tool_choice"] = _flat(value)
    elif name == "response_format" and isinstance(value, Mapping):
        schema = value.get("json_schema")
        form = {"type": "json_schema", **schema} if isinstance(schema, Mapping) else dict(value)
        body["text"] = {**body.get("text", {}), "format": form}
    elif name == "verbosity":
        body["text"] = {**body.get("text", {}), "verbosity": value}
    elif name == "reasoning_effort":
        body["reasoning"] = {**body.get("reasoning", {}), "effort": value}
    else:
        body[name] = value


def _flat(tool: Any) -> Any:
    """Return a function tool, or a choice of one, without the wrapping that Chat Completions has."""
    inner = tool.get("function") if isinstance(tool, Mapping) else None
    return {"type": "function", **inner} if isinstance(inner, Mapping) else tool


def _items(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    role = text_of(message.get("role"))
    content = message.get("content")
    if role == "tool":
        output = content if isinstance(content, str) else _parts(content, "input_text")
        return [{"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": output}]
    items: list[dict[str, Any]] = []
    if content is not None:
        kind = "output_text" if role == "assistant" else "input_text"
        items.append(
            {"role": role, "content": content if isinstance(content, str) else _parts(content, kind)}
        )
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        items.append(
            {
                "type": "function_call",
                "call_id": call.get("id"),
                "name": function.get("name"),
                "arguments": function.get("arguments"),
            }
        )
    return items


def _parts(content: Any, text_kind: str) -> Any:
    if not isinstance(content, (list, tuple)):
        return content
    parts: list[Any] = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            parts.append({"type": text_kind, "text": part.get("text", "")})
        elif kind == "image_url" and isinstance(part.get("image_url"), Mapping):
            image = part["image_url"]
            detail = image.get("detail", "auto")
            parts.append({"type": "input_image", "image_url": image.get("url"), "detail": detail})
        elif kind == "file" and isinstance(part.get("file"), Mapping):
            parts.append({"type": "input_file", **part["file"]})
        else:
            parts.append(part)
    return parts


class ResponsesReader(AnswerReader):
    """Reads one answer of the Responses API. See `AnswerReader` for the fields."""

    def __init__(self, key: Secret | None = None, other: type[AnswerReader] | None = None) -> None:
        super().__init__(key, other)
        self._said: dict[Any, list[str]] = {}

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        if self._other is not None or isinstance(value.get("choices"), list) or "done" in value:
            return self._by_other(kind, value, whole=whole)
        kind = text_of(value.get("type")) or kind
        if (
            kind == "error"
            or value.get("error")
            or (not kind and "output" not in value and "detail" in value)
        ):
            self._note_usage(usages_in(value, _KNOWN))
            raise self.failure(value)
        if kind in _DELTAS:
            return self._new(_place(value), text_of(value.get("delta")))
        if kind in _THOUGHTS:
            return self._mark([Thinking(thoughts_in(value.get("delta")))])
        if kind in _TEXTS_DONE:
            place = _place(value)
            return self._new(place, self._rest(text_of(value.get("text") or value.get("refusal")), place))
        if kind == "response.content_part.done" and isinstance(part := value.get("part"), dict):
            place = _place(value)
            return self._new(place, self._rest(_text_of_output([{"content": [part]}]), place))
        if kind == "response.output_item.done" and isinstance(item := value.get("item"), dict):
            place = (_place(value)[0], "")
            return self._new(place, self._rest(_text_of_output([item]), place))
        response = value.get("response")
        if isinstance(response, dict):
            return self._response(response, kind)
        if kind in _ENDS:
            return self._response({}, kind)
        return self._response(value, _WHOLE) if "output" in value or value.get("object") == "response" else []

    def _new(self, place: Any, text: str) -> list[Heard]:
        if not text:
            return []
        self._heard_any = True
        self._said.setdefault(place, []).append(text)
        return self._mark([Piece(text)])

    def _rest(self, text: str, place: Any = None) -> str:
        """Return what of a finished *text* has not been said: here, or (None) in the whole answer.

        A place is a part of an item; without a part it is the item. What was said at no place in particular
        is not said again where it has one.
        """
        everything = "".join(piece for pieces in self._said.values() for piece in pieces)
        if place is None:
            said = everything
        elif place[1]:
            said = "".join(self._said.get(place, ()))
        else:
            said = "".join(p for key, pieces in self._said.items() if key[0] == place[0] for p in pieces)
        if not said and everything.endswith(text):
            return ""
        return text[len(said) :] if text.startswith(said) else ""

    def _response(self, response: dict[str, Any], kind: str) -> list[Heard]:
        self._note_about(response, "created_at")
        self._note_usage(usages_in(response, _KNOWN))
        status = text_of(response.get("status")) or _ENDS.get(kind, "")
        if response.get("error") or status == "failed":
            raise self.failure(response.get("error") or {"message": "the response failed"})
        if kind not in _ENDS:
            return []
        self._heard_any = True
        heard = self._new(("", ""), self._rest(_text_of_answer(response)))
        if status not in ends.NO_REASON:
            details = response.get("incomplete_details")
            reason = name_of(details.get("reason")) if isinstance(details, dict) else ""
            self._finish = _FINISH.get(reason or status, reason or status)
            self.finished = self.complete = True
        return heard


def _place(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("output_index"))[:20], str(value.get("content_index"))[:20]


def _text_of_answer(response: dict[str, Any]) -> str:
    return _text_of_output(response.get("output")) or text_of(response.get("output_text"))


def _text_of_output(items: Any) -> str:
    """Return the text of an answer's messages; reasoning items are not text."""
    messages = (
        [i for i in items if isinstance(i, dict) and i.get("type", "message") == "message"]
        if (isinstance(items, list))
        else []
    )
    heard = [one for item in messages for one in heard_in(item.get("content"))]
    return "".join(one.text for one in heard if isinstance(one, Piece))
