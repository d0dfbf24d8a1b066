"""What the host answers: JSON, and errors in one shape, ``{"error": {"code", "message", "type"}}``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ib_kernel.errors import (
    BuddyError,
    BudgetRefused,
    ClientError,
    ConfigError,
    Locked,
    QueryError,
    SessionError,
    SessionInactive,
    StoreError,
    UnknownName,
    UnknownSession,
)
from ib_kernel.text import well_formed_value
from ib_kernel.values.version import VERSION

log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
"""Bytes of a request's body at most."""


class Refused(BuddyError):
    """A request that is refused before the engine is asked; `status` and `code` are the answer's."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


_STATUS: tuple[tuple[type[BuddyError], int, str], ...] = (
    (UnknownSession, 404, "unknown_session"),
    (UnknownName, 400, "unknown_name"),
    (ConfigError, 400, "bad_request"),
    (Locked, 403, "locked"),
    (SessionInactive, 409, "session_inactive"),
    (SessionError, 409, "session"),
    (BudgetRefused, 402, "budget"),
    (ClientError, 502, "service"),
    (QueryError, 400, "query"),
    (StoreError, 503, "ledger"),
)


def error_value(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Return an error's status and its value; what nobody meant to raise says nothing of itself."""
    if isinstance(error, Refused):
        return error.status, _value(error.code, str(error), "Refused")
    if isinstance(error, BuddyError):
        known = ((status, code) for kind, status, code in _STATUS if isinstance(error, kind))
        status, code = next(known, (409, "refused"))
        value = _value(code, str(error), type(error).__name__)
        if isinstance(error, SessionInactive):
            value["error"]["status"] = str(error.status)
        return status, value
    if isinstance(error, HTTPException):
        return error.status_code, _value("http", str(error.detail), "Refused")
    log.error("a request failed unexpectedly", exc_info=error)
    line = "the host failed unexpectedly; its log says more"
    return 500, _value("host", line, "HostError")


def error_response(error: BaseException) -> Response:
    """Return the answer to a request that raised *error*."""
    status, value = error_value(error)
    headers = {}
    wait = getattr(error, "retry_after_s", None)
    if isinstance(error, Refused) and wait is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer(value, status, headers)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return *value* as JSON, not to be kept by anybody on the way."""
    return JSONResponse(value, status, {"Cache-Control": "no-store", **(headers or {})})


async def read_json(request: Request, limit: int = MAX_BODY) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        Refused: It is too long or no JSON object.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Refused(413, "too_large", f"a request has at most {limit:,} bytes here")
    except ClientDisconnect:
        raise Refused(400, "cut", "the request ended before its end") from None
    try:
        value = json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the request's body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "bad_json", "the request's body is not a JSON object")
    return well_formed_value(value)  # half a character is in no text that UTF-8 can hold


def text_of(value: Mapping[str, Any], name: str, *, longest: int, default: str | None = None) -> str:
    """Return the text *name* of a request's body.

    Raises:
        Refused: It is missing, no text, or longer than *longest* characters.
    """
    found = value.get(name, default)
    if not isinstance(found, str):
        raise Refused(400, "bad_field", f"{name} must be a text")
    if len(found) > longest:
        raise Refused(
            413, "too_large", f"{name} has {len(found):,} characters; at most {longest:,} are taken"
        )
    return found


def is_blind(request: Request) -> bool:
    """Return True if the query asks for names to be replaced.

    Raises:
        Refused: ``blind`` is no yes or no.
    """
    return is_on(request, "blind")


def is_on(request: Request, name: str) -> bool:
    """Return True if the query says yes to *name*, and False where it does not name it.

    Raises:
        Refused: It is no yes or no.
    """
    word = request.query_params.get(name, "")
    if word not in ("", "0", "1", "false", "true"):
        raise Refused(400, "bad_field", f"{name} is 0 or 1")
    return word in ("1", "true")


def last_event_id(request: Request) -> int:
    """Return the ``Last-Event-ID`` of a request that goes on with a stream, 0 for one that begins."""
    text = request.headers.get("last-event-id", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise Refused(400, "last_event_id", "Last-Event-ID: give the id of the last event that arrived")
    return int(text)


def _value(code: str, message: str, kind: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind, "version": VERSION}}
