"""Scorecards: what people conclude about a session, criterion by criterion, each under their own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.hiding import UNFOLDED, NameHider, has_unfolded, latest_scores, scores_for
from ib_kernel.assessment.rubric import LEVELS, Rubric, give_rubric, rubric_of
from ib_kernel.budget import lock
from ib_kernel.budget.access import actor
from ib_kernel.budget.parsing import parse_name
from ib_kernel.errors import ConfigError, Locked, NotHere
from ib_kernel.interview.challenges import Criterion
from ib_kernel.text import plain
from ib_kernel.values import LedgerEvent, Message, Score, Session

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview

MOST_WHY = 4_000
"""Characters of the reason for a level."""

MOST_NOTE = 20_000
"""Characters of a note."""

MOST_TURNS = 20
"""Turns that one level can point to."""

MOST_WORDS = 2_000
"""Characters of one quote."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One criterion on somebody's card.

    `own` is this person's newest level (None: not rated yet), `others` are everybody else's newest, the
    model's included: empty until this person has rated, or has unfolded the session.
    """

    criterion: Criterion
    own: Score | None = None
    others: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """One private note: when, by whom, and its text."""

    created_at: float
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A session's criteria as one person sees them.

    `candidate` is the label that hides the name while `blind` does. `is_open` is whether this person can
    still give first levels: not after they have unfolded the session. `turns` are the turns there are.
    """

    session_id: str
    candidate: str
    rater: str
    rubric: Rubric
    rated: tuple[Rated, ...]
    notes: tuple[Note, ...] = ()
    blind: bool = False
    is_open: bool = True
    turns: int = 0

    @property
    def missing(self) -> int:
        """How many criteria this person has not rated yet."""
        return sum(one.own is None for one in self.rated)


class Scorecards:
    """Reads and writes the scorecards of one ledger.

    Args:
        interview: Whose ledger, and whose challenges. An interview at a host has none: they are the
            interviewer's.
        guarded: Whether a locked session asks for its passphrase; not so at a host, whose interviewers have
            signed in.
    """

    def __init__(self, interview: Interview, *, guarded: bool = True) -> None:
        self._service, self._interview, self._guarded = interview.service, interview, guarded
        store: Any = interview.service.store
        if not hasattr(store, "add_score"):
            raise NotHere(
                "scorecards are the interviewer's, at the host; this notebook is a candidate's. "
                "%interview leave goes back to sessions of your own"
            )
        self._store: Any = store

    def rubric(self, session: Session) -> Rubric:
        """Return the criteria of *session*.

        Args:
            session: The session.
        """
        return rubric_of(self._service, session, self._interview.whole_challenge(session))

    def give_rubric(
        self, session_id: str, criteria: Sequence[Criterion], who: str = "", *, passphrase: str | None = None
    ) -> Rubric:
        """Give a session a rubric of its own.

        Args:
            session_id: The session. `UnknownSession`.
            criteria: What `ib_kernel.assessment.rubric.read_rubric` returns.
            who: Who gives it; "": the system's user.
            passphrase: The session's, if it is locked. `Locked`.
        """
        self._unlock(session_id, passphrase, "another rubric")
        give_rubric(self._service, session_id, criteria, self._name(who))
        return self.rubric(self._service.get_session(session_id))

    def score(
        self,
        session_id: str,
        criterion: str,
        level: int,
        why: str = "",
        *,
        turns: Iterable[int] = (),
        quotes: Iterable[Mapping[str, Any]] = (),
        rater: str = "",
        passphrase: str | None = None,
    ) -> Score:
        """Give a level; a later one of the same person counts instead, and both stay in the ledger.

        Args:
            session_id: The session. `UnknownSession`.
            criterion: Its name, or the beginning of it.
            level: 0 to 3.
            why: The reason.
            turns: The turns that show it.
            quotes: The candidate's words that show it: mappings with ``turn`` and ``words``.
            rater: Who rates; "": the system's user.
            passphrase: The session's, if it is locked.

        Returns:
            The score as it was recorded. `Score.saw_model` is whether the model's level was there for this
            person to see.

        Raises:
            ConfigError: There is no such criterion, level or turn, or this person has looked at the others'
                levels without giving their own.
            Locked: The session is locked, and *passphrase* is not given or wrong.
        """
        session = self._service.get_session(session_id)
        found = self.rubric(session)
        name, person = found.find(criterion).name, self._name(rater)
        if isinstance(level, bool) or level not in LEVELS:
            raise ConfigError(f"a level cannot be {level!r}; give 0, 1, 2 or 3")
        shown = self._quotes(session_id, turns, quotes)
        self._unlock(session_id, passphrase, "a level")
        visible = [s for s in scores_for(self._store, session_id, person) if s.criterion == name]
        has_own = any(_is_own(s, person) for s in visible)
        if not has_own and has_unfolded(self._store.events(session_id), person):
            raise ConfigError(
                f"{person} has looked at the levels of this session without rating {name}; a first level "
                "after that is not one's own, so somebody else gives it"
            )
        score = Score(
            session_id,
            name,
            person,
            "person",
            level=int(level),
            reason=_text("why", why, MOST_WHY),
            quotes=shown,
            saw_model=any(s.rater_kind == "model" for s in visible),
            rubric_sha=found.sha,
        )
        added: Score = self._store.add_score(score)
        return added

    def note(self, session_id: str, text: str, who: str = "", *, passphrase: str | None = None) -> Note:
        """Keep a private note.

        Args:
            session_id: The session. `UnknownSession`.
            text: The note.
            who: Who writes it; "": the system's user.
            passphrase: The session's, if it is locked. `Locked`.

        Raises:
            ConfigError: There is nothing in it, or too much.
        """
        words, person = _text("a note", text, MOST_NOTE), self._name(who)
        if not words:
            raise ConfigError('there is no note; type it in quotes: %interview note "asked about the limit"')
        self._unlock(session_id, passphrase, "a note")
        self._service.record(LedgerEvent(session_id, "note", 0.0, person, {"text": words}))
        return self._notes(session_id)[-1]

    def unfold(self, session_id: str, who: str = "", *, passphrase: str | None = None) -> None:
        """Let somebody who will not rate see all levels; it is recorded, and they give no first level then.

        Args:
            session_id: The session. `UnknownSession`.
            who: Who looks; "": the system's user.
            passphrase: The session's, if it is locked. `Locked`.
        """
        session, person = self._service.get_session(session_id), self._name(who)
        self._unlock(session_id, passphrase, "looking at levels")
        if not has_unfolded(self._store.events(session.session_id), person):
            self._service.record(LedgerEvent(session_id, UNFOLDED, 0.0, person))

    def card(
        self, session_id: str, rater: str = "", *, blind: bool = False, passphrase: str | None = None
    ) -> Scorecard:
        """Return a session's scorecard as *rater* sees it.

        Args:
            session_id: The session. `UnknownSession`.
            rater: Who looks; "": the system's user.
            blind: Whether names are replaced in every text until this person has rated everything.
            passphrase: The session's, if it is locked. `Locked`.
        """
        session, person = self._service.get_session(session_id), self._name(rater)
        self._unlock(session_id, passphrase, "its scorecard")
        found = self.rubric(session)
        newest = latest_scores(scores_for(self._store, session_id, person))
        rated = tuple(_rated(criterion, newest, person) for criterion in found.criteria)
        card = Scorecard(
            session_id,
            session.candidate,
            person,
            found,
            rated,
            tuple(self._notes(session_id)),
            is_open=not has_unfolded(self._store.events(session_id), person),
            turns=max(self._turns(session_id), default=0),
        )
        hides = blind and (card.missing or not rated)
        return _without_names(card, hider_of(session)) if hides else card

    def _unlock(self, session_id: str, passphrase: str | None, what: str) -> None:
        if self._guarded:
            self._service.unlock(session_id, passphrase, what)

    def _turns(self, session_id: str) -> set[int]:
        history: list[Message] = self._store.history(session_id)
        known = range(1, self._service.totals(session_id).turns + 1)  # transcripts may not be stored
        return {message.turn for message in history if message.turn > 0}.union(known)

    def _notes(self, session_id: str) -> list[Note]:
        events = self._store.events(session_id)
        return [Note(e.created_at, e.who, str(e.detail.get("text", ""))) for e in events if e.kind == "note"]

    def _quotes(
        self, session_id: str, turns: Iterable[int], quotes: Iterable[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        there = self._turns(session_id)
        found: list[dict[str, Any]] = []
        for turn in turns:
            found.append({"turn": _turn(turn, there), "speaker": "candidate", "words": ""})
        for quote in quotes:
            words = _text("a quote", quote.get("words", ""), MOST_WORDS)
            found.append({"turn": _turn(quote.get("turn"), there), "speaker": "candidate", "words": words})
        if len(found) > MOST_TURNS:
            raise ConfigError(f"a level points to at most {MOST_TURNS} turns; these are {len(found)}")
        return found

    def _name(self, typed: str) -> str:
        return parse_name("a rater's name", typed).strip() or actor()


def opened_by(service: TokenService, passphrase: str) -> set[str]:
    """Return the locked sessions (ids) that a passphrase opens.

    Args:
        service: Of their ledger.
        passphrase: What was given. Where it opens none, it counts as a wrong try of each.

    Raises:
        Locked: It opens none.
    """
    locked = [s for s in service.store.sessions(limit=200) if lock.is_locked(s)]
    opened, refused = set(), None
    for session in locked:
        try:
            service.unlock(session.session_id, passphrase, "reading its levels")
        except Locked as error:
            refused = error
        else:
            opened.add(session.session_id)
    if refused is not None and not opened:
        raise refused
    return opened


def may_read(interview: Interview, session: Session, rater: str) -> bool:
    """Return True unless *session* is about another one, whose levels *rater* may not see all.

    A judge's own session has its words and levels in it: they are read by who may see what came of them.

    Args:
        interview: Whose ledger, and whose challenges.
        session: Any session.
        rater: A person's name.
    """
    about = session.meta.get("about")
    if not isinstance(about, str) or not about:
        return True
    service = interview.service
    judged = service.get_session(about)
    if has_unfolded(service.store.events(about), rater):
        return True
    rubric = rubric_of(service, judged, interview.whole_challenge(judged))
    return not is_hidden(service.store, judged, rubric, rater)


def hider_of(session: Session, label: str = "the candidate") -> NameHider:
    """Return what replaces the names of a session's candidate.

    Args:
        session: The session.
        label: What stands instead.
    """
    return NameHider([session.candidate, session.external_id], label)


def is_hidden(store: Any, session: Session, rubric: Rubric, rater: str) -> bool:
    """Return True if *rater* has not rated every criterion, so that a blind view still hides the name.

    Args:
        store: The ledger.
        session: The session.
        rubric: What it is rated by.
        rater: Who looks.
    """
    own = {s.criterion for s in scores_for(store, session.session_id, rater) if _is_own(s, rater)}
    return not rubric.criteria or any(c.name not in own for c in rubric.criteria)


def _is_own(score: Score, person: str) -> bool:
    return score.rater_kind == "person" and score.rater == person


def _rated(criterion: Criterion, newest: Sequence[Score], person: str) -> Rated:
    mine = [s for s in newest if s.criterion == criterion.name]
    own = next((s for s in mine if _is_own(s, person)), None)
    return Rated(criterion, own, tuple(s for s in mine if s is not own))


def _without_names(card: Scorecard, hider: NameHider) -> Scorecard:
    def hidden(score: Score) -> Score:
        quotes = [hider.hide_value(dict(quote)) for quote in score.quotes]
        return replace(score, reason=hider.hide(score.reason), quotes=quotes)

    rated = tuple(
        replace(one, own=one.own and hidden(one.own), others=tuple(map(hidden, one.others)))
        for one in card.rated
    )
    notes = tuple(replace(note, text=hider.hide(note.text)) for note in card.notes)
    return replace(card, candidate=hider.label.capitalize(), rated=rated, notes=notes, blind=True)


def _text(name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} cannot be of type {type(value).__name__}; give a text")
    text = plain(value).strip()
    if len(text) > longest:
        raise ConfigError(f"{name} has {len(text):,} characters; give at most {longest:,}")
    return text


def _turn(value: Any, there: set[int]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in there:
        known = f"there are turns 1 to {max(there)}" if there else "this session has no turns yet"
        raise ConfigError(f"no turn {value!r}; {known}")
    return value
