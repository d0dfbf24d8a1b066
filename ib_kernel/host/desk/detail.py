"""One session in full: figures, conversation, course, notes, and what is being written.

A message's HTML is made and cleaned here, once for all who look; a page says how many messages it has, and
gets the words of the others only.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.hiding import NameHider
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.assessment.sight import hider_of, is_hidden
from ib_kernel.errors import ConfigError
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.evidence.course import course
from ib_kernel.host.desk.course import COURSE, MOMENT, moments
from ib_kernel.host.desk.reading import readable_session
from ib_kernel.host.desk.rows import ROW, session_row
from ib_kernel.host.desk.times import factor_for, relative
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, fields, maybe
from ib_kernel.show.classes import with_classes
from ib_kernel.show.figures import cost_line
from ib_kernel.show.render import to_html
from ib_kernel.show.spending import spent, tokens_per_turn
from ib_kernel.text import cut, one_line, plain

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import LedgerEvent, Message, Person, Reservation, Session

MOST_WRITING = 4_000
"""Characters of a reply being written that the page shows, the last ones."""

CACHED = 512
"""Messages whose HTML is kept; a text of 100,000 characters is at most 500,000 of HTML."""

SAID = fields(
    {
        "key": TEXT,
        "turn": COUNT,
        "role": TEXT,
        "who": TEXT,
        "at": NUMBER,
        "at_s": NUMBER,
        "partial": FLAG,
        "tokens": maybe(COUNT),
    },
    {"html": TEXT},
)
WRITING = fields({"turn": COUNT, "tokens": COUNT, "text": TEXT})
NOTE = fields({"at": NUMBER, "at_s": NUMBER, "who": TEXT, "text": TEXT})
INVITED = fields({"id": TEXT, "state": TEXT, "expires_at": NUMBER, "gateway": FLAG})

DETAIL = fields(
    {
        "session": ROW,
        "persona": TEXT,
        "phase": TEXT,
        "phases": array(TEXT),
        "client": TEXT,
        "charge": TEXT,
        "title": TEXT,
        "task": TEXT,
        "cost": TEXT,
        "billed": COUNT,
        "input_tokens": COUNT,
        "output_tokens": COUNT,
        "per_turn": array({"type": "array", "items": COUNT}),
        "messages": array(SAID),
        "moments": array(MOMENT),
        "writing": array(WRITING),
        "course": COURSE,
        "notes": array(NOTE),
        "blind": FLAG,
        "accommodation": TEXT,
        "invitations": array(INVITED),
        "as_of": NUMBER,
    }
)


def detail(
    host: Host, session_id: str, person: Person, known: int = 0, blind: bool = False
) -> dict[str, Any]:
    """Return one session in full, as *person* reads it.

    Args:
        host: The host.
        session_id: The session. `UnknownSession`.
        person: Who asks: times are theirs to read, and so is an accommodation.
        known: How many messages the page has: their words are left out.
        blind: Whether names are replaced until this person has rated every criterion.
    """
    store, service = host.store, host.service
    real = readable_session(host, session_id, person)
    factor = factor_for(person, real)
    session = relative(real, factor)
    totals, messages, events = service.totals(session_id), store.history(session_id), store.events(session_id)
    open_ = store.reservations(session_id)
    clock = ActiveClock(session, events, factor)
    challenge = host.engine.challenge(session)
    hider = name_hider(host, real, person) if blind else None
    if hider is not None:
        session = dataclasses.replace(session, candidate=hider.label.capitalize(), external_id="")
        messages = [dataclasses.replace(m, content=hider.hide(m.content)) for m in messages]
    return {
        "session": session_row(service, session, open_),
        "persona": one_line(session.persona),
        **_phases(host, session_id),
        "client": one_line(session.client),
        "charge": session.charge,
        "title": one_line(challenge.title) if challenge else "",
        "task": _html(challenge.text) if challenge and not known else "",
        "cost": cost_line(session, totals, service),
        "billed": totals.billed,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "per_turn": tokens_per_turn(spent(service, session_id)),
        "messages": _messages(host, session, messages, clock, known),
        "moments": moments(service, session, events, clock),
        "writing": _without_names(writing(host, session_id, open_), hider),
        "course": course(service, session, messages, events, open_, clock),
        "notes": _notes(events, clock, hider),
        "blind": hider is not None,
        "accommodation": real.accommodation if person.role == "coordinator" else "",
        "invitations": [invited(i, host.clock()) for i in store.invitations(session_id)],
        "as_of": host.clock(),
    }


def name_hider(host: Host, session: Session, person: Person) -> NameHider | None:
    """Return what replaces the names; None once this person has rated everything."""
    rubric = Scorecards(host.engine, guarded=False).rubric(session)
    return hider_of(session) if is_hidden(host.store, session, rubric, person.name) else None


def nameless(session: Session) -> str:
    """Return what stands in lists where a candidate's name is hidden; each session's own."""
    return f"Candidate {session.session_id[-4:]}"


def _without_names(replies: list[dict[str, Any]], hider: NameHider | None) -> list[dict[str, Any]]:
    return replies if hider is None else [{**one, "text": hider.hide(one["text"])} for one in replies]


def _phases(host: Host, session_id: str) -> dict[str, Any]:
    """Return the phase that a session is in, and those that there are: by name, without their texts."""
    interview = host.interview(session_id)
    try:
        return {"phase": interview.phase(), "phases": interview.phases()}
    except ConfigError:  # its persona is on another machine
        return {"phase": "", "phases": []}


def writing(host: Host, session_id: str, open_: Sequence[Reservation] | None = None) -> list[dict[str, Any]]:
    """Return the replies that are being written now, with the end of what is there."""
    found = []
    for held in host.store.reservations(session_id) if open_ is None else open_:
        if held.in_doubt or held.turn < 1:
            continue
        stored = None
        if held.call.request_id:
            stored = host.store.request(session_id, held.call.request_id)
        text = plain(stored.text) if stored else ""
        found.append({"turn": held.turn, "tokens": held.tokens, "text": text[-MOST_WRITING:]})
    return found


def invited(invitation: Any, now: float) -> dict[str, Any]:
    """Return what a page says of an invitation: never its code, which nobody has any more."""
    return {
        "id": invitation.invitation_id,
        "state": invitation_state(invitation, now),
        "expires_at": invitation.expires_at,
        "gateway": invitation.gateway,
    }


def invitation_state(invitation: Any, now: float) -> str:
    """Return "joined", "withdrawn", "expired" or "open"."""
    if invitation.used_at is not None:
        return "joined"
    if invitation.revoked_at is not None:
        return "withdrawn"
    return "expired" if now >= invitation.expires_at else "open"


def speaker(session: Session, message: Message) -> str:
    """Name who speaks: the candidate, the AI, or the interviewer."""
    if message.role == "user":
        return one_line(session.candidate) or "Candidate"
    return {"interviewer": "Interviewer", "hint": "Hint"}.get(message.role, "AI")


def _messages(
    host: Host, session: Session, messages: Sequence[Message], clock: ActiveClock, known: int
) -> list[dict[str, Any]]:
    tokens: dict[int, int] = {}
    for call in spent(host.service, session.session_id):
        charged = (
            call.input_tokens + call.output_tokens if call.charged_tokens is None else call.charged_tokens
        )
        tokens[call.turn] = tokens.get(call.turn, 0) + charged
    said = []
    for i, message in enumerate(messages):
        asked = message.asked_at if message.role == "user" and message.asked_at else message.created_at
        item = {
            "key": f"m{i}",
            "turn": message.turn,
            "role": one_line(message.role),
            "who": speaker(session, message),
            "at": asked,
            "at_s": clock.seconds(asked),
            "partial": message.partial,
            "tokens": tokens.get(message.turn) if message.role == "assistant" else None,
        }
        said.append(item if i < known else {**item, "html": _html(message.content)})
    return said


def _notes(
    events: Sequence[LedgerEvent], clock: ActiveClock, hider: NameHider | None
) -> list[dict[str, Any]]:
    hide = hider.hide if hider is not None else str
    return [
        {
            "at": event.created_at,
            "at_s": clock.seconds(event.created_at),
            "who": one_line(event.who),
            "text": hide(plain(cut(str(event.detail.get("text", "")), 20_000))),
        }
        for event in events
        if event.kind == "note"
    ]


@functools.lru_cache(maxsize=CACHED)
def _html(text: str) -> str:
    return str(with_classes(to_html(text)))
