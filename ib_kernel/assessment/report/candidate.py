"""The candidate's edition: their own figures and words, what went well, what to try next, and how to object.

There is no level in it, no note, no reason of a rater's, nobody's name but the candidate's own, and nothing
of a task's private part. It is made from the record and not by leaving things out of the other edition, so
that what is added there is not in here by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.conditions import conditions_of, lines
from ib_kernel.assessment.hiding import NameHider, latest_scores
from ib_kernel.assessment.report.both import about, moment, tests, usage
from ib_kernel.assessment.report.figures import figures
from ib_kernel.assessment.report.places import Places, minutes
from ib_kernel.assessment.report.record import RecordOf, read_record
from ib_kernel.assessment.report.release import objections_of
from ib_kernel.assessment.report.values import Line, Quoted, Rated, Report, Signed
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.text import cut, one_line, plain, several
from ib_kernel.values import Score, Session
from ib_kernel.values.version import VERSION

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

FEEDBACK = "feedback"
"""The kind of event that holds an interviewer's own words for the candidate about one criterion."""

MOST_QUOTES = 3
"""Quotes of one criterion."""

NEXT = "Next time, bring this up before anybody asks, and say what your choice costs."
"""What is suggested where nobody has said anything better: it holds for every criterion."""

OBJECT = (
    'You can say what is wrong here: %interview object "…" in the notebook of the interview. It is kept with '
    "the record, and whoever reads the interviewers' report reads it too."
)
"""How to object."""

_TOLD = ("challenge", "AI", "budget", "charged", "time", "hints")
"""Conditions that the candidate knows anyway."""

_SCALE = re.compile(
    r"\b(?:levels?|scores?|scored|grades?|graded|ratings?|rated|points?|stufe|niveau)\b"
    r"|\b[0-3] ?(?:/|out of|von) ?3\b",
    re.IGNORECASE,
)
"""Words by which a sentence would tell a level."""


def build_for_candidate(
    interview: Interview,
    session: Session,
    *,
    model: bool = True,
    guarded: bool = True,
    now: float | None = None,
) -> Report:
    """Return the candidate's edition.

    Args:
        interview: Of the session's ledger, on the interviewers' side.
        session: The session.
        model: Whether a judge's quotes and sentences are used.
        guarded: Whether a locked session asks for its passphrase where criteria are read.
        now: When it is made, in seconds since 1970; None: now.
    """
    record = read_record(interview, session)
    rubric = Scorecards(interview, guarded=guarded).rubric(session)
    places = Places(record.messages, record.cells, record.clock, one_line(session.candidate))
    scores = latest_scores(getattr(interview.service.store, "scores", lambda _: [])(session.session_id))
    told = _Told(record, places, scores, _others(session, scores, record), model=model)
    criteria = [told.criterion(one.name, one.title) for one in rubric.criteria]
    version = record.challenge.version if record.challenge else ""
    known = [Line(n.capitalize() if n != "AI" else n, v) for n, v in lines(conditions_of(
        session, record.events, version)) if n in _TOLD]  # fmt: skip
    said = places.said(q.place for c in criteria for q in c.quotes)
    return Report(
        "candidate",
        session.session_id,
        one_line(session.candidate),
        about(record),
        moment(now),
        conditions=(*known, Line("Told of recording", _told(record))),
        shown=tuple(_shown(record)),
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
        course=record.course,
        tests=tuple(test for test in tests(record) if test.suite == "visible"),
        usage=usage(interview, record),
        objections=tuple(
            Signed(one.at, "you", one.text) for one in objections_of(record.events, record.clock)
        ),
        said=tuple(said),
        method=tuple(_method()),
        head=record.totals.chain_head,
        contact=OBJECT,
    )


class _Told:
    """What the candidate is told of each criterion; *model*: with a judge's quotes and sentences."""

    def __init__(
        self, record: RecordOf, places: Places, scores: Sequence[Score], hider: NameHider, *, model: bool
    ) -> None:
        self._record, self._places, self._hider = record, places, hider
        self._scores = [score for score in scores if model or score.rater_kind == "person"]
        self._looks = record.judged.looks if record.judged and model else ()
        self._private = _private_runs(record)

    def criterion(self, name: str, title: str) -> Rated:
        """Return one criterion with the candidate's words, a strength and a next step."""
        quotes = _quotes([score for score in self._scores if score.criterion == name], self._places)
        own = _feedback(self._record, name)
        strength = own.get("strength") or self._first(name, "strength")
        return Rated(
            name,
            one_line(title),
            quotes=tuple(quotes),
            strength=strength or ("" if quotes else "The record has no words of yours on this."),
            next_step=own.get("next") or self._first(name, "next_step") or NEXT,
        )

    def _first(self, criterion: str, name: str) -> str:
        """Return the first sentence of a judge's that tells no level and nothing private; "" for none."""
        for look in self._looks:
            text = cut(" ".join(plain(str(getattr(look, name))).split()), 400)
            supported = bool(look.kept) or name == "next_step"
            tells = look.criterion != criterion or look.problem or not supported
            if text and not tells and not _SCALE.search(text) and not _runs(text) & self._private:
                return self._hider.hide(text)
        return ""


def _quotes(scores: Sequence[Score], places: Places) -> list[Quoted]:
    """Return the candidate's own words that raters have quoted, people's first, without the raters."""
    ordered = sorted(scores, key=lambda score: score.rater_kind == "model")
    found: dict[tuple[str, str], Quoted] = {}
    for score in ordered:
        for quote in places.quoted(score.quotes):
            if quote.words:
                found.setdefault((quote.place, quote.words), Quoted(quote.words, quote.place, quote.at))
    return list(found.values())[:MOST_QUOTES]


def _feedback(record: RecordOf, criterion: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for event in record.events:
        if event.kind == FEEDBACK and event.detail.get("criterion") == criterion:
            for name in ("strength", "next"):
                text = " ".join(plain(str(event.detail.get(name) or "")).split())
                if text:
                    found[name] = cut(text, 600)
    return found


def _others(session: Session, scores: Sequence[Score], record: RecordOf) -> NameHider:
    """Return what takes the names of everybody else out of a sentence."""
    names = {score.rater for score in scores} | {event.who for event in record.events}
    own = {session.candidate, session.external_id, "", "candidate", "model", "demo"}
    return NameHider(sorted(name for name in names - own if len(name) > 2), "your interviewer")


def _private_runs(record: RecordOf) -> frozenset[tuple[str, ...]]:
    """Return the runs of six words of the task's private part: none of them is passed on."""
    given = record.challenge
    if given is None:
        return frozenset()
    texts: list[Any] = [given.notes, *given.rubric, *given.hints, given.solution, given.hidden]
    texts += [anchor for criterion in given.criteria for anchor in criterion.anchors]
    public = _runs(given.text) | _runs(given.starter)
    return frozenset(run for text in texts for run in _runs(str(text)) if run not in public)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 6]) for i in range(len(words) - 5)}


def _shown(record: RecordOf) -> list[str]:
    found = []
    runs = [check for check in record.checks if check.suite == "visible"]
    if runs:
        at = minutes(record.clock.seconds(runs[-1].ended_at))
        found.append(
            f"Tests of the task: {runs[-1].passed} of {runs[-1].total} passed in your last run, at {at}."
        )
    hidden = [check for check in record.checks if check.suite == "hidden"]
    if hidden and record.challenge is not None and record.challenge.reveal != "nothing":
        found.append(f"Hidden checks: {hidden[-1].passed} of {hidden[-1].total} passed in the last run.")
    asked, ran = len(record.course["questions"]), len(record.course["cells"])
    found.append(f"{several(asked, 'question')} to the AI, {several(ran, 'cell')} run.")
    return found


def _told(record: RecordOf) -> str:
    return "yes" if any(event.kind == "notice" for event in record.events) else "no notice was recorded"


def _method() -> list[str]:
    return [
        "Quotes are your own words, found in the record of this interview.",
        "Minutes are those of your clock, which stands while an interview is paused, relative to the usual "
        "limit.",
        "People decide about interviews; this page has nothing of their assessment but your words that they "
        "quoted and what is written for you.",
        f"Interview Buddy {VERSION}.",
    ]
