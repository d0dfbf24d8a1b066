"""`POST /v1/turns`: ask, resume, stop. The same request id is the same turn, whatever happens to the line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ib_kernel.host.answers import Refused, answer, last_event_id, read_json, text_of
from ib_kernel.host.auth import host_of, require_candidate
from ib_kernel.host.openapi import FLAG, TEXT, fields, operation, text, whole
from ib_kernel.host.ready import require_ready
from ib_kernel.host.running import RunningTurn, Sent
from ib_kernel.host.watch import STOP_KIND
from ib_kernel.values import LedgerEvent
from ib_kernel.values.attachment import Attachment, read_attachments
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session
    from ib_kernel.values.host import StoredRequest

PULSE_S = 10.0
"""Seconds after which a silent stream shows that it lives."""

FIRST_S = 1.0
"""Seconds for which an answer waits for a refusal before its stream begins."""

LOOK_S = 0.25
"""Seconds between two looks at a reply that another process reads."""

ASK_AGAIN_S = 5.0
"""Seconds after which a stream looks whether its token still lets it; with the pulse, 15 s at most."""

MOST_TEXT = 200_000
"""Characters of a question at most."""

_REQUEST_ID = re.compile(r"[\w.:-]{8,100}")
_FIELDS = frozenset({"text", "max_tokens", "attachments"})


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of turns."""
    return [
        Route("/v1/turns", ask, methods=["POST"]),
        Route("/v1/turns/{turn}/stop", stop, methods=["POST"]),
    ]


@operation(
    "Ask, or go on with what was asked under the same Idempotency-Key: a stream of events",
    who="candidate",
    body=fields({"text": text(MOST_TEXT, least=1)}, {"max_tokens": whole(1, 1_000_000)}),
    headers={"Idempotency-Key": text(100, least=8), "Last-Event-ID": text(20)},
    answers=TEXT,
    media="text/event-stream",
    refusals=(402, 409),
)
async def ask(request: Request) -> Response:
    """Ask, or go on with what was asked under the same ``Idempotency-Key``; a stream of events."""
    host, session = host_of(request), await require_candidate(request)
    request_id = request.headers.get("idempotency-key", "")
    if not _REQUEST_ID.fullmatch(request_id):
        raise Refused(400, "request_id", "Idempotency-Key: give 8 to 100 letters, digits, hyphens, dots")
    at = last_event_id(request)
    value = await read_json(request)
    _require_known(value)
    asked = _read_asked(value, request_id)
    running = host.turns.find(session.session_id, request_id)
    if running is None:
        found = await run_in_threadpool(_stored_or_new, host, session, asked)
        if not isinstance(found, RunningTurn):
            _require_same(found.body_sha, asked.sha)
            return _stream(_allowed(request, _replayed(host, session, found, at)))
        running = host.turns.find(session.session_id, request_id)  # the same may have come twice at once
        if running is None:
            running = found
            host.turns.start(running)
    _require_same(running.body_sha, asked.sha)
    return await _answer(request, host, session, running, at)


@operation(
    "Stop a turn, by its number or its request's id",
    who="candidate",
    body=fields({}),
    answers=fields({"stopped": FLAG}),
)
async def stop(request: Request) -> Response:
    """Stop a turn by its number or request id; the answer says whether one was running."""
    host, session = host_of(request), await require_candidate(request)
    name = str(request.path_params["turn"])[:100]
    turn = host.turns.find(session.session_id, name)
    if turn is not None and turn.end is None:
        turn.stop()
        return answer({"stopped": True})
    return answer({"stopped": await run_in_threadpool(_stop_elsewhere, host, session, name)})


def _stop_elsewhere(host: Host, session: Session, name: str) -> bool:
    """Ask the other processes on this ledger to stop a turn; return whether one is known to run.

    One that waits for its place at another host is in no row yet, and is asked as well.
    """
    stored = host.store.request(session.session_id, name)
    running = stored is not None and stored.state == "running"
    if stored is None:
        held = host.store.reservations(session.session_id)
        running = any(str(r.turn) == name and not r.in_doubt for r in held)
    if running or stored is None:
        host.written.add(session, name)
        event = LedgerEvent(session.session_id, STOP_KIND, 0.0, "candidate", {"request_id": name})
        host.store.add_event(event)
    return running


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks; `sha` is the hash of it by which a repeated one is known."""

    request_id: str
    text: str
    max_tokens: int | None
    attachments: tuple[Attachment, ...]
    sha: str


def _read_asked(value: dict[str, Any], request_id: str) -> _Asked:
    text, most = text_of(value, "text", longest=MOST_TEXT), _max_tokens(value)
    attachments = read_attachments(value.get("attachments"))
    sha = _sha({"text": text, "max_tokens": most, "attachments": to_value(list(attachments))})
    return _Asked(request_id, text, most, attachments, sha)


def _stored_or_new(host: Host, session: Session, asked: _Asked) -> StoredRequest | RunningTurn:
    """Return what the ledger has of a request, or a new turn: one trip to a thread (blocking)."""
    stored: StoredRequest | None = host.store.request(session.session_id, asked.request_id)
    if stored is not None:
        return stored
    require_ready(host, session)
    reply = host.interview(session.session_id).ask(
        asked.text,
        max_tokens=asked.max_tokens,
        attachments=asked.attachments,
        request_id=asked.request_id,
        request_sha=asked.sha,
    )
    private = host.sight.private_text(session)
    return RunningTurn(session.session_id, asked.request_id, asked.sha, reply, asked.text, private)


async def _answer(request: Request, host: Host, session: Session, turn: RunningTurn, at: int) -> Response:
    if turn.end is None and not turn.text:
        await turn.news(FIRST_S)
    if turn.end is not None and turn.repeated is not None and turn.repeated.request is not None:
        _require_same(turn.repeated.request.body_sha, turn.body_sha)
        return _stream(_allowed(request, _replayed(host, session, turn.repeated.request, at)))
    if turn.end is not None and turn.end.kind == "error" and not turn.text and turn.reply.reservation is None:
        return answer(turn.end.data, 409, {"IB-Refused": "1"})
    return _stream(_allowed(request, _as_events(turn.follow(at, PULSE_S))))


async def _replayed(host: Host, session: Session, stored: StoredRequest, at: int) -> AsyncIterator[bytes]:
    """Yield what the ledger knows of a request that no turn of this process is."""
    found: StoredRequest | None = stored
    silent = 0.0
    while found is not None and found.state == "running":
        if at < len(found.text):
            yield _event(Sent("piece", {"text": found.text[at:]}, len(found.text)))
            at, silent = len(found.text), 0.0
        elif silent >= PULSE_S:
            yield _event(Sent("wait", {}, at))
            silent = 0.0
        if host.closing.is_set():
            return
        await asyncio.sleep(LOOK_S)
        silent += LOOK_S
        found = await run_in_threadpool(host.store.request, session.session_id, stored.request_id)
    if found is None:
        return
    found = await run_in_threadpool(host.repair.completed, session, found)
    if at < len(found.text):
        yield _event(Sent("piece", {"text": found.text[at:]}, len(found.text)))
    yield _event(Sent(str(found.result["kind"]), dict(found.result["data"]), len(found.text)))


async def _allowed(request: Request, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield *events* while the token may read them; the turn itself goes on to its end."""
    looked = time.monotonic()
    async for event in events:
        if time.monotonic() - looked > ASK_AGAIN_S:
            try:
                await require_candidate(request)
            except Refused:
                return
            looked = time.monotonic()
        yield event


async def _as_events(events: AsyncIterator[Sent]) -> AsyncIterator[bytes]:
    async for sent in events:
        yield _event(sent)


def _event(sent: Sent) -> bytes:
    if sent.kind == "wait":
        return f"id: {sent.at}\nevent: wait\ndata: {{}}\n\n".encode()
    return f"id: {sent.at}\nevent: {sent.kind}\ndata: {json.dumps(sent.data)}\n\n".encode()


def _stream(events: AsyncIterator[bytes]) -> Response:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _require_known(value: dict[str, Any]) -> None:
    unknown = set(value) - _FIELDS
    if unknown:
        what = ", ".join(sorted(unknown))[:100]
        raise Refused(
            403, "not_yours", f"{what}: that is the interviewer's to choose; send text and max_tokens"
        )


def _require_same(known: str, body_sha: str) -> None:
    if known != body_sha:
        raise Refused(
            409, "request_id", "another question was asked under this Idempotency-Key; use a new one"
        )


def _max_tokens(value: dict[str, Any]) -> int | None:
    found = value.get("max_tokens")
    if found is None or (isinstance(found, int) and not isinstance(found, bool) and 0 < found < 10**7):
        return found
    raise Refused(400, "bad_field", "max_tokens: give a whole number above 0, or leave it out")


def _sha(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
