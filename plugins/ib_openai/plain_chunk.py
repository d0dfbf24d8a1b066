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

    def texts(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the texts of the events of this shape from *at* on, and where they end.

        The whole block is cut at once where events begin, and each is looked at without being copied: this
        runs for every event of every stream.
        """
        head, middle, tail = self.head, self.middle, self.tail
        texts: list[str] = []
        if not events.startswith(head, at):
            return texts, at
        end, after = at, len(middle)
        for part in events[at + len(head) :].split(head):
            close = part.find(b'"')
            if close <= 0 or not part.startswith(middle, close) or part.find(b"\\", 0, close) >= 0:
                break
            if tail is None:
                if len(part) != close + after:
                    break
            elif not (part.endswith(tail) and _is_padding(part, close + after, len(part) - len(tail))):
                break
            texts.append(part[:close].decode("utf-8", "replace"))
            end += len(head) + len(part)
        return texts, end


def _is_padding(part: bytes, start: int, end: int) -> bool:
    return start == end or (start < end and part[start:end].isalnum())


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
