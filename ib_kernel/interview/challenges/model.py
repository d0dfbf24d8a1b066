"""`Challenge`: the candidate's part, the interviewer's part, and the hash of each."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

Reveal = Literal["nothing", "counts", "names"]
"""What a candidate gets to know of a hidden check: nothing, how many runs were right, or which."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is assessed, and what each level of it looks like.

    `anchors` are four texts: 0 not shown, 1 needs the gap pointed out, 2 does it when asked, 3 does it
    unasked and says what it costs.
    """

    name: str
    title: str
    anchors: tuple[str, str, str, str]


@dataclass(frozen=True)
class Challenge:
    """One challenge. `text` is Markdown for the candidate, as are `starter`, `data` and `visible`.

    `roles` are the roles it suits (empty: any), `level` the level it is written for, `minutes` and `tokens`
    what it is meant to take (None: not said). `entry` names what the candidate's code defines, `visible` and
    `hidden` are Python source, `data` are files by name. `reveal` is what the candidate gets to know of a
    hidden check. `origin` is "shipped" or the file's path. `notes`, `rubric`, `criteria`, `hints`, `hidden`
    and `solution` are never shown, and ``repr`` leaves them out, so that a cell's output is safe.
    """

    name: str
    title: str
    text: str = field(repr=False)
    roles: tuple[str, ...] = ()
    level: str = ""
    notes: str = field(default="", repr=False)
    rubric: tuple[str, ...] = field(default=(), repr=False)
    origin: str = "shipped"
    version: str = "1"
    minutes: int | None = None
    tokens: int | None = None
    tags: tuple[str, ...] = ()
    entry: tuple[str, ...] = ()
    reveal: Reveal = "counts"
    starter: str = field(default="", repr=False)
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    visible: str = field(default="", repr=False)
    criteria: tuple[Criterion, ...] = field(default=(), repr=False)
    hints: tuple[str, ...] = field(default=(), repr=False)
    hidden: str = field(default="", repr=False)
    solution: str = field(default="", repr=False)

    def candidates_part(self) -> Challenge:
        """Return the challenge without anything that is the interviewer's: what a session hands out."""
        return replace(self, **{name: _DEFAULTS[name] for name in PRIVATE})

    @functools.cached_property
    def candidate_sha(self) -> str:
        """The SHA-256 of the candidate's part, hexadecimal: equal exactly where that is."""
        return _sha(self, [name for name in _CONTENT if name not in PRIVATE])

    @functools.cached_property
    def challenge_sha(self) -> str:
        """The SHA-256 of everything, the interviewer's part included."""
        return _sha(self, _CONTENT)


PRIVATE = ("notes", "rubric", "criteria", "hints", "hidden", "solution")
"""The fields that are the interviewer's."""

_DEFAULTS: Mapping[str, Any] = {
    name: "" if name in ("notes", "hidden", "solution") else () for name in PRIVATE
}
_CONTENT = [f.name for f in fields(Challenge) if f.name != "origin"]


def _sha(challenge: Challenge, names: list[str]) -> str:
    parts = {name: _plain(getattr(challenge, name)) for name in names}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: hashlib.sha256(content).hexdigest() for name, content in value.items()}
    if isinstance(value, tuple):
        return [[i.name, i.title, *i.anchors] if isinstance(i, Criterion) else i for i in value]
    return value
