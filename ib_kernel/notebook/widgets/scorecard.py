"""`ScorecardWidget`: the criteria of one session to rate in, here or at a host.

A click is one level in the ledger, under one person's name. What others gave for a criterion reaches the
front end only once this person has rated it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import traitlets as t

from ib_kernel.assessment.card import Rated, Scorecard
from ib_kernel.assessment.rubric import to_value
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.budget.lock import is_locked
from ib_kernel.errors import BuddyError, ConfigError, NoSession, NotConnected
from ib_kernel.notebook.output.assessment import card_output, other_line
from ib_kernel.notebook.widgets.controls import ActionResult
from ib_kernel.notebook.widgets.modules import one_module, read
from ib_kernel.notebook.widgets.watching import Watching, find_desk, find_service
from ib_kernel.text import one_line, plain

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

_HOST_LOOK_S = 3.0
"""Seconds between two looks at a host: others rate and write notes while this one is open."""


class ScorecardWidget(Watching):
    """One person's scorecard of one session; follows the ledger, or the host.

    Importing this raises `ConfigError` when anywidget or ipywidgets is missing.

    Args:
        session: A session's id; "": the one in use in this notebook.
        rater: Who rates; "": the system's user. At a host it is the person whose token is used.
        host: The address of a host, such as ``https://host.example`` ("": that of ``IB_HOST``).
        blind: Whether names are replaced until every criterion is rated.
        interview: The interview whose ledger is meant, instead of the notebook's.
        live: Whether it follows the ledger; otherwise it reads it on `refresh` only.

    Attributes:
        title: Whose scorecard it is.
        rated: One entry for each criterion, as the front end takes them.
        notes: The session's notes, one line each.
        missing: How many criteria are not rated yet.

    Raises:
        NoSession: No session was given and none is in use.
        ConfigError: The session is locked: everybody at this kernel would see what is rated.
    """

    _esm = one_module("scorecard")
    _css = read("ib.css") + read("widget.css") + read("scorecard.css")

    session_id = t.Unicode().tag(sync=True)
    title = t.Unicode("").tag(sync=True)
    rated: t.List[Any] = t.List().tag(sync=True)
    notes: t.List[Any] = t.List().tag(sync=True)
    missing = t.Int(0).tag(sync=True)
    is_open = t.Bool(True).tag(sync=True)
    blind = t.Bool(False).tag(sync=True)
    turns = t.Int(0).tag(sync=True)
    trouble = t.Unicode("").tag(sync=True)

    def __init__(
        self,
        session: str = "",
        *,
        rater: str = "",
        host: str | None = None,
        blind: bool = False,
        interview: Interview | None = None,
        live: bool = True,
        **kwargs: Any,
    ) -> None:
        self._rater, self._desk = rater, None
        self._has_ledger = host is None
        if host is not None:
            if not session:
                raise NoSession("which session of the host? Pass its id: ScorecardWidget('ID', host=…)")
            self._desk = find_desk(host)
        else:
            self._service, found = find_service(None, interview)
            if found is None:
                raise NoSession("ScorecardWidget needs a notebook with an interview, or interview=…")
            self._cards = Scorecards(found)
            session = session or found.session.session_id
            if is_locked(self._service.get_session(session)):
                raise ConfigError(
                    "this session is locked, and a widget would stay open before everybody; "
                    "%interview score and %interview scorecard ask for its passphrase"
                )
        self._card: Scorecard | None = None
        super().__init__(session_id=session, blind=blind, **kwargs)
        for name, value in self._read().items():
            setattr(self, name, value)
        self.observe(lambda _: self.refresh(), names=["blind"])
        if live:
            self._poll_s = _HOST_LOOK_S if self._desk is not None else self._poll_s
            self._follow()

    def _read(self) -> dict[str, Any]:
        try:
            card = self._look()
        except NotConnected as error:
            return {"trouble": f"{error}; trying again"}
        self._card = card
        return {
            "title": f"Scorecard of {one_line(card.candidate)}, as {one_line(card.rater)} sees it",
            "rated": [_row(one) for one in card.rated],
            "notes": [f"{one_line(n.who)}: {plain(n.text)}" for n in card.notes],
            "missing": card.missing,
            "is_open": card.is_open,
            "turns": card.turns,
            "trouble": "",
        }

    def _look(self) -> Scorecard:
        if self._desk is not None:
            return self._desk.scorecard(self.session_id, blind=self.blind)
        return self._cards.card(self.session_id, self._rater, blind=self.blind)

    def _is_relevant(self, session_id: str) -> bool:
        return session_id == self.session_id

    def _target(self, message: Mapping[str, Any]) -> str | None:
        return self.session_id

    def _act(self, target: str, message: Mapping[str, Any]) -> ActionResult:
        """Do what a click asks for. Never raises: what refuses it becomes the line."""
        try:
            return ActionResult(True, self._do(target, message))
        except BuddyError as error:
            return ActionResult(False, one_line(str(error)))

    def _do(self, session_id: str, message: Mapping[str, Any]) -> str:
        if message.get("do") == "note":
            text = message.get("text")
            if self._desk is not None:
                self._desk.note(session_id, str(text or ""))
            else:
                self._cards.note(session_id, text if isinstance(text, str) else "", self._rater)
            return "the note is kept"
        if message.get("do") != "score":
            raise ConfigError("unknown control; known: score, note")
        criterion, level, why = (message.get(name) for name in ("criterion", "level", "why"))
        turns = message.get("turns")
        given: Iterable[Any] = turns if isinstance(turns, list) else ()
        words = why if isinstance(why, str) else ""
        if self._desk is not None:
            self._desk.score(session_id, str(criterion), level, words, turns=given)  # type: ignore[arg-type]
        else:
            self._cards.score(session_id, str(criterion), level, words, turns=given, rater=self._rater)  # type: ignore[arg-type]
        return f"{one_line(str(criterion))} is {level}"

    def _lost(self, error: Exception) -> None:
        self.trouble = f"no longer updated: {error}"
        self.revision += 1

    def close(self) -> None:
        """Stop watching and remove the widget from the front end. Idempotent."""
        super().close()
        desk = self.__dict__.get("_desk")
        if desk is not None:
            desk.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        if bundle is None or self._card is None:
            return None
        output = card_output(self._card)
        return self._saved(bundle, output.content, output.text)


def _row(one: Rated) -> dict[str, Any]:
    (criterion,) = to_value([one.criterion])
    own = one.own
    turns = [quote.get("turn") for quote in own.quotes] if own is not None else []
    return {
        **criterion,
        "level": None if own is None else own.level,
        "why": "" if own is None else plain(own.reason),
        "at": ",".join(str(turn) for turn in turns),
        "others": [other_line(score) for score in one.others],
    }
