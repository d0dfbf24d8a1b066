"""The measuring of one request: a running sum, the constructs it uses, and what forbids calling it exact."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from ib_kernel.counting.encoder import Uncountable
from ib_kernel.counting.evidence import Api, shortfalls, supported
from ib_kernel.counting.profile import Profile, rules
from ib_kernel.values import Count

TOO_FEW = "too few recorded requests with: "
"""How the reason begins that names constructs without enough evidence."""
_NAMED = 4  # constructs named in a reason; the others are counted


def utf8_length(text: str) -> int:
    """Return the bytes of *text*: no byte-level encoding needs more tokens."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class TokenAccumulator:
    """Adds up one request's tokens, notes the constructs it uses and remembers its doubts.

    Args:
        profile: What is known about the model.
        count: Returns the tokens of a text; may raise `Uncountable`.
        api: The API whose evidence counts for this request.

    Attributes:
        api: The API whose evidence counts.
        tokens: The sum so far.
        slack: What the bound has beyond the usual margin, in tokens.
        bounded: Whether a bound exists at all.
        uses: The names of the constructs used so far.
    """

    __slots__ = (
        "_count",
        "_slack_of",
        "_supported",
        "api",
        "bounded",
        "doubts",
        "profile",
        "slack",
        "tokens",
        "uses",
    )

    def __init__(self, profile: Profile, count: Callable[[str], int], api: Api) -> None:
        self.profile = profile
        self.tokens = 0
        self.slack = 0
        self.bounded = True
        self.doubts: list[str] = []
        self.uses: set[str] = set()
        self._slack_of: dict[str, int] = {}
        self.api = api
        self._supported = supported(api, profile)
        self._count = count
        for scope, reason in profile.doubts:
            if scope == "all":
                self.doubt(reason)
        if profile.construct:
            self.use(profile.construct)

    def text(self, text: str) -> int:
        """Return the tokens of *text* (not added). One that cannot be encoded costs its bytes, in doubt."""
        try:
            return self._count(text)
        except Uncountable as error:
            self.doubt(str(error))
            return utf8_length(text)

    def texts(self, texts: Sequence[str]) -> int:
        """Return the tokens of all *texts* together (not added); see `text`."""
        try:
            return sum(map(self._count, texts))
        except Uncountable:
            return sum(map(self.text, texts))

    def use(self, construct: str, slack: int = 0) -> None:
        """Note that the request uses *construct*.

        Args:
            construct: Its name, as in ``constructs.toml``.
            slack: Tokens by which the bound grows if too little is known of it: the alternatives seen.
        """
        self.uses.add(construct)
        if slack and construct not in self._supported:
            self._slack_of[construct] = self._slack_of.get(construct, 0) + slack

    def use_unless_known(self, construct: str, content: Any) -> None:
        """Note a construct that is bounded by the tokens of its JSON where too little is known of it."""
        self.uses.add(construct)
        if construct not in self._supported:
            text = content if isinstance(content, str) else json.dumps(content, default=repr)
            self.use(construct, self.text(text) + 2)

    def doubt(self, reason: str, slack: int = 0, *, bounded: bool = True) -> None:
        """Forbid an exact claim because of *reason* ("" does nothing); raise the bound by *slack*."""
        if not reason:
            return
        if reason not in self.doubts:
            self.doubts.append(reason)
        self.slack += slack
        self.bounded = self.bounded and bounded

    def result(self) -> Count:
        """Return the count as it stands, exact only if every construct used has its evidence.

        Even then the bound has what counts with one of its constructs once fell short without a reason.
        """
        tokens = max(0, self.tokens)
        uses, missing = _named(frozenset(self.uses), self._supported)
        self.doubt(missing)
        if not self.doubts:
            return _exact(tokens, uses, _short(uses, self.api, self.profile))
        margin = rules()["margin"]
        slack = self.slack + sum(self._slack_of.values())
        share = margin["share"] + self.profile.share
        upper = tokens + math.ceil(tokens * share) + margin["fixed"] + slack
        reason = "; ".join(self.doubts)
        return Count(tokens, False, upper if self.bounded else None, reason, constructs=uses)


@functools.lru_cache(maxsize=4096)
def _exact(tokens: int, uses: tuple[str, ...], short: int) -> Count:
    return Count(tokens, upper=tokens + short, constructs=uses)  # frozen, so equal counts can be one object


@functools.lru_cache(maxsize=1024)
def _short(uses: tuple[str, ...], api: Api, profile: Profile) -> int:
    known = shortfalls(api, profile)
    return max((known.get(construct, 0) for construct in uses), default=0)


@functools.lru_cache(maxsize=1024)
def _named(uses: frozenset[str], known: frozenset[str]) -> tuple[tuple[str, ...], str]:
    """Return the constructs in order, and the reason that those without enough evidence are; "" for none."""
    missing = sorted(uses - known)
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return tuple(sorted(uses)), f"{TOO_FEW}{', '.join(missing[:_NAMED])}{more}" if missing else ""
