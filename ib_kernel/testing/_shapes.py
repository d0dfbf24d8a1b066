"""The JSON that OpenAI-compatible services send, for Chat Completions and for the Responses API.

`FaultServer` counts by a rule of its own, so that tests can predict it: a prompt costs 3 tokens a message
plus one for every word, a reply one token for every piece that is sent.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ib_kernel.testing.faults import Step

CREATED = 1_790_000_000
"""The `created` time of every answer (Unix time)."""


def words_of(value: Any) -> int:
    """Return the words in all texts of a message or input."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, Mapping):
        return sum(words_of(item) for name, item in value.items() if name not in ("role", "type", "id"))
    return sum(map(words_of, value)) if isinstance(value, list) else 0


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Return what the server bills for a request's prompt."""
    messages = body.get("messages", body.get("input"))
    items = messages if isinstance(messages, list) else [messages]
    return sum(3 + words_of(item) for item in items) + words_of(body.get("instructions"))


def _last_text(body: Mapping[str, Any]) -> str:
    messages = body.get("messages", body.get("input"))
    last = messages[-1] if isinstance(messages, list) and messages else messages
    content = last.get("content") if isinstance(last, Mapping) else last
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content or "nothing")


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream: its type ("" in Chat Completions) and data.

    `pieces` counts the pieces of text in it, `ends` says that the finish reason is in it.
    """

    kind: str
    data: str
    pieces: int = 0
    ends: bool = False


class Answer:
    """A good answer to one request, as *step* wants it. Subclasses know the API's shape."""

    cap_fields: tuple[str, ...] = ("max_completion_tokens", "max_tokens")

    def __init__(self, body: Mapping[str, Any], step: Step, number: int, cap_fields: tuple[str, ...]) -> None:
        self.body = body
        self.step = step
        self.number = number
        self.model = step.model or str(body.get("model", ""))
        text = step.text if step.text is not None else f"You said: {_last_text(body)}"
        pieces = step.pieces if step.pieces is not None else tuple(re.findall(r"\s*\S+", text))
        caps = [body[name] for name in cap_fields if isinstance(body.get(name), int)]
        cap = min(caps) if caps and step.cap else None
        self.cut = cap is not None and cap < len(pieces)
        self.pieces = pieces[:cap]

    def billed_prompt(self) -> int:
        """Return the prompt tokens of a computed usage."""
        return (self.step.prompt_tokens or prompt_tokens)(self.body)

    def usage(self, sent: int) -> dict[str, Any]:
        """Return the usage object after *sent* pieces of each choice."""
        raise NotImplementedError

    def whole(self) -> dict[str, Any]:
        """Return the answer that is not streamed."""
        raise NotImplementedError

    def frames(self) -> Iterator[Frame]:
        """Return the events of the streamed answer."""
        raise NotImplementedError

    def failure(self) -> Frame:
        """Return the event of an error inside a stream."""
        return Frame("", json.dumps(self.step.error))


class ChatAnswer(Answer):
    """Chat Completions."""

    @property
    def n(self) -> int:
        """How many choices were asked for."""
        return int(self.body.get("n") or 1)

    @property
    def finish(self) -> str | None:
        """The finish reason that is sent."""
        return "length" if self.cut and self.step.finish_reason else self.step.finish_reason

    def usage(self, sent: int) -> dict[str, Any]:
        """Return the usage object after *sent* pieces of each choice."""
        if self.step.usage is not None:
            return dict(self.step.usage)
        prompt, completion = self.billed_prompt(), sent * self.n
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def whole(self) -> dict[str, Any]:
        """Return a `chat.completion`."""
        message = {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        choices = [
            {"index": i, "message": message, "logprobs": None, "finish_reason": self.finish}
            for i in range(self.n)
        ]
        answer = self._common("chat.completion", choices)
        if self.step.usage_sent != "never":
            answer["usage"] = self.usage(len(self.pieces))
        return answer

    def frames(self) -> Iterator[Frame]:
        """Return `chat.completion.chunk`s; usage comes last, as OpenAI sends it."""
        wanted = bool((self.body.get("stream_options") or {}).get("include_usage"))
        cumulative = self.step.usage_sent == "cumulative"
        for i in range(self.n):
            yield self._chunk(i, {"role": "assistant", "content": "", "refusal": None}, None, 0, None)
        for at, piece in enumerate(self.pieces):
            if self.step.empty_choices:
                yield Frame("", json.dumps(self._common("chat.completion.chunk", [])))
            for i in range(self.n):
                usage = self.usage(at + 1) if cumulative else None
                yield self._chunk(i, {"content": piece}, None, int(i == 0), usage)
        if self.finish is not None:
            for i in range(self.n):
                end = self._chunk(i, {}, self.finish, 0, None)
                yield dataclasses.replace(end, ends=i == self.n - 1)
        if wanted and self.step.usage_sent != "never":
            last = self._common("chat.completion.chunk", [])
            last["usage"] = self.usage(len(self.pieces))
            for _ in range(2 if self.step.usage_sent == "twice" else 1):
                yield Frame("", json.dumps(last))
        if self.step.end:
            yield Frame("", "[DONE]")

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None, pieces: int, usage: dict[str, Any] | None
    ) -> Frame:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = self._common("chat.completion.chunk", [choice])
        chunk["usage"] = usage
        return Frame("", json.dumps(chunk, ensure_ascii=False), pieces)

    def _common(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.number}",
            "object": kind,
            "created": CREATED,
            "model": self.model,
            "service_tier": self.step.service_tier,
            "system_fingerprint": "fp_test",
            "choices": choices,
        }


class ResponsesAnswer(Answer):
    """The Responses API. Its words for an end differ: *completed*, or *incomplete* with a reason."""

    def usage(self, sent: int) -> dict[str, Any]:
        """Return the usage object after *sent* pieces."""
        if self.step.usage is not None:
            return dict(self.step.usage)
        prompt = self.billed_prompt()
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": sent,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + sent,
        }

    def whole(self) -> dict[str, Any]:
        """Return a `response`."""
        status, reason = self._end()
        return self._response(status, reason, "".join(self.pieces))

    def frames(self) -> Iterator[Frame]:
        """Return the `response.*` events of one text item."""
        item = {"id": f"msg_{self.number}", "type": "message", "role": "assistant", "status": "in_progress"}
        yield self._event("response.created", {"response": self._response("in_progress", None, None)})
        yield self._event("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}})
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        for piece in self.pieces:
            yield self._event("response.output_text.delta", {**place, "delta": piece, "logprobs": []}, 1)
        text = "".join(self.pieces)
        yield self._event("response.output_text.done", {**place, "text": text, "logprobs": []})
        status, reason = self._end()
        if status != "in_progress":
            kind = "response.completed" if status == "completed" else "response.incomplete"
            for _ in range(2 if self.step.usage_sent == "twice" else 1):
                yield self._event(kind, {"response": self._response(status, reason, text)})

    def failure(self) -> Frame:
        """Return an `error` event; its fields are not wrapped."""
        error = self.step.error
        inner = error.get("error") if isinstance(error, Mapping) else {"message": error}
        return self._event("error", {**(inner or {}), "type": "error"})

    def _end(self) -> tuple[str, str | None]:
        if self.step.finish_reason is None:
            return "in_progress", None
        if self.cut:
            return "incomplete", "max_output_tokens"
        return (
            ("completed", None)
            if self.step.finish_reason == "stop"
            else ("incomplete", self.step.finish_reason)
        )

    def _event(self, kind: str, fields: dict[str, Any], pieces: int = 0) -> Frame:
        return Frame(kind, json.dumps({"type": kind, **fields}, ensure_ascii=False), pieces)

    def _response(self, status: str, reason: str | None, text: str | None) -> dict[str, Any]:
        content: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {
            "id": f"msg_{self.number}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [content],
        }
        ended = text is not None and self.step.usage_sent != "never"
        return {
            "id": f"resp_{self.number}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "model": self.model,
            "output": [message] if text is not None else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "service_tier": self.step.service_tier,
            "usage": self.usage(len(self.pieces)) if ended else None,
        }
