"""toktok-rs with the guard that makes it equal to tiktoken on every input."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import re
import threading
from typing import Any

from ib_kernel.counting import Encoder, Encoders, is_failure
from ib_kernel.errors import BrokenPlugin

log = logging.getLogger(__name__)

TESTED = {"toktok-rs": "0.3.0", "tiktoken": "0.14.0"}
"""The pair of versions whose equality was tested (2026-11-23); any other pair disables the fast path."""

UNICODE_17 = (
    "\u088f\u0c5c\u0cdc\u1acf-\u1add\u1ae0-\u1aeb\ua7ce-\ua7cf\ua7d2\ua7d4\ua7f1"
    "\U00010940-\U00010959\U00010ec5-\U00010ec7\U00010efa-\U00010efb\U00011b60-\U00011b67"
    "\U00011db0-\U00011ddb\U00011de0-\U00011de9\U00016ea0-\U00016eb8\U00016ebb-\U00016ed3"
    "\U00016ff2-\U00016ff6\U000187f8-\U000187ff\U00018d09-\U00018d1e\U00018d80-\U00018df2"
    "\U0001e6c0-\U0001e6de\U0001e6e0-\U0001e6f5\U0001e6fe-\U0001e6ff\U0002b73a-\U0002b73f"
    "\U0002cea2-\U0002cead\U000323b0-\U00033479"
)
"""Code points assigned or reclassified in Unicode 17: the only ones on which the tested pair differs."""

RISKY = re.compile(f"[{UNICODE_17}\ud800-\udfff]")
"""Texts with any of these go to tiktoken; lone surrogates are among them, which toktok-rs refuses."""


class FastEncoder:
    """One encoding of toktok-rs behind the `Encoder` border; *reference* is tiktoken's, loaded on demand."""

    def __init__(self, name: str, native: Any, reference: Encoders) -> None:
        self.name = name
        self._count = native.count
        self._encode = native.encode_ordinary
        self._reference = functools.cache(reference)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of *text*, special-token text as ordinary text. Raises `Uncountable`."""
        if text.isascii() or RISKY.search(text) is None:
            try:
                return list(self._encode(text))
            except BaseException as error:
                if not is_failure(error):
                    raise
        return self._reference(self.name).encode(text)

    def count(self, text: str) -> int:
        """Return the number of tokens of *text*. Raises `Uncountable`."""
        if text.isascii() or RISKY.search(text) is None:
            try:
                tokens: int = self._count(text)
                return tokens
            except BaseException as error:
                if not is_failure(error):
                    raise
        return self._reference(self.name).count(text)


def installed() -> dict[str, str]:
    """Return the installed versions of the pair. `BrokenPlugin` when toktok-rs is missing."""
    try:
        return {package: importlib.metadata.version(package) for package in TESTED}
    except importlib.metadata.PackageNotFoundError as missing:
        raise BrokenPlugin(
            f"the counter 'fast' needs {missing.name}: pip install 'interview-buddy-kernel[fast]'"
        ) from None


def encoders(reference: Encoders) -> Encoders:
    """Return the encoders of the counter "fast": *reference* itself when another pair is installed."""
    found = installed()
    if found != TESTED:
        log.warning("counter 'fast': using tiktoken; tested are %s, installed %s", TESTED, found)
        return reference
    lock = threading.Lock()  # toktok-rs caches its encodings without one

    def build(name: str) -> Encoder:
        try:
            toktok = importlib.import_module("toktok")
            with lock:
                return FastEncoder(name, toktok._encoding(name), reference)
        except (ImportError, AttributeError, KeyError) as error:
            log.warning("counter 'fast': using tiktoken, toktok-rs cannot be used (%s)", error)
            return reference(name)

    return build
