"""The interviewers' edition: all that is known of one interview, as far as this person may see it by now."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.conditions import conditions_of, lines, marks_of
from ib_kernel.assessment.flags import WORDS
from ib_kernel.assessment.judge.together import Look, level_word
from ib_kernel.assessment.report.figures import figures
from ib_kernel.assessment.report.places import Places, minutes, share
from ib_kernel.assessment.report.record import RecordOf, read_record
from ib_kernel.assessment.report.release import objections_of
from ib_kernel.assessment.report.values import (
    CodeLine,
    Line,
    Omitted,
    Rated,
    Report,
    Signed,
    TestLine,
    Usage,
    View,
)
from ib_kernel.assessment.scores import Rated as CardRow
from ib_kernel.assessment.scores import Scorecard, Scorecards, hider_of
from ib_kernel.evidence.origin import Origin, final_code, origin_of
from ib_kernel.show.figures import cost_line
from ib_kernel.show.spending import tokens_per_turn
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values import Score, Session
from ib_kernel.values.version import VERSION

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

MOST_CODE = 36
"""Lines of the final code that are shown: those that are shared, and their neighbours."""

MOST_FLAGS, MOST_NOTES, MOST_TESTS = 16, 12, 40
"""Lines of each of these that are shown."""

ALL_REASONS, ALL_NOTES = 7_000, 4_000
"""Characters of all reasons, and of all notes, that are shown: a report has a dozen sheets at the most."""

ALL_QUOTES, ALL_OMITTED = 36, 20
"""Quotes of all raters together, and quotes that were dropped, that are shown."""

FOLDED = "Others' levels, and the judge's, are shown once you have given yours."
"""Stands where levels are hidden."""

_NO_MODEL = "left out, as asked (--no-model)"


def build(
    interview: Interview,
    session: Session,
    *,
    rater: str = "",
    blind: bool = False,
    model: bool = True,
    guarded: bool = True,
    passphrase: str | None = None,
    now: float | None = None,
) -> Report:
    """Return the interviewers' edition.

    Args:
        interview: Of the session's ledger, on the interviewers' side.
        session: The session.
        rater: Who reads it; "": the system's user.
        blind: Whether the name is hidden until this person has rated everything.
        model: Whether a judge's levels are in it.
        guarded: Whether a locked session asks for its passphrase.
        passphrase: The session's, if it is locked.
        now: When it is made, in seconds since 1970; None: now.

    Raises:
        Locked: The session is locked, and *passphrase* is not given or wrong.
    """
    cards = Scorecards(interview, guarded=guarded)
    card = cards.card(session.session_id, rater, blind=blind, passphrase=passphrase)
    record = read_record(interview, session)
    places = Places(record.messages, record.cells, record.clock, card.candidate)
    criteria = [_criterion(row, card, record, _Paper(places, card), model=model) for row in card.rated]
    quoted = [q.place for c in criteria for v in (*c.people, c.model) if v is not None for q in v.quotes]
    origin = origin_of(record.cells, record.messages, record.challenge)
    report = Report(
        "interviewer",
        session.session_id,
        one_line(card.candidate),
        about(record),
        moment(now),
        conditions=tuple(conditions(record, card)),
        marks=tuple(marks_of(session, record.events, record.calls, record.factor)),
        shown=tuple(shown(record, criteria)),
        figures=tuple(
            figures(
                interview.service.store,
                session.session_id,
                list(record.cells),
                list(record.events),
                questions=len(record.course["questions"]),
            )
        ),
        criteria=tuple(criteria),
        judge=tuple(_judge(record, criteria, model=model)),
        is_demo=bool(record.judged and record.judged.is_demo and model),
        course=record.course,
        tests=tuple(tests(record)[:MOST_TESTS]),
        tests_note=tests_note(record),
        origin=origin.line() if origin.runs else "",
        code=tuple(_code(final_code(record.cells, record.challenge), origin)),
        flags=tuple(
            Line(f.place, WORDS[f.kind], cut(one_line(plain(f.sample)), 120))
            for f in record.flagged[:MOST_FLAGS]
        ),
        usage=usage(interview, record),
        notes=tuple(_notes(card, record)),
        objections=tuple(objections_of(record.events, record.clock)),
        said=tuple(places.said(quoted)),
        method=tuple(_method(record, card)),
        head=record.totals.chain_head,
    )
    return without_names(report, session) if card.blind else report


def about(record: RecordOf) -> str:
    """Return what the interview was for, and when, in one line."""
    s, title = record.session, one_line(record.challenge.title) if record.challenge else ""
    role = " ".join(part for part in (one_line(s.level), one_line(s.role)) if part)
    began = s.started_at if s.started_at is not None else s.created_at
    when = datetime.datetime.fromtimestamp(began, datetime.UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    return ", ".join(part for part in (role, title, when) if part)


def conditions(record: RecordOf, card: Scorecard) -> list[Line]:
    """Return what must be equal before two interviews are compared, and what was told and kept."""
    version = record.challenge.version if record.challenge else ""
    found = [Line(name.capitalize() if name != "AI" else name, value) for name, value in lines(
        conditions_of(record.session, record.events, version))]  # fmt: skip
    raters = {v.rater for row in card.rated for v in (row.own, *row.others) if v and v.rater_kind == "person"}
    notice = next((event for event in record.events if event.kind == "notice"), None)
    told = (
        f"yes, version {one_line(str(notice.detail.get('version', '')))}"
        if notice
        else "no notice was recorded"
    )
    ended = "" if record.session.ended_at is not None else ", not ended"
    found += [
        Line(
            "Rated by",
            several(len(raters), "person").replace("persons", "people") if raters else "nobody yet",
        ),
        Line("Told of recording", told),
        Line("Record", f"{several(len(record.course['questions']), 'turn')}{ended}"),
    ]
    return found


def shown(record: RecordOf, criteria: Sequence[Rated]) -> list[str]:
    """Return what the record shows, in sentences that only say what was counted."""
    found = []
    for suite in ("visible", "hidden"):
        checks = [check for check in record.checks if check.suite == suite]
        if checks:
            last = checks[-1]
            at = minutes(record.clock.seconds(last.ended_at))
            word = "Tests of the task" if suite == "visible" else "Hidden checks"
            found.append(f"{word}: {last.passed} of {last.total} passed in the last run, at {at}.")
    asked = len(record.course["questions"])
    failed = sum(not cell["ok"] for cell in record.course["cells"])
    ran = len(record.course["cells"])
    if asked or ran:
        cells = f", {several(ran, 'cell')} run, {failed} with an error" if ran else ""
        found.append(f"{several(asked, 'question')} to the AI{cells}.")
    unrated = [c.title for c in criteria if not c.people and not c.folded]
    if unrated:
        found.append(f"Nobody has rated: {', '.join(unrated)}.")
    if record.flagged:
        found.append(f"Evidence flagged: {several(len(record.flagged), 'finding')}, listed below.")
    return found


def tests(record: RecordOf) -> list[TestLine]:
    """Return each test as it ended, and when it first passed."""
    first: dict[tuple[str, str], str] = {}
    last: dict[tuple[str, str], bool] = {}
    for check in record.checks:
        for test in check.tests:
            key = check.suite, cut(one_line(plain(str(test.get("name", "")))), 80)
            last[key] = test.get("ok") is True
            if last[key]:
                first.setdefault(key, minutes(record.clock.seconds(check.ended_at)))
    return [
        TestLine(name, suite, passed, first.get((suite, name), "")) for (suite, name), passed in last.items()
    ]


def tests_note(record: RecordOf) -> str:
    """Return how often tests were run, and where."""
    if not record.checks:
        return ""
    parts = []
    for suite, where in (("visible", "on the candidate's machine"), ("hidden", "in the host's sandbox")):
        runs = [check for check in record.checks if check.suite == suite]
        if runs:
            place = where if suite == "visible" or runs[-1].ran_on == "host" else "on the candidate's machine"
            parts.append(f"{suite}: {several(len(runs), 'run')}, {place}")
    return "; ".join(parts)


def usage(interview: Interview, record: RecordOf) -> Usage:
    """Return what was used; time is relative to the usual limit."""
    t, s = record.totals, record.session
    limit = None if s.time_limit_s is None else s.time_limit_s / record.factor
    active = s.active_s / record.factor
    return Usage(
        t.token_budget,
        t.used,
        t.in_doubt,
        t.left,
        t.input_tokens,
        t.output_tokens,
        cost_line(s, t, interview.service),
        f"{minutes(active)} of {minutes(limit)}" if limit else minutes(active),
        min(1.0, active / limit) if limit else None,
        tuple(tuple(row) for row in tokens_per_turn(record.calls)),
    )


def moment(now: float | None = None) -> str:
    """Return a moment in words, UTC.

    Args:
        now: Seconds since 1970; None: now.
    """
    at = (
        datetime.datetime.now(datetime.UTC)
        if now is None
        else datetime.datetime.fromtimestamp(now, datetime.UTC)
    )
    return at.strftime("%d %B %Y, %H:%M UTC").lstrip("0")


class _Paper:
    """How much of each reason and of each rater's quotes there is paper for."""

    def __init__(self, places: Places, card: Scorecard) -> None:
        views = sum(bool(row.own) + len(row.others) for row in card.rated)
        self.places = places
        self.reason = share(ALL_REASONS, views, 160, 700)
        self.quotes = share(ALL_QUOTES, views, 1, 4)
        self.omitted = share(ALL_OMITTED, len(card.rated), 1, 8)


def _criterion(row: CardRow, card: Scorecard, record: RecordOf, paper: _Paper, *, model: bool) -> Rated:
    c = row.criterion
    people = [s for s in (row.own, *row.others) if s is not None and s.rater_kind == "person"]
    proposed = next((s for s in row.others if s.rater_kind == "model"), None)
    looks = [look for look in (record.judged.looks if record.judged else ()) if look.criterion == c.name]
    sees = model and proposed is not None
    folded = FOLDED if row.own is None and card.is_open else ""
    return Rated(
        c.name,
        one_line(c.title),
        tuple(one_line(anchor) for anchor in c.anchors),
        tuple(_view(score, paper) for score in people),
        _view(proposed, paper) if sees and proposed is not None else None,
        tuple(_look_word(look) for look in looks) if sees else (),
        tuple(_omitted(looks)[: paper.omitted]) if sees else (),
        folded,
    )


def _view(score: Score, paper: _Paper) -> View:
    word = level_word(score.level, score.low, score.high)
    who = f"{score.rater} ({score.model})" if score.rater_kind == "model" else score.rater
    low = score.level if score.level is not None else score.low
    high = score.level if score.level is not None else score.high
    reason = cut(" ".join(plain(score.reason).split()), paper.reason)
    return View(
        one_line(who),
        word,
        low,
        high,
        reason,
        tuple(paper.places.quoted(score.quotes[: paper.quotes])),
        score.saw_model,
    )


def _look_word(look: Look) -> str:
    if look.problem:
        return "no usable answer"
    word = level_word(look.level, None, None)
    if look.level is None and look.given is not None:
        return f"{word} (said {look.given}, without a quote that was found)"
    return word


def _omitted(looks: Sequence[Look]) -> list[Omitted]:
    found: dict[tuple[str, str], Omitted] = {}
    for look in looks:
        for one in look.dropped:
            words = cut(" ".join(plain(one.words).split()), 160)
            found.setdefault((one.place, words), Omitted(words, one_line(one.place), one.reason))
    return list(found.values())


def _judge(record: RecordOf, criteria: Sequence[Rated], *, model: bool) -> list[str]:
    judged = record.judged
    if judged is None:
        return []
    if not model:
        return [f"A judge was asked; what it proposes is {_NO_MODEL}."]
    looks = judged.looks
    kept, dropped = sum(len(look.kept) for look in looks), sum(len(look.dropped) for look in looks)
    unusable = sum(bool(look.problem) for look in looks)
    passes = max((look.number for look in looks), default=0)
    who = f"{one_line(judged.judge)} ({one_line(judged.model)}, prompt {one_line(judged.version)})"
    found = [
        f"{who} was asked about each criterion {several(passes, 'time')}, in shuffled order, for "
        f"{judged.tokens:,} tokens of its own. Of {several(kept + dropped, 'quote')}, {kept} stand in the "
        f"record and {dropped} were dropped."
    ]
    if unusable:
        found.append(f"{several(unusable, 'answer')} could not be used.")
    if not judged.complete:
        found.append("It was not asked about everything yet: %interview judge goes on.")
    if any(criterion.folded for criterion in criteria):
        found.append(FOLDED)
    return found


def _code(code: str, origin: Origin) -> list[CodeLine]:
    """Return the lines that are shared with earlier replies, each with a neighbour on both sides."""
    same, renamed = set(origin.lines), set(origin.renamed_lines)
    rows = code.split("\n")
    wanted = {n for line in same | renamed for n in (line - 1, line, line + 1) if 1 <= n <= len(rows)}
    return [
        CodeLine(n, cut(plain(rows[n - 1]), 160), "same" if n in same else "renamed" if n in renamed else "")
        for n in sorted(wanted)
    ][:MOST_CODE]


def _notes(card: Scorecard, record: RecordOf) -> list[Signed]:
    found = []
    notes = card.notes[-MOST_NOTES:]
    most = share(ALL_NOTES, len(notes), 200, 900)
    for note in notes:
        at = minutes(record.clock.seconds(note.created_at))
        found.append(Signed(at, one_line(note.who), cut(plain(note.text), most)))
    return found


def _method(record: RecordOf, card: Scorecard) -> list[str]:
    found = [
        "Quotes are the candidate's words, found in the record; the AI's are not quoted as evidence.",
        "Levels are given by people who saw nobody else's before their own. No total is made of them, and "
        "nothing here recommends anything.",
    ]
    saw = {v.rater for row in card.rated for v in (row.own, *row.others) if v is not None and v.saw_model}
    if saw:
        found.append(
            f"Had seen the judge's level before giving one: {', '.join(sorted(map(one_line, saw)))}."
        )
    found.append(
        "Minutes are those of the candidate's clock, which stands while an interview is paused, relative to "
        "the usual limit."
    )
    found.append(f"Interview Buddy {VERSION}, criteria {card.rubric.sha[:12]}.")
    return found


def without_names(report: Report, session: Session) -> Report:
    """Return a report in which the candidate's names are replaced.

    Args:
        report: Either edition.
        session: Whose report.
    """
    hider = hider_of(session)

    def hidden(value: Any) -> Any:
        if isinstance(value, str):
            return hider.hide(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed = {f.name: hidden(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **changed)
        if isinstance(value, (list, tuple)):
            return tuple(hidden(item) for item in value)
        return value

    keep = {"edition": report.edition, "course": report.course, "head": report.head}
    made: Report = dataclasses.replace(hidden(dataclasses.replace(report, course={})), **keep)
    return made
