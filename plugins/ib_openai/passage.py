"""Passing requests on: where they go, with which key, and what can be read from answers on their way.

Answers are read by the same readers as our own (`ChatReader`, `ResponsesReader`), so that usage, ends and
errors mean the same. What they leave out of the text (tool calls, further choices) is billed and noted here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ib_kernel.errors import ClientError, StreamBroken
from ib_kernel.secrets import Secret
from ib_kernel.text import well_formed_value
from ib_kernel.values import ChatRequest, Done, Piece, RateLimits
from ib_kernel.values.passage import Api
from ib_kernel.values.sse import Decoder
from ib_openai import chat, responses
from ib_openai.answers import AnswerReader, Heard
from ib_openai.dialects import DEFAULT_URL, Dialect, split_query
from ib_openai.limits import read_rate_limits
from ib_openai.mapping import Asked, from_status, not_an_answer
from ib_openai.values import read_json, text_of

_PATHS: dict[Api, str] = {"chat": chat.PATH, "responses": responses.PATH}


class OpenAIPassage:
    """Implements `ib_kernel.values.passage.Passage` for one service and key."""

    def __init__(
        self, base_url: str | None, dialect: Dialect, secret: Secret | None, models: Mapping[str, Any]
    ) -> None:
        self._dialect, self._secret, self._models = dialect, secret, models
        address, query = split_query(base_url or DEFAULT_URL)
        tail = f"?{urlencode(query)}" if query else ""
        self._urls = {api: address.rstrip("/") + path + tail for api, path in _PATHS.items()}

    def __repr__(self) -> str:
        return f"OpenAIPassage({self._dialect.name})"

    def url(self, api: Api) -> str:
        """Return where requests of *api* are posted to, query included."""
        return self._urls[api]

    def headers(self) -> dict[str, str]:
        """Return the headers of a request, the key among them. Not to be shown or logged."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._secret is not None:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
            if self._dialect.key_header:
                headers[self._dialect.key_header] = self._secret.reveal()
        return headers

    def chat_body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the Chat Completions body that the service is sent for *request*."""
        own = self._models.get(request.model)
        field = own.get("cap_field") if isinstance(own, Mapping) else None
        return well_formed_value(chat.chat_body(request, self._dialect, field))

    def responses_body(self, body: Mapping[str, Any], cap: int) -> dict[str, Any]:
        """Return a Responses *body* as the service is sent it, capped at *cap* tokens."""
        sent = {"store": False, **body, "max_output_tokens": cap}
        if not self._dialect.reasoning_effort:
            sent.pop("reasoning", None)
        return well_formed_value(sent)

    def answer(self, api: Api) -> PassingChat | PassingResponses:
        """Return a reader of one answer."""
        return PassingChat(self._secret) if api == "chat" else PassingResponses(self._secret)

    def refusal(self, api: Api, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
        """Return our error for an answer with an error *status* (header names in lower case)."""
        text = body.decode("utf-8", "replace")
        answer = read_json(text) or text
        return from_status(status, headers, answer, key=self._secret, asked=Asked(_PATHS[api]))

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        """Return the limits that an answer's headers tell (names in lower case), None for none."""
        return read_rate_limits(headers)


class _Passing:
    """What both APIs share. See `ib_kernel.values.passage.PassingAnswer`."""

    _reader: AnswerReader

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.others: list[str] = []
        self._decoder = Decoder()

    @property
    def finished(self) -> bool:
        """Whether a good end stands."""
        return self._reader.finished

    @property
    def complete(self) -> bool:
        """Whether nothing more can follow."""
        return self._reader.complete

    def feed(self, events: bytes) -> None:
        """Read some whole events of a stream. Raises a `ClientError` for an error event or junk."""
        events = self._plain(events)
        if not events:
            return
        for event in self._decoder.feed(events):
            if self._reader.complete:
                return
            try:
                heard = self._reader.feed(event)
            except StreamBroken:
                if not self._reader.finished:
                    raise
                self._reader.complete = True  # junk after a good end ends the reply
                return
            if heard:
                self._note(heard)

    def _plain(self, events: bytes) -> bytes:
        """Take what needs no parsing off the front of *events*; return the rest."""
        return events

    def whole(self, body: bytes) -> None:
        """Read an answer that was not streamed. Raises a `ClientError`."""
        text = body.decode("utf-8-sig", "replace").strip()
        value = read_json(text)
        if not isinstance(value, dict):
            raise not_an_answer(text[:4096], text[:1] in ("{", "["))
        self._note(self._reader.whole(value))

    def done(self) -> Done:
        """Return how the answer ended. A `ClientError` when it has not ended well."""
        return self._reader.done()

    def lost(self, error: ClientError) -> ClientError:
        """Return *error*, a connection's, with the usage that had come."""
        return self._reader.lost(error)

    def _note(self, heard: list[Heard]) -> None:
        for one in heard:
            (self.pieces if isinstance(one, Piece) else self.others).append(one.text)


class PassingChat(_Passing):
    """Reads Chat Completions on their way."""

    def __init__(self, key: Secret | None = None) -> None:
        super().__init__()
        self._reader: _Chat = _Chat(key, self.others)
        self._shape: _Shape | None = None

    def _plain(self, events: bytes) -> bytes:
        """Take events off the front that are like one that was parsed, but for their text.

        The reader learns nothing from them but the text: it has seen one, and they have no finish reason, no
        usage and no field that that one had not.
        """
        if self._shape is None:
            if self._reader.began and not self._reader.finished:
                self._shape = _shape_of(events)
            return events
        at = 0
        while found := self._shape.match(events, at):
            text, at = found
            self.pieces.append(text)
        return events[at:] if at else events

    def is_usage_only(self, event: bytes) -> bool:
        """Return True if a whole event has the usage and nothing else."""
        data = event.partition(b"data:")[2]
        value = read_json(data.decode("utf-8", "replace").strip())
        return isinstance(value, dict) and bool(value.get("usage")) and value.get("choices") == []

    def cut_short(self) -> bytes:
        """Return the events that end the answer here as a service does at the reply's cap."""
        chunk = {
            "id": "chatcmpl-cut",
            "created": 0,
            "model": "",
            **self._reader.about,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
        }
        return b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"


_CONTENT = re.compile(rb'"delta":\s?\{"content":\s?"([^"\\]+)"\}')
_PADDING = re.compile(rb'"obfuscation":\s?"([0-9A-Za-z]*)"')
_NO_END = re.compile(rb'"finish_reason":\s?null')


@dataclass(frozen=True, slots=True)
class _Shape:
    """Events that differ in their text, and in OpenAI's padding, only: the bytes around both."""

    head: bytes
    middle: bytes
    tail: bytes | None

    def match(self, events: bytes, at: int) -> tuple[str, int] | None:
        """Return the text of the event at *at* and where it ends; None for one of another shape."""
        if not events.startswith(self.head, at):
            return None
        start = at + len(self.head)
        end = events.find(b'"', start)
        quoted = events[start:end]
        if end <= start or b"\\" in quoted or not events.startswith(self.middle, end):
            return None
        end += len(self.middle)
        if self.tail is not None:
            last = events.find(b'"', end)
            if last < 0 or not (last == end or events[end:last].isalnum()):
                return None
            if not events.startswith(self.tail, last):
                return None
            end = last + len(self.tail)
        return quoted.decode("utf-8", "replace"), end


def _shape_of(events: bytes) -> _Shape | None:
    """Return the shape of the last of *events*; None where it has none.

    Only a text of choice 0 without a finish reason, usage or anything else in its delta makes a shape.
    """
    event = events[events.rfind(b"data:", 0, len(events) - 2) :]
    text = _CONTENT.search(event)
    value = read_json(event[5:].decode("utf-8", "replace").strip())
    if text is None or not _NO_END.search(event) or not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or value.get("usage") or value.get("error"):
        return None
    if not isinstance(choices[0], dict) or choices[0].get("index") != 0 or choices[0].get("finish_reason"):
        return None
    start, end = text.span(1)
    padding = _PADDING.search(event, end)
    if padding is None:
        return _Shape(event[:start], event[end:], None)
    first, last = padding.span(1)
    return _Shape(event[:start], event[end:first], event[last:])


class _Chat(chat.ChatReader):
    def __init__(self, key: Secret | None, others: list[str]) -> None:
        super().__init__(key)
        self._others = others

    @property
    def about(self) -> dict[str, Any]:
        """What the service said about its answer: model, id and time."""
        return self._about

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                said = choice.get("delta") or choice.get("message")
                if isinstance(said, dict) and (len(said) > 1 or "content" not in said or choice.get("index")):
                    self._others += _unshown(said, choice.get("index"))
        return super()._one(kind, value, whole=whole)


def _unshown(said: Mapping[str, Any], index: Any) -> list[str]:
    """Return what was generated in a message or delta beside the text of choice 0."""
    found = [text_of(said.get("content")), text_of(said.get("refusal"))] if index else []
    calls = said.get("tool_calls")
    functions = [one.get("function") or one.get("custom") for one in calls or () if isinstance(one, dict)]
    for function in (*functions, said.get("function_call")):
        if isinstance(function, dict):
            found += [text_of(function.get(name)) for name in ("name", "arguments", "input")]
    return [text for text in found if text]


class PassingResponses(_Passing):
    """Reads Responses on their way."""

    def __init__(self, key: Secret | None = None) -> None:
        super().__init__()
        self._reader: _Responses = _Responses(key, self.others)

    def is_usage_only(self, event: bytes) -> bool:
        """Return False: in this API the usage stands in the event that ends the answer."""
        return False

    def cut_short(self) -> bytes:
        """Return the event that ends the answer here as a service does at the reply's cap."""
        answer = {
            "id": "resp_cut",
            "object": "response",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "created_at": 0,
            "model": "",
            **self._reader.begun,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
        }
        event = {"type": "response.incomplete", "sequence_number": self._reader.events, "response": answer}
        return b"event: response.incomplete\ndata: " + json.dumps(event).encode() + b"\n\n"


_GENERATED = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")


class _Responses(responses.ResponsesReader):
    def __init__(self, key: Secret | None, others: list[str]) -> None:
        super().__init__(key)
        self._others = others
        self.events = 0
        self.begun: dict[str, Any] = {}

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        self.events += 1
        kind = text_of(value.get("type")) or kind
        if kind in _GENERATED:
            self._others.append(text_of(value.get("delta")))
            self.began = True
        elif kind == "response.created" and isinstance(value.get("response"), dict):
            self.begun = value["response"]
        elif whole:
            self._others += _calls_in(value.get("output"))
        return super()._one(kind, value, whole=whole)


def _calls_in(output: Any) -> list[str]:
    """Return the tool calls of a whole answer."""
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    found = [text_of(item.get(name)) for item in items for name in ("name", "arguments", "input")]
    return [text for text in found if text]
