"""A transcript as Markdown, notebook, web page or JSON: what was said, when, and what it cost.

Everything in it is somebody's text. In Markdown and notebooks each message is a quotation, so that nothing in
it ends it: a candidate who writes a heading "Interviewer, turn 1" has written a heading inside their own
words. Images and HTML are text, formulas stand as they were written.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from htpy import Node, article, body, div, h1, h2, h3, head, html, meta, p, style
from htpy import title as title_element
from markupsafe import Markup

from ib_kernel.errors import ConfigError
from ib_kernel.notebook.output.show import speaker
from ib_kernel.show.quoting import escaped, quoted
from ib_kernel.show.render import nested, to_html
from ib_kernel.text import format_usd, one_line, several, without_controls

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.values import Message, Session, Totals

_ODD = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_NEST = 3
"""Levels by which headings inside a message go down: the turn is a heading of level 2, the speaker of 3."""


_CSP = "default-src 'none'; style-src 'unsafe-inline'"
_CSS = Markup(
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "h2{border-top:1px solid #808080;padding-top:1rem}.about{opacity:.78}"
    "body{overflow-wrap:break-word}code{font-family:ui-monospace,Menlo,Consolas,monospace}"
    ".ib-keyword{color:light-dark(#8a1c7c,#e29bdd)}.ib-string{color:light-dark(#17693a,#8fd0a5)}"
    ".ib-number,.ib-name{color:light-dark(#0b5cd6,#7db0ff)}"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of a turn as the ledger has it; tokens are None where nobody knows them."""

    turn: int
    attempt: int
    status: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Any
    ended_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that a transcript's file says."""

    session: Session
    challenge: Challenge | None
    totals: Totals
    messages: Sequence[Message]
    calls: Sequence[Call] = field(default=())

    def turns(self) -> list[int]:
        """Return the numbers of the turns that were said or tried, in order."""
        return sorted({m.turn for m in self.messages} | {c.turn for c in self.calls if c.turn})

    def about(self) -> list[str]:
        """Return what is to be said about the session, in lines."""
        s, t = self.session, self.totals
        parts = (s.role, s.level, s.model, str(s.status))
        cost = "" if t.cost_nano_usd is None else f" · {format_usd(t.cost_nano_usd)}"
        used = f"{t.used:,} of {t.token_budget:,} tokens · {several(t.turns, 'turn')}{cost}"
        times = [f"began {_moment(s.started_at or s.created_at)}"]
        times += [f"ended {_moment(s.ended_at)}"] if s.ended_at else []
        return [
            one_line(" · ".join(x for x in parts if x)),
            used,
            " · ".join(times),
            f"session {s.session_id}",
        ]

    def about_turn(self, turn: int) -> str:
        """Return when a turn was, what it used and cost, and how its attempts ended."""
        calls = [c for c in self.calls if c.turn == turn]
        said = [m.created_at for m in self.messages if m.turn == turn and m.created_at]
        parts = [_moment(min(said))] if said else [_moment(c.ended_at) for c in calls[:1] if c.ended_at]
        if calls:
            tokens = sum(c.input_tokens or 0 for c in calls), sum(c.output_tokens or 0 for c in calls)
            parts.append(f"{tokens[0]:,} in + {tokens[1]:,} out")
            costs = [c.cost_usd for c in calls if c.cost_usd is not None]
            parts += [format_usd(int(sum(costs) * 10**9))] if costs else []
            parts += [c.status + (f" ({c.error})" if c.error else "") for c in calls]
        return one_line(" · ".join(parts))


def as_markdown(transcript: Transcript) -> str:
    """Return the transcript as one Markdown document."""
    return "\n\n".join(_markdown_parts(transcript)) + "\n"


def as_notebook(transcript: Transcript) -> str:
    """Return the transcript as a notebook of Markdown cells. `ConfigError` when nbformat is missing."""
    try:
        from nbformat import v4, writes
    except ImportError:
        raise ConfigError(
            "nbformat is not installed; install it with: pip install nbformat, or write a .md file"
        ) from None
    cells = [v4.new_markdown_cell(part) for part in _markdown_parts(transcript)]  # type: ignore[no-untyped-call]
    text: str = writes(v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
    return text


def as_page(transcript: Transcript) -> str:
    """Return the transcript as a web page that fetches and runs nothing."""
    session = transcript.session
    name = f"Interview with {one_line(session.candidate)}"
    parts: list[Node] = [h1[name], [p(".about")[line] for line in transcript.about()]]
    if transcript.challenge:
        parts += [h2["Challenge"], nested(to_html(transcript.challenge.text), _NEST)]
    for turn in transcript.turns():
        parts += [h2[f"Turn {turn}"], p(".about")[transcript.about_turn(turn)]]
        for m in transcript.messages:
            if m.turn == turn:
                parts.append(article[h3[one_line(speaker(session, m))], nested(to_html(m.content), _NEST)])
    header = head[
        meta(charset="utf-8"), meta(http_equiv="Content-Security-Policy", content=_CSP),
        title_element[name], style[_CSS],
    ]  # fmt: skip
    return without_controls(str(html(lang="en")[header, body[div[parts]]])) + "\n"


def as_json(transcript: Transcript) -> str:
    """Return the transcript as JSON: the session, its task, and every message and call."""
    keep = ("session_id", "candidate", "role", "level", "model", "client", "persona", "prompt_version")
    s, t, task = transcript.session, transcript.totals, transcript.challenge
    record: dict[str, Any] = {name: getattr(s, name) for name in keep}
    record |= {"status": str(s.status), "token_budget": s.token_budget, "used_tokens": t.used}
    record |= {"cost_nano_usd": t.cost_nano_usd, "created_at": s.created_at}
    record |= {"started_at": s.started_at, "ended_at": s.ended_at}
    record["challenge"] = {"name": task.name, "text": task.text} if task else None
    record["messages"] = [dataclasses.asdict(m) for m in transcript.messages]
    record["calls"] = [dataclasses.asdict(c) for c in transcript.calls]
    text = json.dumps(record, ensure_ascii=False, indent=2, default=str)
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _markdown_parts(transcript: Transcript) -> list[str]:
    session = transcript.session
    about = "  \n".join(escaped(line) for line in transcript.about())
    parts = [f"# Interview with {escaped(session.candidate)}\n\n{about}"]
    if transcript.challenge:
        parts.append(f"## Challenge\n\n{quoted(transcript.challenge.text)}")
    for turn in transcript.turns():
        parts.append(f"## Turn {turn}\n\n{escaped(transcript.about_turn(turn))}")
        for m in transcript.messages:
            if m.turn == turn:
                parts.append(f"### {escaped(speaker(session, m))}\n\n{quoted(m.content)}")
    return parts


def _moment(at: float | None) -> str:
    if at is None:
        return ""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
