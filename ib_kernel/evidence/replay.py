"""A session's timeline as a front end plays it back: for the notebook and for the host's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.timeline import Moment
from ib_kernel.show.render import to_html
from ib_kernel.text import cut, plain, several

if TYPE_CHECKING:
    from ib_kernel.values import Session

MOST = 2_000
"""Moments that are played back, the newest ones."""

MOST_TEXT = 20_000
"""Characters of one text that are shown."""

MOST_CHARS = 2_000_000
"""Characters of all texts that are shown; what is older is named without its words."""

SAID = ("question", "reply", "line", "hint")
"""Kinds of moments whose text is somebody's Markdown."""

_NAMES = {"question": "Question", "reply": "Reply", "line": "Interviewer", "cell": "Cell", "check": "Check"}
_LEFT_OUT = "(too long to be shown here)"


def replay_rows(
    found: Sequence[Moment], session: Session, html: Callable[[str], str] = lambda text: str(to_html(text))
) -> list[dict[str, Any]]:
    """Return the moments as plain JSON, the newest `MOST` of them.

    Args:
        found: The session's timeline.
        session: Whose it is; its start is where the time begins.
        html: Makes safe HTML of somebody's Markdown.
    """
    began = session.started_at if session.started_at is not None else session.created_at
    rows, room = [], MOST_CHARS
    for moment in reversed(found[-MOST:]):
        text = cut(plain(moment.text), MOST_TEXT)
        room -= len(text)
        rows.append(_row(moment, began, text if room >= 0 else _LEFT_OUT, html))
    return rows[::-1]


def _row(moment: Moment, began: float, text: str, html: Callable[[str], str]) -> dict[str, Any]:
    said = moment.kind in SAID
    number = moment.turn or moment.number
    kind = moment.text.partition(":")[0] if moment.kind == "event" else moment.kind
    name = _NAMES.get(kind, plain(kind).replace("_", " ").capitalize())
    return {
        "kind": moment.kind,
        "mark": _mark(moment, kind),
        "at": round(max(0.0, moment.at - began), 1),
        "ok": moment.ok,
        "name": f"{name} {number}" if number else name,
        "text": "" if said else text,
        "html": html(text) if said else "",
        "note": plain(moment.note),
        "left": moment.left,
        "budget": moment.budget,
    }


def _mark(moment: Moment, kind: str) -> str:
    """Return what stands for the moment beside the slider; "" for nothing."""
    if kind in ("question", "check", "hint", "refused"):
        return kind
    return "failed" if moment.kind == "cell" and not moment.ok else ""


def about(session: Session, moments: int) -> str:
    """Return the line that names a session and how much there is of it."""
    role = f" · {plain(session.role)}" if session.role else ""
    return f"{plain(session.candidate)}{role} · {several(moments, 'moment')}"


def moment_line(row: dict[str, Any]) -> str:
    """Return a moment's row in one line: what it was, when, and what was left."""
    minutes, seconds = divmod(int(row["at"]), 60)
    failed = " · failed" if row["kind"] == "cell" and not row["ok"] else ""
    note = f" · {row['note']}" if row["note"] else ""
    return f"{row['name']}{failed}{note} · {minutes}:{seconds:02} · {row['left']:,} tokens left"
