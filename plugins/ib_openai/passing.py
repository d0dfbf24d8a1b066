"""Readers of answers that are passed on: what was said, what was generated besides, and how it ended.

They are the readers of our own answers (`ChatReader`, `ResponsesReader`), so that usage, ends and errors mean
the same. What those leave out of the text (tool calls, further choices) is billed too, and noted here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import ClientError, StreamBroken
from ib_kernel.secrets import Secret
from ib_kernel.values import Done, Piece
from ib_kernel.values.sse import Decoder
from ib_openai import chat, responses
from ib_openai.answers import AnswerReader, Heard
from ib_openai.mapping import not_an_answer
from ib_openai.plain_chunk import PlainChunk, plain_chunk
from ib_openai.values import core, read_json, text_of


class _Passing:
    """What both APIs share. See `ib_kernel.values.passage.PassingAnswer`."""

    _reader: AnswerReader

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.others: list[str] = []
        self._decoder: Decoder | None = None

    @property
    def finished(self) -> bool:
        """Whether a good end stands."""
        return self._reader.finished

    @property
    def complete(self) -> bool:
        """Whether nothing more can follow."""
        return self._reader.complete

    def plain(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the texts of the events from *at* on that hold nothing else, and where they end."""
        return [], at

    def feed(self, events: bytes) -> None:
        """Read some whole events of a stream. Raises a `ClientError` for an error event or junk."""
        at, border = 0, b"\n\n" if b"\r" not in events else b"\r\n\r\n"
        while at < len(events) and not self._reader.complete:
            texts, at = self.plain(events, at)
            self.pieces += texts
            end = events.find(border, at) + len(border)
            if end < len(border):
                end = len(events)
            if at < end:
                self._parse(events[at:end])
            at = end

    def _parse(self, events: bytes) -> None:
        if self._decoder is None:
            self._decoder = Decoder()
        for event in self._decoder.feed(events):
            try:
                heard = self._reader.feed(event)
            except StreamBroken:
                if not self._reader.finished:
                    raise
                self._reader.complete = True  # junk after a good end ends the reply
            else:
                self._note(heard)

    def whole(self, body: bytes) -> None:
        """Read an answer that was not streamed. Raises a `ClientError`."""
        value = _read_whole(body)
        if not isinstance(value, dict):
            text = body.decode("utf-8-sig", "replace").strip()
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


def _read_whole(body: bytes) -> Any:
    """Return the JSON value of a whole answer, None for what is none."""
    try:  # a third of the time
        return core().from_json(body)
    except ValueError:
        return read_json(body.decode("utf-8-sig", "replace").strip())


class PassingChat(_Passing):
    """Reads Chat Completions on their way."""

    def __init__(self, key: Secret | None = None) -> None:
        super().__init__()
        self._reader: _Chat = _Chat(key, self.others)
        self._shape: PlainChunk | None = None
        self._parsed = b""

    def plain(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the texts of the events from *at* on that are like one that was parsed, but for their text.

        The reader learns nothing from them but the text: it has seen one, and they have no finish reason, no
        usage and no field that that one had not. After a finish reason a text says more: that it was none.
        """
        reader = self._reader
        if reader.complete or reader.may_have_ended:
            return [], at
        if self._parsed:
            self._shape, self._parsed = plain_chunk(self._parsed, reader.last), b""
        return ([], at) if self._shape is None else self._shape.texts(events, at)

    def _parse(self, events: bytes) -> None:
        super()._parse(events)
        if self._shape is None and self._reader.began:
            self._parsed = events  # looked at when the next comes: the first is on its way by then

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


class _Chat(chat.ChatReader):
    def __init__(self, key: Secret | None, others: list[str]) -> None:
        super().__init__(key)
        self._others = others
        self.last: dict[str, Any] = {}

    @property
    def about(self) -> dict[str, Any]:
        """What the service said about its answer: model, id and time."""
        return self._about

    @property
    def may_have_ended(self) -> bool:
        """Whether a finish reason has come."""
        return bool(self._finish)

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        self.last = value
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
    given = calls if isinstance(calls, list) else ()
    functions = [one.get("function") or one.get("custom") for one in given if isinstance(one, dict)]
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
