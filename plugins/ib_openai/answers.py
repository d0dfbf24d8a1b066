"""What the readers of both APIs share: events, errors, usage, and when a reply has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ib_kernel.errors import ClientError, ServerFailed, StreamBroken
from ib_kernel.secrets import Secret
from ib_kernel.values import Done, Piece, Reported, Thinking, ends
from ib_kernel.values.reported import read_reported
from ib_kernel.values.sse import Event
from ib_openai.mapping import from_event, no_finish, nothing_came
from ib_openai.values import name_of, read_json, text_of, whole_of, write_json

Heard = Piece | Thinking

RAW_CHARS = 8_000
"""How much of a usage object is kept as it came."""

_SIGNS_OF_LIFE = frozenset({"ping", "pong", "heartbeat", "keepalive", "keep-alive", "comment"})
_THOUGHTS = frozenset(
    {"thinking", "thought", "reasoning", "reasoning_text", "summary_text", "reasoning_summary"}
)
_DEPTH = 8
_SHARED = (
    "finished",
    "complete",
    "began",
    "_finish",
    "_heard_any",
    "_text_came",
    "_reported",
    "_raw",
    "_about",
)


class AnswerReader:
    """Reads one answer: the events of a stream, or a whole JSON answer. Subclasses know the API's shape.

    `finished` says that a good end stands, so that losing what is left of the stream does no harm;
    `complete` that nothing more can follow; `began` that something was generated. *other* is the reader of
    the other API: the body decides which of them it speaks, not the address that was asked.
    """

    def __init__(self, key: Secret | None = None, other: type[AnswerReader] | None = None) -> None:
        self.finished = self.complete = self.began = False
        self.key = key
        self._other_kind = other
        self._other: AnswerReader | None = None
        self._finish = ""
        self._closed = False  # the service said itself that its answer is over
        self._heard_any = self._text_came = self._whole = False
        self._reported: Reported | None = None
        self._raw: Any = None
        self._about: dict[str, Any] = {}

    def feed(self, event: Event) -> list[Heard]:
        """Return what *event* says. Raises a `ClientError` for an error event, `StreamBroken` for junk."""
        data = event.data
        if data[:1] != "{":
            data = data.strip()
            if data == "[DONE]":
                self._closed = self.complete = True
                return []
            if not data or (data[0] not in "{[" and _is_sign_of_life(event.kind, data)):
                return []
            if event.kind == "error" and data[0] != "{":
                raise self.failure({"message": data})
        value = read_json(data)
        if isinstance(value, dict):
            return self._one(event.kind, value)
        heard: list[Heard] = []
        for value in _several(data):  # events that no blank line keeps apart
            heard += self._one(event.kind, value)
        return heard

    def whole(self, answer: Any) -> list[Heard]:
        """Return the texts of an answer that was not streamed: an object, or a list of them."""
        self._whole = True
        heard: list[Heard] = []
        for one in answer if isinstance(answer, list) else [answer]:
            if isinstance(one, dict):
                heard += self._one("", one, whole=True)
        self._closed = self.complete = True
        return heard

    def done(self) -> Done:
        """Return the end of the reply. A `ClientError` when it has not ended well."""
        if self._other is not None:
            self._other._closed, self._other._whole = self._closed, self._whole
            return self._other._done()
        return self._done()

    def _done(self) -> Done:
        finish = self._finish
        if ends.word_of(finish) in ends.FAILED:
            raise self._with_usage(
                ServerFailed(f"the service ended the reply with {finish!r}", outcome="unknown")
            )
        if not self._ended_well(finish):
            error = no_finish() if self._heard_any else nothing_came()
            error.retryable = error.retryable and not self._whole  # it came to its end; another is billed too
            raise self._with_usage(error)
        about = self._about
        return Done(
            finish or ends.UNKNOWN,
            self._reported,
            name_of(about.get("model")),
            name_of(about.get("id")),
            whole_of(about.get("created")) or 0,
            name_of(about.get("service_tier")) or None,
            self._raw_text(),
        )

    def failure(self, body: Any) -> ClientError:
        """Return the error that *body* tells; before anything was generated it is an error answer."""
        return self._with_usage(from_event(body, key=self.key, began=self.began))

    def lost(self, error: ClientError) -> ClientError:
        """Return *error*, a connection's, with the usage that had come."""
        return self._with_usage(error)

    # --- for subclasses

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        raise NotImplementedError

    def _by_other(self, kind: str, value: dict[str, Any], *, whole: bool) -> list[Heard]:
        """Let the reader of the other API read *value* and what follows; nothing where there is none."""
        if self._other is None:
            if self._other_kind is None or self.began:
                return []
            self._other = self._other_kind(self.key)
        try:
            return self._other._one(kind, value, whole=whole)
        finally:
            for name in _SHARED:
                setattr(self, name, getattr(self._other, name))

    def _ended_well(self, finish: str) -> bool:
        return bool(finish) or (self._closed and self._reported is not None)

    def _note_usage(self, usages: Iterable[Any]) -> None:
        for raw in usages:
            if raw is self._raw or (said := read_reported(raw)) is None:
                continue
            self._reported = said if self._reported is None else self._reported.then(said)
            self._raw = raw

    def _note_about(self, answer: Mapping[str, Any], created: str) -> None:
        for name, field in (("model", "model"), ("id", "id"), ("created", created)):
            if value := answer.get(field):
                self._about[name] = value if not isinstance(value, str) else value[: 2 * RAW_CHARS]
        if tier := answer.get("service_tier"):
            self._about["service_tier"] = tier

    def _mark(self, heard: list[Heard]) -> list[Heard]:
        """Note that *heard* was generated, and return it."""
        if heard:
            self.began = True
            self._text_came = self._text_came or any(isinstance(one, Piece) for one in heard)
        return heard

    def _with_usage(self, error: ClientError) -> ClientError:
        error.usage, error.raw_usage = self._reported, self._raw_text()
        return error

    def _raw_text(self) -> str | None:
        if self._raw is None:
            return None
        text = write_json(self._raw)
        return text if len(text) <= RAW_CHARS else None


def heard_in(value: Any, depth: int = 0) -> list[Heard]:
    """Return the texts and thoughts of a message's content: text, a list of parts, or one part."""
    if isinstance(value, str):
        return [Piece(value)] if value else []
    if isinstance(value, list) and depth < _DEPTH:
        return [one for part in value for one in heard_in(part, depth + 1)]
    if not isinstance(value, dict):
        return []
    if text_of(value.get("type")) in _THOUGHTS or value.get("thought") is True:
        thought = thoughts_in(value)
        return [Thinking(thought)]
    for name in ("text", "output_text", "refusal", "content"):
        if isinstance(inner := value.get(name), (str, list, dict)) and inner and depth < _DEPTH:
            return heard_in(inner, depth + 1)
    return []


def thoughts_in(value: Any, depth: int = 0) -> str:
    """Return the text of reasoning in any of its shapes."""
    if isinstance(value, str):
        return value
    if depth >= _DEPTH:
        return ""
    if isinstance(value, list):
        return "".join(thoughts_in(part, depth + 1) for part in value)
    if isinstance(value, dict):
        for name in ("thinking", "text", "reasoning", "summary", "content"):
            if value.get(name):
                return thoughts_in(value[name], depth + 1)
    return ""


def _several(data: str) -> list[dict[str, Any]]:
    """Return the objects in lines of JSON or in one list. `StreamBroken` when it is neither."""
    value = read_json(data)
    values = value if isinstance(value, list) else [read_json(line) for line in _lines(data)]
    if not values or not all(isinstance(one, dict) for one in values):
        raise StreamBroken("the service sent data that are not JSON in its stream")
    return values


def _lines(data: str) -> list[str]:
    lines = (line.removeprefix("data:").strip() for line in data.split("\n"))
    return [line for line in lines if line and line != "[DONE]"]


def _is_sign_of_life(kind: str, data: str) -> bool:
    return kind.lower() in _SIGNS_OF_LIFE or data.strip('":').lower() in _SIGNS_OF_LIFE
