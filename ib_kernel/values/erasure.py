"""What of a person's rows is erased, and what vouches for the rest of them. Pure: every ledger uses it.

Texts go with their salt, and their commitment stays (see `chain`). Where a column that stands in a row's
canonical bytes as it is must go too (who did it, where that was the person; the hash of their code; what a
service said in an error), the row can no longer be recomputed: the session's event "erased" then has its
*seal*, a hash of its link and of what is left of it.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ib_kernel.values import chain

EVENT = "erased"
"""The kind of the event that an erasure leaves in a session."""

PSEUDONYM = "erased-"
"""How what stands in place of a name begins; chance follows, so that an erased person's sessions stay one
person's, and nothing leads from it to the name."""

_BLANK: Mapping[str, Mapping[str, Any]] = {
    "calls": {},
    "messages": {"content": ""},
    "events": {"detail": "{}"},
    "cells": {"source": "", "output": None, "source_sha": ""},
    "checks": {"tests": "[]", "source_sha": ""},
    "scores": {"reason": "", "quotes": "[]"},
}
"""By table, the person's texts, the hashes by which they could be guessed, and what stands there instead."""

_FOREIGN: Mapping[str, tuple[str, ...]] = {
    "calls": ("error", "raw_usage", "model_returned", "finish_reason", "response_id"),
    "cells": ("error", "kind"),
}
"""What a service or the person's code has chosen: kept where it can only be an identifier or figures."""

_MAGICS = frozenset(
    [*("python", "magic", "bash", "sh", "capture", "time", "timeit", "writefile", "html", "sql", "prun")]
)
"""Kinds of cells that are not the person's invention."""

_NAMED: Mapping[str, tuple[str, ...]] = {
    "calls": ("client", "model", "prompt_version", "price_source"),
    "events": ("who",),
    "scores": ("criterion", "rater", "model", "prompt_version"),
}
"""What others have written: erased where it names the person."""

_NULLABLE = frozenset({"error", "raw_usage", "price_source", "output"})
"""Columns of calls, and a cell's output, that have NULL for no text."""

_OURS = frozenset(
    [*("opened", "status", "budget", "time_limit", "counted", "recording", "notice", "warned", "extended")]
)
"""Kinds of events whose details are figures and words of our own: totals and conditions follow from them."""

_ALWAYS = frozenset({"chain_began", EVENT})
"""Kinds whose details the chain needs; they have figures and hashes only."""

_META = frozenset(
    [*("api", "about", "challenge", "first_prompt", "practice", "preset", "prompt", "rubric", "temperature")]
)
"""What is kept of a session's `meta`, unless it names the person."""

_SESSION_TEXTS = ("role", "level", "challenge", "persona", "client", "model", "prompt_version")

_IDENTIFIER = re.compile(r"[\w.:/@+-]{0,200}", re.ASCII)
_FIGURE = re.compile(r"[a-z_]{1,40}")
_MOST_FIGURES = 100
_OWN_WORDS = re.compile(r"[\w .,:;/@+<>=()'-]{0,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Names:
    """What a person is called: names and ids as they were given, and the words of names."""

    whole: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str], ids: Iterable[str] = ()) -> Names:
        """Return what names a person.

        Args:
            names: Their names; each word of three letters or more counts alone, too.
            ids: Their ids, which count as a whole.
        """
        called = [_folded(name) for name in names if not name.startswith(PSEUDONYM)]
        known = {*called, *map(_folded, ids)}
        words = {word for name in called for word in re.findall(r"\w{3,}", name)}
        return cls(frozenset(name for name in known if len(name) > 1), frozenset(words))

    def within(self, text: str | None) -> bool:
        """Return True if *text* has one of them in it, in any case."""
        if not text or not (self.whole or self.words):
            return False
        found = _folded(text)
        return any(name in found for name in self.whole) or not self.words.isdisjoint(
            re.findall(r"\w+", found.replace("_", " "))
        )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def new_pseudonym() -> str:
    """Return what stands in place of one person's name from now on."""
    return f"{PSEUDONYM}{secrets.token_hex(4)}"


def erased_row(table: str, row: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return the columns of a row that change, with their new values; nothing for one that may stay.

    Args:
        table: Its table's name.
        row: The row by the names of columns; what is missing (of an older version) is left alone.
        names: What the person is called.
    """
    changed: dict[str, Any] = {}
    if not (table == "events" and _is_kept(row, names)):
        for column, blank in _BLANK[table].items():
            if row.get(column) not in (None, "", blank):
                changed[column] = blank
    for column in _FOREIGN.get(table, ()):
        value = row.get(column)
        if table == "cells":
            if value and value != (general := _general(column, value)):
                changed[column] = general
        elif not _is_plain(column, value, names):
            changed[column] = _nothing(column)
    for column in _NAMED.get(table, ()):
        if names.within(row.get(column)):
            changed[column] = _nothing(column)
    texts = chain.TEXTS[table]
    if row.get("salt") is not None and not changed.keys().isdisjoint(texts):
        changed["commitment"] = chain.commitment(row["salt"], [row[name] for name in texts])
        changed["salt"] = None
    return changed


def is_sealed(table: str, changed: Collection[str]) -> bool:
    """Return True if a row of which these columns changed needs a seal to be vouched for."""
    return not set(chain.FIELDS[table]).isdisjoint(changed)


def seal(link: bytes, canonical: bytes) -> str:
    """Return the seal of a row: hex, of its link and of the canonical bytes of what is left of it."""
    return hashlib.sha256(b"ib seal 1" + link + canonical).hexdigest()[:32]


def changeable(table: str) -> tuple[str, ...]:
    """Return the columns of a table that an erasure may change."""
    salt = ("salt", "commitment") if chain.TEXTS[table] else ()
    return tuple(dict.fromkeys((*_BLANK[table], *_FOREIGN.get(table, ()), *_NAMED.get(table, ()), *salt)))


def erased_session(row: Mapping[str, Any], names: Names, pseudonym: str) -> dict[str, Any]:
    """Return the columns of a session's row that change, with their new values.

    Args:
        row: The row by the names of columns, `meta` as JSON; what is missing is left alone.
        names: What the person is called.
        pseudonym: What stands in place of the name.
    """
    new: dict[str, Any] = {"external_id": "", "accommodation": "", "keep_until": None}
    if not str(row["candidate"]).startswith(PSEUDONYM):
        new["candidate"] = pseudonym
    new["meta"] = json.dumps(_kept_meta(row.get("meta"), names), ensure_ascii=False)
    new |= {name: "" for name in _SESSION_TEXTS if names.within(row.get(name))}
    if names.within(row["session_id"]):
        new["session_id"] = f"{PSEUDONYM}{secrets.token_hex(7)}"
    return {name: value for name, value in new.items() if name in row and row[name] != value}


def _kept_meta(meta: Any, names: Names) -> dict[str, Any]:
    try:
        known = json.loads(meta)
    except (TypeError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {
        name: value
        for name, value in known.items()
        if name in _META and not names.within(json.dumps(value, ensure_ascii=False))
    }


def _general(column: str, value: str) -> str:
    """Return a cell's kind, or its exception's name, unless the person may have invented it."""
    if column == "kind":
        return value if value in _MAGICS else "magic"
    known = getattr(builtins, value, None)
    return value if isinstance(known, type) and issubclass(known, BaseException) else "Exception"


def _nothing(column: str) -> str | None:
    return None if column in _NULLABLE else ""


def _is_kept(row: Mapping[str, Any], names: Names) -> bool:
    """Return True if an event's details are our own figures."""
    if row["kind"] in _ALWAYS:
        return True
    detail = row.get("detail")
    return row["kind"] in _OURS and not names.within(detail) and _has_only(detail, _OWN_WORDS)


def _is_plain(column: str, value: str | None, names: Names) -> bool:
    if not value:
        return True
    if names.within(value):
        return False
    if column == "raw_usage":
        return _is_figures(value)
    return bool(_IDENTIFIER.fullmatch(value))


def _is_figures(text: str) -> bool:
    """Return True if *text* is JSON of figures alone, by short names."""
    try:
        words = list(_words_of(json.loads(text), figures=True))
    except (ValueError, RecursionError):
        return False
    return len(words) <= _MOST_FIGURES and all(_FIGURE.fullmatch(word) for word in words)


def _has_only(text: str | None, words: re.Pattern[str]) -> bool:
    """Return True if *text* is JSON whose names and texts are all such words."""
    try:
        return all(words.fullmatch(word) for word in _words_of(json.loads(text or "{}")))
    except (ValueError, RecursionError):
        return False


def _words_of(value: Any, *, figures: bool = False) -> Iterable[str]:
    """Yield the texts and names in *value*; with *figures*, a text that is no name as one that is none."""
    if isinstance(value, str):
        yield f" {value}" if figures else value
    elif isinstance(value, list):
        for item in value:
            yield from _words_of(item, figures=figures)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _words_of(item, figures=figures)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure has done.

    Attributes:
        sessions: The ids of the sessions, as they are now.
        rows: By table, how many rows were changed.
        rewritten: The files, or tables, that were written anew.
        removed: The files that could not be read, and were removed.
        elsewhere: One line for each place that it cannot reach.
    """

    sessions: tuple[str, ...]
    rows: Mapping[str, int]
    rewritten: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
