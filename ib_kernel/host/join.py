"""What a candidate may do beside asking: join, look, begin, end, and hear what changes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ib_kernel.errors import ConfigError, SessionInactive
from ib_kernel.host.answers import Refused, answer, last_event_id, read_json, text_of
from ib_kernel.host.auth import host_of, require_candidate, still_candidate
from ib_kernel.host.notice import notice_of, record_shown
from ib_kernel.host.openapi import FLAG, TEXT, fields, maybe, operation, text, whole
from ib_kernel.host.proxy import limited_address
from ib_kernel.host.ready import require_ready
from ib_kernel.host.tokens import derived_token, hashed
from ib_kernel.values import Status
from ib_kernel.values.host import Grant, Invitation
from ib_kernel.values.joining import parse_code

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session

TOKEN_S = 14 * 86_400.0
"""Seconds for which a candidate's token is valid; a new invitation gives another."""

PULSE_S = 15.0
"""Seconds after which a silent stream shows that it lives."""

MOST_STREAMS = 20
"""Streams of events that one session has open at most: a kernel and its windows have one each."""

_NONCE = re.compile(r"[\w-]{16,100}")


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of joining and looking."""
    return [
        Route("/v1/join", join, methods=["POST"]),
        Route("/v1/me", me),
        Route("/v1/status", status),
        Route("/v1/notice", notice, methods=["POST"]),
        Route("/v1/begin", begin, methods=["POST"]),
        Route("/v1/end", end, methods=["POST"]),
        Route("/v1/estimate", estimate, methods=["POST"]),
        Route("/v1/events", events),
    ]


@operation(
    "Exchange a code, once, for a candidate's token",
    who="anybody",
    body=fields(
        {"code": text(100), "nonce": text(100, least=16, pattern=r"^[A-Za-z0-9_-]+$")}, {"version": text(100)}
    ),
    answers=fields({"token": TEXT, "gateway_token": maybe(TEXT), "me": {"type": "object"}}),
    refusals=(400, 403, 429),
)
async def join(request: Request) -> Response:
    """Exchange a code, once, for the candidate's token; a repeat with the same nonce answers the same."""
    host = host_of(request)
    host.join_limits.require(limited_address(request))
    value = await read_json(request, 10_000)
    nonce = text_of(value, "nonce", longest=100)
    if not _NONCE.fullmatch(nonce):
        raise Refused(400, "nonce", "nonce: give 16 to 100 random letters, digits, hyphens")
    try:
        code = parse_code(text_of(value, "code", longest=100))
    except ConfigError as error:
        raise Refused(400, "code", str(error)) from None
    return answer(await run_in_threadpool(_join, host, code, nonce))


def _join(host: Host, code: str, nonce: str) -> dict[str, Any]:
    token = derived_token("candidate", host.secret, code, nonce)
    gateway = derived_token("gateway", host.secret, code, nonce)
    invited = _invitation(host, code)
    grants = []
    if invited is not None:
        now, until = host.clock(), host.clock() + TOKEN_S
        who, session_id = invited.created_by, invited.session_id
        grants.append(Grant(hashed(token), "candidate", session_id, now, until, None, who))
        if invited.gateway:
            grants.append(Grant(hashed(gateway), "gateway", session_id, now, until, None, who))
    taken = host.store.take_invitation(hashed(code), hashed(nonce), grants)
    if taken is None:
        line = "this code lets one person in, once, for some time only; ask the interviewer for a new line"
        raise Refused(403, "code", line)
    grant: Any = host.store.grant(hashed(token))
    if grant is None or not grant.valid(host.clock()):  # a repeat, after somebody else was let in
        raise Refused(403, "code", "this code was used, and its token was revoked; ask the interviewer")
    session = host.service.get_session(taken.session_id)
    me = host.sight.everything(session)
    return {"token": token, "gateway_token": gateway if taken.gateway else None, "me": me}


def _invitation(host: Host, code: str) -> Invitation | None:
    known = hashed(code)
    return next((i for i in host.store.invitations() if i.code_hash == known), None)


@operation("All that a candidate may see of their session", who="candidate")
async def me(request: Request) -> Response:
    """Answer all that the candidate may see of their session."""
    host, session = host_of(request), await require_candidate(request)
    return answer(await run_in_threadpool(host.sight.everything, session))


@operation("The session's state and figures", who="candidate")
async def status(request: Request) -> Response:
    """Answer the session's state and figures."""
    host, session = host_of(request), await require_candidate(request)
    return answer(await run_in_threadpool(host.sight.status, session))


@operation(
    "Say that the notice was shown",
    who="candidate",
    body=fields({"version": text(100)}),
    answers=fields({"shown": FLAG}),
    refusals=(409,),
)
async def notice(request: Request) -> Response:
    """Record that the notice was shown."""
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request, 10_000)
    current = notice_of(host.settings, session)
    if text_of(value, "version", longest=100) != current.version:
        raise Refused(409, "notice", f"first read what is recorded: {current.text}")
    await run_in_threadpool(record_shown, host.store, session.session_id, current, session.candidate)
    return answer({"shown": True})


@operation("Start the clock, if it does not run", who="candidate", body=fields({}), refusals=(409,))
async def begin(request: Request) -> Response:
    """Start the clock, if it does not run."""
    host, session = host_of(request), await require_candidate(request)
    await run_in_threadpool(require_ready, host, session)
    session = await run_in_threadpool(host.service.get_session, session.session_id)
    return answer(await run_in_threadpool(host.sight.status, session))


@operation("End the session", who="candidate", body=fields({}), refusals=(409,))
async def end(request: Request) -> Response:
    """End the session, at the candidate's wish."""
    host, session = host_of(request), await require_candidate(request)
    if session.status is Status.CREATED:
        raise SessionInactive(
            "the session has not begun; %interview leave leaves it as it is", session.status
        )
    await run_in_threadpool(host.end_session, session.session_id, session.candidate)
    session = await run_in_threadpool(host.service.get_session, session.session_id)
    return answer(await run_in_threadpool(host.sight.status, session))


@operation(
    "What the next turn would take",
    who="candidate",
    body=fields({"text": text(200_000)}, {"max_tokens": whole(1, 1_000_000)}),
    refusals=(409,),
)
async def estimate(request: Request) -> Response:
    """Answer what the next turn would take."""
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request)
    text = text_of(value, "text", longest=200_000)
    most = value.get("max_tokens")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise Refused(400, "bad_field", "max_tokens: give a whole number above 0, or leave it out")
    return answer(await run_in_threadpool(host.estimate, session.session_id, text, most))


@operation(
    "The session's state whenever it changes, and each line from the interviewer",
    who="candidate",
    headers={"Last-Event-ID": text(20)},
    answers=TEXT,
    media="text/event-stream",
)
async def events(request: Request) -> Response:
    """Stream the session's state whenever it changes, and each line that the interviewer says."""
    host, session = host_of(request), await require_candidate(request)
    if host.watch.listeners(session.session_id) >= MOST_STREAMS:
        raise Refused(429, "streams", f"{MOST_STREAMS} streams of this session are open; close one", 5.0)
    stream = _events(host, session, last_event_id(request), request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _events(host: Host, session: Session, lines_seen: int, request: Request) -> AsyncIterator[bytes]:
    session_id = session.session_id
    with host.watch.listening(session_id) as listener:
        last = ""
        while not listener.closed:
            session = await still_candidate(request)  # a revoked token ends the stream, too
            state = await run_in_threadpool(host.sight.status, session)
            shown = json.dumps(
                {**state, "now": 0, "session": {**state["session"], "active_s": 0, "time_left_s": 0}}
            )
            if shown != last:
                yield f"event: status\ndata: {json.dumps(state)}\n\n".encode()
                last = shown
            for line in await run_in_threadpool(host.sight.lines, session_id):
                if line["n"] > lines_seen:
                    lines_seen = line["n"]
                    yield f"id: {lines_seen}\nevent: line\ndata: {json.dumps(line)}\n\n".encode()
            changes = await listener.wait(PULSE_S)
            while changes and all(change.kind == "reply" for change in changes):
                changes = await listener.wait(PULSE_S)
            if not changes:
                yield b": alive\n\n"
            await asyncio.sleep(0.05)  # several changes in a row are one
