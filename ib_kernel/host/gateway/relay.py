"""An answer on its way: whole events pass as they are, read alongside, and cut where the hold ends.

Bytes are parsed by the passage's reader only. What is not passed on: the usage that we asked for and the
client did not, everything beyond the reply's cap, and the host's secrets (see `veil`).
"""

from __future__ import annotations

from collections.abc import Callable

from ib_kernel.errors import StreamBroken
from ib_kernel.host.gateway.veil import Veil, veiled
from ib_kernel.values.passage import PassingAnswer

MAX_EVENT_BYTES = 11 * 1024 * 1024
"""The longest event that is read."""


class Events:
    """Cuts chunks of a stream into blocks of whole events."""

    def __init__(self) -> None:
        self._tail = b""

    def take(self, chunk: bytes) -> bytes:
        """Return the whole events up to the end of *chunk*; the rest waits. `StreamBroken` for too long."""
        if not self._tail and chunk.endswith(b"\n\n"):
            return chunk
        data = self._tail + chunk
        at = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4, data.rfind(b"\r\r") + 2)
        if at < 4:
            at = 0
        self._tail = data[at:]
        if len(self._tail) > MAX_EVENT_BYTES:
            raise StreamBroken(f"the service sent an event of more than {MAX_EVENT_BYTES // 2**20} MiB")
        return data[:at]

    def rest(self) -> bytes:
        """Return what is left at the end of the stream, as an event."""
        rest, self._tail = self._tail, b""
        return rest + b"\n\n" if rest.strip() else b""


def event_end(block: bytes, at: int) -> int:
    """Return where the event of *block* that begins at *at* ends, with the blank line that ends it."""
    for end in (b"\r\n\r\n", b"\n\n", b"\r\r"):
        found = block.find(end, at)
        if found >= 0:
            return found + len(end)
    return len(block)


class Meter:
    """Follows how many tokens an answer has; `full` says that it has more than *cap*.

    A text has at most as many tokens as bytes, so that nothing is counted before the bytes pass the cap; and
    then not again before as many bytes have come as tokens were left.
    """

    def __init__(self, answer: PassingAnswer, cap: int, count: Callable[[str], int]) -> None:
        self._answer, self._cap, self._count = answer, cap, count
        self._tokens = self._pieces = self._others = 0
        self._unsure = 0

    def may_fill(self, size: int) -> bool:
        """Return True if *size* more bytes of events may have more tokens than are left of the cap."""
        return self._unread() + size > self._cap - self._tokens

    def takes(self, texts: list[str]) -> bool:
        """Note further *texts* of the answer; False, and nothing is noted, where they may fill the cap."""
        size = _bytes("".join(texts))
        if self.may_fill(size):
            return False
        self._answer.pieces += texts
        self._pieces += len(texts)
        self._unsure += size
        return True

    def full(self) -> bool:
        """Return True if what was read so far has more tokens than the cap."""
        if self._unread() <= self._cap - self._tokens:
            return False
        answer = self._answer
        self._tokens, self._unsure = self._count("".join((*answer.others, *answer.pieces))), 0
        return self._tokens > self._cap

    def _unread(self) -> int:
        """Return the bytes of text since the last count."""
        pieces, others = self._answer.pieces, self._answer.others
        if len(pieces) != self._pieces:
            self._unsure += _bytes("".join(pieces[self._pieces :]))
        if len(others) != self._others:
            self._unsure += _bytes("".join(others[self._others :]))
        self._pieces, self._others = len(pieces), len(others)
        return self._unsure


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Relay:
    """Decides for each block of a stream what of it is passed on; `cut` says that the answer was cut."""

    def __init__(self, answer: PassingAnswer, meter: Meter, *, drop_usage: bool) -> None:
        self._answer, self._meter, self._drop_usage = answer, meter, drop_usage
        self._events, self._veil = Events(), Veil(answer)
        self.cut = False

    def take(self, chunk: bytes) -> bytes:
        """Return what is passed on of *chunk*. Raises a `ClientError` that the service sent, or for junk."""
        return self._veiled(self._events.take(chunk))

    def rest(self) -> bytes:
        """Return what is passed on at the end of the stream."""
        return self._veiled(self._events.rest()) + self._veil.rest()

    def _veiled(self, block: bytes) -> bytes:
        if not block:
            return b""
        out = self._veil.pass_on(self._read(veiled(block)))
        if self._veil.torn and not self.cut:
            return self._cut_short()
        return self._veil.rest() + out if self.cut else out

    def _read(self, block: bytes) -> bytes:
        if self._drop_usage and b'"prompt_tokens"' in block:
            return self._one_by_one(block, drop_usage=True)
        texts, end = self._answer.plain(block, 0)
        if texts and end == len(block) and self._meter.takes(texts):
            return block
        if block.count(b"\n\n") != 1 and self._meter.may_fill(len(block)):
            return self._one_by_one(block, drop_usage=False)
        self._answer.feed(block)
        return self._cut_short() if self._is_full() else block

    def _one_by_one(self, block: bytes, *, drop_usage: bool) -> bytes:
        """Read events singly, so that the cut comes after the right one; plain ones still go together."""
        passed, at, together = [], 0, True
        while at < len(block) and not self.cut:
            texts, end = self._answer.plain(block, at) if together else ([], at)
            if texts and self._meter.takes(texts):
                passed.append(block[at:end])
                at = end
                continue
            together = not texts
            end = event_end(block, at)
            event, at = block[at:end], end
            self._answer.feed(event)
            if self._is_full():
                passed.append(self._cut_short())
            elif not (drop_usage and self._answer.is_usage_only(event)):
                passed.append(event)
        return b"".join(passed)

    def _is_full(self) -> bool:
        return not self._answer.finished and self._meter.full()

    def _cut_short(self) -> bytes:
        self.cut = True
        return self._answer.cut_short()
