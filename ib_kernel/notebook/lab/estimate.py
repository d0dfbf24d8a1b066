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
        wishes = {name: options.get(name) for name in ("max_tokens", "model")}
        found = _estimate(interview, text, wishes)
        left = interview.service.totals(interview.session.session_id).left
    except (BuddyError, UsageError) as error:
        return _problem(one_line(str(error)))
    total = found.prompt + found.reply
    return {
        "problem": "",
        "prompt": found.prompt,
        "new": found.new,
        "reply": found.reply,
        "total": total,
        "after": max(0, left - total),
    }


def _estimate(interview: Any, text: str, wishes: Mapping[str, Any]) -> Any:
    if hasattr(interview, "estimate"):
        return interview.estimate(text, **wishes)
    return _counted(interview, text, wishes)


def _counted(interview: Any, text: str, wishes: Mapping[str, Any]) -> Any:
    from types import SimpleNamespace

    from ib_kernel.interview.compose import Wishes, compose
    from ib_kernel.interview.prompts import build_messages
    from ib_kernel.values import Message

    session, service = interview.session, interview.service
    history = service.store.history(session.session_id)
    messages = build_messages(session, interview._parts.given.of(session), history, text)
    question = Message(0, "user", text)
    ask = compose(session, messages, question, Wishes(**wishes), interview.settings, interview.plugins)
    client = interview.client(session.client or interview.settings.client_name, session.meta.get("api"))
    counts_as = ask.model.counts_as or ask.model.name
    prompt = service.counter.count_request(client.body(ask.request), counts_as).tokens
    totals = service.totals(session.session_id)
    reply = totals.output_tokens // totals.turns if totals.turns else interview.settings.min_reply_tokens
    new = service.counter.count_text(text, counts_as).tokens
    return SimpleNamespace(prompt=prompt, new=new, reply=reply)


def _problem(line: str) -> dict[str, Any]:
    return {"problem": line}
