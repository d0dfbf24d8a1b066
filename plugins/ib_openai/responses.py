"""The Responses API: the body that is sent, and the reader of what comes back.

A `ChatRequest` speaks Chat Completions; `responses_body` says the same in the other API's words. Replies are
not stored with the service (``store: false``) unless `extra` asks for it. Finish reasons are told in the
words of Chat Completions (*stop*, *length*), so that rows of both APIs compare; others pass as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import BadRequest, StreamBroken
from ib_kernel.secrets import Secret
from ib_kernel.values import ChatRequest, Done, Usage
from ib_openai.dialects import Dialect
from ib_openai.mapping import from_event, no_finish
from ib_openai.sse import Event
from ib_openai.values import read_json, read_usage, text_of, whole_of

PATH = "/responses"

_DELTAS = ("response.output_text.delta", "response.refusal.delta")
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_FINISH = {"completed": "stop", "max_output_tokens": "length"}


def responses_body(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the Responses body for *request*. Pure. `BadRequest` for several choices, which it has not."""
    if request.n != 1:
        raise BadRequest("not sent: the Responses API gives one choice; use --api chat", outcome="not_sent")
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message, dialect)],
        "max_output_tokens": request.max_completion_tokens,
        "stream": True,
        "store": False,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
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


def _items(message: Mapping[str, Any], dialect: Dialect) -> list[dict[str, Any]]:
    role = text_of(message.get("role"))
    content = message.get("content")
    if role == "tool":
        output = content if isinstance(content, str) else _parts(content, "input_text")
        return [{"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": output}]
    if role == "developer" and not dialect.developer_role:
        role = "system"
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


class ResponsesReader:
    """Reads one answer of the Responses API. See `ib_openai.chat.ChatReader` for the fields."""

    def __init__(self, key: Secret | None = None) -> None:
        self.finished = False
        self.complete = False
        self.key = key
        self._finish = ""
        self._usage: Usage | None = None
        self._raw: str | None = None
        self._about: dict[str, Any] = {}

    def feed(self, event: Event) -> list[str]:
        """Return the texts of *event*. Raises a `ClientError` for an error event, `StreamBroken` for junk."""
        if event.data.strip() == "[DONE]":
            self.complete = True
            return []
        data = read_json(event.data)
        if not isinstance(data, dict):
            raise StreamBroken("the service sent data that are not JSON in its stream")
        kind = text_of(data.get("type")) or event.kind
        if kind == "error" or data.get("error"):
            raise from_event(data, key=self.key)
        if kind in _DELTAS:
            return [text for text in (text_of(data.get("delta")),) if text]
        response = data.get("response")
        if isinstance(response, dict):
            self._note(response, ended=kind in _ENDS)
        return []

    def whole(self, answer: dict[str, Any]) -> list[str]:
        """Return the texts of an answer that was not streamed."""
        self._note(answer, ended=True)
        self.complete = True
        items = answer.get("output")
        contents = [i.get("content") for i in items if isinstance(i, dict)] if isinstance(items, list) else []
        parts = [part for content in contents if isinstance(content, list) for part in content]
        texts = [text_of(p.get("text") or p.get("refusal")) for p in parts if isinstance(p, dict)]
        return ["".join(texts)] if any(texts) else []

    def done(self) -> Done:
        """Return the end of the reply. `StreamBroken` when there was none."""
        if not self.finished:
            raise no_finish()
        about = self._about
        return Done(
            self._finish,
            self._usage,
            text_of(about.get("model")),
            text_of(about.get("id")),
            whole_of(about.get("created_at")) or 0,
            text_of(about.get("service_tier")) or None,
            self._raw,
        )

    def _note(self, response: dict[str, Any], *, ended: bool) -> None:
        status = text_of(response.get("status"))
        if response.get("error") or status == "failed":
            raise from_event(response.get("error") or {"message": "the response failed"}, key=self.key)
        self._about = response
        usage = read_usage(response.get("usage"), "input", "output")
        if usage is not None:
            self._usage, self._raw = usage, json.dumps(response["usage"])
        if ended and status not in ("in_progress", "queued", ""):
            details = response.get("incomplete_details")
            reason = text_of(details.get("reason")) if isinstance(details, dict) else ""
            self._finish = _FINISH.get(reason or status, reason or status)
            self.finished = self.complete = True
