"""How things reach the reader: an HTML and plain-text pair in a front end, plain text in a terminal."""

from __future__ import annotations

import html
import re
from typing import Any

from ib_kernel.values import Message, Session

_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences: colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC sequences: window titles, links, clipboard
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters but for tab and newline
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # bidirectional overrides: text that lies
    r"|[\ud800-\udfff]"  # lone surrogates: cannot be sent to a front end
)


def plain(text: str) -> str:
    """Return *text* without control characters, terminal sequences, bidi overrides and lone surrogates."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n"))


def escape(text: object) -> str:
    """Return *text* safe for HTML text and attributes, control characters removed."""
    return html.escape(plain(str(text)))


def untypeset(html_text: str) -> str:
    """Return *html_text* so that a front end's mathematics typesetter leaves it alone.

    Names and replies are other people's text: TeX in it is shown, not run.
    """
    if not any(mark in html_text for mark in ("$", "\\")) or "mathjax_ignore" in html_text[:60]:
        return html_text
    return f'<div class="tex2jax_ignore mathjax_ignore">{html_text}</div>'


def has_front_end(shell: Any) -> bool:
    """Return True if outputs go to a notebook's front end (a kernel runs) rather than to a terminal."""
    return getattr(shell, "kernel", None) is not None


class Output:
    """One output that shows HTML where that is possible and the same as text elsewhere."""

    def __init__(self, html_text: str, text: str) -> None:
        self.html, self.text = html_text, text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": untypeset(self.html), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def publish(html_text: str, text: str, *, display_id: str | None = None, update: bool = False) -> None:
    """Show an HTML and plain-text pair, under *display_id* when it is to be updated later."""
    from IPython.display import display

    data = {"text/html": untypeset(html_text), "text/plain": text}
    display(data, raw=True, display_id=display_id, update=update)  # type: ignore[no-untyped-call]


def lines_html(text: str, *, muted: bool = False) -> str:
    """Return plain lines as HTML that keeps their alignment."""
    style = "margin:0;white-space:pre-wrap" + (";color:#767676" if muted else "")
    return f'<pre style="{style}">{escape(text)}</pre>'


def table_html(headers: list[str], rows: list[list[str]]) -> str:
    """Return a plain HTML table; every cell is escaped."""
    head = "".join(
        f'<th style="text-align:left">{escape(cell)}</th>' if cell else "<td></td>" for cell in headers
    )  # a screen reader announces an empty header as a header
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table_text(headers: list[str], rows: list[list[str]]) -> str:
    """Return the same table as aligned text."""
    cells = [headers, *rows]
    widths = [max(len(plain(row[i])) for row in cells) for i in range(len(headers))]
    lines = ["  ".join(plain(c).ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, "  ".join("─" * w for w in widths))
    return "\n".join(lines)


def speaker(session: Session, message: Message) -> str:
    """Name who speaks: the candidate, or the model with its role."""
    mark = " (cut short)" if message.partial else ""
    name = session.candidate if message.role == "user" else session.persona.capitalize()
    return f"{name}, turn {message.turn}{mark}"
