"""Candidates on one challenge, side by side: under equal conditions, and with what differs by name.

There is no sum over criteria, no rank and no order but that of the interviews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.conditions import Conditions, conditions_of, differences, key, lines, marks_of
from ib_kernel.assessment.hiding import has_unfolded, latest_scores, visible_scores
from ib_kernel.assessment.rubric import Rubric, rubric_of
from ib_kernel.assessment.scores import hider_of
from ib_kernel.budget import lock
from ib_kernel.budget.access import actor
from ib_kernel.errors import ConfigError, Locked, NotHere, did_you_mean
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.show.spending import burn_down, spent
from ib_kernel.text import one_line, several
from ib_kernel.values import Check, LedgerEvent, Score, Session, Spent
from ib_kernel.values.accommodation import time_factor

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

PERCENTILES_FROM = 8
"""Sessions under equal conditions from which on percentiles are given; over fewer they would say too much."""

MOST_SESSIONS = 500
"""Sessions of one comparison, the newest ones."""

MOST_POINTS = 200
"""Points of one small picture."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of one criterion in one session, as far as the person who looks may see it.

    `low` and `high` are the range of people's newest levels (None: nobody's that is to be seen), `people` how
    many gave one, `model_low` and `model_high` what a model proposes. `hidden` is whether the person has to
    rate first; it is True whether or not others have rated. `quotes` are the candidate's words that people
    chose, `turns` the turns that they named without words.
    """

    low: int | None = None
    high: int | None = None
    people: int = 0
    quotes: int = 0
    turns: int = 0
    model_low: int | None = None
    model_high: int | None = None
    hidden: bool = False

    @property
    def text(self) -> str:
        """The level in words."""
        if self.hidden:
            return "rate it first"
        return _range(self.low, self.high) or "not rated"

    @property
    def note(self) -> str:
        """What stands beneath the level."""
        parts = []
        if self.people > 1:
            parts.append(f"{self.people} raters" + (" differ" if self.low != self.high else ""))
        if self.people:
            pointed = several(self.quotes, "quote") if self.quotes else several(self.turns, "turn")
            parts.append(pointed if self.quotes or self.turns else "no quote")
        model = _range(self.model_low, self.model_high)
        if model:
            parts.append(f"model: {model}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a small picture shows: ``[share of the time, share of the budget left]``, and cells on one axis.

    Shares are of this person's own limit; without a limit, of the longest session under these conditions.
    """

    left: Sequence[Sequence[float]] = ()
    cells: Sequence[Sequence[float]] = ()
    checks: Sequence[Sequence[float]] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One session of a comparison. `accommodation` is "" unless a coordinator looks.

    `minutes` are active ones, relative to the usual limit. `percentiles` has an entry for "minutes" and
    "charged_tokens" from `PERCENTILES_FROM` sessions on: how many of a hundred used less.
    """

    session_id: str
    candidate: str
    began_at: float
    status: str
    levels: Mapping[str, Level]
    checks: str
    hidden_checks: str
    turns: int
    minutes: float
    minutes_limit: float | None
    charged_tokens: int
    token_budget: int
    hints: int
    hints_of: int | None
    refusals: int
    marks: Sequence[str] = ()
    percentiles: Mapping[str, int] = field(default_factory=dict)
    picture: Picture = field(default_factory=Picture)
    accommodation: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions under equal conditions, in the order of the interviews. `name` is "A" for the largest."""

    name: str
    conditions: Sequence[tuple[str, str]]
    differences: Sequence[str]
    sessions: Sequence[Compared]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All sessions on one challenge. `criteria` are names and titles, in the rubric's order."""

    challenge: str
    title: str
    criteria: Sequence[tuple[str, str]]
    groups: Sequence[Group]
    rater: str
    blind: bool = False
    left_out: int = 0

    @property
    def sessions(self) -> int:
        """How many sessions are compared."""
        return sum(len(group.sessions) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a comparison.

    Args:
        name: Under which they rate; "": the system's user.
        coordinator: Whether accommodations are shown.
        blind: Whether names are replaced until this person has rated every criterion of a session.
        guarded: Whether locked sessions show no levels without their passphrase; not so at a host.
        passphrase: What opens locked sessions, if anything.
    """

    name: str = ""
    coordinator: bool = False
    blind: bool = False
    guarded: bool = True
    passphrase: str | None = field(default=None, repr=False)


def compared_challenges(store: Any) -> dict[str, int]:
    """Return the challenges of all sessions that a comparison would have, with how many of each.

    Args:
        store: The ledger.
    """
    found: dict[str, int] = {}
    for session in store.sessions():
        if session.challenge and _counts(session):
            found[session.challenge] = found.get(session.challenge, 0) + 1
    return dict(sorted(found.items()))


def compare(interview: Interview, challenge: str, viewer: Viewer | None = None) -> Comparison:
    """Return the sessions on one challenge, grouped by equal conditions.

    Practice, sessions that have not begun and a judge's own are left out.

    Args:
        interview: Whose ledger, and whose challenges.
        challenge: The challenge's name.
        viewer: Who looks; None: the system's user, as a coordinator.

    Raises:
        ConfigError: No session had that challenge; the line names those that there are.
        NotHere: The ledger is a host's, and this is a candidate's notebook.
    """
    viewer = viewer or Viewer(coordinator=True)
    store: Any = interview.service.store
    if not hasattr(store, "add_score"):
        raise NotHere("comparisons are the interviewer's, at the host")
    viewer = replace(viewer, name=viewer.name or actor())
    wanted = challenge.strip().casefold()
    every = [s for s in store.sessions() if s.challenge.casefold() == wanted]
    if not every:
        raise ConfigError(_nothing(challenge, compared_challenges(store)))
    begun = [s for s in every if _counts(s)]
    sessions = sorted(begun, key=lambda s: (s.started_at or 0.0, s.session_id))[-MOST_SESSIONS:]
    read = [_Reading(interview, session, viewer) for session in sessions]
    criteria: dict[str, str] = {}
    for one in read:
        criteria |= {c.name: c.title for c in one.rubric.criteria if c.name not in criteria}
    return Comparison(
        every[0].challenge,
        next((one.title for one in reversed(read) if one.title), every[0].challenge),
        list(criteria.items()),
        _groups(read, list(criteria)),
        viewer.name,
        viewer.blind,
        left_out=len(every) - len(sessions),
    )


def all_scores(interview: Interview, challenge: str = "") -> list[Score]:
    """Return every score of the sessions that a comparison has, for figures about raters.

    Args:
        interview: Whose ledger.
        challenge: Of sessions on this challenge only; "": of all.

    Raises:
        ConfigError: No session had that challenge.
        NotHere: The ledger is a host's, and this is a candidate's notebook.
    """
    store: Any = interview.service.store
    if not hasattr(store, "add_score"):
        raise NotHere("figures about raters are the interviewer's, at the host")
    wanted = challenge.strip().casefold()
    found = [s for s in store.sessions() if _counts(s) and (not wanted or s.challenge.casefold() == wanted)]
    if wanted and not found:
        raise ConfigError(_nothing(challenge, compared_challenges(store)))
    ids = [session.session_id for session in found if not lock.is_locked(session)]
    return [score for session_id in ids for score in store.scores(session_id)]


class _Reading:
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


def _groups(read: Sequence[_Reading], criteria: Sequence[str]) -> list[Group]:
    sets: dict[tuple[Any, ...], list[int]] = {}
    for at, one in enumerate(read):
        sets.setdefault(key(one.conditions), []).append(at)
    largest_first = sorted(sets.values(), key=lambda places: (-len(places), places[0]))
    found: list[Group] = []
    for number, places in enumerate(largest_first):
        members = [read[at] for at in places]
        base = read[largest_first[0][0]].conditions
        longest = max(one.active_s() for one in members)
        rows = [_compared(read[at], at + 1, criteria, longest) for at in places]
        conditions = members[0].conditions
        found.append(
            Group(_letters(number), lines(conditions), differences(conditions, base), _with_percentiles(rows))
        )
    return found


def _compared(one: _Reading, number: int, criteria: Sequence[str], longest: float) -> Compared:
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


def _picture(one: _Reading, longest: float) -> Picture:
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


def _with_percentiles(rows: Sequence[Compared]) -> list[Compared]:
    if len(rows) < PERCENTILES_FROM:
        return list(rows)
    found = []
    for row in rows:
        shares = {}
        for name in ("minutes", "charged_tokens"):
            values = [getattr(other, name) for other in rows]
            mine = getattr(row, name)
            below = sum(value < mine for value in values) + sum(value == mine for value in values) / 2
            shares[name] = round(100 * below / len(values))
        found.append(replace(row, percentiles=shares))
    return found


def _checks(checks: Sequence[Check], suite: str, clock: ActiveClock) -> str:
    runs = [check for check in checks if check.suite == suite]
    if not runs:
        return "not run"
    last = runs[-1]
    seconds = int(clock.seconds(last.ended_at))
    return f"{last.passed} of {last.total}, last at {seconds // 60}:{seconds % 60:02d}"


def _counts(session: Session) -> bool:
    """Return True if a comparison has *session*: it has begun, and is neither practice nor about another."""
    if session.started_at is None:
        return False
    return not session.meta.get("practice") and not session.meta.get("about")


def _nothing(typed: str, known: Mapping[str, int]) -> str:
    if not known:
        return "there is nothing to compare: no session had a challenge, or only practice"
    hint = did_you_mean(typed.strip(), known)
    counted = ", ".join(f"{name} ({count})" for name, count in known.items())
    return f"no session had the challenge {one_line(typed)!r}{hint}; there are: {counted}"


def _range(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return ""
    return str(low) if low == high else f"{low} to {high}"


def _letters(number: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name
