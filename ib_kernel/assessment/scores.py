"""Scorecards: what people conclude about a session, criterion by criterion, each under their own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.card import Note, Scorecard, card_row, is_own, without_names
from ib_kernel.assessment.hiding import UNFOLDED, has_unfolded, latest_scores, scores_for
from ib_kernel.assessment.rubric import LEVELS, Rubric, give_rubric, rubric_of
from ib_kernel.assessment.sight import hider_of
from ib_kernel.budget.access import actor
from ib_kernel.budget.parsing import parse_name
from ib_kernel.errors import ConfigError, NotHere
from ib_kernel.interview.challenges import Criterion
from ib_kernel.text import plain
from ib_kernel.values import LedgerEvent, Message, Score, Session

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

MOST_WHY = 4_000
"""Characters of the reason for a level."""

MOST_NOTE = 20_000
"""Characters of a note."""

MOST_TURNS = 20
"""Turns that one level can point to."""

MOST_WORDS = 2_000
"""Characters of one quote."""


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
        has_own = any(is_own(s, person) for s in visible)
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
        rated = tuple(card_row(criterion, newest, person) for criterion in found.criteria)
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
        return without_names(card, hider_of(session)) if hides else card

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
