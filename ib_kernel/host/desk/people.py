"""Who is on the interviewers' side, and what lets them in; adding somebody is for coordinators."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ib_kernel.budget.access import acting_as
from ib_kernel.host import people
from ib_kernel.host.answers import Refused, answer, read_json, text_of
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.host import Host
from ib_kernel.host.openapi import FLAG, NUMBER, TEXT, array, choice, fields, maybe, operation, text, whole
from ib_kernel.text import one_line

ROLE = choice("interviewer", "coordinator")
LONGEST_NAME = 200
DAY_S = 24 * 3600.0

PERSON = fields({"name": TEXT, "role": ROLE, "since": NUMBER, "signed_in_until": maybe(NUMBER), "you": FLAG})

_PEOPLE = fields({"people": array(PERSON)})


@operation("Everybody on the interviewers' side", who="interviewer", answers=_PEOPLE)
async def list_people(request: Request) -> Response:
    """Answer who may come in, and until when they are signed in."""
    person = await require_interviewer(request)
    return answer({"people": await run_in_threadpool(_people, host_of(request), person.name)})


def _people(host: Host, you: str) -> list[dict[str, Any]]:
    now = host.clock()
    until: dict[str, float] = {}
    for grant in host.store.grants(kind="interviewer"):
        if grant.valid(now):
            until[grant.subject] = max(until.get(grant.subject, 0.0), grant.expires_at)
    return [
        {
            "name": one_line(p.name),
            "role": p.role,
            "since": p.created_at,
            "signed_in_until": until.get(p.name),
            "you": p.name == you,
        }
        for p in people.present(host)
    ]


@operation(
    "Add somebody; the answer's link lets them in, once. For coordinators",
    who="interviewer",
    body=fields({"name": text(LONGEST_NAME, least=1), "role": ROLE}),
    answers=fields({"link": TEXT, "people": array(PERSON)}),
    refusals=(403,),
)
async def add(request: Request) -> Response:
    """Add a person and answer their link."""
    person = await require_interviewer(request, "coordinator")
    value, host = await read_json(request, 10_000), host_of(request)
    name, role = text_of(value, "name", longest=LONGEST_NAME), value.get("role", "interviewer")
    if role not in ("interviewer", "coordinator"):
        raise Refused(400, "bad_field", "role is interviewer or coordinator")

    def work() -> dict[str, Any]:
        with acting_as(person.name):
            added = people.add_person(host, name, role)
            link = people.new_link(host, added, host.options.address)
        return {"link": link, "people": _people(host, person.name)}

    return answer(await run_in_threadpool(work))


@operation(
    "Make a new link for somebody who is there already. For coordinators, and for oneself",
    who="interviewer",
    body=fields({"name": text(LONGEST_NAME, least=1)}),
    answers=fields({"link": TEXT}),
    refusals=(403,),
)
async def link(request: Request) -> Response:
    """Answer a new link."""
    person = await require_interviewer(request)
    value, host = await read_json(request, 10_000), host_of(request)
    name = text_of(value, "name", longest=LONGEST_NAME)
    if name != person.name and person.role != "coordinator":
        raise Refused(403, "role", "only a coordinator makes links for others")

    def work() -> str:
        return people.new_link(host, people.find_person(host, name), host.options.address)

    return answer({"link": await run_in_threadpool(work)})


@operation(
    "Keep somebody out from now on and sign them out. For coordinators",
    who="interviewer",
    body=fields({"name": text(LONGEST_NAME, least=1)}),
    answers=_PEOPLE,
    refusals=(403, 404, 409),
)
async def remove(request: Request) -> Response:
    """Remove a person."""
    person = await require_interviewer(request, "coordinator")
    value, host = await read_json(request, 10_000), host_of(request)
    name = text_of(value, "name", longest=LONGEST_NAME)
    if name == person.name:
        raise Refused(409, "yourself", "nobody removes themselves; another coordinator can")

    def work() -> list[dict[str, Any]]:
        if not host.store.remove_person(name, person.name):
            raise Refused(404, "unknown_person", "nobody of that name is on the interviewers' side")
        return _people(host, person.name)

    return answer({"people": await run_in_threadpool(work)})


@operation(
    "Make a token for the caller's own notebooks and scripts; it is shown once",
    who="interviewer",
    body=fields({}, {"days": whole(1, 90)}),
    answers=fields({"token": TEXT, "expires_at": NUMBER}),
    refusals=(409,),
)
async def token(request: Request) -> Response:
    """Answer a token of the caller's own."""
    person = await require_interviewer(request)
    value, host = await read_json(request, 10_000), host_of(request)
    days = value.get("days", 7)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 90:
        raise Refused(400, "bad_field", "days is a whole number from 1 to 90")
    if not any(p.name == person.name for p in await run_in_threadpool(people.present, host)):
        raise Refused(409, "hub", "a token of the hub's own signs you in; make another at the hub")
    made = await run_in_threadpool(people.grant_token, host, "interviewer", person.name, days * DAY_S)
    return answer({"token": made, "expires_at": host.clock() + days * DAY_S})
