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
    *((0x088F, 0x088F), (0x0C5C, 0x0C5C), (0x0CDC, 0x0CDC), (0x1ACF, 0x1ADD), (0x1AE0, 0x1AEB)),
    *((0xA7CE, 0xA7CF), (0xA7D2, 0xA7D2), (0xA7D4, 0xA7D4), (0xA7F1, 0xA7F1), (0x10940, 0x10959)),
    *((0x10EC5, 0x10EC7), (0x10EFA, 0x10EFB), (0x11B60, 0x11B67), (0x11DB0, 0x11DDB)),
    *((0x11DE0, 0x11DE9), (0x16EA0, 0x16EB8), (0x16EBB, 0x16ED3), (0x16FF2, 0x16FF6)),
    *((0x187F8, 0x187FF), (0x18D09, 0x18D1E), (0x18D80, 0x18DF2), (0x1E6C0, 0x1E6DE)),
    *((0x1E6E0, 0x1E6F5), (0x1E6FE, 0x1E6FF), (0x2B73A, 0x2B73F), (0x2CEA2, 0x2CEAD)),
    (0x323B0, 0x33479),
)
"""Code points (first, last) assigned or reclassified in Unicode 17: only there the tested pair differs."""

_SHORT = 400  # bytes up to which one scan for all patterns is cheaper than one search per lead byte


def _pattern(lead: int) -> bytes:
    """Return a regex for the UTF-8 forms of the guarded code points that start with the byte *lead*."""
    tails: dict[bytes, bytes] = {}
    for first, last in UNICODE_17:
        for point in range(first, last + 1):
            data = chr(point).encode()
            if data[0] == lead:
                tails[data[1:-1]] = tails.get(data[1:-1], b"") + b"\\x%02x" % data[-1]
    seconds = b"".join(b"\\x%02x" % second for second in sorted({middle[0] for middle in tails}))
    choices = b"|".join(re.escape(middle) + b"[" + tail + b"]" for middle, tail in tails.items())
    # looking at the second byte first spares emoji the walk through every choice
    return b"%b(?=[%b])(?:%b)" % (re.escape(bytes([lead])), seconds, choices)


_LEADS = sorted({chr(first).encode()[0] for first, _ in UNICODE_17})
_BY_LEAD = [(bytes([lead]), re.compile(_pattern(lead))) for lead in _LEADS]
_ALL = re.compile(b"|".join(map(_pattern, _LEADS)))


def risky(text: str) -> bool:
    """Return True if *text* is tiktoken's to encode: a guarded code point or a lone surrogate is in it."""
    if text.isascii():
        return False
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return True
    if len(data) <= _SHORT:
        return _ALL.search(data) is not None
    # the look for the bare byte is a memchr, ten times as fast as a regex, and mostly finds nothing
    return any(lead in data and pattern.search(data) is not None for lead, pattern in _BY_LEAD)


class FastEncoder:
    """One encoding of toktok-rs behind the `Encoder` border; *reference* is tiktoken's, loaded on demand."""

    def __init__(self, name: str, native: Any, reference: Encoders) -> None:
        self.name = name
        self._count = native.count
        self._encode = native.encode_ordinary
        self._reference = functools.cache(reference)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of *text*, special-token text as ordinary text. Raises `Uncountable`."""
        try:
            if not risky(text):
                return list(self._encode(text))
        except BaseException as error:
            if not is_failure(error):
                raise
        return self._reference(self.name).encode(text)

    def count(self, text: str) -> int:
        """Return the number of tokens of *text*. Raises `Uncountable`."""
        try:
            # counted first: this leaves the UTF-8 in the text, where the guard finds it
            tokens: int = self._count(text)
            if text.isascii() or not risky(text):
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
