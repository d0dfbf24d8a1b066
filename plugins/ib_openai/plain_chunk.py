"""Chunks of a chat stream that differ in nothing but their text: read by comparing bytes, not as JSON.

Nearly all of a stream is such chunks. Reading one costs a tenth of parsing it, and the result is the same: a
chunk that has the very bytes of one that was parsed, but for the text, says the same but for the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ib_openai.values import read_json

_CONTENT = re.compile(rb'"delta":\s?\{"content":\s?"([^"\\]+)"\}')
_PADDING = re.compile(rb'"obfuscation":\s?"([0-9A-Za-z]*)"')
_NO_END = re.compile(rb'"finish_reason":\s?null')


@dataclass(frozen=True, slots=True)
class PlainChunk:
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


def plain_chunk(events: bytes) -> PlainChunk | None:
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
        return PlainChunk(event[:start], event[end:], None)
    first, last = padding.span(1)
    return PlainChunk(event[:start], event[end:first], event[last:])
