"""The addresses of interviewers: ``/v1/desk/…`` and the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.host import openapi
from ib_kernel.host.answers import answer
from ib_kernel.host.auth import host_of
from ib_kernel.host.desk import assessment, doctor, export, invitations, people, report, sessions, sql

if TYPE_CHECKING:
    from ib_kernel.host.host import Host


@openapi.operation("This document", who="anybody")
async def document(request: Request) -> Response:
    """Answer the OpenAPI document of all of ``/v1``."""
    return answer(openapi.document(request.app.routes, host_of(request).options.address))


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of interviewers."""
    desk, one = "/v1/desk", "/v1/desk/sessions/{session_id}"
    return [
        Route("/v1/openapi.json", document),
        Route(f"{desk}/people", people.list_people),
        Route(f"{desk}/people/add", people.add, methods=["POST"]),
        Route(f"{desk}/people/link", people.link, methods=["POST"]),
        Route(f"{desk}/people/remove", people.remove, methods=["POST"]),
        Route(f"{desk}/tokens", people.token, methods=["POST"]),
        Route(f"{desk}/events", sessions.events),
        Route(f"{desk}/sessions", sessions.list_sessions),
        Route(one, sessions.one_session),
        Route(f"{one}/writing", sessions.session_writing),
        Route(f"{one}/replay", sessions.session_replay),
        *(Route(f"{one}/{name}", act, methods=["POST"]) for name, act in sessions.ACTIONS.items()),
        Route(f"{one}/scorecard", assessment.scorecard),
        Route(f"{one}/score", assessment.score, methods=["POST"]),
        Route(f"{one}/rubric", assessment.rubric, methods=["POST"]),
        Route(f"{one}/unfold", assessment.unfold, methods=["POST"]),
        Route(f"{one}/report", report.report),
        Route(f"{one}/report/state", report.state),
        Route(f"{one}/release", report.release_report, methods=["POST"]),
        Route(f"{one}/feedback", report.feedback, methods=["POST"]),
        Route(f"{one}/judge", report.estimate_judge, methods=["GET"]),
        Route(f"{one}/judge", report.judge, methods=["POST"]),
        Route(f"{desk}/compare", assessment.comparison),
        Route(f"{desk}/choices", invitations.choices),
        Route(f"{desk}/invitations", invitations.list_invitations, methods=["GET"]),
        Route(f"{desk}/invitations", invitations.create, methods=["POST"]),
        Route(f"{desk}/invitations/{{invitation_id}}/revoke", invitations.revoke, methods=["POST"]),
        Route(f"{desk}/doctor", doctor.doctor),
        Route(f"{desk}/sql", sql.sql, methods=["POST"]),
        Route(f"{desk}/export", export.export),
    ]
