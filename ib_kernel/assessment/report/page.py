"""A report as one page: no script, nothing to fetch, light or dark as the reader's screen, and fit for A4.

Every text is somebody's and is escaped where it stands; none of it is Markdown here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from htpy import (
    Node,
    body,
    code,
    dd,
    div,
    dl,
    dt,
    fragment,
    h1,
    h2,
    h3,
    head,
    html,
    li,
    main,
    meta,
    p,
    pre,
    section,
    span,
    style,
    ul,
)
from htpy import title as title_element
from markupsafe import Markup

from ib_kernel.assessment.report import drawn
from ib_kernel.assessment.report.criteria import criterion, told
from ib_kernel.assessment.report.parts import anchor, grid, icon, note
from ib_kernel.assessment.report.values import Report, Said, Signed
from ib_kernel.show.classes import with_classes
from ib_kernel.show.highlight import highlight
from ib_kernel.show.render import nested, to_html
from ib_kernel.text import one_line, without_controls

LEVELS = (
    "0 not shown, 1 needs the gap pointed out, 2 does it when asked, 3 does it unasked and says what it costs"
)
"""What the levels mean, for people."""

_NEST = 3
"""Levels by which headings inside somebody's words go down."""

_CPU_S = 0.1
"""Seconds that one quoted turn may cost; past them it is shown as it is."""

_DEMO = (
    "The demo's judge counted shared words here. What it proposes says nothing about anybody; a real judge "
    "needs a model."
)


def to_page(report: Report) -> str:
    """Return a report as one HTML document.

    Args:
        report: Either edition.
    """
    css, sha = _style()
    policy = f"default-src 'none'; style-src 'sha256-{sha}'; base-uri 'none'; form-action 'none'"
    heading = head[
        meta(charset="utf-8"),
        meta(name="viewport", content="width=device-width"),
        meta(name="referrer", content="no-referrer"),
        meta(http_equiv="Content-Security-Policy", content=policy),
        title_element[_title(report)],
        style[Markup(css)],  # noqa: S704 - a file of ours
    ]
    sections = _for_candidate(report) if report.edition == "candidate" else _for_interviewers(report)
    return without_controls(f"<!doctype html>{html(lang='en')[heading, body[main[sections]]]}") + "\n"


@functools.cache
def _style() -> tuple[str, str]:
    text = (files(__package__) / "data" / "report.css").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(report: Report) -> str:
    return (
        f"{'Your interview' if report.edition == 'candidate' else 'Report'}: {report.title}, {report.about}"
    )


def _for_interviewers(report: Report) -> list[Node]:
    return [
        p(".s.m")["Interview report, for the hiring team only"],
        h1[report.title],
        p(".m")[report.about],
        _conditions(report),
        _shown(report),
        section[
            h2["Criteria"],
            p(".s.m")[f"Levels: {LEVELS}. Two levels mean that raters, or looks of a judge, differ."],
            [p(".s.m")[line] for line in report.judge],
            note("warn", "Demo.", _DEMO) if report.is_demo else None,
            [criterion(one) for one in report.criteria] or p(".m")["Nothing says what is rated here."],
        ],
        _course(report),
        _tests(report),
        _computed(report),
        _origin(report),
        _flags(report),
        _signed("Private notes", report.notes, "Nobody outside the hiring team gets these."),
        _signed("Objections", report.objections, "What the candidate says to the report."),
        _usage(report),
        _said("Turns quoted", report.said),
        _method(report),
    ]


def _for_candidate(report: Report) -> list[Node]:
    return [
        p(".s.m")["Your interview, for you"],
        h1[report.title],
        p(".m")[report.about],
        _conditions(report),
        _shown(report),
        section[h2["What you showed, and what next"], [told(one) for one in report.criteria]],
        _course(report),
        _tests(report),
        _computed(report),
        _usage(report),
        _said("What you said there", report.said),
        _signed("What you objected to", report.objections, "It is kept with the record."),
        section(".keep")[h2["If something is wrong"], p[report.contact]],
        _method(report),
    ]


def _conditions(report: Report) -> Node:
    rows = [div[dt[line.name], dd[line.value]] for line in report.conditions]
    marks = f"On the way: {'; '.join(report.marks)}." if report.marks else ""
    return fragment[dl(".cond")[rows], p(".s.m")[marks] if marks else None]


def _shown(report: Report) -> Node:
    words = "It gives what was seen, with the place where it can be read. The decision is yours."
    no_verdict = note("info", "This report does not recommend.", words)
    return section(".keep")[
        h2["What the record shows"],
        ul(".ev")[[li[line] for line in report.shown]],
        no_verdict if report.edition == "interviewer" else None,
    ]


def _course(report: Report) -> Node:
    if not report.course:
        return None
    legend = (
        "bar: cell without an error", "cross: cell with an error", "tick: checks", "diamond: hint",
        "ring: not answered, or in doubt",
    )  # fmt: skip
    return section(".keep")[
        h2["Course"],
        div(".large")[drawn.timeline(report.course, 772)],
        div(".small")[drawn.timeline(report.course, 372)],
        p(".s.m.row")[[span[word] for word in legend]],
        p(".s.m")[drawn.course_words(report.course)],
    ]


def _tests(report: Report) -> Node:
    if not report.tests:
        return None
    rows: list[list[Node]] = [
        [
            one_line(test.name),
            test.suite,
            fragment[icon("ok" if test.passed else "no"), " passed" if test.passed else " not passed"],
            test.first or "never",
        ]
        for test in report.tests
    ]
    return section("#tests.keep" if len(rows) < 15 else "#tests")[
        h2["Checks"],
        grid("Checks", ["Check", "Suite", "At the end", "First passed"], rows),
        p(".s.m")[report.tests_note] if report.tests_note else None,
    ]


def _computed(report: Report) -> Node:
    if not report.figures:
        return None
    rows: list[list[Node]] = [
        [line.name, fragment[line.value, div(".q")[line.note] if line.note else None]]
        for line in report.figures
    ]
    words = "What can be counted without anybody's judgement, and what each figure does not say."
    return section[h2["Counted"], p(".s.m")[words], grid("Counted", ["What", "Figure"], rows, right=False)]


def _origin(report: Report) -> Node:
    if not report.origin:
        return None
    names = {"same": "as in a reply", "renamed": "with other names", "": ""}
    rows = [
        fragment[span(".num")[str(line.number)], span(".k")[names[line.shared]], span[line.text or " "]]
        for line in report.code
    ]
    lines = div(".lines", tabindex="0", role="group", aria_label="Lines of the final code")[rows]
    return section[h2["Where the final code comes from"], p[report.origin], lines if rows else None]


def _flags(report: Report) -> Node:
    if not report.flags:
        return None
    rows: list[list[Node]] = [[line.name, line.value, line.note] for line in report.flags]
    words = (
        "Seen in the candidate's words. It may be quoted, pasted or meant: this list accuses nobody. No "
        "level rests on any of it."
    )
    return section[
        h2["Evidence flagged"],
        p(".s.m")[words],
        grid("Flagged", ["Where", "What", "Words"], rows, right=False),
    ]


def _signed(title: str, rows: Sequence[Signed], words: str) -> Node:
    if not rows:
        return None
    said = [
        div(".said")[
            p(".q")[", ".join(part for part in (row.who, row.at) if part)],
            pre(".text", tabindex="0")[row.text],
        ]
        for row in rows
    ]
    return section[h2[title], p(".s.m")[words], said]


def _usage(report: Report) -> Node:
    u = report.usage
    if u is None:
        return None
    came = f"used {drawn.number(u.used)}"
    billed = f"billed {drawn.number(u.input_tokens)} in, {drawn.number(u.output_tokens)} out"
    keys = [
        span(".key.k-used")[came],
        span(".key.k-doubt")[f"in doubt {drawn.number(u.in_doubt)}"] if u.in_doubt else None,
        span(".key")[f"left {drawn.number(u.left)} of {drawn.number(u.budget)}"],
        span(".key.k-time")[f"time {u.time}"] if u.time else None,
        span[billed],
        span[f"cost {u.cost}"],
    ]
    words = (
        "Tokens per turn: in below, out above. The amount in grows because each turn sends the conversation "
        "again; it says nothing about the candidate."
    )
    picture: Node = fragment[drawn.bars(u), p(".s.m")[words]] if u.per_turn else None
    return section(".keep")[h2["Usage and cost"], div(".rails")[drawn.rails(u)], p(".row.s.m")[keys], picture]


def _said(title: str, rows: Sequence[Said]) -> Node:
    if not rows:
        return None
    return section[h2[title], [_one_said(one) for one in rows]]


def _one_said(one: Said) -> Node:
    text: Node = pre(tabindex="0")[code[highlight(one.text, "python")]]
    if not one.is_code:
        text = with_classes(nested(to_html(one.text, _CPU_S), _NEST))
    return div(".said", id=anchor(one.place))[h3[one.title], text]


def _method(report: Report) -> Node:
    lines = " ".join(report.method)
    head_line = (
        f"Head of this session's hash chain, which ib verify recomputes: {report.head}" if report.head else ""
    )
    return section(".keep")[
        h2["How this was made"],
        p(".s.m")[f"{lines} Session {report.session_id}, made {report.made_at}."],
        p(".hash.m")[head_line] if head_line else None,
    ]
