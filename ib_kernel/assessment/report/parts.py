"""The small parts of a report's page: notes, icons, tables and anchors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from htpy import Node, b, div, p, table, tbody, td, th, thead, tr
from markupsafe import Markup

from ib_kernel.text import one_line

_ICONS = {
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.2v3.6M8 5v.1"/>',
    "warn": '<path d="M8 2.2 14.4 13.4H1.6Z"/><path d="M8 6.4v3.2M8 11.5v.1"/>',
    "ok": '<path d="m3 8.5 3.2 3.2L13 4.8"/>',
    "no": '<path d="m4.4 4.4 7.2 7.2m0-7.2-7.2 7.2"/>',
}


def note(kind: str, lead: str, words: str) -> Node:
    """Return a note with its icon: *lead* in bold, then *words*. *kind* is "info" or "warn"."""
    look = ".note.warn" if kind == "warn" else ".note"
    return div(look)[icon(kind), p[b[lead], " ", words]]


def icon(name: str) -> Markup:
    """Return an icon of ours, by name."""
    return Markup(f'<svg class="i" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>')  # noqa: S704 - ours


def grid(name: str, heads: Sequence[str], rows: Iterable[Sequence[Node]], *, right: bool = True) -> Node:
    """Return a table that scrolls by itself where it is too wide; *right*: its last column is set right."""
    last = len(heads) - 1

    def look(at: int) -> str | None:
        return "r n" if right and at == last else None

    return div(".tw", tabindex="0", role="group", aria_label=name)[
        table[
            thead[tr[[th(scope="col", class_=look(at))[word] for at, word in enumerate(heads)]]],
            tbody[[tr[[td(class_=look(at))[cell] for at, cell in enumerate(row)]] for row in rows]],
        ]
    ]


def anchor(place: str) -> str:
    """Return the id of what was said or run at a place of the record, for links to it."""
    return "".join(letter if letter.isalnum() else "-" for letter in one_line(place)[:40])
