"""Keys that show themselves to nobody, and the one scrubber that keeps them out of whatever is written.

A `Secret` is known to the scrubber from the moment it is made, and `learn` makes further texts known. `scrub`
is called where text leaves us: rows, outputs, logs and files. It replaces every known secret, in the
spellings in which a service or an address may repeat it, and whatever has the shape of a key.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

T = TypeVar("T")

MARK = "[redacted]"
"""What stands where a secret stood."""

SHORTEST = 8
"""Characters of the shortest text that is remembered as a secret: a shorter one would be found in words."""

PLACEHOLDERS = frozenset({"lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "placeholder"})
"""What people type as a key where a server wants none (read in the manuals of local servers, 2026-11)."""

_END = r"[^\s\"',;)}\]&]"
_PREFIXES = "gsk xai hf ghp gho ghs ghu ghr github_pat glpat r8 pplx tvly nvapi csk".split()  # noqa: SIM905
_QUERY = r"key|api[-_]?key|access[-_]?token|token|sig|signature|secret|password|subscription-key"
_LABELS = ("bearer", "authorization", "api key provided", "api-key", "api_key", "apikey")


def _shape(triggers: Iterable[str], pattern: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    return tuple(triggers), re.compile(pattern, re.IGNORECASE)


_SHAPES = (
    _shape(("sk-", "pk-", "rk-", "sess-"), rf"(?<![a-z0-9])(?:sk|pk|rk|sess)-{_END}{{4,}}"),
    _shape(("key-",), rf"(?<![a-z0-9])key-{_END}{{16,}}"),
    _shape(
        [prefix + mark for prefix in _PREFIXES for mark in "-_"],
        rf"(?<![a-z0-9])(?:{'|'.join(_PREFIXES)})[-_][\w-]{{16,}}",
    ),
    _shape(("aiza",), r"(?<![a-z0-9])aiza[\w-]{30,}"),
    _shape(("akia", "asia"), r"(?<![a-z0-9])(?:akia|asia)[0-9a-z]{16}(?![0-9a-z])"),
    _shape(("xox",), r"(?<![a-z0-9])xox[abeoprs]-[\w-]{8,}"),
    _shape(("eyj",), r"(?<![\w-])eyj[\w-]{8,}\.eyj[\w-]{8,}\.[\w-]{8,}"),
    _shape(
        ("private key",),
        r"-----begin (?:[a-z]+ ){0,3}private key-----[^-]{0,20000}"
        r"(?:-----end (?:[a-z]+ ){0,3}private key-----)?",
    ),
    _shape(("?", "&"), rf"(?P<label>[?&](?:{_QUERY})=)(?!\[redacted\])[^\s\"'&#]{{4,}}"),
    _shape(
        _LABELS,
        r"(?P<label>\bbearer\s{1,99}|\bauthorization[\"']?\s{0,9}[=:]\s{0,9}[\"']?\w{1,99}\s{1,99}"
        r"|\bapi key provided:\s{0,99}|api[-_]?key[\"']?\s{0,9}[=:]\s{0,9}[\"']?)"
        rf"(?!\[redacted\]|bearer\b|authorization\b){_END}{{4,}}",
    ),
    _shape(("://",), r"(?<=://)(?!\[redacted\]@)[^\s/@\"']{1,2000}(?=@)"),
)
"""Texts that have the shape of a key, a bearer token or a password in an address, whether known or not: what
one must contain, in lower case (looked for first, because that is quick), and the pattern. The prefixes are
those that providers document (read 2026-11). Every repetition is bounded."""


_HINT = re.compile(r"[-_:?&]|aiza|akia|asia|eyj|bearer|authorization|private key|api", re.IGNORECASE)
"""What at least one of `_SHAPES` has in it: most pieces of prose have none, and are done with this search."""


def _shapes_in(text: str) -> list[re.Pattern[str]]:
    if not _HINT.search(text):
        return []
    lower = text.lower()
    return [pattern for triggers, pattern in _SHAPES if any(trigger in lower for trigger in triggers)]


def _hidden(found: re.Match[str]) -> str:
    return f"{found.groupdict().get('label') or ''}{MARK}"


_ENVIRONMENT = re.compile(
    r"(?:_API_KEY|_API_TOKEN|_AUTH_TOKEN|_ACCESS_KEY|_SECRET_ACCESS_KEY|_SECRET_KEY|_PAT)$"
)
"""Names of environment variables whose value is a key, whoever's it is."""


class _Known:
    """The secrets of this process. The texts sit in a closure, so that a dump of attributes shows none."""

    __slots__ = ("add", "beginnings", "longest", "pattern")

    add: Callable[[Iterable[str]], None]
    pattern: Callable[[], re.Pattern[str] | None]
    beginnings: Callable[[], set[str]]
    longest: int

    def __init__(self) -> None:
        spellings: set[str] = set()
        beginnings: set[str] = set()
        compiled: list[re.Pattern[str] | None] = [None]
        lock = threading.Lock()
        self.longest = 0

        def add(texts: Iterable[str]) -> None:
            new = {s for text in texts if _is_worth_hiding(text) for s in _spellings(text)} - spellings
            if not new:
                return
            with lock:
                spellings.update(new)
                beginnings.update(text[:size].lower() for text in new for size in range(1, len(text)))
                longest_first = sorted(spellings, key=len, reverse=True)  # one may begin with another
                compiled[0] = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
                self.longest = len(longest_first[0])

        self.add, self.pattern, self.beginnings = add, lambda: compiled[0], lambda: beginnings


def _is_worth_hiding(text: str) -> bool:
    return len(text) >= SHORTEST and text.lower() not in PLACEHOLDERS and text not in MARK


def _spellings(text: str) -> set[str]:
    raw = text.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    return {text, json.dumps(text)[1:-1], quote(text, safe="", errors="replace"), encoded}


_known = _Known()


class Secret:
    """Text that is hidden from ``repr``, ``str``, ``vars``, JSON and pickle; `reveal()` returns it.

    The value sits in a closure, so that a debugger's or logger's dump of attributes does not show it. From
    here on, `scrub` knows it.
    """

    __slots__ = ("reveal",)

    reveal: Callable[[], str]

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "reveal", lambda: value)
        learn(value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied to another process")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self


def learn(*secrets: str | None) -> None:
    """Make *secrets* known to the scrubber, for as long as the process lives.

    Args:
        secrets: Texts to hide wherever they turn up. None, texts shorter than `SHORTEST` characters and
            `PLACEHOLDERS` are passed over.
    """
    _known.add(secret for secret in secrets if secret)


def learn_environment() -> None:
    """Make the values of environment variables known that hold keys by their name (``GROQ_API_KEY``, …)."""
    learn(*(value for name, value in os.environ.items() if _ENVIRONMENT.search(name.upper())))


def scrub(text: str, *more: str | None) -> str:
    """Return *text* with every secret replaced by ``[redacted]``.

    Args:
        text: Any text.
        more: Further secrets, of any length, that are hidden in this text only.

    Returns:
        The text without known secrets (in any case, and as JSON, an address or base64 spells them) and
        without anything that has the shape of a key, a bearer token or a password in an address.
    """
    for secret in sorted(filter(None, more), key=len, reverse=True):  # one may begin with another
        text = text.replace(secret, MARK)
    known = _known.pattern()
    if known is not None:
        text = known.sub(MARK, text)
    for pattern in _shapes_in(text):
        text = pattern.sub(_hidden, text)
    return text


def scrub_value(value: T) -> T:
    """Return *value* with every text in it scrubbed; what holds no secret is returned as it is.

    Args:
        value: A text, a frozen dataclass, a mapping, list or tuple of such, or anything else (kept).
    """
    clean: Any = value
    if isinstance(value, str):
        clean = scrub(value)
        return value if clean == value else clean
    if is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = scrub_value(old)
            if new is not old:
                changed[field.name] = new
        return replace(value, **changed) if changed else value
    if isinstance(value, dict):
        clean = {scrub_value(key): scrub_value(item) for key, item in value.items()}
        return value if clean == value else clean
    if isinstance(value, (list, tuple)):
        clean = [scrub_value(item) for item in value]
        if all(new is old for new, old in zip(clean, value, strict=True)):
            return value
        return clean if isinstance(value, list) else tuple(clean)  # type: ignore[return-value]
    return value


class StreamScrubber:
    """Scrubs a text that arrives piece by piece, also where a secret is cut by the border of two pieces.

    A piece's end is kept back only while it may be the beginning of a known secret, which is shorter than a
    line; `flush` returns what is left.
    """

    def __init__(self) -> None:
        self._kept = ""

    def take(self, piece: str) -> str:
        """Return what of the text up to *piece* can be shown by now, scrubbed."""
        text = self._kept + piece
        cut = _safe_cut(text)
        self._kept = text[cut:]
        return scrub(text[:cut])

    def flush(self) -> str:
        """Return what was kept back, scrubbed."""
        text, self._kept = scrub(self._kept), ""
        return text


_WORD = "".join(map(chr, range(0x21, 0x7F)))
_OPEN_LABEL = re.compile(
    rf"\b(?:(?:api[-_]?key|authorization|bearer|api key provided)[\"']?\s{{0,9}}[=:]?\s{{0,9}}[\"']?{_END}*"
    rf"(?:\s{{1,9}}{_END}*)?|api(?: k?e?y?(?: [a-z]{{0,8}}:?)?)?)\Z",
    re.IGNORECASE,
)
_LONGEST_OPEN = 400


def _safe_cut(text: str) -> int:
    """Return up to where *text* can be scrubbed now: no secret begins before that place and ends after it.

    A word that has not ended may become a secret, a label such as "Bearer" may be followed by one, and a
    known secret may be there in part.
    """
    start = max(0, len(text) - max(_known.longest, _LONGEST_OPEN))
    tail = text[start:]
    cut = len(tail.rstrip(_WORD))
    label = _OPEN_LABEL.search(tail)
    if label is not None:
        cut = min(cut, label.start())
    beginnings, lower = _known.beginnings(), tail.lower()
    for at in range(max(0, len(tail) - _known.longest), cut):
        if lower[at:] in beginnings:
            cut = at
            break
    known = _known.pattern()
    patterns = [*_shapes_in(tail), *([known] if known else [])]
    for first, last in sorted(
        (m.span() for pattern in patterns for m in pattern.finditer(tail)), reverse=True
    ):
        if first < cut < last:
            cut = first
    return start + cut
