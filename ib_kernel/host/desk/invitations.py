"""Inviting from the page: the form's choices, a new interview, a new line for one, and taking a line back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ib_kernel.budget.access import acting_as
from ib_kernel.errors import BuddyError, ConfigError
from ib_kernel.host import invite
from ib_kernel.host.answers import Refused, answer, is_blind, read_json, text_of
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.desk.detail import invitation_state, name_hider, nameless
from ib_kernel.host.desk.rows import ROW, session_row
from ib_kernel.host.desk.times import factor_for, relative
from ib_kernel.host.host import Host
from ib_kernel.host.openapi import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    array,
    choice,
    fields,
    maybe,
    operation,
    text,
    whole,
)
from ib_kernel.interview.challenges import list_challenges
from ib_kernel.interview.clients import default_model
from ib_kernel.interview.personas import load_persona, persona_names
from ib_kernel.interview.presets import read_preset
from ib_kernel.models.limits import list_models
from ib_kernel.text import one_line
from ib_kernel.values import Person, Session

LONGEST = 500
"""Characters of any field of the form."""

INVITATION = fields(
    {
        "id": TEXT,
        "session_id": TEXT,
        "candidate": TEXT,
        "role": TEXT,
        "challenge": TEXT,
        "state": choice("open", "joined", "withdrawn", "expired"),
        "created_by": TEXT,
        "created_at": NUMBER,
        "expires_at": NUMBER,
        "used_at": maybe(NUMBER),
        "gateway": FLAG,
    }
)
CHOICES = fields(
    {
        "challenges": array(
            fields({"name": TEXT, "title": TEXT, "level": TEXT, "roles": array(TEXT), "task": TEXT})
        ),
        "models": array(TEXT),
        "charges": array(TEXT),
        "may_adapt": FLAG,
        "personas": array(TEXT),
        "presets": array(fields({"name": TEXT, "fields": {"type": "object", "additionalProperties": TEXT}})),
        "defaults": fields(
            {
                "model": TEXT,
                "persona": TEXT,
                "token_budget": COUNT,
                "minutes": maybe(NUMBER),
                "client": TEXT,
                "charge": TEXT,
                "hours": NUMBER,
            }
        ),
        "gateway": FLAG,
        "gateway_why": TEXT,
        "keep_days": maybe(NUMBER),
    }
)
_INVITATIONS = fields({"invitations": array(INVITATION)})
_MADE = fields({"line": TEXT, "session": ROW, "expires_at": NUMBER, "as_of": NUMBER})
_TEXTS = (
    *("role", "candidate", "candidate_id", "level", "challenge", "model", "client", "persona", "charge"),
    *("accommodation", "preset"),
)
_FILLED = (
    *("role", "level", "challenge", "persona", "model", "charge", "token_budget", "budget_usd", "minutes"),
    "keep_days",
)
"""Fields of the form that a preset may fill in."""

_FORM = fields(
    {},
    {
        **{name: text(LONGEST) for name in _TEXTS},
        "token_budget": whole(1, 10**9),
        "budget_usd": NUMBER,
        "keep_days": whole(1, 100_000),
        "minutes": NUMBER,
        "hours": NUMBER,
        "gateway": FLAG,
        "session_id": text(200),
    },
)


@operation("What a new interview can be made of", who="interviewer", answers=CHOICES)
async def choices(request: Request) -> Response:
    """Answer challenges, models, personas and defaults."""
    person = await require_interviewer(request)
    found = await run_in_threadpool(_choices, host_of(request))
    return answer({**found, "may_adapt": person.role == "coordinator"})


def _choices(host: Host) -> dict[str, Any]:
    settings, plugins = host.settings, host.service.plugins
    why = ""
    try:
        invite.require_gateway_client(host, settings.client_name)
    except BuddyError as error:
        why = str(error)
    persona = load_persona(settings.persona, plugins).name
    model = default_model(host.engine.client(settings.client_name), settings)
    known = sorted({model, *(m.name for m in list_models())})
    limit = settings.time_limit_s
    return {
        "challenges": [
            {
                "name": c.name,
                "title": one_line(c.title),
                "level": one_line(c.level),
                "roles": [one_line(role) for role in c.roles],
                "task": c.text[:2_000],
            }
            for c in list_challenges(plugins, settings.challenges)
        ],
        "models": known,
        "charges": ["billed", "new"],
        "personas": list(dict.fromkeys([persona, *persona_names(plugins)])),
        "presets": _presets(host),
        "defaults": {
            "model": model,
            "persona": persona,
            "token_budget": settings.token_budget,
            "minutes": None if limit is None else limit / 60,
            "client": settings.client_name,
            "charge": settings.charge,
            "hours": invite.VALID_S / 3600,
        },
        "gateway": not why,
        "gateway_why": why,
        "keep_days": settings.keep_days,
    }


def _presets(host: Host) -> list[dict[str, Any]]:
    """Return the presets that can be used, with what each fills into the form.

    What is a file of the host's is left empty there: the preset itself brings it.
    """
    settings, plugins, found = host.settings, host.service.plugins, []
    offered = {"persona": persona_names(plugins)}
    offered["challenge"] = [c.name for c in list_challenges(plugins, settings.challenges)]
    for name in sorted(settings.presets):
        try:
            given = read_preset(settings, name)
        except ConfigError:  # `ib invite --preset` says what is wrong with it
            continue
        if "time_limit_s" in given:
            given["minutes"] = f"{given['time_limit_s'] / 60:g}"
        for key, known in offered.items():
            if key in given and given[key] not in known:
                given[key] = ""
        filled = {key: one_line(str(given[key])) for key in _FILLED if key in given}
        found.append({"name": one_line(name), "fields": filled})
    return found


def _without_name(host: Host, session: Session, person: Person) -> Session:
    hidden = name_hider(host, session, person) is not None
    return replace(session, candidate=nameless(session)) if hidden else session


@operation(
    "Invite a candidate into a new interview, or with session_id into one that is there",
    who="interviewer",
    body=_FORM,
    answers=_MADE,
    refusals=(404, 409),
)
async def create(request: Request) -> Response:
    """Make an invitation."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 50_000)
    _require_known(value)
    if value.get("accommodation"):
        await require_interviewer(request, "coordinator")
    options: dict[str, Any] = {
        name: text_of(value, name, longest=LONGEST).strip() for name in _TEXTS if value.get(name) is not None
    }
    numbers = ("token_budget", "budget_usd", "minutes", "keep_days")
    options |= {name: value[name] for name in numbers if value.get(name) is not None}
    gateway, hours = value.get("gateway"), value.get("hours")
    if gateway is not None and not isinstance(gateway, bool):
        raise Refused(400, "bad_field", "gateway is true or false")
    session_id = text_of(value, "session_id", longest=200, default="")

    def work() -> dict[str, Any]:
        with acting_as(person.name):
            if session_id:
                made = invite.readmit(host, person.name, session_id, gateway=gateway, hours=hours)
            else:
                if options.get("challenge"):
                    invite.require_offered(host, options["challenge"])
                if options.get("persona"):
                    options["persona"] = invite.require_persona(host, options["persona"])
                made = invite.invite(host, person.name, gateway=bool(gateway), hours=hours, **options)
        session = host.service.get_session(made.session.session_id)
        session = relative(session, factor_for(person, session))
        return {
            "line": made.line,
            "session": session_row(host.service, session, host.store.reservations(session.session_id)),
            "expires_at": made.invitation.expires_at,
            "as_of": host.clock(),
        }

    return answer(await run_in_threadpool(work))


def _require_known(value: Mapping[str, Any]) -> None:
    """Refuse a form that says something nobody would read."""
    unknown = sorted(set(value) - set(_FORM["properties"]))
    if unknown:
        known = ", ".join(sorted(_FORM["properties"]))
        raise Refused(
            400, "bad_field", f"an invitation has no {one_line(unknown[0])[:80]!r}; it has: {known}"
        )


@operation("List invitations, newest first", who="interviewer", query={"blind": FLAG}, answers=_INVITATIONS)
async def list_invitations(request: Request) -> Response:
    """Answer all invitations, without their codes: nobody has those any more."""
    person = await require_interviewer(request)
    found = await run_in_threadpool(_list, host_of(request), person, is_blind(request))
    return answer({"invitations": found})


def _list(host: Host, person: Person, blind: bool) -> list[dict[str, Any]]:
    sessions = {s.session_id: s for s in host.store.sessions()}
    if blind:
        sessions = {key: _without_name(host, session, person) for key, session in sessions.items()}
    now, found = host.clock(), []
    for invitation in host.store.invitations():
        session = sessions.get(invitation.session_id)
        found.append(
            {
                "id": invitation.invitation_id,
                "session_id": invitation.session_id,
                "candidate": one_line(session.candidate) if session else "",
                "role": one_line(session.role) if session else "",
                "challenge": one_line(session.challenge) if session else "",
                "state": invitation_state(invitation, now),
                "created_by": one_line(invitation.created_by),
                "created_at": invitation.created_at,
                "expires_at": invitation.expires_at,
                "used_at": invitation.used_at,
                "gateway": invitation.gateway,
            }
        )
    return found


@operation(
    "Take an unused invitation back",
    who="interviewer",
    body=fields({}),
    query={"blind": FLAG},
    answers=_INVITATIONS,
    refusals=(409,),
)
async def revoke(request: Request) -> Response:
    """Make an invitation worthless."""
    person = await require_interviewer(request)
    host, invitation_id = host_of(request), request.path_params["invitation_id"]

    def work() -> list[dict[str, Any]]:
        if not host.store.revoke_invitation(invitation_id, person.name):
            raise Refused(409, "not_open", "this line was used, withdrawn or is unknown; nothing was changed")
        return _list(host, person, is_blind(request))

    return answer({"invitations": await run_in_threadpool(work)})
