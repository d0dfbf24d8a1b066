"""Reports over HTTP: each person's view of an interview, the candidate's edition and its release, a judge."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ib_kernel.assessment.report.build import build, without_names
from ib_kernel.assessment.report.candidate import FEEDBACK, build_for_candidate
from ib_kernel.assessment.report.release import RELEASED, objections_of, release, released
from ib_kernel.assessment.report.write import WRITERS
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.budget.access import acting_as
from ib_kernel.host.answers import Refused, answer, is_blind, read_json, text_of
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.desk.reading import readable_session
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, choice, fields, maybe, operation, text
from ib_kernel.secrets import scrub_keys
from ib_kernel.values import LedgerEvent
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.assessment.report.values import Report
    from ib_kernel.host.desk.reading import readable_session
from ib_kernel.host.host import Host

MEDIA = {"html": "text/html", "md": "text/markdown", "json": "application/json"}
"""How a report can be had."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'; base-uri 'none'"
"""The policy of a report that a browser shows: it runs and fetches nothing, and is no part of our page."""

_PROGRESS = fields({"running": FLAG, "done": COUNT, "total": COUNT, "problem": TEXT, "is_demo": FLAG})
_ESTIMATE = fields(
    {
        "calls": COUNT,
        "total": COUNT,
        "tokens": COUNT,
        "most": COUNT,
        "cost_nano_usd": maybe(COUNT),
        "judge": TEXT,
        "model": TEXT,
        "session_id": TEXT,
        "is_demo": FLAG,
    },
    {"is_done": FLAG},
)
_STATE = fields(
    {
        "criteria": COUNT,
        "unrated": COUNT,
        "released_at": maybe(NUMBER),
        "released_by": TEXT,
        "changed": FLAG,
        "edition": TEXT,
        "objections": COUNT,
        "judged": FLAG,
        "judging": maybe(_PROGRESS),
    }
)


@operation(
    "A report: everything this person may see, or the candidate's edition",
    who="interviewer",
    query={
        "for": choice("interviewer", "candidate"),
        "as": choice(*MEDIA),
        "blind": FLAG,
        "model": FLAG,
        "save": FLAG,
    },
    answers={"type": "string", "contentMediaType": "text/html"},
    media="text/html",
    refusals=(400, 404),
)
async def report(request: Request) -> Response:
    """Answer a report as a file: to look at, or (save) to keep."""
    person = await require_interviewer(request)
    host, query = host_of(request), request.query_params
    kind, whom = query.get("as", "html"), query.get("for", "interviewer")
    if kind not in MEDIA or whom not in ("interviewer", "candidate"):
        raise Refused(400, "bad_field", "as is html, md or json; for is interviewer or candidate")
    model = query.get("model", "true") not in ("false", "0", "no")

    def work() -> str:
        found = _built(host, request.path_params["session_id"], whom, person.name, is_blind(request), model)
        return scrub_keys(WRITERS[f".{kind}"](found))

    body = await run_in_threadpool(work)
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    if query.get("save", "") in ("true", "1"):
        name = "report" if whom == "interviewer" else "your-interview"
        headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return Response(body.encode("utf-8", "replace"), media_type=MEDIA[kind], headers=headers)


@operation(
    "Where a report stands: what is rated, released, judged and objected",
    who="interviewer",
    answers=_STATE,
    refusals=(404,),
)
async def state(request: Request) -> Response:
    """Answer where the report of a session stands for this person."""
    person = await require_interviewer(request)
    host, session_id = host_of(request), request.path_params["session_id"]
    return answer(await run_in_threadpool(_state, host, session_id, person.name))


@operation(
    "Let the candidate read their edition, as it is now",
    who="interviewer",
    body=fields({"edition": TEXT}),
    answers=_STATE,
    refusals=(400, 404, 409),
)
async def release_report(request: Request) -> Response:
    """Release the candidate's edition that this person has read."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 10_000)
    session_id, read = request.path_params["session_id"], text_of(value, "edition", longest=200)

    def work() -> dict[str, Any]:
        found = _built(host, session_id, "candidate", person.name, False, True)
        if edition_of(found) != read:
            raise Refused(409, "changed", "the candidate's report has changed meanwhile; read it again first")
        release(host.service, found, person.name)
        return _state(host, session_id, person.name)

    return answer(await run_in_threadpool(work))


@operation(
    "Say what the candidate's edition says about a criterion",
    who="interviewer",
    body=fields({"criterion": text(200, least=1)}, {"strength": text(600), "next": text(600)}),
    answers=_STATE,
    refusals=(400, 404),
)
async def feedback(request: Request) -> Response:
    """Keep an interviewer's own sentences for the candidate."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 20_000)
    session_id = request.path_params["session_id"]
    typed = text_of(value, "criterion", longest=200)
    told = {name: text_of(value, name, longest=600, default="").strip() for name in ("strength", "next")}

    def work() -> dict[str, Any]:
        session = host.service.get_session(session_id)
        criterion = Scorecards(host.engine, guarded=False).rubric(session).find(typed)
        detail = {"criterion": criterion.name, **{name: words for name, words in told.items() if words}}
        host.service.record(LedgerEvent(session_id, FEEDBACK, 0.0, person.name, detail))
        return _state(host, session_id, person.name)

    return answer(await run_in_threadpool(work))


@operation(
    "What asking a judge would take; nothing is asked",
    who="interviewer",
    query={"judge": text(100)},
    answers=_ESTIMATE,
    refusals=(400, 404),
)
async def estimate_judge(request: Request) -> Response:
    """Answer what a judge of this session takes."""
    await require_interviewer(request)
    host, session_id = host_of(request), request.path_params["session_id"]
    name = request.query_params.get("judge", "")[:100]
    return answer(await run_in_threadpool(host.judges.estimate, session_id, name))


@operation(
    "Ask a judge in the background; what was asked before goes on",
    who="interviewer",
    body=fields({}, {"judge": text(100), "again": FLAG}),
    answers=_ESTIMATE,
    refusals=(400, 404, 409),
)
async def judge(request: Request) -> Response:
    """Begin to ask a judge under this person's name."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 10_000)
    session_id, name = request.path_params["session_id"], text_of(value, "judge", longest=100, default="")
    again = value.get("again") is True

    def work() -> dict[str, Any]:
        with acting_as(person.name):
            return host.judges.begin(session_id, person.name, name, again=again)

    return answer(await run_in_threadpool(work))


def edition_of(report: Report) -> str:
    """Return what is equal for two reports that say the same, whenever they were made.

    Args:
        report: Either edition.
    """
    said = to_value(dataclasses.replace(report, made_at="", head="", objections=()))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _built(host: Host, session_id: str, whom: str, person: str, blind: bool, model: bool) -> Report:
    session = readable_session(host, session_id, person)
    if whom == "candidate":
        edition = build_for_candidate(host.engine, session, model=model, guarded=False)
        card = Scorecards(host.engine, guarded=False).card(session_id, person, blind=blind)
        return without_names(edition, session) if card.blind else edition
    return build(host.engine, session, rater=person, blind=blind, model=model, guarded=False)


def _state(host: Host, session_id: str, person: str) -> dict[str, Any]:
    judging = host.judges.progress(session_id)  # before the events: what is said to be over is in them
    session, events = host.service.get_session(session_id), host.store.events(session_id)
    card = Scorecards(host.engine, guarded=False).card(session_id, person)
    told, last = released(events), next((e for e in reversed(events) if e.kind == RELEASED), None)
    edition = edition_of(build_for_candidate(host.engine, session, guarded=False))
    return {
        "criteria": len(card.rated),
        "unrated": card.missing,
        "released_at": last.created_at if last else None,
        "released_by": last.who if last else "",
        "changed": told is not None and edition_of(told) != edition,
        "edition": edition,
        "objections": len(objections_of(events)),
        "judged": any(event.kind == "judgement" for event in events),
        "judging": judging,
    }
