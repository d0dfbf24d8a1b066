"""tiktoken behind our `Encoder` border: lazy, locked, offline, and safe on input that makes tiktoken panic.

tiktoken's regex engine overflows its stack on very long runs of white space (600,000 spaces pass, a million
panic, with a Rust backtrace on stderr). Such runs are cut out here along the borders that the pattern
itself would choose, and encoded as single pieces: the tokens are the same, without the panic.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from typing import Any

from ib_kernel.counting import Uncountable, is_failure
from ib_tiktoken._ranks import ENCODINGS, load_ranks

LONG_RUN = 100_000
"""White-space runs from this length on are cut out: well below the 600,000 that tiktoken 0.14.0 survives."""

_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Rust's \s, not Python's
_LONG = re.compile(rf"(?<![{_SPACE}])[{_SPACE}]{{{LONG_RUN},}}")


class TiktokenEncoder:
    """One tiktoken encoding built from the shipped ranks; not registered with tiktoken."""

    def __init__(self, name: str) -> None:
        import tiktoken

        spec = ENCODINGS[name]
        self.name = name
        self.tiktoken: Any = tiktoken.Encoding(
            name=name,
            pat_str=spec.pattern,
            mergeable_ranks=load_ranks(name),
            special_tokens=dict(spec.special_tokens),
        )

    def encode(self, text: str) -> list[int]:
        """Return the token ids of *text*, special-token text as ordinary text. Raises `Uncountable`."""
        try:
            if len(text) >= LONG_RUN and _LONG.search(text):
                return self._encode_long(text)
            tokens: list[int] = self.tiktoken.encode_ordinary(text)
            return tokens
        except BaseException as error:
            if not is_failure(error):
                raise
            raise Uncountable(f"tiktoken cannot encode this text ({type(error).__name__})") from None

    def count(self, text: str) -> int:
        """Return the number of tokens of *text*. Raises `Uncountable`."""
        return len(self.encode(text))

    def _encode_long(self, text: str, runs: re.Pattern[str] = _LONG) -> list[int]:
        tokens: list[int] = []
        done = 0
        for run in runs.finditer(text):
            start = run.start() + self._absorbed(text, run.start(), run.end())
            if start == run.end():  # o200k's symbols go on with slashes after their newlines
                continue
            newline = max(text.rfind("\n", start, run.end()), text.rfind("\r", start, run.end()))
            at_end = run.end() == len(text)
            # cl100k takes white space at the end as one piece; both take it up to the last newline as one,
            # and leave the last character before a word to the word
            cut = start if newline < 0 or (at_end and self.name == "cl100k_base") else newline + 1
            end = run.end() if at_end else max(cut, run.end() - 1)
            tokens += self.tiktoken.encode_ordinary(text[done:start])
            for piece in (text[start:cut], text[cut:end]):
                if piece:
                    tokens += self.tiktoken._encode_single_piece(piece)
            done = end
        tokens += self.tiktoken.encode_ordinary(text[done:])
        return tokens

    def _absorbed(self, text: str, start: int, end: int) -> int:
        """Return how many newlines at the run's start belong to the symbols before it."""
        newlines = start
        while newlines < end and text[newlines] in "\r\n":
            newlines += 1
        if start == 0 or newlines == start:
            return 0
        category = unicodedata.category(text[start - 1])
        if category[0] in "LN":
            return 0
        if category[0] == "M" or category == "Cn":  # depends on what stands before, or on the Unicode version
            raise Uncountable("a very long run of white space after a combining mark")
        return newlines - start


_encoders: dict[str, TiktokenEncoder] = {}
_lock = threading.Lock()


def encoder(name: str) -> TiktokenEncoder:
    """Return the encoder of *name*, building it once (about 0.2 s); it is shared by all threads."""
    found = _encoders.get(name)
    if found is None:
        with _lock:
            found = _encoders.get(name)
            if found is None:
                found = _encoders[name] = TiktokenEncoder(name)
    return found
