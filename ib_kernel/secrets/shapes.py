"""What keys look like: the shapes that providers document, and what stands before a key."""

from __future__ import annotations

import re

MARK = "[redacted]"
"""What stands where a secret stood."""

_END = r"[^\s\"',;)}\]&]"
_QUERY = r"key|api[-_]?key|access[-_]?token|token|sig|signature|secret|password|subscription-key"


Shapes = tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
"""Shapes, each behind the texts of which one must be there for it."""


def _shape(triggers: str, pattern: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    return tuple(triggers.split("|")), re.compile(pattern, re.IGNORECASE)


KEYS: Shapes = (
    _shape("sk-|pk-|rk-|sess-", r"(?<![a-z0-9])(?:sk|pk|rk|sess)-(?=[a-z_-]{0,80}\d)[\w-]{16,}"),
    _shape(
        "gsk_|hf_|ghp_|gho_|ghs_|ghu_|ghr_|xai-|r8_|pplx-|tvly-|nvapi-|csk-",
        r"(?<![a-z0-9])(?:gsk_|hf_|gh[opsur]_|xai-|r8_|pplx-|tvly-|nvapi-|csk-)"
        r"(?=[a-z-]{0,60}\d)[a-z0-9-]{20,}",
    ),
    _shape("ib_c_|ib_g_|ib_i_|ib_l_", r"(?<![a-z0-9])ib_[cgil]_[\w-]{30,}(?:\.[\w-]{16,200})?"),
    _shape("@http", r"(?<![\w-])(?!7f3k-92qx)[0-9a-z]{4}(?:-[0-9a-z]{4}){3}(?=@https?://)"),
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

LABELLED: Shapes = (
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

_HINTS = tuple(trigger for triggers, _ in KEYS for trigger in triggers)


def is_hinted(text: str) -> bool:
    """Return True if a key of a known shape may be in *text*; costs little where none is."""
    lower = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - a generator takes three times as long
        if hint in lower:
            return True
    return False


def shapes_in(text: str, shapes: Shapes) -> list[re.Pattern[str]]:
    """Return those of *shapes* that may be in *text*."""
    lower = text.lower()
    return [pattern for triggers, pattern in shapes if any(trigger in lower for trigger in triggers)]
