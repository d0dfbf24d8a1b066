"""Other people's text, made fit for a screen, for UTF-8 and for JSON.

Replies, names, tasks, SQL values and errors are written by somebody else. On every surface they pass `plain`
(text of several lines) or `one_line` (a cell of a table, an error, a log's line): the one place that knows
what a terminal would obey. What is counted, sent or stored passes `well_formed`. Money, time and "2 turns"
have one wording each.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_SEQUENCES = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS and their like: titles, links, the clipboard
)
_CONTROLS = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # switches of the writing direction: text that lies
    r"\ud800-\udfff]"  # lone surrogates: cannot be sent to a front end
)
_REMOVED = re.compile(f"{_SEQUENCES}|{_CONTROLS}")
_CONTROL = re.compile(_CONTROLS)
_FIRST_WORD = re.compile(r"[a-z]+(?=[,:'’]|\.(?!\w)| [^(]|$)")
_BREAKS = re.compile(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]+")


def plain(text: str) -> str:
    """Return *text* without control characters, terminal sequences, bidi overrides and lone surrogates."""
    return _REMOVED.sub("", text.replace("\r\n", "\n"))


def without_controls(markup: str) -> str:
    """Return HTML without the characters that `plain` removes; sequences of them may not span elements."""
    return _CONTROL.sub("", markup)


def one_line(text: str) -> str:
    """Return *text* in one line, with what would steer a terminal shown as it is written in Python."""
    line = _BREAKS.sub(" ", text)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def cut(text: str, limit: int) -> str:
    """Return *text*, or its first *limit* characters and how many more there are."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def well_formed(text: str) -> str:
    """Return *text* with its surrogate pairs joined, and each lone surrogate replaced by one U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


_plain_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` builds one for each value


def well_formed_value(value: T) -> T:
    """Return *value* with every text in its mappings, lists and tuples `well_formed`.

    The very object when all are; a tuple with one that is not becomes a list.
    """
    try:  # nearly always: what JSON can write as UTF-8 holds no surrogate, and this is quick
        _plain_json(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _made_well_formed(value)
    return value


def _made_well_formed(value: T) -> T:
    clean: Any = value
    if isinstance(value, str):
        clean = well_formed(value)
    elif isinstance(value, Mapping):
        clean = {_made_well_formed(key): _made_well_formed(item) for key, item in value.items()}
        if all(key is old and clean[key] is value[old] for key, old in zip(clean, value, strict=False)):
            return value
    elif isinstance(value, (list, tuple)):
        clean = [_made_well_formed(item) for item in value]
        if all(new is old for new, old in zip(clean, value, strict=True)):
            return value
    result: T = clean
    return result


def format_usd(nano_usd: int) -> str:
    """Return nano-dollars as text with as many digits as a small sum needs: $0.00124, $1.20."""
    usd = nano_usd / 1e9
    if usd >= 0.1 or usd == 0:
        return f"${usd:,.2f}"
    digits = min(9, 2 - math.floor(math.log10(usd)))
    return f"${usd:.{digits}f}"


def as_sentence(line: str) -> str:
    """Return *line* with a capital where it begins with a plain word; a name or a command stays as it is."""
    word = _FIRST_WORD.match(line)
    return line[:1].upper() + line[1:] if word else line


def several(n: int, noun: str) -> str:
    """Return "1 turn", "2 turns"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def clock(seconds: float) -> str:
    """Return a running clock's reading, such as ``18:52`` or ``1:02:03``; part of a second counts as one."""
    whole = max(0, math.ceil(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def format_time_left(seconds: float) -> str:
    """Return how much time is left in words: whole minutes, seconds in the last one."""
    if seconds <= 0:
        return "time is up"
    return f"{math.ceil(seconds / 60)} min left" if seconds > 60 else f"{math.ceil(seconds)} s left"
