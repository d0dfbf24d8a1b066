"""The secrets of this process, in every spelling in which a service or an address may repeat them."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from urllib.parse import quote

from ib_kernel.secrets.shapes import MARK

WORD = "".join(map(chr, range(0x21, 0x7F)))
"""The characters of which keys are made: everything that is printed in ASCII, but no space."""

SHORTEST = 8
"""Characters of the shortest text that is remembered as a secret, half of it where it is not all letters: a
shorter one would be found in words."""

START = 4
"""Characters of a secret's beginning from which on a text may be one: fewer stand in many words."""

PLACEHOLDERS = frozenset(
    {"lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "placeholder", "no-key", "not-used",
     "any-key", "dummy-key", "api-key", "your-key"}
)  # fmt: skip
"""What people type as a key where a server wants none (read in the manuals of local servers, 2026-11)."""

_ENVIRONMENT = re.compile(
    r"(?:_API_KEY|_API_TOKEN|_AUTH_TOKEN|_ACCESS_KEY|_SECRET_ACCESS_KEY|_SECRET_KEY|_PAT)$"
)
"""Names of environment variables whose value is a key, whoever's it is."""

_LIKE_ASCII = "\u0130\u0131\u017f"
"""Letters that match i or s where case is ignored, and are neither of them in lower case."""


class Known:
    """The secrets of this process. The texts sit in a closure, so that a dump of attributes shows none."""

    __slots__ = (
        *("add", "beginnings", "environment_read", "has_spaces", "longest", "may_be_in", "may_be_in_bytes"),
        *("may_begin_in", "pattern", "starts", "state"),
    )

    add: Callable[[Iterable[str]], None]
    pattern: Callable[[], re.Pattern[str] | None]
    may_be_in: Callable[[str], bool]
    may_be_in_bytes: Callable[[bytes], bool]
    may_begin_in: Callable[[str], bool]
    beginnings: Callable[[], set[str]]
    starts: Callable[[], tuple[str, ...]]
    longest: int
    has_spaces: bool
    environment_read: bool
    state: object
    """Another object whenever a secret was added."""

    def __init__(self) -> None:
        spellings: set[str] = set()
        beginnings: set[str] = set()
        compiled: list[re.Pattern[str] | None] = [None]
        lowered: list[tuple[str, ...]] = [()]
        in_bytes: list[tuple[bytes, ...]] = [()]
        starts: list[tuple[str, ...]] = [()]
        only_ascii = [True]
        lock = threading.Lock()
        self.longest, self.has_spaces, self.environment_read = 0, False, False
        self.state = object()

        def add(texts: Iterable[str]) -> None:
            new = {s for text in texts if _is_worth_hiding(text) for s in _spellings(text)} - spellings
            if not new:
                return
            with lock:
                spellings.update(new)
                beginnings.update(text[:size].lower() for text in new for size in range(1, len(text)))
                longest_first = sorted(spellings, key=len, reverse=True)  # one may begin with another
                compiled[0] = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
                lowered[0] = tuple({text.lower() for text in spellings})
                in_bytes[0] = tuple(text.encode() for text in lowered[0] if text.isascii())
                starts[0] = tuple({text[:START] for text in lowered[0]})
                only_ascii[0] = all(map(str.isascii, spellings))
                self.longest = len(longest_first[0])
                self.has_spaces = any(text.strip(WORD) for text in spellings)
                self.state = object()

        def may_be_in(text: str) -> bool:
            return any_in(lowered[0], text)

        def may_begin_in(text: str) -> bool:
            return any_in(starts[0], text)

        def any_in(lower_case: tuple[str, ...], text: str) -> bool:
            lower = text.lower()
            for one in lower_case:  # loops, not generators: every row and every piece of a stream comes by
                if one in lower:
                    return True
            if only_ascii[0] and text.isascii():
                return False
            return not only_ascii[0] or any(letter in text for letter in _LIKE_ASCII)

        def may_be_in_bytes(block: bytes) -> bool:
            if not block.isascii():
                return may_be_in(block.decode("utf-8", "surrogateescape"))
            lower = block.lower()
            for one in in_bytes[0]:
                if one in lower:
                    return True
            return not only_ascii[0]

        self.add, self.pattern = add, lambda: compiled[0]
        self.may_be_in, self.may_be_in_bytes = may_be_in, may_be_in_bytes
        self.may_begin_in = may_begin_in
        self.beginnings, self.starts = lambda: beginnings, lambda: starts[0]


def _is_worth_hiding(text: str) -> bool:
    long_enough = len(text) >= SHORTEST or (len(text) >= SHORTEST // 2 and not text.isalpha())
    return long_enough and text.lower() not in PLACEHOLDERS and text not in MARK


def _spellings(text: str) -> set[str]:
    from html import escape

    raw = text.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    quoted = quote(text, safe="", errors="replace")
    return {text, json.dumps(text)[1:-1], quoted, escape(text), encoded}


registry = Known()
"""What this process knows. Read as `known.registry`, because tests put another in its place."""


def learn(*secrets: str | None) -> None:
    """Make *secrets* known to the scrubber, for as long as the process lives.

    Args:
        secrets: Texts to hide wherever they turn up. None, texts that are too short (`SHORTEST`) and
            `PLACEHOLDERS` are passed over.
    """
    registry.add(secret for secret in secrets if secret)


def learn_environment() -> None:
    """Make the values of environment variables known that hold keys by their name (``GROQ_API_KEY``, …).

    `scrub_keys` does it once by itself; whoever reads a key from the environment does it again.
    """
    registry.environment_read = True
    learn(*(value for name, value in os.environ.items() if _ENVIRONMENT.search(name.upper())))
