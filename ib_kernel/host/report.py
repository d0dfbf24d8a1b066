"""`/v1/report` and `/v1/objections`: what a candidate was given to read, and what they say to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.assessment.report.release import MOST_CHARS, object_to, objections_of, released
from ib_kernel.assessment.report.values import Signed
from ib_kernel.host.answers import Refused, answer, read_json, text_of
from ib_kernel.host.auth import host_of, require_candidate
from ib_kernel.host.openapi import COUNT, fields, operation, text
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of a candidate's report."""
    return [
        Route("/v1/report", report),
        Route("/v1/objections", objection, methods=["POST"]),
    ]


@operation("The report that was released to this candidate", who="candidate", refusals=(404,))
async def report(request: Request) -> Response:
    """Answer what was released, with the candidate's own objections as they are now."""
    host, session = host_of(request), await require_candidate(request)
    return answer(await run_in_threadpool(_released, host, session))


def _released(host: Host, session: Session) -> dict[str, Any]:
    events = host.store.events(session.session_id)
    found = released(events)
    if found is None:
        raise Refused(404, "not_released", "no report was released to you yet; ask your interviewer for it")
    own = [Signed(one.at, "you", one.text) for one in objections_of(events)]
    value: dict[str, Any] = to_value(found)
    return {**value, "objections": to_value(own)}


@operation(
    "Object to the report: kept with the record, and in the report from then on",
    who="candidate",
    body=fields({"text": text(MOST_CHARS, least=1)}),
    answers=fields({"objections": COUNT}),
    refusals=(400,),
)
async def objection(request: Request) -> Response:
    """Keep an objection; the answer says how many there are."""
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request, 10 * MOST_CHARS)
    words = text_of(value, "text", longest=MOST_CHARS)

    def work() -> int:
        with host.written.one_by_one(session):
            return object_to(host.service, session.session_id, words, session.candidate)

    return answer({"objections": await run_in_threadpool(work)})
