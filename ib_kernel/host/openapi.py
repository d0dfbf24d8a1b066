"""The OpenAPI document of ``/v1``, made from what stands beside each handler.

A handler says what it takes and answers with `operation`; `document` reads that from the routes, so that a
route without a description is left out of the document and found by its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from starlette.routing import BaseRoute, Mount, Route

from ib_kernel.values.version import VERSION

Who = Literal["anybody", "candidate", "gateway", "interviewer", "hub"]
"""Whose token an operation needs."""

Schema = Mapping[str, Any]
F = TypeVar("F")

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}

_ATTRIBUTE = "ib_operation"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def text(longest: int, *, least: int = 0, pattern: str = "") -> Schema:
    """Return the schema of a text of *least* to *longest* characters."""
    return {"type": "string", "maxLength": longest, **({"minLength": least} if least else {}),
            **({"pattern": pattern} if pattern else {})}  # fmt: skip


def choice(*values: str) -> Schema:
    """Return the schema of one of *values*."""
    return {"type": "string", "enum": list(values)}


def whole(least: int, most: int) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": dict(items)}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


def fields(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object: what it must have, and what it may have besides."""
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": {name: dict(schema) for name, schema in properties.items()},
        **({"required": list(required)} if required else {}),
    }


def operation(
    summary: str,
    *,
    who: Who,
    body: Schema | None = None,
    query: Mapping[str, Schema] | None = None,
    headers: Mapping[str, Schema] | None = None,
    answers: Schema | None = None,
    media: str = "application/json",
    status: int = 200,
    refusals: Sequence[int] = (),
) -> Callable[[F], F]:
    """Describe a handler for the OpenAPI document.

    Args:
        summary: One line: what it does.
        who: Whose token it needs.
        body: JSON Schema of the request's body; None: it takes none.
        query: Schemas of query parameters, all optional.
        headers: Schemas of request headers, all optional.
        answers: JSON Schema of a good answer; None: any JSON object.
        media: The good answer's media type.
        status: The good answer's status.
        refusals: Statuses of refusals beyond those that every operation has.
    """

    def described(handler: F) -> F:
        told = _Operation(summary, who, body, query or {}, headers or {}, answers, media, status, refusals)
        setattr(handler, _ATTRIBUTE, told)
        return handler

    return described


class _Operation:
    """What `operation` has noted."""

    def __init__(
        self,
        summary: str,
        who: Who,
        body: Schema | None,
        query: Mapping[str, Schema],
        headers: Mapping[str, Schema],
        answers: Schema | None,
        media: str,
        status: int,
        refusals: Sequence[int],
    ) -> None:
        self.summary, self.who, self.body, self.query, self.headers = summary, who, body, query, headers
        self.answers, self.media, self.status, self.refusals = answers, media, status, refusals

    def value(self, path: str, name: str, tag: str) -> dict[str, Any]:
        """Return the operation as the document has it."""
        parameters = [
            {"name": found, "in": "path", "required": True, "schema": {"type": "string"}}
            for found in _PARAMETER.findall(path)
        ]
        for place, given in (("query", self.query), ("header", self.headers)):
            parameters += [{"name": n, "in": place, "schema": dict(schema)} for n, schema in given.items()]
        value: dict[str, Any] = {"summary": self.summary, "operationId": name, "tags": [tag]}
        if parameters:
            value["parameters"] = parameters
        if self.body is not None:
            value["requestBody"] = {
                "required": True, "content": {"application/json": {"schema": dict(self.body)}},
            }  # fmt: skip
        good = dict(self.answers) if self.answers is not None else {"type": "object"}
        value["responses"] = {
            str(self.status): {"description": "done", "content": {self.media: {"schema": good}}},
            "default": {"$ref": "#/components/responses/Refused"},
            **{str(code): {"$ref": "#/components/responses/Refused"} for code in self.refusals},
        }
        value["security"] = [] if self.who == "anybody" else [{name: []} for name in _SECURITY[self.who]]
        return value


_SECURITY: Mapping[str, Sequence[str]] = {
    "candidate": ("candidate",),
    "gateway": ("gateway",),
    "hub": ("hub",),
    "interviewer": ("interviewer", "page"),
}

_SCHEMES = {
    "candidate": {"type": "http", "scheme": "bearer", "description": "a candidate's token, ib_c_…"},
    "gateway": {"type": "http", "scheme": "bearer", "description": "a token for tools, ib_g_…"},
    "interviewer": {"type": "http", "scheme": "bearer", "description": "an interviewer's token, ib_i_…"},
    "hub": {"type": "http", "scheme": "bearer", "description": "the token of a user's server at JupyterHub"},
    "page": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-ib",
        "description": "the page's cookie; writes need the header X-IB-CSRF too",
    },
}

_ERROR = fields({"error": fields({"code": TEXT, "message": TEXT, "type": TEXT})})


def document(routes: Iterable[BaseRoute], address: str = "") -> dict[str, Any]:
    """Return the OpenAPI document of all described operations.

    Args:
        routes: The application's routes.
        address: Where the host is reached, for the document's `servers`.
    """
    paths: dict[str, dict[str, Any]] = {}
    for path, methods, handler in described(routes):
        told = getattr(handler, _ATTRIBUTE, None)
        if told is None:
            continue
        shown = _PARAMETER.sub(r"{\1}", path)
        for method in methods:
            room = handler.__module__.removeprefix("ib_kernel.host.").split(".")[0]
            name = f"{method.lower()}{re.sub(r'[^a-z0-9]+', '_', path.lower()).rstrip('_')}"
            paths.setdefault(shown, {})[method.lower()] = told.value(path, name, room)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Interview Buddy's host", "version": VERSION},
        **({"servers": [{"url": address}]} if address else {}),
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": _SCHEMES,
            "responses": {
                "Refused": {
                    "description": "one line that says why, and what to do",
                    "content": {"application/json": {"schema": _ERROR}},
                }
            },
        },
    }


def described(routes: Iterable[BaseRoute], prefix: str = "") -> Iterable[tuple[str, list[str], Any]]:
    """Yield path, methods and handler of every route, those inside mounts included."""
    for route in routes:
        if isinstance(route, Mount):
            yield from described(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            methods = sorted((route.methods or {"GET"}) - {"HEAD"})
            yield prefix + route.path, methods, route.endpoint
