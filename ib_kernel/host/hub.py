"""`ib host --hub`: the host as a service of JupyterHub, and people by the hub's tokens.

A candidate's server sends its own hub token; the hub says whose it is, and that user gets into the session
that was invited for them: its ``candidate_id`` is the user's name at the hub. What they are given works only
beside a hub token of that same user (``ib_c_….HUBTOKEN``), so that a token that the hub revokes is out here
`REVOKED_S` later, and a kept token alone opens nothing. Interviewers are users whose token has the scope
``custom:ib:interviewer``.

Below the hub's own address (``/services/NAME/``) only ``/v1`` and ``/openai`` are served, to bearers of
tokens: there every user's server has the same origin as the page would have, so the page and its cookie stay
at the host's own address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.errors import ConfigError
from ib_kernel.host.answers import Refused, answer
from ib_kernel.host.openapi import TEXT, fields, maybe, operation
from ib_kernel.host.tokens import derived_token, hashed
from ib_kernel.values.host import Grant, Invitation, Person

if TYPE_CHECKING:
    from starlette.types import Scope

    from ib_kernel.host.host import Host

SCOPE = "custom:ib:interviewer"
"""The hub's scope for whoever may open and steer sessions."""

CACHE_S = 10
"""Seconds for which the hub's answer about a token is believed."""

REVOKED_S = 15
"""Seconds after which a revoked hub token opens nothing: `CACHE_S`, and what the gateway remembers."""

TOKEN_S = 14 * 86_400.0
"""Seconds for which a candidate gets back into a session without a new invitation."""

_HUB_TOKEN = re.compile(r"[\x21-\x7e]{16,200}")
_PREFIX = re.compile(r"/(?:[\w.~-]+/)+")
_SERVED = ("/v1/", "/openai/")


@dataclass(frozen=True, slots=True)
class HubUser:
    """Somebody whom the hub knows, and whether the token that they showed is an interviewer's."""

    name: str
    is_interviewer: bool


class Hub:
    """The hub that has started this host.

    Args:
        prefix: The service's path at the hub, such as ``/services/interview/``.
        auth: `jupyterhub.services.auth.HubAuth`.
    """

    def __init__(self, prefix: str, auth: Any) -> None:
        self.prefix, self._auth = prefix, auth

    @classmethod
    def from_environment(cls) -> Hub:
        """Return the hub that the environment of a managed service names.

        Raises:
            ConfigError: No hub has started this process, or jupyterhub is not installed.
        """
        prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
        known = os.environ.get("JUPYTERHUB_API_TOKEN") and os.environ.get("JUPYTERHUB_API_URL")
        if not known or not _PREFIX.fullmatch(prefix) or ".." in prefix:
            raise ConfigError(
                "--hub is for a host that JupyterHub starts as a service, with a url; "
                "deploy/jupyterhub has the configuration"
            )
        try:
            from jupyterhub.services.auth import HubAuth
        except ImportError:
            raise ConfigError(
                "ib host --hub needs jupyterhub, which is not installed; "
                "pip install 'interview-buddy-kernel[host,hub]'"
            ) from None
        return cls(prefix, HubAuth(cache_max_age=CACHE_S))

    async def user(self, token: str) -> HubUser:
        """Return whose hub token this is.

        Raises:
            Refused: 401 for a token that is nobody's, or not any more; 503 where the hub does not answer.
        """
        model = await self._model(token) if _HUB_TOKEN.fullmatch(token) else None
        if not isinstance(model, dict) or model.get("kind") != "user" or not model.get("name"):
            raise Refused(
                401,
                "unauthorized",
                "the hub does not know this token, or not any more; start the server anew",
            )
        return HubUser(str(model["name"]), SCOPE in (model.get("scopes") or ()))

    async def interviewer(self, token: str) -> Person:
        """Return the interviewer whose hub token this is; what they do is recorded as ``NAME@hub``.

        Raises:
            Refused: As `user`, and 403 for a user or a token without the scope.
        """
        user = await self.user(token)
        if not user.is_interviewer:
            raise Refused(
                403, "scope", f"that is for interviewers: this token of {user.name} has no scope {SCOPE}"
            )
        return Person(f"{user.name}@hub", "interviewer")

    async def _model(self, token: str) -> Any:
        try:
            return await self._auth.user_for_token(token, sync=False)
        except Exception as error:
            if not hasattr(error, "status_code"):  # tornado's, raised for whatever the hub has not answered
                raise
            line = "the hub does not say whose token this is; try again in a moment"
            raise Refused(503, "hub", line, 5.0) from None

    def inner(self, scope: Scope) -> Scope | None:
        """Return *scope* without the hub's prefix and without cookies, None for one that has no prefix.

        Raises:
            Refused: 404 for what is not served below the hub's address, 403 for another page's request.
        """
        path = str(scope["path"])
        if not path.startswith(self.prefix):
            return None
        headers = [(k, v) for k, v in scope["headers"] if k.lower() != b"cookie"]
        if any(k.lower() == b"origin" for k, _ in headers):
            raise Refused(403, "origin", "requests from pages are not answered at the hub's address")
        path = path[len(self.prefix) - 1 :]
        if not path.startswith(_SERVED):
            raise Refused(404, "not_found", "the page is at the host's own address, not at the hub's")
        return {**scope, "path": path, "raw_path": path.encode(), "headers": headers}


def service_listen() -> str:
    """Return where the hub's proxy expects the service, as ``HOST:PORT``; "" where it does not say."""
    parts = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
    return f"{parts.hostname}:{parts.port}" if parts.hostname and parts.port else ""


def split(token: str) -> tuple[str, str]:
    """Return the host's own part of a token and the hub's ("" for one that needs no hub)."""
    own, _, theirs = token.partition(".")
    return own, theirs


def bound_hash(token: str, user: str) -> str:
    """Return what is stored of a token that works only for the hub's *user*."""
    return hashed(f"{token}\0hub\0{user}")


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of a host that a hub has started."""
    return [Route("/v1/hub/join", join, methods=["POST"])] if host.hub is not None else []


@operation(
    "Join the session that was invited for the hub's user, as often as wanted",
    who="hub",
    body=fields({}),
    answers=fields({"token": TEXT, "gateway_token": maybe(TEXT), "me": {"type": "object"}}),
    refusals=(403, 429, 503),
)
async def join(request: Request) -> Response:
    """Answer the token of the session that was invited for this user of the hub."""
    host: Host = request.app.state.host
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if host.hub is None or kind.lower() != "bearer":
        raise Refused(401, "unauthorized", "show the hub's token as a bearer")
    user = await host.hub.user(token.strip())
    host.join_limits.require(f"hub user {user.name}")
    return answer(await run_in_threadpool(_join, host, user.name))


def _join(host: Host, user: str) -> dict[str, Any]:
    for invitation in _invitations(host, user):
        tokens = _tokens(host, invitation, user)
        if _is_in(host, invitation, user, tokens):
            session = host.service.get_session(invitation.session_id)
            return {
                "token": tokens["candidate"],
                "gateway_token": tokens["gateway"] if invitation.gateway else None,
                "me": host.sight.everything(session),
            }
    raise Refused(
        403,
        "not_invited",
        f"nobody has invited the hub's user {user} yet, or not any more; "
        f"ask the interviewer to invite with --candidate-id {user}",
    )


def _invitations(host: Host, user: str) -> list[Invitation]:
    """Return the newest invitation of each session that is for *user*, the newest first."""
    mine = [s.session_id for s in host.store.sessions() if s.external_id == user]
    newest = [found[0] for found in map(host.store.invitations, mine) if found]
    return sorted(newest, key=lambda i: i.created_at, reverse=True)


def _tokens(host: Host, invitation: Invitation, user: str) -> Mapping[str, str]:
    """Return the tokens that this user always gets for this invitation."""
    made = invitation.invitation_id, f"hub\0{user}"
    return {
        "candidate": derived_token("candidate", host.secret, *made),
        "gateway": derived_token("gateway", host.secret, *made),
    }


def _is_in(host: Host, invitation: Invitation, user: str, tokens: Mapping[str, str]) -> bool:
    """Use the invitation if nobody has, and return True if *user* is in by it."""
    now, nonce = host.clock(), hashed(f"hub\0{user}")
    until, session_id, who = now + TOKEN_S, invitation.session_id, invitation.created_by
    hashes = {kind: bound_hash(token, user) for kind, token in tokens.items()}
    if invitation.used_at is None:
        grants = [
            Grant(hashes["candidate"], "candidate", session_id, now, until, None, who),
            Grant(hashes["gateway"], "gateway", session_id, now, until, None, who),
        ]
        host.store.take_invitation(invitation.code_hash, nonce, grants)
    grant = host.store.grant(hashes["candidate"])
    return grant is not None and grant.valid(now)
