"""Sessions: the list, one in full, what is done to one, and the stream that says what has changed."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ib_kernel.errors import BuddyError
from ib_kernel.host.answers import Refused, answer, is_blind, is_on, read_json
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.desk import controls
from ib_kernel.host.desk.detail import DETAIL, WRITING, detail, name_hider, nameless, writing
from ib_kernel.host.desk.live import stream
from ib_kernel.host.desk.reading import readable_session
from ib_kernel.host.desk.replay import REPLAYED, replay
from ib_kernel.host.desk.rows import GROUPS, ROW, by_session, clock_of, matches, session_row
from ib_kernel.host.desk.times import factor_for, relative
from ib_kernel.host.host import Host
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, choice, fields, operation, text
from ib_kernel.values import Person, Reservation, Session, Status, Totals
from ib_kernel.values.judging import is_judges

MOST_ROWS = 1_000
"""Sessions that one answer has, the newest; the list says how many there are."""

STATES = (*map(str, Status), "open", "invited", "ended")
"""What a list may be asked for: a state, or a group of states that the page shows together."""

_LIST = fields({"sessions": array(ROW), "total": COUNT, "found": COUNT, "as_of": NUMBER})


@operation(
    "List sessions, newest first",
    who="interviewer",
    query={
        "status": choice(*STATES),
        "q": text(500),
        "ids": text(20_000),
        "blind": FLAG,
    },
    answers=_LIST,
)
async def list_sessions(request: Request) -> Response:
    """Answer the sessions that match."""
    person = await require_interviewer(request)
    query = request.query_params
    status, words = query.get("status", ""), query.get("q", "")
    if status and status not in STATES:
        raise Refused(400, "bad_field", f"status is one of: {', '.join(STATES)}")
    ids = set(query["ids"].split(",")) if query.get("ids") else None
    return answer(
        await run_in_threadpool(_list, host_of(request), person, status, words[:500], ids, is_blind(request))
    )


def _list(
    host: Host, person: Person, status: str, words: str, ids: set[str] | None, blind: bool = False
) -> dict[str, Any]:
    every = [s for s in host.store.sessions() if not is_judges(s)] if ids is None else _named(host, ids)
    found = [
        s
        for s in every
        if (not status or status in (str(s.status), GROUPS[s.status])) and (not words or matches(s, words))
    ]
    open_ = by_session(host.store.reservations())
    shown = [relative(s, factor_for(person, s)) for s in found[:MOST_ROWS]]
    rows = [_row(host, s, open_.get(s.session_id, ())) for s in shown]
    if blind:
        rows = [_without_name(host, s, row, person) for s, row in zip(shown, rows, strict=True)]
    return {"sessions": rows, "total": len(every), "found": len(found), "as_of": host.clock()}


def _without_name(host: Host, session: Session, row: dict[str, Any], person: Person) -> dict[str, Any]:
    """Return a session's line with the name replaced until *person* has rated every criterion."""
    if name_hider(host, session, person) is None:
        return row
    return {**row, "candidate": nameless(session), "candidate_id": ""}


def _named(host: Host, ids: set[str]) -> list[Session]:
    found = []
    for session_id in sorted(ids)[:MOST_ROWS]:
        with contextlib.suppress(BuddyError):  # it may be gone by now
            found.append(host.service.get_session(session_id))
    return found


def _row(host: Host, session: Session, open_: Sequence[Reservation]) -> dict[str, Any]:
    """Return a session's line; that of last time while nothing has happened, with the clock as it is now.

    All that is recorded about a session moves the head of its chain. Where a session is not under way,
    nothing can happen without its own value changing, and its sums need not be read either.
    """
    if open_:
        return session_row(host.service, session, open_)
    totals, seen = None, dataclasses.replace(session, active_s=0.0, time_left_s=None)
    if GROUPS[session.status] == "open":
        totals = host.service.totals(session.session_id)
        if not totals.chain_head:  # a ledger without chains tells nothing
            return session_row(host.service, session, open_, totals)
    key = seen, totals, totals.chain_head if totals else ""
    kept = _KEPT.setdefault(host, {})
    known = kept.get(session.session_id)
    if known is None or known[0] != key:
        known = kept[session.session_id] = key, session_row(host.service, session, open_, totals)
    return {**known[1], **clock_of(session)}


_Key = tuple[Session, Totals | None, str]
_KEPT: weakref.WeakKeyDictionary[Host, dict[str, tuple[_Key, dict[str, Any]]]] = weakref.WeakKeyDictionary()


@operation(
    "One session in full; known is how many messages the caller has already",
    who="interviewer",
    query={"known": COUNT, "blind": FLAG},
    answers=DETAIL,
    refusals=(404,),
)
async def one_session(request: Request) -> Response:
    """Answer one session."""
    person = await require_interviewer(request)
    known = request.query_params.get("known", "0")
    if not (known.isascii() and known.isdigit() and len(known) < 10):
        raise Refused(400, "bad_field", "known is a whole number of messages")
    session_id, blind = request.path_params["session_id"], is_blind(request)
    return answer(await run_in_threadpool(detail, host_of(request), session_id, person, int(known), blind))


@operation(
    "The replies that are being written now",
    who="interviewer",
    answers=fields({"writing": array(WRITING), "as_of": NUMBER}),
    refusals=(404,),
)
async def session_writing(request: Request) -> Response:
    """Answer the end of each reply that is being written."""
    person = await require_interviewer(request)
    host, session_id = host_of(request), request.path_params["session_id"]

    def read() -> dict[str, Any]:
        readable_session(host, session_id, person)
        return {"writing": writing(host, session_id), "as_of": host.clock()}

    return answer(await run_in_threadpool(read))


@operation(
    "What happened in a session, in order, to be played back",
    who="interviewer",
    query={"blind": FLAG, "markdown": FLAG},
    answers=fields({"about": TEXT, "moments": array(REPLAYED)}),
    refusals=(404,),
)
async def session_replay(request: Request) -> Response:
    """Answer a session's timeline with the words and the code of each moment."""
    person = await require_interviewer(request)
    host, session_id = host_of(request), request.path_params["session_id"]
    wish = {"blind": is_blind(request), "markdown": is_on(request, "markdown")}
    return answer(await run_in_threadpool(replay, host, session_id, person, **wish))


def _in_real_minutes(value: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a control's body with the minutes that this person reads as the clock runs them."""
    minutes = value.get("minutes")
    if factor == 1.0 or isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
        return value
    return {**value, "minutes": minutes * factor}


def _action(name: str, summary: str) -> Any:
    """Return the handler of one of the `controls`."""

    async def handler(request: Request) -> Response:
        person = await require_interviewer(request)
        host, session_id = host_of(request), request.path_params["session_id"]
        value = await read_json(request, 100_000)

        def work() -> dict[str, Any]:
            factor = factor_for(person, host.service.get_session(session_id))
            controls.act(host, person.name, session_id, name, _in_real_minutes(value, factor))
            session, open_ = host.service.get_session(session_id), host.store.reservations(session_id)
            session = relative(session, factor)
            return {"session": session_row(host.service, session, open_), "as_of": host.clock()}

        return answer(await run_in_threadpool(work))

    handler.__name__ = f"{name}_session"
    return operation(
        summary,
        who="interviewer",
        body=controls.BODIES[name],
        answers=fields({"session": ROW, "as_of": NUMBER}),
        refusals=(403, 404, 409),
    )(handler)


ACTIONS = {
    "extend": _action("extend", "Add tokens, minutes or both"),
    "pause": _action("pause", "Stop the clock and refuse turns"),
    "resume": _action("resume", "Let it go on"),
    "end": _action("end", "End it for good"),
    "line": _action("line", "Say a line to the candidate; it stands in the transcript under its own role"),
    "note": _action("note", "Keep a private note, which no candidate's token reads"),
    "phase": _action("phase", "Bring it into another phase, which the model is told; off for none"),
    "resolve": _action("resolve", "Decide what a call in doubt has cost: charge it, or free it"),
}


@operation(
    "What changes, as server-sent events: changed and writing, each with session ids",
    who="interviewer",
    answers=TEXT,
    media="text/event-stream",
)
async def events(request: Request) -> Response:
    """Answer the stream of changes; it ends when the caller's sign-in does."""
    await require_interviewer(request)
    return StreamingResponse(
        stream(host_of(request), lambda: require_interviewer(request)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
