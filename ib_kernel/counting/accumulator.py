"""The measuring of one request: a running sum, and everything that forbids calling it exact."""

from __future__ import annotations

import math
from collections.abc import Callable

from ib_kernel.counting.encoder import Uncountable
from ib_kernel.counting.profile import Profile, rules
from ib_kernel.values import Count


def utf8_length(text: str) -> int:
    """Return the bytes of *text*: no byte-level encoding needs more tokens."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class TokenAccumulator:
    """Adds up one request's tokens and remembers its doubts.

    `tokens` is the sum so far, `slack` what the bound has beyond the usual margin, and `bounded` whether a
    bound exists at all.
    """

    __slots__ = ("_count", "bounded", "doubts", "profile", "slack", "tokens")

    def __init__(self, profile: Profile, count: Callable[[str], int]) -> None:
        self.profile = profile
        self.tokens = 0
        self.slack = 0
        self.bounded = True
        self.doubts: list[str] = []
        self._count = count
        for scope, reason in profile.doubts:
            if scope == "all":
                self.doubt(reason)

    def text(self, text: str) -> int:
        """Return the tokens of *text* (not added). One that cannot be encoded costs its bytes, in doubt."""
        try:
            return self._count(text)
        except Uncountable as error:
            self.doubt(str(error))
            return utf8_length(text)

    def doubt(self, reason: str, slack: int = 0, *, bounded: bool = True) -> None:
        """Forbid an exact claim because of *reason* ("" does nothing); raise the bound by *slack*."""
        if not reason:
            return
        if reason not in self.doubts:
            self.doubts.append(reason)
        self.slack += slack
        self.bounded = self.bounded and bounded

    def result(self) -> Count:
        """Return the count as it stands."""
        tokens = max(0, self.tokens)
        if not self.doubts:
            return Count(tokens)
        margin = rules()["margin"]
        upper = (
            tokens + math.ceil(tokens * (margin["share"] + self.profile.share)) + margin["fixed"] + self.slack
        )
        return Count(
            tokens, exact=False, upper=upper if self.bounded else None, reason="; ".join(self.doubts)
        )
