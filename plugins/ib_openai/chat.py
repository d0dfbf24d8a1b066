"""Chat Completions: the body that is sent, and the reader of what comes back.

Text is what a candidate would read: `delta.content` and refusals of choice 0. With ``n > 1`` the other
choices are read (and billed) but not shown. Tool calls and reasoning text stay out of the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import StreamBroken
from ib_kernel.secrets import Secret
from ib_kernel.values import ChatRequest, Done, Usage
from ib_openai.dialects import Dialect
from ib_openai.mapping import from_event, no_finish
from ib_openai.sse import Event
from ib_openai.values import read_json, read_usage, text_of, whole_of

PATH = "/chat/completions"


def chat_body(request: ChatRequest, dialect: Dialect, cap_field: str | None = None) -> dict[str, Any]:
    """Return the Chat Completions body for *request* as *dialect* wants it. Pure.

    *cap_field* is the field for the cap when it is known (None: the dialect's).
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message, dialect) for message in request.messages],
        cap_field or dialect.cap_field_for(request.model): request.max_completion_tokens,
        "stream": True,
    }
    if dialect.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.n != 1:
        body["n"] = request.n
    body.update(request.extra)
    if not body["stream"]:
        body.pop("stream_options", None)
    if not dialect.reasoning_effort:
        body.pop("reasoning_effort", None)
    return body


def _message(message: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    copy = dict(message)
    if copy.get("role") == "developer" and not dialect.developer_role:
        copy["role"] = "system"
    return copy


class ChatReader:
    """Reads one answer: events of a stream, or a whole JSON answer.

    `finished` turns True with choice 0's finish reason, `complete` when nothing more can follow.
    """

    def __init__(self, key: Secret | None = None) -> None:
        self.finished = False
        self.complete = False
        self.key = key
        self._finish = ""
        self._usage: Usage | None = None
        self._raw: str | None = None
        self._model = ""
        self._id = ""
        self._created = 0
        self._tier: str | None = None

    def feed(self, event: Event) -> list[str]:
        """Return the texts of *event*. Raises a `ClientError` for an error event, `StreamBroken` for junk."""
        if event.data.strip() == "[DONE]":
            self.complete = True
            return []
        chunk = read_json(event.data)
        if not isinstance(chunk, dict):
            raise StreamBroken("the service sent data that are not JSON in its stream")
        if chunk.get("error") or event.kind == "error":
            raise from_event(chunk, key=self.key)
        self._note(chunk)
        return self._texts(chunk, "delta")

    def whole(self, answer: dict[str, Any]) -> list[str]:
        """Return the texts of an answer that was not streamed."""
        if answer.get("error"):
            raise from_event(answer, key=self.key)
        self._note(answer)
        self.complete = True
        return self._texts(answer, "message")

    def done(self) -> Done:
        """Return the end of the reply. `StreamBroken` when there was no finish reason."""
        if not self.finished:
            raise no_finish()
        return Done(self._finish, self._usage, self._model, self._id, self._created, self._tier, self._raw)

    def _note(self, chunk: dict[str, Any]) -> None:
        self._model = text_of(chunk.get("model")) or self._model
        self._id = text_of(chunk.get("id")) or self._id
        self._created = whole_of(chunk.get("created")) or self._created
        self._tier = text_of(chunk.get("service_tier")) or self._tier
        usage = read_usage(chunk.get("usage"), "prompt", "completion")
        if usage is not None:  # the last one wins
            self._usage, self._raw = usage, json.dumps(chunk["usage"])

    def _texts(self, chunk: dict[str, Any], part: str) -> list[str]:
        texts: list[str] = []
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            delta = choice.get(part)
            if isinstance(delta, dict):
                texts += [t for t in (delta.get("content"), delta.get("refusal")) if isinstance(t, str) and t]
            reason = choice.get("finish_reason")
            if isinstance(reason, str) and reason:
                self._finish, self.finished = reason, True
        return texts
