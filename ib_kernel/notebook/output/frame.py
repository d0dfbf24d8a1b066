"""What stands around a text: the two rails, the line of figures, notes. Looks the same everywhere it is read.

Two layers: inline styles that name no colour of a text, for what is saved, exported or not trusted; and class
names, which the JupyterLab extension's style sheet refines. Every meaning is in the words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from htpy import Node, div, span, strong

from ib_kernel.show.sanitize import LINE
from ib_kernel.text import plain

if TYPE_CHECKING:
    from ib_kernel.values import Totals

THIN = "\u202f"
"""A narrow space that no line is broken at: between groups of three digits, in HTML only."""

QUIET = "opacity:0.78"
"""Secondary text: 7.4:1 on Lab's light code ground, 11.6:1 on its dark one (computed 2026-11)."""

_TRACK = "background-color:rgba(127,127,127,0.25)"
_MARKS = {
    "used": "background-color:#2f81f7",
    "held": "background-image:linear-gradient(135deg,#2f81f7 50%,transparent 50%);background-size:5px 5px",
    "in_doubt": "background-image:linear-gradient(90deg,#bf6f00 50%,transparent 50%);background-size:4px 4px",
    "gone": "background-color:#808080",
    "left": _TRACK,
}
"""Each part of the rails in a texture of its own; the colours reach 3:1 on white, #111 and #212121."""

_KEPT = "forced-color-adjust:none;print-color-adjust:exact"
"""What is drawn by its ground keeps it on paper and in forced colours."""

_NOTES = {"warn": ("#bf6f00", "191,111,0"), "bad": ("#d5473d", "213,71,61")}
_GROUP = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_TOKENS = re.compile(r"([\d,]+) in \+ ([\d,]+) out = ([\d,]+)")
_FIGURE = re.compile(
    r"^(about )?(\d[\d,]*)( of [\d,]+ left| more turns?)$|^()(\d+ (?:min|s)|[\d:]+\d)( left)$", re.DOTALL
)
_SHORT = 40


def grouped(text: str) -> str:
    """Return *text* with its figures in groups that no line is broken at."""
    return _GROUP.sub(THIN, plain(text))


def rails(totals: Totals, gone: float | None, *, height: int = 12, width: int | None = None) -> Node:
    """Return tokens (thick) over time (thin), both from 0 to 100 %.

    Args:
        totals: The session's sums.
        gone: The share of the time that has gone, from 0 to 1, shown in whole percent so that a notebook runs
            the same twice; None without a limit: one rail.
        height: Of the thick rail, in pixels.
        width: Of both, in pixels; None: as wide as there is room.
    """
    whole = max(totals.token_budget, totals.used + totals.held + totals.in_doubt, 1)
    parts = {"used": totals.used, "held": totals.held, "in_doubt": totals.in_doubt}
    shares = {key: 100 * n / whole for key, n in parts.items() if n}
    size = f"display:inline-block;vertical-align:middle;width:{width}px" if width else "margin:6px 0 8px"
    thin = max(3, height // 3)
    return div(".ib-rails", style=size)[
        _rail(shares, height, ".ib-rail"),
        _rail({"gone": float(int(100 * gone))}, thin, ".ib-rail.ib-rail-time") if gone is not None else None,
    ]


def _rail(shares: dict[str, float], height: int, name: str) -> Node:
    top = "margin-top:3px;" if "time" in name else ""
    style = (
        f"height:{height}px;{top}border-radius:3px;overflow:hidden;line-height:0;font-size:0;{_TRACK};{_KEPT}"
    )
    block = f"display:inline-block;vertical-align:top;height:{height}px"
    return div(name, style=style)[
        [div(f".ib-{key}", style=f"{block};width:{n:.1f}%;{_MARKS[key]}") for key, n in shares.items()]
    ]


def mark(key: str) -> Node:
    """Return the small square that stands for a part of the rails in a legend."""
    size = "display:inline-block;width:12px;height:10px;margin-right:6px;border-radius:2px"
    return span(f".ib-mark.ib-{key}", style=f"{size};{_MARKS[key]};{_KEPT}")


def foot(line: str, between: Node = None) -> Node:
    """Return a line of figures that stands under a reply; *between* comes before what is left.

    Args:
        line: The figures as text, its parts separated by " · ".
        between: The rails, if there are any.
    """
    parts = [part for part in line.split(" · ") if part]
    if len(parts) > 1 and parts[1].startswith("turn "):
        parts.append(parts.pop(0))  # who answered comes last
    at = next((i for i, part in enumerate(parts) if part.endswith(" left")), len(parts))
    shown = [_part(part) for part in parts]
    box = "display:flex;flex-wrap:wrap;align-items:center;gap:2px 12px;margin-top:12px;padding-top:6px"
    style = f"{box};border-top:1px solid {LINE};font-size:12px;line-height:1.5"
    return div(".ib-foot", style=style)[shown[:at], between, shown[at:]]


def _part(part: str) -> Node:
    """Return one figure of a foot: what is left stands out, the rest is quiet."""
    found = _TOKENS.fullmatch(part)
    if found:
        part = f"{found[3]} tokens: {found[1]} in, {found[2]} out"
    part = grouped(part[:1].upper() + part[1:] if part.startswith("turn ") else part)
    style = "white-space:nowrap" if len(part) <= _SHORT else None
    figure = _FIGURE.match(part.replace(THIN, ","))
    if figure is None:
        return span(style=f"{style};{QUIET}" if style else QUIET)[part]
    before, bold, after = [grouped(x or "") for x in (figure[1] or figure[4], figure[2] or figure[5],
                                                     figure[3] or figure[6])]  # fmt: skip
    quiet = [span(style=QUIET)[text] if text else None for text in (before, after)]
    return span(style=style)[quiet[0], strong[bold], quiet[1]]


def quiet(line: str) -> Node:
    """Return a secondary line, such as that we are waiting."""
    return div(".ib-quiet", style=f"margin-top:6px;font-size:12px;line-height:1.5;{QUIET}")[grouped(line)]


def note(line: str, kind: str = "warn") -> Node:
    """Return a line that needs attention: a glyph, the first sentence in bold, the rest.

    Args:
        line: One or more sentences; a glyph at its beginning is replaced.
        kind: "warn", or "bad" for failures of the system.
    """
    lead, _, rest = grouped(line).removeprefix("⚠").strip().partition(". ")
    edge, ground = _NOTES[kind]
    box = "max-width:620px;margin-top:8px;padding:8px 12px;border-radius:0 4px 4px 0;line-height:1.5"
    glyph = "\u26a0\ufe0e " if kind == "warn" else "\u2716\ufe0e "
    return div(
        f".ib-note.ib-{kind}-note",
        style=f"{box};border-left:3px solid {edge};background-color:rgba({ground},0.12)",
    )[strong[glyph, lead, "." if rest or not lead.endswith(".") else None], f" {rest}" if rest else None]
