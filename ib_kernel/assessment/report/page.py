"""A report as one page: no script, nothing to fetch, light or dark as the reader's screen, and fit for A4.

Every text is somebody's and is escaped where it stands; none of it is Markdown here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from htpy import (
    Node,
    a,
    b,
    blockquote,
    body,
    code,
    dd,
    details,
    div,
    dl,
    dt,
    fragment,
    h1,
    h2,
    h3,
    head,
    html,
    i,
    li,
    main,
    meta,
    p,
    pre,
    section,
    span,
    style,
    summary,
    table,
    tbody,
    td,
    th,
    thead,
    tr,
    ul,
)
from htpy import title as title_element
from markupsafe import Markup

from ib_kernel.assessment.report import drawn
from ib_kernel.assessment.report.values import Quoted, Rated, Report, Said, Signed, View
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

_ICONS = {
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.2v3.6M8 5v.1"/>',
    "warn": '<path d="M8 2.2 14.4 13.4H1.6Z"/><path d="M8 6.4v3.2M8 11.5v.1"/>',
    "ok": '<path d="m3 8.5 3.2 3.2L13 4.8"/>',
    "no": '<path d="m4.4 4.4 7.2 7.2m0-7.2-7.2 7.2"/>',
}
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
            _note("warn", "Demo.", _DEMO) if report.is_demo else None,
            [_criterion(one) for one in report.criteria] or p(".m")["Nothing says what is rated here."],
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
        section[h2["What you showed, and what next"], [_told(one) for one in report.criteria]],
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
    no_verdict = _note("info", "This report does not recommend.", words)
    return section(".keep")[
        h2["What the record shows"],
        ul(".ev")[[li[line] for line in report.shown]],
        no_verdict if report.edition == "interviewer" else None,
    ]


def _criterion(one: Rated) -> Node:
    lows = [view.low for view in one.people if view.low is not None]
    highs = [view.high for view in one.people if view.high is not None]
    low, high = min(lows, default=None), max(highs, default=None)
    if one.people:
        word = str(low) if low == high else f"{low} to {high}"
        given = ", ".join(f"{view.who} {view.word}" for view in one.people)
        left: Node = fragment[_pips(low, high), b[word], div(".q")[given]]
    else:
        left = fragment[div(".m")["not rated"], div(".q")["by you" if one.folded else "nobody gave a level"]]
    views = [_view(view, one) for view in one.people]
    return div(".crit")[
        div[h3[one.title], left],
        div[
            views,
            p(".q")[one.folded] if one.folded else None,
            _proposed(one) if one.model is not None else None,
            p(".m")["Nobody rated it, so nothing is said here."]
            if not (views or one.folded or one.model)
            else None,
        ],
    ]


def _view(view: View, one: Rated) -> Node:
    level = view.low if view.low == view.high else None
    anchor = one.anchors[level] if level is not None and len(one.anchors) == 4 else ""
    saw = " after seeing the judge's level" if view.saw_model else ""
    meaning = f"{view.word}: {anchor}" if anchor else view.word
    return div(".view")[
        [_quote(quote) for quote in view.quotes],
        p[view.reason] if view.reason else None,
        p(".q")[f"{view.who}{saw}, {meaning}"],
        p(".q")["No quote was given."] if not view.quotes else None,
    ]


def _proposed(one: Rated) -> Node:
    view = one.model
    if view is None:
        return None
    looks = f"Looks: {'; '.join(one.looks)}." if one.looks else ""
    dropped = [li[f"“{quote.words}” ", span(".q")[f"{quote.place}: {quote.reason}"]] for quote in one.omitted]
    return details[
        summary[f"Proposed by {view.who}: {view.word}"],
        div[
            [_quote(quote) for quote in view.quotes],
            p[view.reason] if view.reason else None,
            p(".q")[looks] if looks else None,
            [
                p(".q")["Quotes that were dropped, because the record does not have them so:"],
                ul(".ev.q")[dropped],
            ]
            if dropped
            else None,
        ],
    ]


def _told(one: Rated) -> Node:
    return div(".crit")[
        div[h3[one.title]],
        div[
            [_quote(quote) for quote in one.quotes],
            p[b["Strength. "], one.strength] if one.strength else None,
            p[b["Next step. "], one.next_step],
        ],
    ]


def _quote(quote: Quoted) -> Node:
    where = ", ".join(part for part in (quote.place, quote.at) if part)
    link = a(".q", href=f"#{_anchor(quote.place)}")[where]
    after = span(".q")[f" The AI had said this in {quote.after}."] if quote.after else None
    return blockquote[f"“{quote.words}” " if quote.words else None, link, after]


def _pips(low: int | None, high: int | None) -> Node:
    if low is None or high is None:
        return None
    looks = ["on" if n <= low else "may" if n <= high else None for n in (1, 2, 3)]
    return span(".pips", aria_hidden="true")[[i(class_=look) for look in looks]]


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
            fragment[_icon("ok" if test.passed else "no"), " passed" if test.passed else " not passed"],
            test.first or "never",
        ]
        for test in report.tests
    ]
    return section("#tests.keep" if len(rows) < 15 else "#tests")[
        h2["Checks"],
        _table("Checks", ["Check", "Suite", "At the end", "First passed"], rows),
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
    return section[h2["Counted"], p(".s.m")[words], _table("Counted", ["What", "Figure"], rows, right=False)]


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
        _table("Flagged", ["Where", "What", "Words"], rows, right=False),
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
    return div(".said", id=_anchor(one.place))[h3[one.title], text]


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


def _note(kind: str, lead: str, words: str) -> Node:
    look = ".note.warn" if kind == "warn" else ".note"
    return div(look)[_icon(kind), p[b[lead], " ", words]]


def _icon(name: str) -> Markup:
    return Markup(f'<svg class="i" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>')  # noqa: S704 - ours


def _table(name: str, heads: Sequence[str], rows: Iterable[Sequence[Node]], *, right: bool = True) -> Node:
    last = len(heads) - 1

    def look(at: int) -> str | None:
        return "r n" if right and at == last else None

    return div(".tw", tabindex="0", role="group", aria_label=name)[
        table[
            thead[tr[[th(scope="col", class_=look(at))[word] for at, word in enumerate(heads)]]],
            tbody[[tr[[td(class_=look(at))[cell] for at, cell in enumerate(row)]] for row in rows]],
        ]
    ]


def _anchor(place: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in one_line(place)[:40])
