"""Who asks: tokens and cookies, looked up in the ledger at every request, so that what is revoked is out.

``Authorization: Bearer`` carries a candidate's, a gateway's or an interviewer's token. A browser carries the
interviewer's in a cookie, and then every write needs ``X-IB-CSRF`` and an Origin that is the host's own.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Literal, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ib_kernel.host import hub, people
from ib_kernel.host.answers import Refused
from ib_kernel.host.tokens import PREFIX, Kind, csrf_token, hashed
from ib_kernel.values import Session

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values.host import Grant, Person

COOKIE = "__Host-ib"
CSRF_HEADER = "X-IB-CSRF"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_TOKEN = 200
"""Characters of a token of the host's own; a hub's may follow."""


def host_of(request: Request) -> Host:
    """Return the host that serves *request*."""
    return cast("Host", request.app.state.host)


async def require_candidate(request: Request) -> Session:
    """Return the session of the candidate's token, and count the request.

    Raises:
        Refused: 401 for no token, a wrong, expired or revoked one; 429 for too many requests.
    """
    session = await still_candidate(request)
    host_of(request).candidate_limits.require(session.session_id)
    return session


async def still_candidate(request: Request) -> Session:
    """Return the session of the candidate's token as it is now, for a stream that goes on."""
    return await _session(request, "candidate")


async def require_gateway(request: Request) -> Session:
    """Return the session of the gateway's token.

    Raises:
        Refused: 401 for no token, a wrong, expired or revoked one.
    """
    return await _session(request, "gateway")


def needs_hub(header: bytes) -> bool:
    """Return True if an ``Authorization`` header has a hub's token beside the host's own."""
    return b"." in header


def gateway_session(host: Host, header: bytes) -> Session:
    """Return the session of the gateway's token in an ``Authorization`` header; reads the ledger.

    Raises:
        Refused: 401 for no token, a wrong, expired or revoked one, and for one that needs a hub.
    """
    own = _token_of(header.decode("latin-1"))
    if needs_hub(header) or len(own) > LONGEST_TOKEN or not own.startswith(PREFIX["gateway"]):
        raise _unauthorized()
    return _session_of(host, "gateway", hashed(own))


async def require_interviewer(
    request: Request, role: Literal["interviewer", "coordinator"] | None = None
) -> Person:
    """Return the person whose token or cookie the request has.

    Args:
        request: The request.
        role: The role that is needed; None: either.

    Raises:
        Refused: 401 for no token, a wrong, expired or revoked one; 403 where the cookie comes without its
            header or from another origin, or for another role.
    """
    token, host = _bearer(request), host_of(request)
    if host.hub is not None and token and not token.startswith("ib_"):
        return await _with_role(host.hub.interviewer(token), role)
    if not token:
        token = request.cookies.get(COOKIE, "")
        if token and request.method not in SAFE:
            _require_own_page(request, token)
    stored = await _stored(request, "interviewer", token)
    return await _with_role(run_in_threadpool(_person, host, stored), role)


async def _with_role(found: Awaitable[Person | None], role: str | None) -> Person:
    person = await found
    if person is None:
        raise _unauthorized()
    if role is not None and person.role != role:
        raise Refused(403, "role", f"only a {role} may do that; {person.name} is {person.role}")
    return person


def _bearer(request: Request) -> str:
    return _token_of(request.headers.get("authorization", ""))


def _token_of(header: str) -> str:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def _stored(request: Request, kind: Kind, token: str) -> str:
    """Return the hash by which the ledger knows a token that may be one of *kind*."""
    host, (own, hubs) = host_of(request), hub.split(token)
    if len(own) > LONGEST_TOKEN or not own.startswith(PREFIX[kind]) or (hubs and host.hub is None):
        raise _unauthorized()
    stored = hashed(own)
    if hubs and host.hub is not None:
        stored = hub.bound_hash(own, (await host.hub.user(hubs)).name)
    return stored


def _valid(host: Host, kind: Kind, stored: str) -> Grant:
    grant: Any = host.store.grant(stored)
    if grant is None or grant.kind != kind or not grant.valid(host.clock()):
        raise _unauthorized()
    return cast("Grant", grant)


async def _session(request: Request, kind: Kind) -> Session:
    """Return the session of the request's token: one trip to a thread, which costs more than both reads."""
    stored = await _stored(request, kind, _bearer(request))
    return await run_in_threadpool(_session_of, host_of(request), kind, stored)


def _session_of(host: Host, kind: Kind, stored: str) -> Session:
    return host.service.get_session(_valid(host, kind, stored).subject)


def _person(host: Host, stored: str) -> Person | None:
    name = _valid(host, "interviewer", stored).subject
    return next((p for p in people.present(host) if p.name == name), None)


def _require_own_page(request: Request, token: str) -> None:
    host = host_of(request)
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), csrf_token(host.secret, token).encode()):
        raise Refused(403, "csrf", "this page is out of date; load it again")


def _unauthorized() -> Refused:
    return Refused(
        401,
        "unauthorized",
        "this token is not valid here, or not any more; ask the interviewer to invite again",
    )
