"""What a candidate sees of a session: their own words and the AI's, figures, the task; nothing for others."""

from __future__ import annotations

import collections
import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError
from ib_kernel.host.notice import notice_of, was_shown
from ib_kernel.host.withhold import PrivateText, screened
from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.challenges.kept import to_kept
from ib_kernel.interview.given import GivenChallenges
from ib_kernel.interview.instructions import Instructions
from ib_kernel.show.spending import spent
from ib_kernel.values.wire import doubt_value, event_value, session_value, to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Message, NewSession, Session

MOST_KEPT = 500
"""Private parts that are kept ready in memory."""


def _private_text(given: Challenge, persona: str) -> PrivateText:
    anchors = [anchor for criterion in given.criteria for anchor in criterion.anchors]
    told = [given.notes, *given.rubric, *anchors]
    return PrivateText(
        told, [given.text, given.starter], [given.hidden, given.solution, *given.hints, persona]
    )


class Sight:
    """Reads sessions for candidates. Safe from several threads."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._given = GivenChallenges(host.settings.data_dir, host.service.plugins, host.service.store)
        self._told = Instructions(host.settings.data_dir, host.service.plugins, host.service.store)
        self._private: collections.OrderedDict[str, PrivateText] = collections.OrderedDict()
        self._lock = threading.Lock()

    def private_text(self, session: Session) -> PrivateText:
        """Return what no reply in *session* may repeat."""
        with self._lock:
            known = self._private.get(session.session_id)
            if known is not None:
                self._private.move_to_end(session.session_id)
                return known
        given = self._given.of(session)
        persona = self._persona(session)
        made = PrivateText([], (), [persona]) if given is None else _private_text(given, persona)
        with self._lock:
            self._private[session.session_id] = made
            while len(self._private) > MOST_KEPT:
                self._private.popitem(last=False)
        return made

    def _persona(self, session: Session) -> str:
        """Return a persona's text, of which canaries count: it may say words that the AI is to say."""
        try:
            return self._told.persona(session).text
        except ConfigError:  # it is on another machine, where its session's turns are
            return ""

    def status(self, session: Session) -> dict[str, Any]:
        """Return a session's state and figures."""
        service = self._host.service
        totals = service.totals(session.session_id)
        doubts = []
        if totals.in_doubt:
            doubts = [r for r in service.store.reservations(session.session_id) if r.in_doubt]
        return {
            "session": session_value(session),
            "totals": to_value(totals),
            "turns_left": service.estimate_turns_left(session.session_id),
            "doubts": [doubt_value(reservation) for reservation in doubts],
            "now": self._host.clock(),
            "hosts": list(self._host.others()),
        }

    def everything(self, session: Session) -> dict[str, Any]:
        """Return all that the candidate of *session* may see of it."""
        service, session_id = self._host.service, session.session_id
        events = (event_value(event) for event in service.store.events(session_id))
        notice = notice_of(self._host.settings, session)
        return {
            **self.status(session),
            "challenge": self.challenge(session),
            "history": [to_value(message) for message in self.history(session)],
            "spent": [to_value(call) for call in spent(service, session_id)],
            "events": [event for event in events if event is not None],
            "notice": {**to_value(notice), "shown": was_shown(service.store, session_id)},
            "reply_tokens": service.settings.reply_tokens,
            "version": self._host.version,
        }

    def given(self, session: NewSession) -> Challenge | None:
        """Return what *session* was given, with its private part: for this side alone."""
        return self._given.of(session)

    def challenge(self, session: Session) -> dict[str, Any] | None:
        """Return the candidate's part of what the session was given: task, starter, data, visible tests."""
        given = self._given.of(session)
        if given is None:
            return None
        kept = to_kept(given)
        return {**to_value(kept), "title": given.title, "level": given.level}

    def history(self, session: Session) -> list[Message]:
        """Return the transcript as its candidate may read it."""
        private = self.private_text(session)
        messages = self._host.service.store.history(session.session_id)
        if not private:
            return messages
        return [
            dataclasses.replace(m, content=screened(m.content, private)) if m.role == "assistant" else m
            for m in messages
        ]

    def lines(self, session_id: str) -> list[dict[str, Any]]:
        """Return what the interviewer has said to the candidate, in order."""
        said = [m for m in self._host.service.store.history(session_id) if m.role == "interviewer"]
        return [{"n": n, "text": m.content, "at": m.created_at} for n, m in enumerate(said, 1)]
