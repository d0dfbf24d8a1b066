"""Keys that show themselves to nobody, and the one scrubber that keeps them out of whatever is written.

A `Secret` is known to the scrubber from the moment it is made, and `learn` makes further texts known. `scrub`
and `scrub_keys` are called where text leaves us: rows, outputs, logs and files. They replace every known
secret, in the spellings in which a service or an address may repeat it, and what has the shape of a key.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_WORD = "".join(map(chr, range(0x21, 0x7F)))

MARK = "[redacted]"
"""What stands where a secret stood."""

SHORTEST = 8
"""Characters of the shortest text that is remembered as a secret, half of it where it is not all letters: a
shorter one would be found in words."""

PLACEHOLDERS = frozenset(
    {"lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "placeholder", "no-key", "not-used",
     "any-key", "dummy-key", "api-key", "your-key"}
)  # fmt: skip
"""What people type as a key where a server wants none (read in the manuals of local servers, 2026-11)."""

_END = r"[^\s\"',;)}\]&]"
_QUERY = r"key|api[-_]?key|access[-_]?token|token|sig|signature|secret|password|subscription-key"


def _shape(triggers: str, pattern: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    return tuple(triggers.split("|")), re.compile(pattern, re.IGNORECASE)


_KEYS = (
    _shape("sk-|pk-|rk-|sess-", r"(?<![a-z0-9])(?:sk|pk|rk|sess)-(?=[a-z_-]{0,80}\d)[\w-]{16,}"),
    _shape(
        "gsk_|hf_|ghp_|gho_|ghs_|ghu_|ghr_|xai-|r8_|pplx-|tvly-|nvapi-|csk-",
        r"(?<![a-z0-9])(?:gsk_|hf_|gh[opsur]_|xai-|r8_|pplx-|tvly-|nvapi-|csk-)"
        r"(?=[a-z-]{0,60}\d)[a-z0-9-]{20,}",
    ),
    _shape("github_pat_|glpat-", r"(?<![a-z0-9])(?:github_pat_|glpat-)[\w-]{20,}"),
    _shape("aiza", r"(?<![a-z0-9])aiza(?=[a-z_-]{0,40}\d)[\w-]{30,}"),
    _shape("akia|asia", r"(?<![a-z0-9])(?:akia|asia)(?=[a-z]{0,15}\d)[0-9a-z]{16}(?![0-9a-z])"),
    _shape("xox", r"(?<![a-z0-9])xox[abeoprs]-(?=[a-z-]{0,40}\d)[\w-]{12,}"),
    _shape("eyj", r"(?<![\w-])eyj[\w-]{8,}\.eyj[\w-]{8,}\.[\w-]{8,}"),
    _shape(
        "private key",
        r"-----begin (?:[a-z]+ ){0,3}private key-----[^-]{40,20000}"
        r"(?:-----end (?:[a-z]+ ){0,3}private key-----)?",
    ),
)
"""Keys by the shapes that providers document (read 2026-11), with a digit where theirs always have one, so
that code and prose keep their words. First what one must contain, in lower case, looked for because that is
quick. Every repetition is bounded or ends the pattern."""

_LABELLED = (
    _shape("sk-|pk-|rk-|sess-|key-", rf"(?<![a-z0-9])(?:(?:sk|pk|rk|sess)-{_END}{{4,}}|key-{_END}{{16,}})"),
    _shape("?|&", rf"(?P<label>[?&](?:{_QUERY})=)(?!\[redacted\])[^\s\"'&#]{{4,}}"),
    _shape(
        "bearer|authorization|api key provided|api-key|api_key|apikey",
        r"(?P<label>\bbearer\s{1,99}|\bauthorization[\"']?\s{0,9}[=:]\s{0,9}[\"']?\w{1,99}\s{1,99}"
        r"|\bapi key provided:\s{0,99}|api[-_]?key[\"']?\s{0,9}[=:]\s{0,9}[\"']?)"
        rf"(?!\[redacted\]|bearer\b|authorization\b){_END}{{4,}}",
    ),
    _shape("://", r"(?<=://)(?!\[redacted\]@)[^\s/@\"']{1,2000}(?=@)"),
)
"""What is probably a key by what stands before it: hidden in errors and logs, not in people's code."""


_HINTS = tuple(trigger for triggers, _ in _KEYS for trigger in triggers)


def _is_hinted(text: str) -> bool:
    """Return True if a key of a known shape may be in *text*; costs little where none is."""
    lower = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - a generator takes three times as long
        if hint in lower:
            return True
    return False


def _found_in(
    text: str, shapes: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
) -> list[re.Pattern[str]]:
    lower = text.lower()
    return [pattern for triggers, pattern in shapes if any(trigger in lower for trigger in triggers)]


def _hidden(found: re.Match[str]) -> str:
    return f"{found.groupdict().get('label') or ''}{MARK}"


_ENVIRONMENT = re.compile(
    r"(?:_API_KEY|_API_TOKEN|_AUTH_TOKEN|_ACCESS_KEY|_SECRET_ACCESS_KEY|_SECRET_KEY|_PAT)$"
)
"""Names of environment variables whose value is a key, whoever's it is."""


_LIKE_ASCII = "\u0130\u0131\u017f"
"""Letters that match i or s where case is ignored, and are neither of them in lower case."""


class _Known:
    """The secrets of this process. The texts sit in a closure, so that a dump of attributes shows none."""

    __slots__ = ("add", "beginnings", "environment_read", "has_spaces", "longest", "may_be_in", "pattern")

    add: Callable[[Iterable[str]], None]
    pattern: Callable[[], re.Pattern[str] | None]
    may_be_in: Callable[[str], bool]
    beginnings: Callable[[], set[str]]
    longest: int
    has_spaces: bool
    environment_read: bool

    def __init__(self) -> None:
        spellings: set[str] = set()
        beginnings: set[str] = set()
        compiled: list[re.Pattern[str] | None] = [None]
        lowered: list[tuple[str, ...]] = [()]
        only_ascii = [True]
        lock = threading.Lock()
        self.longest, self.has_spaces, self.environment_read = 0, False, False

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
                only_ascii[0] = all(map(str.isascii, spellings))
                self.longest = len(longest_first[0])
                self.has_spaces = any(text.strip(_WORD) for text in spellings)

        def may_be_in(text: str) -> bool:
            lower = text.lower()
            return any(one in lower for one in lowered[0]) or not (
                only_ascii[0] and (text.isascii() or not any(letter in text for letter in _LIKE_ASCII))
            )

        self.add, self.pattern, self.may_be_in = add, lambda: compiled[0], may_be_in
        self.beginnings = lambda: beginnings


def _is_worth_hiding(text: str) -> bool:
    long_enough = len(text) >= SHORTEST or (len(text) >= SHORTEST // 2 and not text.isalpha())
    return long_enough and text.lower() not in PLACEHOLDERS and text not in MARK


def _spellings(text: str) -> set[str]:
    from html import escape

    raw = text.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    quoted = quote(text, safe="", errors="replace")
    return {text, json.dumps(text)[1:-1], quoted, escape(text), encoded}


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
        secrets: Texts to hide wherever they turn up. None, texts that are too short (`SHORTEST`) and
            `PLACEHOLDERS` are passed over.
    """
    _known.add(secret for secret in secrets if secret)


def learn_environment() -> None:
    """Make the values of environment variables known that hold keys by their name (``GROQ_API_KEY``, …).

    `scrub_keys` does it once by itself; whoever reads a key from the environment does it again.
    """
    _known.environment_read = True
    learn(*(value for name, value in os.environ.items() if _ENVIRONMENT.search(name.upper())))


def scrub(text: str, *more: str | None) -> str:
    """Return *text* with every key and everything that may be one replaced by ``[redacted]``.

    For what we say ourselves or pass on from a service: errors, logs, addresses.

    Args:
        text: Any text.
        more: Further secrets, of any length, that are hidden in this text only.

    Returns:
        The text without keys (see `scrub_keys`), bearer tokens, passwords in addresses and other values that
        a label such as ``api_key=`` announces.
    """
    for secret in sorted(filter(None, more), key=len, reverse=True):  # one may begin with another
        text = text.replace(secret, MARK)
    text = scrub_keys(text)
    for pattern in _found_in(text, _LABELLED):
        text = pattern.sub(_hidden, text)
    return text


def scrub_keys(text: str) -> str:
    """Return *text* with every key replaced by ``[redacted]``, and every other word kept.

    For what other people have written: questions, replies, names, code.

    Returns:
        The text without known secrets (in any case, and as JSON, an address or base64 spells them) and
        without what has the shape of a provider's key.
    """
    if not _known.environment_read:
        learn_environment()
    known = _known.pattern()
    if known is not None and _known.may_be_in(text):
        text = known.sub(MARK, text)
    if _is_hinted(text):
        for pattern in _found_in(text, _KEYS):
            text = pattern.sub(MARK, text)
    return text


def scrub_value(value: T) -> T:
    """Return *value* with the keys in every text of it hidden; what holds none is returned as it is.

    Args:
        value: A text, a frozen dataclass, a mapping, list or tuple of such, or anything else (kept).
    """
    clean: Any = value
    if isinstance(value, str):
        if len(value) < SHORTEST // 2:
            return value
        clean = scrub_keys(value)
        return value if clean == value else clean
    if value is None or isinstance(value, (int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for name in _field_names(type(value)):
            old = getattr(value, name)
            new = scrub_value(old)
            if new is not old:
                changed[name] = new
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


@functools.cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


class StreamScrubber:
    """Hides keys in a text that arrives piece by piece, also where one is cut by the border of two pieces.

    The last word is kept back until it has ended, because it may become a key; `flush` returns what is left.
    """

    def __init__(self) -> None:
        self._kept = ""

    def take(self, piece: str) -> str:
        """Return what of the text up to *piece* can be shown by now, without keys."""
        text = self._kept + piece
        cut = len(text.rstrip(_WORD))
        known = _known.pattern()
        if _known.has_spaces or _is_hinted(text) or (known is not None and known.search(text)):
            cut = _safe_cut(text, cut)
            self._kept = text[cut:]
            return scrub_keys(text[:cut])
        if len(text) - cut > _LONGEST_WORD:
            cut = len(text)
        self._kept = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """Return what was kept back, without keys."""
        text, self._kept = scrub_keys(self._kept), ""
        return text


_BEGIN = re.compile(r"-----begin [^-]{0,20000}\Z", re.IGNORECASE)
_LONGEST_WORD = 2_000
"""Characters of a word that are kept back at most: no key is as long, and a picture's data never end."""


def _safe_cut(text: str, cut: int) -> int:
    """Return the last place up to *cut* where no key of *text* begins before and ends after, or may end."""
    if len(text) - cut > _LONGEST_WORD:
        return len(text)
    start = max(0, len(text) - _known.longest)
    beginnings, lower = _known.beginnings(), text[start:].lower()
    cut = next((at for at in range(start, cut) if lower[at - start :] in beginnings), cut)
    known = _known.pattern()
    patterns = [*_found_in(text, _KEYS), *([known] if known else [])]
    spans = [found.span() for pattern in patterns for found in pattern.finditer(text)]
    begin = _BEGIN.search(text)
    if begin is not None:
        spans.append((begin.start(), len(text) + 1))
    for first, last in sorted(spans, reverse=True):
        if first < cut < last:
            cut = first
    return cut
