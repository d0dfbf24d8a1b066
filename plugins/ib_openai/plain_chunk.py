"""Chunks of a chat stream that differ in nothing but their text: read by comparing bytes, not as JSON.

Nearly all of a stream is such chunks. Reading one costs a tenth of parsing it, and the result is the same: a
chunk that has the very bytes of one that was parsed, but for the text, says the same but for the text.
"""

from __future__ import annotations

import itertools
import re

from ib_openai.values import read_json

_CONTENT = re.compile(rb'"delta":\s?\{"content":\s?"([^"\\]+)"\}')
_PADDING = re.compile(rb'"obfuscation":\s?"([0-9A-Za-z]*)"')
_ODD = re.compile(rb'["\\\x00-\x1f]')
_END = b"\n\n"
_NO_END = re.compile(rb'"finish_reason":\s?null')


class PlainChunk:
    """Events that differ in their text, and in OpenAI's padding, only: the bytes around both.

    Args:
        head: What stands before the text.
        middle: What follows it, up to the padding, or to the event's end where there is none.
        tail: What follows the padding; None: there is none.
    """

    __slots__ = ("_head", "_middle", "_tail")

    def __init__(self, head: bytes, middle: bytes, tail: bytes | None) -> None:
        self._head = head
        self._middle, self._tail = (middle.removesuffix(_END), tail and tail.removesuffix(_END))

    def texts(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the text of the events of this shape from *at* on, and where they end.

        Each event is looked at where its bytes may differ, and the texts together: this runs for every event
        of every stream.
        """
        head, middle, tail = self._head, self._middle, self._tail
        if not events.startswith(head, at):
            return [], at
        start, after = len(head), len(middle)
        said: list[bytes] = []
        end = at
        for event in events[at:].split(_END)[:-1]:
            close = event.find(b'"', start)
            if not (event.startswith(head) and event.startswith(middle, close)):
                break
            if tail is None:
                if len(event) != close + after:
                    break
            else:
                first, last = close + after, len(event) - len(tail)
                if not (event.endswith(tail) and (first == last or event[first:last].isalnum())):
                    break
            said.append(event[start:close])
            end += len(event) + len(_END)
        text = b"".join(said)
        if b"" in said or _ODD.search(text):
            said = list(itertools.takewhile(lambda one: one and not _ODD.search(one), said))
            text, end = b"".join(said), at
            for _ in said:
                end = events.index(_END, end) + len(_END)
        return ([text.decode("utf-8", "replace")] if said else []), end


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
