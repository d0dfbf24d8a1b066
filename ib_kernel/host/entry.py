"""`POST /v1/link`: a link's token becomes a cookie in a browser, or a token in a notebook.

On plain HTTP the cookie is set for this machine's own names only, which browsers treat as secure (Chromium
keeps a ``Secure`` cookie of ``http://127.0.0.1``; other browsers were not tried).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.host.answers import Refused, answer, read_json, text_of
from ib_kernel.host.auth import COOKIE, host_of, require_interviewer
from ib_kernel.host.openapi import FLAG, TEXT, choice, fields, operation, text
from ib_kernel.host.people import SIGNED_IN_S, sign_in
from ib_kernel.host.proxy import limited_address
from ib_kernel.host.tokens import csrf_token, hashed

if TYPE_CHECKING:
    from ib_kernel.host.host import Host


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes by which people come in and leave."""
    return [
        Route("/v1/link", link, methods=["POST"]),
        Route("/v1/whoami", whoami),
        Route("/v1/logout", logout, methods=["POST"]),
    ]


@operation(
    "Exchange a link's token, once, for a cookie or a token",
    who="anybody",
    body=fields({"token": text(200)}, {"as": choice("cookie", "token")}),
    answers=fields({"name": TEXT, "role": TEXT}, {"csrf": TEXT, "token": TEXT}),
    refusals=(403, 429),
)
async def link(request: Request) -> Response:
    """Exchange a link's token, once.

    The body's ``as`` is "cookie" (for a browser, the default) or "token" (for a notebook or `ib`).
    """
    host = host_of(request)
    host.join_limits.require(limited_address(request))
    value = await read_json(request, 10_000)
    wanted = text_of(value, "as", longest=20, default="cookie")
    found = await run_in_threadpool(sign_in, host, text_of(value, "token", longest=200))
    if found is None:
        raise Refused(403, "link", "this link was used, or is too old; ib link makes a new one")
    person, token = found
    who = {"name": person.name, "role": person.role}
    if wanted == "token":
        return answer({**who, "token": token})
    response = answer({**who, "csrf": csrf_token(host.secret, token)})
    response.set_cookie(
        COOKIE, token, max_age=int(SIGNED_IN_S), path="/", secure=True, httponly=True, samesite="strict"
    )
    return response


@operation(
    "Who is signed in, and the header that the page's writes need",
    who="interviewer",
    answers=fields({"name": TEXT, "role": TEXT, "csrf": TEXT, "version": TEXT}),
)
async def whoami(request: Request) -> Response:
    """Answer who is signed in, and the value of ``X-IB-CSRF`` for the page's writes."""
    host, person = host_of(request), await require_interviewer(request)
    token = request.cookies.get(COOKIE, "")
    csrf = csrf_token(host.secret, token) if token else ""
    return answer({"name": person.name, "role": person.role, "csrf": csrf, "version": host.version})


@operation(
    "Make the token or cookie of this request worthless",
    who="interviewer",
    body=fields({}),
    answers=fields({"signed_out": FLAG}),
)
async def logout(request: Request) -> Response:
    """Make the token or cookie of this request worthless."""
    host, person = host_of(request), await require_interviewer(request)
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = bearer.strip() if kind.lower() == "bearer" else request.cookies.get(COOKIE, "")
    await run_in_threadpool(lambda: host.store.revoke_grants(token_hash=hashed(token), who=person.name))
    response = answer({"signed_out": True})
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response
