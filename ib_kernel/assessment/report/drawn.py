"""The pictures of a report: the course of an interview, the tokens of each turn, the two rails. Plain SVG.

What is drawn comes from the ledger as numbers; every word in a picture is ours. Each picture says in words
what it shows, and the report says the same beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from ib_kernel.assessment.report.places import minutes
from ib_kernel.assessment.report.values import Usage
from ib_kernel.text import several

THIN = "\u202f"
"""A narrow space between groups of three digits, which no line is broken at."""

TOP, LANE, BURN_TOP, BURN_BOTTOM, HEIGHT = 14, 24, 124, 220, 242
LANES = ("Questions", "Cells run", "Checks", "Hints")
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480)


def number(value: float) -> str:
    """Return a whole number in groups of three digits.

    Args:
        value: A number.
    """
    return f"{round(value):,}".replace(",", THIN)


def course_words(course: Mapping[str, Any]) -> str:
    """Return in one sentence what the timeline shows.

    Args:
        course: What `ib_kernel.evidence.course.course` returns.
    """
    failed = sum(not cell["ok"] for cell in course["cells"])
    parts = [several(len(course["questions"]), "question")]
    if course["cells"]:
        parts.append(f"{several(len(course['cells']), 'cell')} run, {failed} of them with an error")
    visible = [check for check in course["checks"] if check["suite"] == "visible"]
    if visible:
        parts.append(f"checks {visible[-1]['passed']} of {visible[-1]['total']}")
    if course["hints"]:
        parts.append(several(len(course["hints"]), "hint"))
    left = course["left"][-1] if course["left"] else [0, 0, 0]
    tokens = f"{left[1]:.0f} of {left[2]:.0f} tokens left"
    return f"Timeline to {minutes(_latest(course))}: {', '.join(parts)}. {tokens}."


def timeline(course: Mapping[str, Any], width: int) -> Markup:
    """Return the timeline with the burn-down beneath.

    Args:
        course: What `ib_kernel.evidence.course.course` returns.
        width: In pixels; from 600 on the turns have numbers.
    """
    draw = _Timeline(course, width)
    return _svg("tl", width, HEIGHT, course_words(course), draw.parts())


class _Timeline:
    def __init__(self, course: Mapping[str, Any], width: int) -> None:
        self._course, self._narrow = course, width < 600
        self._from, self._to = (64 if self._narrow else 76), width - (6 if self._narrow else 14)
        self._end = _longest(course)

    def parts(self) -> list[str]:
        """Return everything that is drawn, the grounds first."""
        found = self._burn()
        for lane, name in enumerate(LANES):
            y = TOP + LANE * lane
            found += [_text(0, y + 4, name, "m"), f'<path class="g" d="M{self._from} {y}H{self._to}"/>']
        return found + self._questions() + self._cells() + self._checks() + self._hints()

    def _x(self, seconds: float) -> float:
        return round(self._from + (self._to - self._from) * min(max(seconds, 0.0), self._end) / self._end, 1)

    def _questions(self) -> list[str]:
        asked = self._course["questions"]
        places = [self._x(q["at_s"]) for q in asked]
        small = self._narrow or any(b - a < 17 for a, b in pairwise(places))
        found = []
        for question, x in zip(asked, places, strict=True):
            look = {"in_doubt": " d", "answered": ""}.get(str(question["state"]), " u")
            title = f"Turn {int(question['turn'])} at {minutes(question['at_s'])}"
            circle = f'<circle class="qu{look}" cx="{x}" cy="{TOP}" r="{4.5 if small else 9}"/>'
            found.append(f"<g><title>{title}</title>{circle}</g>")
            if not small:
                mark = " d" if look else ""
                found.append(_text(x, TOP + 4, str(int(question["turn"])), f"no{mark}", "middle"))
        return found

    def _cells(self) -> list[str]:
        y, found = TOP + LANE, []
        for cell in self._course["cells"]:
            x = self._x(cell["at_s"])
            if cell["ok"]:
                found.append(f'<path class="c" d="M{x} {y - 6}v12"/>')
            else:
                found.append(f'<path class="x" d="M{x - 3.5} {y - 3.5}l7 7m0 -7l-7 7"/>')
        return found

    def _checks(self) -> list[str]:
        y, found, free = TOP + 2 * LANE, [], 0.0
        for check in self._course["checks"]:
            x = self._x(check["at_s"])
            found.append(f'<path class="ok" d="M{x - 3} {y}l3 3 6 -7"/>')
            if x + 11 >= free:  # figures that would cover each other are left to the table
                found.append(_text(x + 11, y + 4, f"{int(check['passed'])}/{int(check['total'])}", "b"))
                free = x + 44
        return found

    def _hints(self) -> list[str]:
        y, found = TOP + 3 * LANE, []
        for hint in self._course["hints"]:
            x = self._x(hint["at_s"])
            found.append(f'<path class="h" d="M{x} {y - 6}l6 6 -6 6 -6 -6z"/>')
            found.append(_text(x + 10, y + 4, str(int(hint["n"])), "b"))
        return found

    def _burn(self) -> list[str]:
        points = self._course["left"] or [[0.0, 0.0, 0.0]]
        most = max(1.0, *(float(point[2]) for point in points))

        def y(tokens: float) -> float:
            return round(BURN_BOTTOM - (BURN_BOTTOM - BURN_TOP) * min(max(tokens, 0.0), most) / most, 1)

        start = self._x(points[0][0])
        line = f"M{start} {y(points[0][1])}"
        for at, left, _ in points[1:]:
            line += f"H{self._x(at)}V{y(left)}"
        last = self._x(max(self._course["now_s"] or 0.0, points[-1][0]))
        line += f"H{last}"
        left = float(points[-1][1])
        found = [f'<path class="area" d="{line}V{BURN_BOTTOM}H{start}Z"/>']
        for share in (0.0, 0.5, 1.0):
            at = y(most * share)
            found.append(f'<path class="g" d="M{self._from} {at}H{self._to}"/>')
            found.append(_text(self._from - 8, at + 4, number(most * share), "m", "end"))
        found.append(_text(0, BURN_TOP - 12, "Tokens left", "m"))
        if self._course["limit_s"]:
            end = self._x(self._course["limit_s"])
            found.append(f'<path class="pace" d="M{self._from} {y(most)}L{end} {BURN_BOTTOM}"/>')
        found.append(f'<path class="left" d="{line}"/>')
        found.append(f'<circle class="dot" cx="{last}" cy="{y(left)}" r="3.5"/>')
        near = last > self._to - 90
        before = next((p[1] for p in reversed(points) if self._x(p[0]) < last - 96), left) if near else left
        top = y(max(left, float(before)))  # above all that the words would cover
        above = top - 8 if top > BURN_TOP + 12 else y(left) + 16
        words = f"{number(left)} left"
        found.append(_text(last - 6 if near else last + 6, above, words, "b", "end" if near else "start"))
        return found + self._axis()

    def _axis(self) -> list[str]:
        whole, most = self._end / 60, 4 if self._narrow else 9
        step = next((s for s in _STEPS if whole / s <= most), 960)
        marks = [m for m in range(0, int(whole) + 1, step) if m < whole - step / 3]
        found = [_text(self._x(60 * m), BURN_BOTTOM + 16, str(m), "m", "middle") for m in marks]
        return [*found, _text(self._to, BURN_BOTTOM + 16, f"{whole:.0f} min", "m", "end")]


def bars(usage: Usage) -> Markup:
    """Return the tokens of each turn: input below, output above.

    Args:
        usage: What was used.
    """
    rows = usage.per_turn
    most = max((row[1] + row[2] for row in rows), default=1) or 1
    width, parts = 26 * max(1, len(rows)) + 2, []
    parts.append(f'<path class="g" d="M0 56.5H{width}"/>')
    for i, (turn, came, went) in enumerate(rows):
        x, low, high = 2 + 26 * i, 52.0 * came / most, 52.0 * went / most
        parts.append(f'<rect class="in" x="{x}" y="{56 - low:.1f}" width="18" height="{low:.1f}"/>')
        top = max(0.0, 55 - low - high)
        parts.append(f'<rect class="ot" x="{x}" y="{top:.1f}" width="18" height="{high:.1f}"/>')
        parts.append(_text(x + 9, 69, str(turn), "", "middle"))
    words = f"Tokens per turn, {several(len(rows), 'turn')}; the largest has {most}"
    return _svg("tb", width, 72, words, parts, fixed=True)


def rails(usage: Usage) -> Markup:
    """Return the two rails: tokens, and time beneath, from 0 to 100 %.

    Args:
        usage: What was used.
    """
    whole = max(1, usage.budget, usage.used + usage.in_doubt)
    used, doubt = 420 * usage.used / whole, 420 * usage.in_doubt / whole
    words = f"{usage.used / whole:.0%} of the tokens used"
    words += f", {usage.in_doubt / whole:.0%} in doubt" if usage.in_doubt else ""
    parts = [
        '<pattern id="doubt" width="4" height="4" patternUnits="userSpaceOnUse">'
        '<rect class="dp" width="2" height="4"/></pattern>',
        '<rect class="trk" width="420" height="10" rx="3"/>',
        f'<rect class="usd" width="{used:.1f}" height="10" rx="3"/>',
        f'<rect class="dbt" x="{used:.1f}" width="{doubt:.1f}" height="10"/>',
    ]
    if usage.time_share is not None:
        words += f"; {usage.time_share:.0%} of the time gone"
        parts.append('<rect class="trk" y="13" width="420" height="4" rx="2"/>')
        parts.append(f'<rect class="tim" y="13" width="{420 * usage.time_share:.1f}" height="4" rx="2"/>')
    return _svg("", 420, 18, words, parts)


def _latest(course: Mapping[str, Any]) -> float:
    moments = [one["at_s"] for kind in ("questions", "cells", "checks", "hints") for one in course[kind]]
    return float(max(course["now_s"] or 0.0, *moments, 0.0))


def _longest(course: Mapping[str, Any]) -> float:
    return float(max(course["limit_s"] or 0.0, _latest(course), 60.0))


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{name}>{words}</text>'


def _svg(
    kind: str, width: int, height: int, words: str, parts: Sequence[str], *, fixed: bool = False
) -> Markup:
    size = f' width="{width}" height="{height}"' if fixed else ""
    name = f' class="{kind}"' if kind else ""
    head = f'<svg{name} viewBox="0 0 {width} {height}"{size} role="img" aria-label="{words}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 - numbers and words of ours
