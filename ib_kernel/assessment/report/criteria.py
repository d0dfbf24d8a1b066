"""Criteria on a report's page: for interviewers with levels and who gave them, for the candidate without."""

from __future__ import annotations

from htpy import Node, a, b, blockquote, details, div, fragment, h3, i, li, p, span, summary, ul

from ib_kernel.assessment.report.parts import anchor
from ib_kernel.assessment.report.values import Quoted, Rated, View


def criterion(one: Rated) -> Node:
    """Return one criterion for interviewers: levels, who gave them, and what they rest on."""
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


def told(one: Rated) -> Node:
    """Return one criterion for the candidate: their words, a strength and a next step, no level."""
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
    link = a(".q", href=f"#{anchor(quote.place)}")[where]
    after = span(".q")[f" The AI had said this in {quote.after}."] if quote.after else None
    return blockquote[f"“{quote.words}” " if quote.words else None, link, after]


def _pips(low: int | None, high: int | None) -> Node:
    if low is None or high is None:
        return None
    looks = ["on" if n <= low else "may" if n <= high else None for n in (1, 2, 3)]
    return span(".pips", aria_hidden="true")[[i(class_=look) for look in looks]]
