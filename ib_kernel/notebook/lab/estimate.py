"""What a cell would take if it were run now, for the page that shows it while somebody types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ib_kernel.errors import BuddyError
from ib_kernel.notebook.commands.args import parse
from ib_kernel.notebook.commands.grammar import ASK
from ib_kernel.text import one_line

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

MAX_CELL = 200_000
"""Characters of a cell that are counted while somebody types."""


def estimate_cell(interview: Interview, cell: str, names: dict[str, Any]) -> dict[str, Any]:
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

            text = expand_vars(text, names)
        found = interview.estimate(
            text, max_tokens=options.get("max_tokens"), model=options.get("model")
        )
    except (BuddyError, UsageError) as error:
        return _problem(one_line(str(error)))
    return {"problem": "", **found}


def _problem(line: str) -> dict[str, Any]:
    return {"problem": line}
