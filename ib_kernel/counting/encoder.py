"""The border between counting rules and tokenizers: what an encoder is, and a bounded cache before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Uncountable(Exception):
    """An encoder cannot say how many tokens a text has. Never leaves the counting package."""


def is_failure(error: BaseException) -> bool:
    """Return True for a failure, False for what must go on (KeyboardInterrupt, SystemExit, cancellation).

    A Rust extension that panics raises pyo3's PanicException, which is no `Exception`.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


class Encoder(Protocol):
    """Turns text into tokens, special-token text as ordinary text. Thread-safe.

    Raises `Uncountable` for a text it cannot handle, nothing else.
    """

    name: str

    def encode(self, text: str) -> list[int]:
        """Return the token ids of *text*."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of *text*."""
        ...


Encoders = Callable[[str], Encoder]
"""Returns the encoder of an encoding ("o200k_base", "cl100k_base"), loading it when first asked."""


class CachedCounts:
    """Remembers the counts of texts, so that a growing conversation costs what its new messages cost.

    Keyed by the text itself, one instance per encoding. Two generations of at most *limit* characters
    each (and 64 per entry) bound the memory; a text longer than an eighth of that is not kept. Reading
    takes no lock.
    """

    def __init__(self, encoder: Encoder, limit: int) -> None:
        self.encoder = encoder
        self._limit = limit
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._chars = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def count(self, text: str) -> int:
        """Return the number of tokens of *text*. Raises `Uncountable`."""
        found = self._young.get(text)
        return self._miss(text) if found is None else found

    def _miss(self, text: str) -> int:
        tokens = self._old.get(text)
        if tokens is None:
            tokens = self.encoder.count(text)
        if len(text) * 8 <= self._limit:
            with self._lock:
                if text not in self._young:
                    self._young[text] = tokens
                    self._chars += len(text) + 64
                if self._chars > self._limit:
                    self._old, self._young, self._chars = self._young, {}, 0
        return tokens
