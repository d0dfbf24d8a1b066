"""What a judge is asked: the same beginning for every criterion, then one criterion. Pure functions.

A passage is one line of JSON. Nothing in a text can end that line or begin another one, so that no text can
pass for a passage of somebody else's, and a mark that nobody could know stands before and after all of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ib_kernel.values.judging import Case, JudgeRequest

VERSION = "judge-1"
"""The version of the prompt. Raise it with every change of ``data/judge.md`` or of what stands here."""

MOST_QUOTES = 8
"""Quotes of one answer that are read."""

LEVELS = ("not shown", "0", "1", "2", "3")
"""What an answer may give as its level."""

_MOST_TASK = 6_000
_BREAKS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["level", "quotes", "why", "strength", "next_step"],
    "properties": {
        "level": {"type": "string", "enum": list(LEVELS)},
        "quotes": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["place", "speaker", "words"],
                "properties": {
                    "place": {"type": "string"},
                    "speaker": {"type": "string"},
                    "words": {"type": "string"},
                },
            },
        },
        "why": {"type": "string"},
        "strength": {"type": "string"},
        "next_step": {"type": "string"},
    },
}
"""The answer as JSON schema, as strict structured output takes it."""


def request(case: Case) -> JudgeRequest:
    """Return what is asked about one criterion.

    Args:
        case: The criterion, the order of its levels, and the record.
    """
    messages = (
        {"role": "system", "content": rules()},
        {"role": "user", "content": record(case)},
        {"role": "user", "content": question(case)},
    )
    return JudgeRequest(messages, SCHEMA)


@functools.cache
def rules() -> str:
    """Return what every judge is told first."""
    return (files(__package__) / "data" / "judge.md").read_text(encoding="utf-8").strip()


def record(case: Case) -> str:
    """Return the record between its marks, one passage a line.

    Args:
        case: Whose passages are meant.
    """
    lines = [_line({"place": p.place, "speaker": p.speaker, "text": p.text}) for p in case.passages]
    about = _line({"role": case.role, "task": case.task[:_MOST_TASK]})
    return "\n".join(
        [
            f"Interview {case.mark}",
            "What it was about:",
            about,
            "Who said and ran what:",
            *lines,
            f"End {case.mark}",
        ]
    )


def question(case: Case) -> str:
    """Return the criterion with its levels in this pass's order.

    Args:
        case: The criterion.
    """
    levels = "\n".join(f'- level "{level}": {_one_line(case.anchors[level])}' for level in case.order)
    return (
        f"The criterion: {_one_line(case.title)}\n\nIts levels, in no order:\n{levels}\n\n"
        f"What does the record between the marks {case.mark} show of it? Answer with the JSON object alone."
    )


def _line(value: Mapping[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False).translate(_BREAKS)


def _one_line(text: str) -> str:
    return " ".join(text.split())
