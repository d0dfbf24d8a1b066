"""A judge's answer, read strictly and in bounded time: it may be of any size and shape."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ib_kernel.assessment.judge.prompt import LEVELS, MOST_QUOTES
from ib_kernel.text import plain
from ib_kernel.values.judging import Opinion, Quote

MOST_CHARS = 40_000
"""Characters of an answer that are read at all."""

MOST_WORDS = 2_500
"""Characters of one quote, and of a sentence, that are kept."""

_FENCE = "```"


def read_answer(text: str) -> Opinion:
    """Return what an answer says.

    Args:
        text: The answer: one JSON object, alone or in a fence.

    Raises:
        ValueError: It is none, or not of the form that was asked for; the line says what is wrong.
    """
    value = _object(text)
    level = _level(value.get("level"))
    quotes = value.get("quotes")
    if not isinstance(quotes, list):
        raise ValueError('"quotes" is no list')
    texts = {name: _text(value, name) for name in ("why", "strength", "next_step")}
    return Opinion(level, tuple(_quote(one) for one in quotes[:MOST_QUOTES]), **texts)


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARS:
        raise ValueError(f"the answer has {len(text):,} characters; at most {MOST_CHARS:,} are read")
    body = text.strip()
    if body.startswith(_FENCE):
        body = body.partition("\n")[2].rstrip().removesuffix(_FENCE).strip()
    if not body.startswith("{"):
        raise ValueError("the answer is no JSON object")
    try:
        value = json.loads(body, object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the answer is no JSON object: {error.msg}") from None
    return value if isinstance(value, dict) else {}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("the answer says something twice")
    return dict(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the answer has {name}, which is no JSON")


def _level(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 3:
        return value
    if value not in LEVELS:
        raise ValueError('"level" is none of "not shown", "0", "1", "2", "3"')
    return None if value == LEVELS[0] else int(value)


def _quote(value: Any) -> Quote:
    """Return one quote; what is no quote at all has no words, and is then dropped as too short."""
    one = value if isinstance(value, dict) else {}
    place, speaker, words = (one.get(name) for name in ("place", "speaker", "words"))
    return Quote(
        place[:60] if isinstance(place, str) else "",
        speaker[:60] if isinstance(speaker, str) else "",
        words[:MOST_WORDS] if isinstance(words, str) else "",
    )


def _text(value: dict[str, Any], name: str) -> str:
    said = value.get(name, "")
    if not isinstance(said, str):
        raise ValueError(f'"{name}" is no text')
    return " ".join(plain(said[:MOST_WORDS]).split())
