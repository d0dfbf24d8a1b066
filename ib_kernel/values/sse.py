"""Server-sent events, read strictly: bytes in, events out.

Follows "9.2.6 Interpreting an event stream" of the HTML standard (read 2026-11) with two leniencies: an
event that the end of the stream cuts off before its blank line is still handed out, because some servers
leave the blank line out after ``data: [DONE]``, and a line that is a JSON object is taken for data. Lines
are decoded whole, so a character may be split anywhere.

The SDK's decoder and httpx-sse (both read 2026-11) have no limit on a line or an event, and split lines at
characters that end none.
"""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.errors import StreamBroken

MAX_EVENT_BYTES = 11 * 1024 * 1024
"""Longest event that is read; a longer one is taken for a broken stream, so that memory stays bounded."""

_FIELDS = (b"data", b"event", b"id", b"retry")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type ("" when the server names none) and its data lines joined by line feeds."""

    kind: str
    data: str


class Decoder:
    """Turns chunks of a response body, cut anywhere, into events. One instance reads one response."""

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._held = 0
        self._skip_lf = False
        self._started = False
        self._kind = ""
        self._data: list[str] = []
        self._size = 0
        self.any_field = False
        """True once a line was an event's, or a comment: then this is a stream of events."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that *chunk* completes. `StreamBroken` for bytes that are not UTF-8."""
        if not chunk:
            return []
        if chunk[:6] == b"data: " and not (self._tail or self._data or self._kind):
            data = _only_data(chunk)
            if data is not None:
                self._started = self.any_field = True
                self._skip_lf = False
                return [Event("", data)]
        if self._skip_lf and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._skip_lf = chunk.endswith(b"\r") or (self._skip_lf and not chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        text = b"".join([*self._tail, chunk]) if self._tail else chunk
        self._tail, self._held = [], 0  # let go before the lines are cut: one may be ten megabytes
        del chunk
        lines = text.splitlines()  # of bytes: only CR, LF and CRLF end a line
        ended = text.endswith((b"\n", b"\r"))
        del text
        if not ended:
            self._hold(lines.pop())
        return self._events(lines)

    def finish(self) -> list[Event]:
        """Return what the end of the stream completes."""
        lines = [b"".join(self._tail)] if self._tail else []
        self._tail = []
        return self._events([*lines, b""])

    def _hold(self, part: bytes) -> None:
        self._tail.append(part)
        self._held += len(part)
        self._bound(self._held)

    def _bound(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise StreamBroken(f"the service sent an event of more than {MAX_EVENT_BYTES // 2**20} MiB")

    def _events(self, lines: list[bytes]) -> list[Event]:
        events = []
        for raw in lines:
            if not self._started:
                self._started = True
                raw = raw.removeprefix(_BOM)
            if raw:
                self._field(raw)
            elif self._data:
                events.append(Event(self._kind, "\n".join(self._data)))
                self._kind, self._data, self._size = "", [], 0
            else:
                self._kind = ""
        return events

    def _field(self, raw: bytes) -> None:
        if not self.any_field:
            self.any_field = raw[:1] in (b":", b"{") or raw[:8].partition(b":")[0] in _FIELDS
        start = _value_at(raw)
        if start is None:
            return
        text = _utf8(raw, start)
        if text is None:
            raise StreamBroken("the service sent bytes that are not UTF-8")
        if raw[:1] == b"e":
            self._kind = text
        else:
            self._data.append(text)
            self._size += len(raw)
            self._bound(self._size)


def _only_data(chunk: bytes) -> str | None:
    """Return the data of a chunk that is one event of one line, as nearly all are; None for others."""
    end = len(chunk) - 2
    if chunk.find(b"\n") != end or chunk[end:] != b"\n\n" or b"\r" in chunk or end > MAX_EVENT_BYTES:
        return None
    return _utf8(chunk, 6, end)


def _value_at(raw: bytes) -> int | None:
    """Return where the value of a data or event line starts; None for other lines, such as comments."""
    if raw.startswith(b"data:"):
        return 6 if raw[5:6] == b" " else 5
    if raw.startswith(b"event:"):
        return 7 if raw[6:7] == b" " else 6
    if raw[:1] == b"{":
        return 0
    return len(raw) if raw in (b"data", b"event") else None


def _utf8(raw: bytes, start: int, end: int | None = None) -> str | None:
    try:
        return str(memoryview(raw)[start:end], "utf-8")  # a line may be long: not copied twice
    except UnicodeDecodeError:
        return None
