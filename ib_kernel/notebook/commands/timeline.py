"""`%interview timeline`: what happened in the session, one line each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ib_kernel.evidence.timeline import Moment, only
from ib_kernel.evidence.timeline import timeline as moments_of
from ib_kernel.notebook.output.show import Output, show_lines
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine

MOST = 500
"""Lines that are shown, the newest ones."""

_TEXT = 80
"""Characters of a text that are shown."""


def timeline(engine: Engine, parsed: Parsed) -> Output:
    """Return the timeline of the session in use, or what was asked of it.

    Somebody who has joined a host's interview sees their own: the conversation, checks, hints and refusals.
    The cells are at the host.
    """
    interview = engine.interview
    session = interview.session
    found = moments_of(interview.service, session)
    which = parsed.get("only")
    shown = only(found, which) if which else found
    if not shown:
        return show_lines(f"Nothing of that kind in {several(len(found), 'moment')}.")
    began = session.started_at if session.started_at is not None else session.created_at
    head = ["time", "what", "ok", "text", "tokens left"]
    rows = [[_clock(moment.at - began), _what(moment), _ok(moment), _text(moment), f"{moment.left:,}"]
            for moment in shown[-MOST:]]  # fmt: skip
    if len(shown) > MOST:
        rows.insert(0, ["", "", "", f"{len(shown) - MOST:,} earlier ones; SQL: FROM timeline", ""])
    return Output(table_html(head, rows, stacks=True), table_text(head, rows))


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(max(0.0, seconds)))


def _what(moment: Moment) -> str:
    number = moment.turn or moment.number
    return f"{moment.kind} {number}" if number else moment.kind


def _ok(moment: Moment) -> str:
    if moment.kind in ("cell", "check"):
        return "✓" if moment.ok else "✗"
    return "" if moment.ok else "✗"


def _text(moment: Moment) -> str:
    text = cut(one_line(plain(moment.text[: 4 * _TEXT])).strip(), _TEXT)
    return f"{plain(moment.note)} · {text}" if moment.note else text
