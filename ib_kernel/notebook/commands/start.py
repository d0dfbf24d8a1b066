"""What `%interview start` and `%interview status` show: who, what, how much, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from htpy import Node, details, div, strong, summary

from ib_kernel.budget.forecast import QUESTION, REPLY
from ib_kernel.budget.lock import is_locked
from ib_kernel.notebook.output.frame import QUIET, grouped
from ib_kernel.notebook.output.show import Output, as_divs
from ib_kernel.show.figures import money_left, time_line
from ib_kernel.show.render import nested, to_html, without_title
from ib_kernel.show.sanitize import LINE
from ib_kernel.text import plain, several

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.values import Session, Totals

NEXT = "Next: begin a cell with %%interview and write your answer below it. %interview help shows the rest."

DEMO = (
    "No API key is set, so the scripted demo interviewer answers. For a real model type %interview key, then "
    "start again; or put your key into OPENAI_API_KEY before Jupyter starts."
)


def started(
    session: Session, challenge: Challenge | None, totals: Totals, *, verb: str, notes: list[str]
) -> Output:
    """Return the block that a session begins with. *notes* are single lines worth knowing now."""
    head = f"{verb}: {headline(session)}"
    tail = [limits_line(session, totals), *notes, NEXT]
    text = [head, *(["", challenge.text.strip(), ""] if challenge else []), *tail]
    content = div[
        div[strong[verb], f" · {plain(headline(session))}"],
        div(style="margin:2px 0 0")[grouped(limits_line(session, totals))],
        _task(challenge) if challenge else None,
        [div(style="margin-top:4px")[grouped(line)] for line in notes],
        div(style=f"margin-top:6px;{QUIET}")[NEXT],
    ]
    return Output(content, "\n".join(text))


def _task(challenge: Challenge) -> Node:
    """Return the task, open at first: a candidate who knows it can fold it away."""
    box = f"margin:10px 0;padding:2px 0 2px 14px;border-left:3px solid {LINE};max-width:76ch"
    return details(".ib-task", open=True, style=box)[
        summary(style="cursor:pointer;font-weight:bold")[f"Task: {plain(challenge.title)}"],
        nested(to_html(without_title(challenge.text, challenge.title)), 2),
    ]


def carries(turns: int | None) -> list[str]:
    """Return the line that says about how many turns the budget carries; no line where nobody knows."""
    if turns is None:
        return []
    sizes = f"with questions of {QUESTION} and replies of {REPLY} tokens"
    if not turns:
        return [
            f"The budget carries no turn {sizes}; %%interview --dry-run shows whether a shorter one fits."
        ]
    return [f"The budget carries about {several(turns, 'turn')} {sizes}."]


def status(session: Session, challenge: Challenge | None, totals: Totals) -> Output:
    """Return the state of the session in use in a few lines."""
    lines = [
        f"{headline(session)} · {session.status}",
        f"Challenge: {challenge.title if challenge else 'none'}",
        limits_line(session, totals),
        f"Turns: {totals.turns:,} · messages kept: {totals.messages:,} · session {session.session_id}",
    ]
    return Output(div[as_divs(lines)], "\n".join(lines))


def headline(session: Session) -> str:
    """Return whose interview it is and for what."""
    role = session.role or "Software engineer"
    level = f" ({session.level})" if session.level else ""
    return f"{session.candidate} · {role}{level}"


def limits_line(session: Session, totals: Totals) -> str:
    """Return tokens, time, model, client and what the AI is, in one line."""
    used = totals.used + totals.held + totals.in_doubt
    tokens = (
        f"{totals.left:,} of {totals.token_budget:,} tokens left"
        if used
        else f"{totals.token_budget:,} tokens"
    )
    parts = [
        f"Budget: {tokens}",
        *filter(None, [money_left(totals)]),
        time_line(session),
        f"model {session.model}, client {session.client}",
        *(["charged for what turns add"] if session.charge == "new" else []),
        *(["locked"] if is_locked(session) else []),
    ]
    return f"{' · '.join(parts)} · the AI is the {session.persona}"
