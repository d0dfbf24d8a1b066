"""An answer on its way: whole events pass as they are, read alongside, and cut where the hold ends.

Bytes are parsed by the passage's reader only. What is not passed on: the usage that we asked for and the
client did not, everything beyond the reply's cap, and the host's secrets (see `veil`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ib_kernel.errors import StreamBroken
from ib_kernel.host.gateway.veil import Veil, veiled
from ib_kernel.values.passage import PassingAnswer

MAX_EVENT_BYTES = 11 * 1024 * 1024
"""The longest event that is read."""


_BORDER = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
"""Where an event ends: a line's end and an empty line (HTML standard, 9.2.6, read 2026-11)."""

_USUAL = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""The borders that services send; at others a block is not cut, and goes on with the next."""


class Events:
    """Cuts chunks of a stream into blocks of whole events."""

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._size = 0

    def take(self, chunk: bytes) -> bytes:
        """Return the whole events up to the end of *chunk*; the rest waits. `StreamBroken` for too long."""
        if not self._tail and chunk.endswith(b"\n\n"):
            return chunk
        before = b"".join(self._tail[-3:])[-3:]  # of the longest border; no chunk is empty
        data = before + chunk
        at = max((found + len(one) for one in _USUAL if (found := data.rfind(one)) >= 0), default=0)
        whole = b""
        if at:
            whole, chunk = b"".join(self._tail) + data[len(before) : at], data[at:]
            self._tail, self._size = [], 0
        if chunk:
            self._tail.append(chunk)
            self._size += len(chunk)
        if self._size > MAX_EVENT_BYTES:
            raise StreamBroken(f"the service sent an event of more than {MAX_EVENT_BYTES // 2**20} MiB")
        return whole

    def rest(self) -> bytes:
        """Return what is left at the end of the stream, as an event."""
        rest, self._tail = b"".join(self._tail), []
        return rest + b"\n\n" if rest.strip() else b""


def event_end(block: bytes, at: int, *, returns: bool = True) -> int:
    """Return where the event of *block* that begins at *at* ends, with the blank line that ends it.

    Where the block has no carriage *returns*, that is found faster.
    """
    if returns:
        found = _BORDER.search(block, at)
        return found.end() if found is not None else len(block)
    end = block.find(b"\n\n", at)
    return end + 2 if end >= 0 else len(block)


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
        if self.cut:  # its end is sent also where what was kept back may not be
            return self._veil.rest() + out or self._answer.cut_short()
        return out

    def _read(self, block: bytes) -> bytes:
        """Read *block*, and return it without what is not passed on.

        Plain events are read together while their texts cannot fill the cap, all others singly, so that the
        cut comes after the right one.
        """
        answer, passed = self._answer, []
        first = at = 0
        together, returns = True, b"\r" in block
        while at < len(block) and not self.cut:
            texts, end = answer.plain(block, at) if together else ([], at)
            if texts and self._meter.takes(texts):
                at = end
                continue
            together = together and not texts
            end = event_end(block, at, returns=returns)
            event = block[at:end]
            answer.feed(event)
            if self._is_full():
                passed += [block[first:at], self._cut_short()]
                first = len(block)
            elif self._drop_usage and b'"prompt_tokens"' in event and answer.is_usage_only(event):
                passed.append(block[first:at])
                first = end
            at = end
        return b"".join([*passed, block[first:]]) if passed else block

    def _is_full(self) -> bool:
        return not self._answer.finished and self._meter.full()

    def _cut_short(self) -> bytes:
        self.cut = True
        return self._answer.cut_short()
