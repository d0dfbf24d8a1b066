"""A session's timeline as a front end plays it back: for the notebook and for the host's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ib_kernel.evidence.timeline import Kind, Moment
from ib_kernel.show.render import to_html
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values.wire import read, to_value

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


@dataclass(frozen=True, slots=True)
class Received:
    """A moment as a host sends it: what somebody said is Markdown in ``text``, and no HTML comes along."""

    kind: Kind
    mark: Literal["question", "check", "hint", "refused", "failed", ""]
    at: float
    ok: bool
    name: str
    text: str
    note: str
    left: int
    budget: int


@dataclass(frozen=True, slots=True)
class Replay:
    """A session that a host plays back: the line that names it, and its moments."""

    about: str
    moments: tuple[Received, ...]


def received(value: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return the line that names a session and its moments as plain JSON, of what a host has sent.

    Args:
        value: The host's answer. It is not trusted: its texts are cut and cleaned, its HTML is made here.

    Raises:
        StoreError: It is no such answer.
    """
    replay, rows, room = read(Replay, value), [], MOST_CHARS
    for one in replay.moments[-MOST:][::-1]:
        text = cut(plain(one.text), MOST_TEXT)
        room -= len(text)
        row = to_value(one) | {"name": one_line(plain(one.name)), "note": one_line(plain(one.note))}
        rows.append(row | _words(one.kind in SAID, text if room >= 0 else _LEFT_OUT, _as_html))
    return one_line(plain(replay.about)), rows[::-1]


def _as_html(text: str) -> str:
    return str(to_html(text))


def as_markdown(text: str) -> str:
    """Return no HTML: whoever is sent the moments makes it of their text."""
    return ""


def replay_rows(
    found: Sequence[Moment], session: Session, html: Callable[[str], str] = _as_html
) -> list[dict[str, Any]]:
    """Return the moments as plain JSON, the newest `MOST` of them.

    Args:
        found: The session's timeline.
        session: Whose it is; its start is where the time begins.
        html: Makes safe HTML of somebody's Markdown; `as_markdown` leaves it as text.
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
        **_words(said, text, html),
        "note": plain(moment.note),
        "left": moment.left,
        "budget": moment.budget,
    }


def _words(said: bool, text: str, html: Callable[[str], str]) -> dict[str, str]:
    """Return a moment's words: HTML of what somebody said, text of the rest."""
    made = html(text) if said else ""
    return {"text": "" if made else text, "html": made}


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
