"""Errors in the shape that the ``openai`` package understands, so that a tool shows our line unchanged.

``x-should-retry`` is what that package obeys before its own rules: the host has tried again where that could
help, and a second tool doing the same would be charged twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ib_kernel.errors import (
    AuthFailed,
    BadRequest,
    BuddyError,
    BudgetRefused,
    ClientError,
    ConfigError,
    ContentFiltered,
    ContextTooLong,
    NoKey,
    QuotaExceeded,
    RateLimited,
    SessionInactive,
    StoreError,
    TimedOut,
)
from ib_kernel.host.gateway.asked import NoSuchModel
from ib_kernel.values.passage import Api

NOT_OURS = "the interview's service cannot be used at the moment; tell your interviewer"
"""What a candidate hears of the host's own key and account."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An answer to a request that failed: HTTP `status`, the error's `code` and `kind`, our line."""

    status: int
    code: str | None
    kind: str
    message: str
    retry_after_s: float | None = None

    def body(self) -> bytes:
        """Return the answer's JSON."""
        return json.dumps({"error": self._error()}).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the answer's headers."""
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"x-should-retry", b"false"),
        ]
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(max(1, round(self.retry_after_s))).encode()))
        return headers

    def event(self, api: Api) -> bytes:
        """Return the event that tells the error inside a stream."""
        if api == "chat":
            return b"data: " + self.body() + b"\n\n"
        value = {"type": "error", "code": self.code, "message": self.message, "error": self._error()}
        return b"event: error\ndata: " + json.dumps(value).encode() + b"\n\n"

    def _error(self) -> dict[str, str | None]:
        return {"message": self.message, "type": self.kind, "param": None, "code": self.code}


_REQUEST, _SERVER, _QUOTA = "invalid_request_error", "server_error", "insufficient_quota"

_TABLE: tuple[tuple[type[BuddyError], int, str | None, str], ...] = (
    (NoSuchModel, 404, "model_not_found", _REQUEST),
    (BudgetRefused, 429, _QUOTA, _QUOTA),
    (SessionInactive, 403, "session_inactive", _REQUEST),
    (ContextTooLong, 400, "context_length_exceeded", _REQUEST),
    (ContentFiltered, 400, "content_filter", _REQUEST),
    (RateLimited, 429, "rate_limit_exceeded", "requests"),
    (TimedOut, 504, None, _SERVER),
    (BadRequest, 400, None, _REQUEST),
    (ClientError, 502, None, _SERVER),
    (ConfigError, 400, None, _REQUEST),
    (StoreError, 503, "ledger", _SERVER),
)


def answer_to(error: BaseException) -> ErrorAnswer:
    """Return the answer to a request that *error* refused or failed; what nobody meant says nothing."""
    if isinstance(error, (AuthFailed, NoKey, QuotaExceeded)):  # the host's account, not the candidate's
        return ErrorAnswer(503, "service_unavailable", _SERVER, NOT_OURS)
    status = getattr(error, "status", None)
    code = getattr(error, "code", None)
    if isinstance(status, int) and isinstance(error, BuddyError) and not isinstance(error, ClientError):
        kind = _REQUEST if status < 500 else _SERVER
        return ErrorAnswer(status, "invalid_api_key" if status == 401 else code, kind, str(error))
    for known, answered, code, kind in _TABLE:
        if isinstance(error, known):
            return ErrorAnswer(answered, code, kind, str(error), getattr(error, "retry_after_s", None))
    return ErrorAnswer(500, "host", _SERVER, "the host failed unexpectedly; its log says more")
