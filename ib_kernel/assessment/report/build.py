"""The interviewers' edition: all that is known of one interview, as far as this person may see it by now."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.card import Scorecard
from ib_kernel.assessment.conditions import conditions_of, lines, marks_of
from ib_kernel.assessment.flags import WORDS
from ib_kernel.assessment.report.both import about, moment, tests, usage
from ib_kernel.assessment.report.figures import figures
from ib_kernel.assessment.report.places import Places, minutes, share
from ib_kernel.assessment.report.rated import Paper, criterion, judge_lines
from ib_kernel.assessment.report.record import RecordOf, read_record
from ib_kernel.assessment.report.release import objections_of
from ib_kernel.assessment.report.values import CodeLine, Line, Rated, Report, Signed
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.assessment.sight import hider_of
from ib_kernel.evidence.origin import Origin, final_code, origin_of
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values import Session
from ib_kernel.values.version import VERSION

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

MOST_CODE = 36
"""Lines of the final code that are shown: those that are shared, and their neighbours."""

MOST_FLAGS, MOST_NOTES, MOST_TESTS = 16, 12, 40
"""Lines of each of these that are shown."""

ALL_NOTES = 4_000
"""Characters of all notes that are shown: a report has a dozen sheets at the most."""


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
    criteria = [criterion(row, card, record, Paper(places, card), model=model) for row in card.rated]
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
        judge=tuple(judge_lines(record, criteria, model=model)),
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
