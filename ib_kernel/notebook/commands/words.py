"""What a word of a magic's line may be: one parser for each kind, and the line about a word that is none.

A parser's docstring says what is allowed, in the words of the message. A line is split as a shell would,
except that backslashes are ordinary characters (Windows paths).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError as _IPythonUsageError

from ib_kernel.secrets import scrub
from ib_kernel.settings import parsing
from ib_kernel.text import as_sentence, one_line

MAX_LINE = 10_000
"""Characters of a magic's line; text of any length belongs into the cell below it."""


class UsageError(_IPythonUsageError):
    """A mistake in a magic's line. Shown as one line, and the cell fails.

    IPython prints its own `UsageError` to stderr; a subclass that renders itself becomes a proper error
    output of the cell.
    """

    def __str__(self) -> str:
        return one_line(scrub(super().__str__()))

    def _render_traceback_(self) -> list[str]:
        return [as_sentence(str(self))]


parse_tokens = parsing.parse_whole(1)
"""The parser of a number of tokens: 20000, 20_000 and 20,000."""

parse_budget = parsing.parse_whole(0)
"""The parser of a token budget."""


def parse_usage(text: str) -> tuple[int, int]:
    """input and output tokens, such as 812+240"""
    tokens = [parse_budget(part) for part in text.split("+")]
    if len(tokens) != 2:
        raise ValueError
    return tokens[0], tokens[1]


def parse_turns(text: str) -> tuple[int, ...]:
    """numbers of turns, such as 3 or 3,5"""
    found = tuple(int(part) for part in text.split(","))
    if not found or len(found) > 20 or any(not 0 < number < 1_000_000 for number in found):
        raise ValueError
    return found


def parse_cells(text: str) -> tuple[int, ...]:
    """numbers of cells that ran, such as 3, -1 (the last one) or 3,5"""
    found = tuple(int(part) for part in text.split(","))
    if (
        not found
        or len(found) > 8
        or any(not -10_000 < number < 1_000_000 or number == 0 for number in found)
    ):
        raise ValueError
    return found


def parse_names(text: str) -> tuple[str, ...]:
    """names of variables, such as df or df,total"""
    found = tuple(part.strip() for part in text.split(","))
    if len(found) > 8 or not all(name.isidentifier() for name in found):
        raise ValueError
    return found


def parse_minutes(text: str) -> float:
    """a number of minutes above 0, such as 45 or 0.5"""
    number = float(parse_budget(text) if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else text.replace(",", "."))
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def split(line: str) -> list[str]:
    """Split *line* into words; quotes group, backslashes are ordinary characters."""
    if len(line) > MAX_LINE:
        raise UsageError(f"this line has {len(line):,} characters; at most {MAX_LINE:,} are read")
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(
            "a quote is opened and never closed; put a value with a quote in it into the other kind, such as "
            '''"O'Brien"'''
        ) from None


def parse_value(name: str, text: str, parser: Callable[[str], Any]) -> Any:
    """Return *text* parsed, or raise the line that says what *name* allows."""
    try:
        return parser(text)
    except parsing.REFUSED:
        raise UsageError(f"{name} {refusal(text, parser)}") from None


def refusal(text: str, parser: Callable[[str], Any]) -> str:
    """Return the end of the line about *text*: what is allowed instead."""
    return f"cannot be {text!r}; allowed: {parser.__doc__}"
