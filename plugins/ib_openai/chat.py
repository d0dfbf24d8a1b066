"""Chat Completions: the body that is sent, and the reader of what comes back.

Text is what a candidate would read: the content and refusals of choice 0, as a delta, a message, or parts of
either. With ``n > 1`` the other choices are read (and billed) but not shown. Tool calls stay out of the text,
reasoning becomes `Thinking`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ib_kernel.secrets import Secret
from ib_kernel.values import ChatRequest, Done, Piece, Thinking, ends
from ib_kernel.values.reported import usages_in
from ib_openai.answers import AnswerReader, Heard, heard_in, thoughts_in
from ib_openai.dialects import Dialect, messages_for
from ib_openai.mapping import no_reply
from ib_openai.values import name_of

PATH = "/chat/completions"


def chat_body(request: ChatRequest, dialect: Dialect, cap_field: str | None = None) -> dict[str, Any]:
    """Return the Chat Completions body for *request* as *dialect* wants it. Pure.

    *cap_field* is the field for the cap when it is known (None: the dialect's).
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages_for(request.messages, dialect),
        cap_field or dialect.cap_field_for(request.model): request.max_completion_tokens,
        "stream": True,
    }
    if dialect.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.n != 1:
        body["n"] = request.n
    if dialect.cache_key and request.cache_key:
        body["prompt_cache_key"] = request.cache_key
    body.update(request.extra)
    if not body["stream"]:
        body.pop("stream_options", None)
    if not dialect.reasoning_effort:
        body.pop("reasoning_effort", None)
    return body


_KNOWN = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "error",
     "obfuscation"}
)  # fmt: skip
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details",
              "thinking_blocks")  # fmt: skip


_PLAIN = _KNOWN - {"error", "obfuscation"}
_PLAIN_CHOICE = frozenset({"index", "message", "logprobs", "finish_reason"})
_PLAIN_MESSAGE = frozenset({"role", "content", "refusal", "annotations"})
_PLAIN_ENDS = ("stop", "length")
"""What a whole answer may have that is read at once: text, usage, and nothing that must be looked into."""


class ChatReader(AnswerReader):
    """Reads Chat Completions. See `AnswerReader` for the fields.

    A finish reason ends the reply only where it stands last: a word that comes with every chunk is none. A
    word that nobody knows ends it when the stream then ends as it should.
    """

    def __init__(self, key: Secret | None = None, other: type[AnswerReader] | None = None) -> None:
        super().__init__(key, other)
        self._repeats = self._tools = self._deltas = self._plain = self._tagged = False
        self._messages: list[str] = []

    def whole(self, answer: Any) -> list[Heard]:
        """Return the texts of an answer that was not streamed: an object, or a list of them."""
        text = self._plain_text(answer)
        if text is None:
            return super().whole(answer)
        self._note_about(answer, "created")
        self._messages.append(text)
        self._finish = answer["choices"][0]["finish_reason"]
        self.began = self.finished = self.complete = True
        self._heard_any = self._text_came = self._whole = self._closed = True
        return [Piece(text)]

    def _plain_text(self, answer: Any) -> str | None:
        """Note the usage of a whole answer of the usual shape and return its text; None, and nothing else.

        What `_one` would find in it is the same, at a third of its time: nearly all whole answers are such.
        """
        if not isinstance(answer, dict) or not answer.keys() <= _PLAIN or self._heard_any or self._raw:
            return None
        choices, usage = answer.get("choices"), answer.get("usage")
        choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
        if not isinstance(choice, dict) or not choice.keys() <= _PLAIN_CHOICE or choice.get("index") != 0:
            return None
        message = choice.get("message")
        if not isinstance(message, dict) or not message.keys() <= _PLAIN_MESSAGE or message.get("refusal"):
            return None
        text = message.get("content")
        if not isinstance(text, str) or not text or choice.get("finish_reason") not in _PLAIN_ENDS:
            return None
        self._note_usage((usage,))
        return text if self._reported is not None else None

    def _one(self, kind: str, value: dict[str, Any], *, whole: bool = False) -> list[Heard]:
        if value.get("error") or kind == "error" or _is_error(value):
            self._note_usage(usages_in(value, _KNOWN))
            raise self.failure(value)
        choices = value.get("choices")
        if choices is None:
            if self._other is not None or _is_responses(kind, value):
                return self._by_other(kind, value, whole=whole)
            choices = _ollamas(value)
        self._note_about(value, "created")
        if value.get("usage") or not value.keys() <= _KNOWN:
            self._note_usage(usages_in(value, _KNOWN))
        heard: list[Heard] = []
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) in (0, None, "0", ""):
                if "usage" in choice:
                    self._note_usage(usages_in(value, _KNOWN))
                if isinstance(choice.get("error"), dict):
                    raise self.failure(choice["error"])
                heard += self._choice(choice)
        if self._finish:
            self.finished = self._stands(bool(heard))
        return heard

    def _choice(self, choice: dict[str, Any]) -> list[Heard]:
        self._heard_any = True
        heard = self._mark(self._said(choice))
        reason = name_of(choice.get("finish_reason")).strip()
        if reason.lower() in ends.NO_REASON:
            reason = ""
        if heard and self._finish:  # it stood in a chunk before this one, so it ended nothing
            self._repeats, self._finish, self.finished = True, "", False
        elif heard and not reason:
            self._plain = True
        self._finish = reason or self._finish
        return heard

    def _stands(self, with_text: bool) -> bool:
        """Return True if the finish reason is an end, whatever becomes of the rest of the stream."""
        if self._repeats:
            return False
        if self._reported is not None:
            return True
        return ends.word_of(self._finish) in ends.KNOWN and (self._plain or not with_text)

    def _ended_well(self, finish: str) -> bool:
        if finish and self._repeats:
            return self._closed or self._reported is not None
        return super()._ended_well(finish)

    def _done(self) -> Done:
        if self._closed and not self._heard_any and self._reported is not None:
            raise self._with_usage(no_reply())
        done = super()._done()
        if self._tools and not self._text_came and ends.word_of(done.finish_reason) in ends.COMPLETE:
            return dataclasses.replace(done, finish_reason="tool_calls")
        return done

    def _said(self, choice: dict[str, Any]) -> list[Heard]:
        """Return what one choice says: in its delta, else in a whole message, else as plain text."""
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta:
            heard = self._part(delta)
            self._deltas = self._deltas or bool(heard)
            if heard:
                return heard
        message = choice.get("message")
        if isinstance(message, dict) and not self._deltas:
            return self._increment(self._part(message))
        return heard_in(choice["text"]) if isinstance(choice.get("text"), str) else []

    def _part(self, said: dict[str, Any]) -> list[Heard]:
        content = said.get("content")
        heard: list[Heard] = [Piece(content)] if isinstance(content, str) and content else []
        if not heard:
            heard = heard_in(content)
        if len(said) == 1 and "content" in said:
            return heard
        if isinstance(extra := said.get("extra_content"), dict):
            heard = self._google(extra, heard)
        if said.get("tool_calls") or said.get("function_call"):
            self._tools = self.began = True
        heard += heard_in(said.get("refusal"))
        thought = next((t for name in _REASONING if said.get(name) and (t := thoughts_in(said[name]))), "")
        return [Thinking(thought), *heard] if thought else heard

    def _google(self, extra: dict[str, Any], heard: list[Heard]) -> list[Heard]:
        """Return what Gemini marks as a thought beside the text; its tags, where it sends them, do it too."""
        google = extra.get("google")
        if not isinstance(google, dict) or google.get("thought") is not True:
            return heard
        text = "".join(one.text for one in heard)
        self._tagged = self._tagged or text.lstrip().startswith("<thought>")
        return heard if self._tagged or not text else [Thinking(text)]

    def _increment(self, heard: list[Heard]) -> list[Heard]:
        """Return what is new in a message of a stream: some services send all of it with every chunk."""
        text = "".join(one.text for one in heard if isinstance(one, Piece))
        before = "".join(self._messages)
        if before and len(text) > len(before) and text.startswith(before):
            self._messages.append(text[len(before) :])
            return [Piece(self._messages[-1])]
        self._messages.append(text)
        return heard


def _is_responses(kind: str, value: dict[str, Any]) -> bool:
    """Return True for an event or an answer of the Responses API."""
    named = (kind, value.get("type"), value.get("object"))
    return any(isinstance(name, str) and name.partition(".")[0] == "response" for name in named)


def _ollamas(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the choice of a line of Ollama's own API (``/api/chat``, ``/api/generate``), if it is one."""
    done = value.get("done")
    said = value.get("message", value.get("response"))
    if not isinstance(done, bool) or not isinstance(said, (dict, str)):
        return None
    delta = said if isinstance(said, dict) else {"content": said, "thinking": value.get("thinking")}
    return [{"delta": delta, "finish_reason": (value.get("done_reason") or "stop") if done else None}]


def _is_error(value: dict[str, Any]) -> bool:
    """Return True for an error that is not wrapped: some servers send its fields bare."""
    base = value.get("base_resp")  # MiniMax, in a 200
    if isinstance(base, dict) and base.get("status_code") and not value.get("choices"):
        return True
    if "choices" in value:
        return False
    if value.get("object") == "error" or value.get("type") == "error" or "detail" in value:
        return True
    return "message" in value and ("code" in value or "status" in value)
