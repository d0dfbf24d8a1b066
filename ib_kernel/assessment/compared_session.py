"""One session of a comparison: read once from the ledger, and as a row for the person who looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.compared import Compared, Level, Picture, Viewer
from ib_kernel.assessment.conditions import Conditions, conditions_of, marks_of
from ib_kernel.assessment.hiding import has_unfolded, latest_scores, visible_scores
from ib_kernel.assessment.rubric import Rubric, rubric_of
from ib_kernel.assessment.sight import hider_of
from ib_kernel.budget import lock
from ib_kernel.errors import Locked
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.show.spending import burn_down, spent
from ib_kernel.text import one_line
from ib_kernel.values import Check, LedgerEvent, Score, Session, Spent
from ib_kernel.values.accommodation import time_factor

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

MOST_POINTS = 200
"""Points of one small picture."""


class Reading:
    """One session, read once."""

    def __init__(self, interview: Interview, session: Session, viewer: Viewer) -> None:
        store: Any = interview.service.store
        self.session, self.viewer = session, viewer
        self.events: list[LedgerEvent] = store.events(session.session_id)
        self.calls: list[Spent] = spent(interview.service, session.session_id)
        self.checks: list[Check] = store.checks(session.session_id)
        self.cells = store.cells(session.session_id)
        self.totals = store.totals(session.session_id)
        self.factor = time_factor(session)
        given = interview.whole_challenge(session)
        self.title = one_line(given.title) if given else ""
        self.rubric: Rubric = rubric_of(interview.service, session, given)
        self.conditions: Conditions = conditions_of(session, self.events, given.version if given else "")
        self.clock = ActiveClock(session, self.events, self.factor)
        self.opened = has_unfolded(self.events, viewer.name)
        unfolded = {session.session_id} if self.opened else set()
        shown = visible_scores(store.scores(session.session_id), viewer.name, unfolded=unfolded)
        self.scores: list[Score] = latest_scores(shown) if self._is_unlocked(interview) else []

    def _is_unlocked(self, interview: Interview) -> bool:
        viewer, session = self.viewer, self.session
        if not viewer.guarded or not lock.is_locked(session):
            return True
        try:
            interview.service.unlock(session.session_id, viewer.passphrase, "its levels")
        except Locked:
            return False
        return True

    def level(self, criterion: str) -> Level:
        """Return what the viewer may see of one criterion."""
        mine = [s for s in self.scores if s.criterion == criterion]
        people = [s for s in mine if s.rater_kind == "person" and s.level is not None]
        rated = any(s.rater == self.viewer.name for s in people)
        if not rated and not self.opened:
            return Level(hidden=True)
        given = [s.level for s in people if s.level is not None]
        lows = [
            value for s in mine if s.rater_kind == "model" for value in (s.low, s.level) if value is not None
        ]
        highs = [
            value for s in mine if s.rater_kind == "model" for value in (s.high, s.level) if value is not None
        ]
        return Level(
            min(given, default=None),
            max(given, default=None),
            len(people),
            sum(bool(quote.get("words")) for s in people for quote in s.quotes),
            len({quote.get("turn") for s in people for quote in s.quotes if not quote.get("words")}),
            min(lows, default=None),
            max(highs, default=None),
        )

    def name(self, number: int) -> str:
        """Return the candidate's name, or what hides it."""
        own = {s.criterion for s in self.scores if s.rater == self.viewer.name and s.rater_kind == "person"}
        missing = not self.rubric.criteria or any(c.name not in own for c in self.rubric.criteria)
        if self.viewer.blind and missing:
            return f"Candidate {number}"
        return one_line(self.session.candidate)

    def limit_s(self, longest: float) -> float:
        """Return the seconds that the picture's axis has."""
        return 60 * self.conditions.minutes if self.conditions.minutes else max(longest, 1.0)

    def active_s(self) -> float:
        """Return the active seconds, relative to the usual limit."""
        return self.session.active_s / self.factor


def as_row(one: Reading, number: int, criteria: Sequence[str], longest: float) -> Compared:
    """Return one session as the viewer may see it.

    Args:
        one: The session.
        number: Its place among the interviews, which stands for a hidden name.
        criteria: Names of all criteria of the comparison.
        longest: Active seconds of the longest session under these conditions.
    """
    session, conditions = one.session, one.conditions
    name = one.name(number)
    marks = marks_of(session, one.events, one.calls, one.factor)
    if one.viewer.blind and name != one_line(session.candidate):
        marks = [hider_of(session).hide(mark) for mark in marks]
    return Compared(
        session.session_id,
        name,
        session.started_at or session.created_at,
        str(session.status),
        {criterion: one.level(criterion) for criterion in criteria},
        _checks(one.checks, "visible", one.clock),
        _checks(one.checks, "hidden", one.clock),
        one.totals.turns,
        round(one.active_s() / 60, 1),
        conditions.minutes,
        one.totals.used,
        session.token_budget,
        sum(event.kind == "hint" for event in one.events),
        conditions.hints,
        sum(event.kind == "refused" and "what" not in event.detail for event in one.events),
        marks,
        picture=_picture(one, longest),
        accommodation=session.accommodation if one.viewer.coordinator else "",
    )


def _picture(one: Reading, longest: float) -> Picture:
    limit = one.limit_s(longest)
    began = one.session.started_at or one.session.created_at

    def share(at: float) -> float:
        return round(min(1.0, one.clock.seconds(at) / limit), 4)

    points = burn_down(one.session, one.calls, one.events)
    left = [[share(began + at), round(left / max(1, budget), 4)] for at, left, budget in points]
    cells = [[share(cell.ended_at), float(cell.ok)] for cell in one.cells if cell.kind != "magic"]
    checks = [
        [share(c.ended_at), round(c.passed / max(1, c.total), 4)] for c in one.checks if c.suite == "visible"
    ]
    return Picture(left[-MOST_POINTS:], cells[-MOST_POINTS:], checks[-MOST_POINTS:])


def _checks(checks: Sequence[Check], suite: str, clock: ActiveClock) -> str:
    runs = [check for check in checks if check.suite == suite]
    if not runs:
        return "not run"
    last = runs[-1]
    seconds = int(clock.seconds(last.ended_at))
    return f"{last.passed} of {last.total}, last at {seconds // 60}:{seconds % 60:02d}"
