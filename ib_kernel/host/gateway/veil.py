"""What a service repeats of the host's secrets: hidden in an answer that is passed on as it comes.

A secret inside one event, in whatever field, becomes ``[redacted]`` there. One that comes in the pieces of
several events is noticed before its last: events wait while the text so far may begin a secret, and those in
which one was told are never passed on.
"""

from __future__ import annotations

from ib_kernel.secrets import known
from ib_kernel.secrets.known import START, learn_environment
from ib_kernel.secrets.shapes import MARK
from ib_kernel.secrets.stream import cut_key
from ib_kernel.values.passage import PassingAnswer


def veiled(block: bytes) -> bytes:
    """Return *block*, an answer or whole events of one, without this process's secrets."""
    if not known.registry.environment_read:
        learn_environment()
    pattern = known.registry.pattern()
    if pattern is None or not known.registry.may_be_in_bytes(block):
        return block
    text = block.decode("utf-8", "surrogateescape")
    return pattern.sub(MARK, text).encode("utf-8", "surrogateescape")


class Veil:
    """Keeps events back while the answer's text may begin a secret; `torn` says that one was told."""

    def __init__(self, answer: PassingAnswer) -> None:
        self._answer = answer
        self._read = [0, 0]
        self._tails = ["", ""]
        self._held = b""
        self.torn = False

    def pass_on(self, events: bytes) -> bytes:
        """Return what may be passed on of *events*, which the answer has read, and of those before."""
        if known.registry.pattern() is None:
            return events
        first, second = self._look(0, self._answer.pieces), self._look(1, self._answer.others)
        if self.torn:
            self._held = b""
            return b""
        if first or second:
            self._held += events
            return b""
        if not self._held:
            return events
        out, self._held = self._held + events, b""
        return out

    def rest(self) -> bytes:
        """Return what was kept back to the answer's end: a beginning that came to nothing."""
        rest, self._held = self._held, b""
        if rest and any(cut_key(tail) is not None for tail in self._tails):
            return b""  # a secret that the answer's end has cut
        return rest

    def _look(self, which: int, pieces: list[str]) -> bool:
        """Note what *pieces* has that is new; return True while its end may begin a secret."""
        new = len(pieces) - self._read[which]
        if new:
            text = self._tails[which] + (pieces[-1] if new == 1 else "".join(pieces[-new:]))
            self._read[which] += new
            self._tails[which] = text[-known.registry.longest :]
            if not known.registry.may_begin_in(text):
                return False
            pattern = known.registry.pattern()
            if pattern is not None and known.registry.may_be_in(text) and pattern.search(text):
                self.torn = True
        return self._may_begin(self._tails[which].lower())

    def _may_begin(self, tail: str) -> bool:
        for start in known.registry.starts():
            if start in tail:
                break
        else:
            return False
        beginnings = known.registry.beginnings()
        return any(tail[at:] in beginnings for at in range(len(tail) - START + 1))
