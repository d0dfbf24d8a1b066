"""Chunks of a chat stream that differ in nothing but their text: read by comparing bytes, not as JSON.

Nearly all of a stream is such chunks. Reading one costs a fraction of parsing it, and the result is the same:
a chunk that has the very bytes of one that was parsed, but for the text, says the same but for the text.
"""

from __future__ import annotations

import re
from typing import Any

from ib_openai.values import read_json

_CONTENT = re.compile(rb'"delta":\s?\{"content":\s?"([^"\\]+)"\}')
_PADDING = re.compile(rb'"obfuscation":\s?"([0-9A-Za-z]*)"')
_ODD = re.compile(rb'["\\\x00-\x1f]')
_END = b"\n\n"
_NO_END = re.compile(rb'"finish_reason":\s?null')

_PROBE = "another text"
"""What is put in place of a chunk's text, to see that it is read from there and from nowhere else."""

_PROBE_PADDING = "0aZ"
"""What is put in place of its padding, for the same reason."""


class PlainChunk:
    """Events that differ in their text, and in OpenAI's padding, only: the bytes around both.

    Args:
        head: What stands before the text.
        middle: What follows it, up to the padding, or to the event's end where there is none.
        tail: What follows the padding; None: there is none.
    """

    __slots__ = ("_ending", "_head", "_middle")

    def __init__(self, head: bytes, middle: bytes, tail: bytes | None) -> None:
        self._head = head
        self._middle = None if tail is None else middle
        self._ending = (middle if tail is None else tail).removesuffix(_END) + _END

    def event(self, text: bytes, padding: bytes) -> bytes:
        """Return the event of this shape that says *text*."""
        middle = b"" if self._middle is None else self._middle + padding
        return self._head + text + middle + self._ending

    def texts(self, events: bytes, at: int) -> tuple[list[str], int]:
        """Return the text of the events of this shape from *at* on, and where they end.

        Each is looked at only where its bytes may differ, and the texts together: this runs for every event
        of every stream.
        """
        if not events.startswith(self._head, at):
            return [], at
        only, end = self._one(events, at + len(self._head))
        if not only or end == len(events):
            return ([only], end) if only else ([], at)
        head, tail = self._head, self._ending[: -len(_END)]
        start, stop, end = len(head), -len(tail), at
        varied = []
        for event in events[at:].split(_END)[:-1]:
            if not (event.startswith(head) and event.endswith(tail)):
                break
            varied.append(event[start:stop])
            end += len(event) + len(_END)
        text = self._text_of(varied) if varied else ""
        if text is None:
            return self._one_by_one(events, at)
        return ([text] if text else []), end

    def _text_of(self, varied: list[bytes]) -> str | None:
        """Return the text of what varies in several events; None where one is another event after all."""
        said, middle = varied, self._middle
        if middle is not None:
            cut = [one.partition(b'"') for one in varied]
            said, rest = [one[0] for one in cut], [one[2] for one in cut]
            middle = middle[1:]
            padding = b"".join([one[len(middle) :] for one in rest])
            if padding and not padding.isalnum():
                return None
            for one in rest:  # loops, not generators: this runs for every event of every stream
                if not one.startswith(middle):
                    return None
        text = b"".join(said)
        if b"" in said or _ODD.search(text):
            return None
        try:
            return text.decode("ascii") if text.isascii() else "".join([one.decode() for one in said])
        except UnicodeDecodeError:
            return None

    def _one_by_one(self, events: bytes, at: int) -> tuple[list[str], int]:
        texts: list[str] = []
        while events.startswith(self._head, at):
            text, end = self._one(events, at + len(self._head))
            if not text:
                break
            texts.append(text)
            at = end
        return texts, at

    def _one(self, events: bytes, at: int) -> tuple[str, int]:
        """Return the text of the event whose text begins at *at*, and its end; "" for another event."""
        close = end = events.find(b'"', at)
        if self._middle is not None:
            if not events.startswith(self._middle, close):
                return "", at
            first = close + len(self._middle)
            end = events.find(b'"', first)
            if first != end and not events[first:end].isalnum():
                return "", at
        said = events[at:close]
        if not events.startswith(self._ending, end) or _ODD.search(said):
            return "", at
        try:
            return said.decode(), end + len(self._ending)
        except UnicodeDecodeError:  # an error to whoever parses it
            return "", at


def plain_chunk(events: bytes) -> PlainChunk | None:
    """Return the shape of the last of *events*; None where it has none.

    Only a text of choice 0 without a finish reason, usage or anything else in its delta makes a shape, and
    only where another text in its place is read as that: of a field that is there twice, one is not read.
    """
    event = events[events.rfind(b"data:", 0, len(events) - 2) :]
    text = _CONTENT.search(event)
    if text is None or not _NO_END.search(event):
        return None
    value = _value_of(event)
    if not _says_only_text(value):
        return None
    start, end = text.span(1)
    padding = _PADDING.search(event, end)
    if padding is None:
        found = PlainChunk(event[:start], event[end:], None)
    else:
        first, last = padding.span(1)
        found = PlainChunk(event[:start], event[end:first], event[last:])
    said = value["choices"][0]
    said["delta"] = {**said["delta"], "content": _PROBE}
    if padding is not None:
        value["obfuscation"] = _PROBE_PADDING
    return found if _value_of(found.event(_PROBE.encode(), _PROBE_PADDING.encode())) == value else None


def _value_of(event: bytes) -> Any:
    return read_json(event[5:].decode("utf-8", "replace").strip())


def _says_only_text(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("usage") or value.get("error"):
        return False
    choices = value.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return False
    return choices[0].get("index") == 0 and not choices[0].get("finish_reason") and "usage" not in choices[0]
