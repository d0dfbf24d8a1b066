"""Scorecards and comparisons as outputs of a cell: tables in a front end, the same as text elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from htpy import Node, div, small, strong, table, tbody, td, th, thead, tr

from ib_kernel.assessment.card import Rated, Scorecard
from ib_kernel.assessment.compared import Compared, Comparison, Group
from ib_kernel.assessment.multiples import picture_svg, picture_words
from ib_kernel.assessment.rubric import Rubric
from ib_kernel.notebook.output.frame import QUIET
from ib_kernel.notebook.output.show import Output, as_divs
from ib_kernel.text import one_line, plain, several
from ib_kernel.values import Score
from ib_kernel.values.table import table_html, table_text

LEVELS = (
    "Levels: 0 not shown, 1 needs the gap pointed out, 2 does it when asked, 3 does it unasked and says what "
    "it costs."
)
NO_RANK = "There is no total and no ranking: read across one criterion."

_BOX = "text-align:left;vertical-align:top;padding:4px 16px 4px 8px;border-bottom:1px solid "
_HEAD, _CELL = f"{_BOX}rgba(127,127,127,.6)", f"{_BOX}rgba(127,127,127,.35)"


def card_output(card: Scorecard) -> Output:
    """Return a scorecard as it is shown."""
    head = f"Scorecard of {one_line(card.candidate)}, as {one_line(card.rater)} sees it"
    names = ["criterion", "your level", "why", "turns", "others"]
    rows = [_card_row(one) for one in card.rated]
    notes = [f"{_time(n.created_at)} {one_line(n.who)}: {plain(n.text)}" for n in card.notes]
    lines = [*_card_lines(card), *(["Notes:", *notes] if notes else [])]
    shown = table_html(names, rows) if rows else None
    text = table_text(names, rows) if rows else ""
    return Output(
        div[div[strong[head]], shown, as_divs(lines)], "\n".join(p for p in (head, text, *lines) if p)
    )


def scored_line(card: Scorecard, typed: str) -> str:
    """Return what was recorded, in one line, and what it has opened."""
    rated = next(
        (one for one in card.rated if one.criterion.name == card.rubric.find(typed).name), card.rated[0]
    )
    level = rated.own.level if rated.own else None
    anchor = rated.criterion.anchors[level] if level is not None else ""
    others = "; ".join(other_line(score) for score in rated.others)
    left = f"{several(card.missing, 'criterion')} to go".replace("criterions", "criteria")
    parts = [
        f"{rated.criterion.name}: {level}, {one_line(anchor)}",
        f"Others: {others}" if others else "Nobody else has rated it",
        left if card.missing else "Every criterion is rated",
    ]
    return ". ".join(parts) + "."


def rubric_output(rubric: Rubric, *, given: bool = False) -> Output:
    """Return the criteria with their anchors."""
    if not rubric.criteria:
        line = "This session has no criteria; give it some with %interview rubric FILE.toml"
        return Output(div[line], line)
    origin = "its own file" if rubric.origin == "file" else "its challenge"
    head = f"{several(len(rubric.criteria), 'criterion')}, from {origin}".replace("criterions", "criteria")
    head = f"Given: {head}" if given else head
    names = ["criterion", "title", "0", "1", "2", "3"]
    rows = [[c.name, c.title, *c.anchors] for c in rubric.criteria]
    return Output(div[div[strong[head]], table_html(names, rows)], f"{head}\n{table_text(names, rows)}")


def comparison_output(comparison: Comparison) -> Output:
    """Return a comparison: one table for each set of equal conditions."""
    count = several(comparison.sessions, "session")
    head = f"{one_line(comparison.title)}: {count}, in the order of the interviews. {NO_RANK}"
    foot = [LEVELS]
    if comparison.left_out:
        foot.append(f"Left out: {several(comparison.left_out, 'session')} (practice, or not begun).")
    parts = [_group(comparison, group) for group in comparison.groups]
    text = "\n\n".join([head, *(text for _, text in parts), "\n".join(foot)])
    return Output(div[div[strong[head]], [html for html, _ in parts], as_divs(foot)], text)


def comparison_rows(criteria: Sequence[tuple[str, str]], group: Group) -> list[tuple[str, list[list[str]]]]:
    """Return the rows of one group: a label, and for each session its lines.

    Args:
        criteria: Names and titles.
        group: The group.
    """
    rows: list[tuple[str, list[list[str]]]] = []
    for name, title in criteria:
        cells = []
        for session in group.sessions:
            level = session.levels[name]
            cells.append([part for part in (level.text, level.note) if part])
        rows.append((one_line(title), cells))
    figures: Mapping[str, Any] = {
        "Checks passed": lambda s: [s.checks],
        "Hidden checks": lambda s: [s.hidden_checks],
        "Minutes": _minutes,
        "Charged tokens": _tokens,
        "Turns": lambda s: [str(s.turns)],
        "Hints taken": lambda s: [f"{s.hints} of {s.hints_of}" if s.hints_of is not None else str(s.hints)],
        "Refusals": lambda s: [str(s.refusals)],
        "On the way": lambda s: list(s.marks) or ["nothing changed"],
    }
    for label, read in figures.items():
        rows.append((label, [read(session) for session in group.sessions]))
    if any(session.accommodation for session in group.sessions):
        rows.append(("Accommodation", [[s.accommodation or "none"] for s in group.sessions]))
    return rows


def _group(comparison: Comparison, group: Group) -> tuple[Node, str]:
    only = len(comparison.groups) == 1
    title = f"{'Equal' if only or group.name == 'A' else 'Other'} conditions: set {group.name}"
    said = ", ".join(f"{name} {value}" for name, value in group.conditions)
    differs = [f"Differs from set A in {line}" for line in group.differences]
    rows = comparison_rows(comparison.criteria, group)
    names = [f"{one_line(s.candidate)} ({_day(s.began_at)})" for s in group.sessions]
    text_rows = [[label, *("; ".join(map(one_line, cell)) for cell in cells)] for label, cells in rows]
    text_rows.append(["Course", *(picture_words(s.picture) for s in group.sessions)])
    text = "\n".join([title, said, *differs, table_text(["", *names], text_rows)])
    head = thead[tr[td(style=_HEAD), [th(scope="col", style=_HEAD)[name] for name in names]]]
    body = [
        tr[th(scope="row", style=_CELL)[label], [td(style=_CELL)[_cell(cell)] for cell in cells]]
        for label, cells in rows
    ]
    pictures = tr[
        th(scope="row", style=_CELL)["Course"],
        [td(style=_CELL)[picture_svg(s)] for s in group.sessions],
    ]
    shown = table(style="border-collapse:collapse;margin:0")[head, tbody[body, pictures]]
    box = div(".ib.ib-wide", tabindex="0", style="overflow-x:auto;margin:4px 0 16px")[shown]
    return div[div[strong[title]], div(style=QUIET)[said], as_divs(differs), box], text


def _cell(lines: Sequence[str]) -> Node:
    first, *rest = map(one_line, lines)
    return [first, [div[small(style=QUIET)[line]] for line in rest]]


def _minutes(session: Compared) -> list[str]:
    of = f" of {session.minutes_limit:g}" if session.minutes_limit else ""
    return [f"{session.minutes:g}{of}", *_percentile(session, "minutes")]


def _tokens(session: Compared) -> list[str]:
    used = f"{session.charged_tokens:,} of {session.token_budget:,}"
    return [used, *_percentile(session, "charged_tokens")]


def _percentile(session: Compared, name: str) -> list[str]:
    share = session.percentiles.get(name)
    return [] if share is None else [f"{share} of 100 used less"]


def _card_row(one: Rated) -> list[str]:
    own = one.own
    others = "; ".join(other_line(score) for score in one.others)
    if own is None:
        shown = others or "after you have rated"
        return [one.criterion.title, "not rated", "", "", shown]
    turns = ", ".join(str(quote.get("turn")) for quote in own.quotes)
    return [one.criterion.title, str(own.level), own.reason, turns or "none", others or "nobody else yet"]


def other_line(score: Score) -> str:
    """Return somebody else's level: who, and what they gave."""
    who = f"{one_line(score.rater)} (model)" if score.rater_kind == "model" else one_line(score.rater)
    if score.low is not None and score.high is not None and score.low != score.high:
        return f"{who} {score.low} to {score.high}"
    return f"{who} {'people decide' if score.level is None else score.level}"


def _card_lines(card: Scorecard) -> list[str]:
    if not card.rated:
        return ["This session has no criteria; give it some with %interview rubric FILE.toml"]
    lines = [LEVELS]
    if not card.is_open:
        lines.append("You have unfolded this session: you see all levels and give no first ones.")
    elif card.missing:
        lines.append("What others gave for a criterion stands here once you have rated it.")
    if card.blind:
        lines.append("The name is replaced until you have rated every criterion.")
    return lines


def _time(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def _day(at: float) -> str:
    return time.strftime("%d %b %Y", time.gmtime(at)).lstrip("0")
