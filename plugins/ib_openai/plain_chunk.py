"""Chunks of a chat stream that differ in nothing but their text: read by comparing bytes, not as JSON.

Nearly all of a stream is such chunks. Reading one costs a fraction of parsing it, and the result is the same:
a chunk that has the very bytes of one that was parsed, but for the text, says the same but for the text.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ib_openai.values import read_json

_CONTENT = re.compile(rb'"delta":\s?\{"content":\s?"([^"\\]+)"\}')
_PADDING = re.compile(rb'"obfuscation":\s?"([0-9A-Za-z]*)"')
_ONE_LINE = re.compile(rb"[^\r\n]+(?:\n\n|\r\n\r\n)")
_NO_END = re.compile(rb'"finish_reason":\s?null')

_ODD = re.compile(rb'["\\\x00-\x1f]')
_NEXT = b"\x00"
"""What stands between two texts that are looked at together: no event has it."""

_TEXTS = re.compile(rb'(?:(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})++\x00)*+')
"""Texts as JSON spells them, each with what follows it. Halves of characters are left to who parses them."""

_WINDOW = 32 * 1024
"""Bytes of a block that are looked at together: what is no plain chunk is looked at again."""

_PROBE = "another text"
"""What is put in place of a chunk's text, to see that it is read from there and from nowhere else."""

_PROBE_PADDING = "0aZ"
"""What is put in place of its padding, for the same reason."""


class PlainChunk:
    """Events that differ in their text, and in OpenAI's padding, only: the bytes around both.

    Args:
        head: What stands before the text.
        middle: What follows it, up to the padding, or to the event's end where there is none.
        tail: What follows the padding, up to the event's end; None: there is none.
    """

    __slots__ = ("_end", "_head", "_middle", "_tail")

    def __init__(self, head: bytes, middle: bytes, tail: bytes | None) -> None:
        ending = middle if tail is None else tail
        self._end = b"\r\n" if ending.endswith(b"\r\n") else b"\n"
        self._head, self._tail = head, ending.removesuffix(2 * self._end)
        self._middle = b"" if tail is None else middle

    def event(self, text: bytes, padding: bytes) -> bytes:
        """Return the event of this shape that says *text*."""
        middle = self._middle + padding if self._middle else b""
        return self._head + text + middle + self._tail + 2 * self._end

    def texts(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the text of the events of this shape from *at* on, as one, and where they end.

        Each is looked at only where its bytes may differ, and the texts together: this runs for every event
        of every stream.
        """
        if not events.startswith(self._head, at):
            return [], at
        only = self._only(events, at + len(self._head))
        if only:
            return [only], len(events)
        window = events[at : at + _WINDOW]
        found = window.split(2 * self._end)
        texts = self._spelled(found) if _NEXT not in window else b""
        if not texts:
            return [], at
        ends = texts.count(_NEXT)
        end = at + sum(map(len, found[:ends])) + 2 * ends * len(self._end)
        text = texts.replace(_NEXT, b"").decode()
        return [json.loads(f'"{text}"') if "\\" in text else text], end

    def _only(self, events: bytes, at: int) -> str:
        """Return the text from *at* on, where it is the last of *events* and spelled as it is; else ""."""
        close = events.find(b'"', at)
        said, middle, tail = events[at:close], self._middle, self._tail
        if middle:
            if not events.startswith(middle, close):
                return ""
            first = close + len(middle)
            close = events.find(b'"', first)
            if first != close and not events[first:close].isalnum():
                return ""
        end = close + len(tail)
        if not events.startswith(tail, close) or events[end:] != 2 * self._end or _ODD.search(said):
            return ""
        try:
            return said.decode()
        except UnicodeDecodeError:  # an error to whoever parses it
            return ""

    def _spelled(self, events: list[bytes]) -> bytes:
        """Return the texts of the first of *events* as they are spelled, each with `_NEXT` after it."""
        head, middle, tail, found = self._head, self._middle, self._tail, []
        start, stop = len(head), -len(tail)
        for event in events[:-1]:  # what follows the last border has not ended yet
            if not (event.startswith(head) and event.endswith(tail)):
                break
            text = event[start:stop]
            if middle:
                text, padded, padding = text.partition(middle)
                if not padded or (padding and not padding.isalnum()):
                    break
            found.append(text)
        spelled = _TEXTS.match(_NEXT.join([*found, b""]))
        return _well_formed(spelled.group()) if spelled is not None else b""


def _well_formed(texts: bytes) -> bytes:
    """Return *texts* up to the first that is not UTF-8, which is an error to whoever parses it."""
    try:
        texts.decode()
    except UnicodeDecodeError as error:
        return texts[: texts.rfind(_NEXT, 0, error.start) + 1]
    return texts


def plain_chunk(events: bytes, value: Any) -> PlainChunk | None:
    """Return the shape of the last of *events*, which was read as *value*; None where it has none.

    Only a text of choice 0 without a finish reason, usage or anything else in its delta makes a shape, and
    only where another text in its place is read as that: of a field that is there twice, one is not read.
    """
    event = events[events.rfind(b"data:", 0, len(events) - 2) :]
    text = _CONTENT.search(event)
    if text is None or not (_NO_END.search(event) and _ONE_LINE.fullmatch(event) and _says_only_text(value)):
        return None
    start, end = text.span(1)
    padding = _PADDING.search(event, end)
    if padding is None:
        found = PlainChunk(event[:start], event[end:], None)
    else:
        first, last = padding.span(1)
        found = PlainChunk(event[:start], event[end:first], event[last:])
    probe = found.event(_PROBE.encode(), _PROBE_PADDING.encode())[5:].decode("utf-8", "replace")
    return found if read_json(probe.strip()) == _probed(value, padding) else None


def _probed(value: dict[str, Any], padding: re.Match[bytes] | None) -> dict[str, Any]:
    """Return *value* with the probe's text and, where it has one, padding."""
    (choice,) = value["choices"]
    said = {**value, "choices": [{**choice, "delta": {**choice["delta"], "content": _PROBE}}]}
    return said if padding is None else {**said, "obfuscation": _PROBE_PADDING}


def _says_only_text(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("usage") or value.get("error"):
        return False
    choices = value.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return False
    return choices[0].get("index") == 0 and not choices[0].get("finish_reason") and "usage" not in choices[0]
