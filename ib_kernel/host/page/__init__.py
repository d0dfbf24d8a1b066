"""The interviewers' page: one document, style sheets and ES modules, served as they are; no build, no CDN."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.host.answers import Refused, error_response

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

VIEWS = (
    *("/", "/new", "/sessions/{session_id}", "/compare", "/compare/{challenge}", "/invitations", "/people"),
    "/doctor",
)
"""The page's own addresses: each is the same document, and the module `app.js` shows what it names."""

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of the page's document and its files."""
    return [
        *(Route(view, document) for view in VIEWS),
        Route("/static/{name}", file),
        Route(
            "/show/front/{name}", file
        ),  # what the page and the notebook share, by its place in the package
    ]


async def document(request: Request) -> Response:
    """Answer the page; it has no data before somebody is signed in."""
    return _answer(request, "index.html")


async def file(request: Request) -> Response:
    """Answer one of the page's files."""
    name = request.path_params["name"]
    if name not in _files() or name.endswith(".html"):
        return error_response(Refused(404, "not_found", "there is no such file"))
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    content, tag = _files()[name]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}  # asked for again each time, sent again when changed
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[name.rpartition(".")[2]], headers=headers)


def _files() -> dict[str, tuple[bytes, str]]:
    if not _READ:
        folders = (
            resources.files(__package__).joinpath("static"),
            resources.files("ib_kernel.show").joinpath("front"),
        )
        for entry in (entry for folder in folders for entry in folder.iterdir()):
            if entry.name.rpartition(".")[2] in TYPES:
                content = entry.read_bytes()
                _READ[entry.name] = content, f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return _READ


_READ: dict[str, tuple[bytes, str]] = {}
