"""What a cell would take if it were run now, for the page that shows it while somebody types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ib_kernel.errors import BuddyError
from ib_kernel.notebook.commands.args import parse
from ib_kernel.notebook.commands.grammar import ASK
from ib_kernel.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ib_kernel.interview.interview import Interview

MAX_CELL = 200_000
"""Characters of a cell that are counted while somebody types."""


def estimate_cell(interview: Interview, cell: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ``%%interview`` cell would take, in tokens, or why it cannot be sent.

    Args:
        interview: Whose session would pay.
        cell: The whole cell, the magic's line included.
        names: The notebook's variables, for ``--vars``.
    """
    first, _, body = cell.lstrip().partition("\n")
    text = body.strip("\n")
    if not text.strip():
        return _problem("There is nothing to send yet.")
    if len(cell) > MAX_CELL:
        return _problem("This cell is too long to be counted while you type.")
    try:
        options = dict(parse(ASK, first.removeprefix("%%interview")).values)
        if options.pop("vars", False):
            from ib_kernel.interview.prompts import expand_vars

            text = expand_vars(text, dict(names))
        wishes = {name: options[name] for name in ("max_tokens", "model") if name in options}
        found = interview.estimate(text, **wishes)
    except (BuddyError, UsageError) as error:
        return _problem(_not_sent(str(error)))
    return {
        "problem": _not_sent(found.refusal),
        "prompt": found.prompt,
        "new": found.new,
        "reply": found.reply,
        "total": found.charged,
        "after": max(0, found.left - found.charged),
        "history_from_turn": found.history_from_turn,
    }


def _not_sent(why: str) -> str:
    """Return the line about what would refuse the cell; "" for nothing."""
    return why and f"Would not be sent. {one_line(why.removeprefix('not sent. '))}"


def _problem(line: str) -> dict[str, Any]:
    return {"problem": line}
