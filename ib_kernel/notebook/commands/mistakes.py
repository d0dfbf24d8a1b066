"""Small mistakes around the magics that IPython would answer in its own words, or not at all.

An input transformer sees a cell before IPython does and turns what cannot have been meant into one line that
says what was: text under a one-percent ``%interview``, a ``%%interview`` cell without text, a question mark
that IPython takes as its own. Every other cell is left as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.commands.grammar import subcommands
from ib_kernel.notebook.commands.words import UsageError

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine

_LINE = re.compile(r"\s*%interview(?:[ \t]+(?P<word>\S*)(?P<rest>.*))?\s*$")
_CELL = re.compile(r"\s*%%interview(?:[ \t]+(?P<line>.*))?\s*$")
_QUESTION = re.compile(r"\w[ \t]+\S.*\?[ \t]*$", re.MULTILINE)

NO_TEXT = "there is nothing to send; type your answer or question below the line %%interview"
TEXT_BELOW = (
    "one percent sign is a command, and what stands below it was not sent; to talk, begin the cell with two: "
    "%%interview"
)


def check_line(line: str, engine: Engine) -> None:
    """Raise `UsageError` when text, or a subcommand, stands on the line ``%%interview`` itself."""
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    if not word or word.startswith(("-", "–", "—")):
        return
    if word in subcommands(engine):
        raise UsageError(
            f"%%interview sends the text below it; {word} is a command and takes one percent sign: "
            f"%interview {word}"
        )
    raise UsageError(
        "the text goes below the line %%interview, which takes options only; nothing was sent. "
        "%%interview --help shows them"
    )


def unknown_subcommand(word: str, rest: str, engine: Engine) -> str:
    """Return the line about a *word* after ``%interview`` that is no subcommand."""
    from ib_kernel.errors import did_you_mean

    hint = did_you_mean(word.lower(), subcommands(engine))
    if hint and not rest.strip():
        return f"unknown subcommand {word}{hint}"
    return (
        f"unknown subcommand {word}{hint or '.'} To talk, begin the cell with %%interview and write below "
        "that line; %interview help lists the commands"
    )


def transformer(engine: Engine, shell: Any) -> Callable[[list[str]], list[str]]:
    """Return the input transformer for *shell*."""

    def explain_interview_mistakes(lines: list[str]) -> list[str]:
        if not lines or "%interview" not in lines[0]:
            return lines
        below = "".join(lines[1:])
        if cell := _CELL.match(lines[0]):
            return lines if below.strip() else _without_text(cell["line"] or "", lines[0])
        if line := _LINE.match(lines[0]):
            return _command(line["word"] or "", line["rest"] or "", below, lines)
        return lines

    def _command(word: str, rest: str, below: str, lines: list[str]) -> list[str]:
        name = word.rstrip("?")
        if name != word and not rest.strip() and not below.strip() and name in subcommands(engine):
            return [f"%interview {name} --help\n"]
        if rest.rstrip().endswith("?") and word not in subcommands(engine):
            return _refused(unknown_subcommand(word, rest, engine))
        if below.strip() and not _is_code(below, shell):
            return _refused(TEXT_BELOW)
        return lines

    return explain_interview_mistakes


def _without_text(line: str, first: str) -> list[str]:
    if line.strip() in ("--help", "-h"):
        return [first.rstrip() + "\n", ".\n"]
    return [first] if line.endswith("?") and not line.strip(" ?") else _refused(NO_TEXT)


def _is_code(text: str, shell: Any) -> bool:
    """Return True if *text* is Python, or what IPython makes Python of; a question in prose is neither."""
    if _parses(text):
        return True
    return not _QUESTION.search(text) and _parses(shell.input_transformer_manager.transform_cell(text))


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _refused(line: str) -> list[str]:
    """Return the code that raises *line*: a transformer that raises would end a terminal's prompt."""
    return [f'raise __import__({__name__!r}, fromlist=["UsageError"]).UsageError({line!r})\n']
