"""Raw errors in, ours out: what the SDK, the transport or the service reports becomes one `ClientError`.

`outcome` follows one rule: an answer with an error status has cost nothing (`rejected`), a request that never
left neither (`not_sent`); once the service may have begun to answer, nobody can say (`unknown`). Only Azure
bills a prompt that its filter refuses (`prompt_billed`; Azure's documentation, read 2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ib_kernel.errors import (
    AuthFailed,
    BadRequest,
    ClientError,
    ContentFiltered,
    ContextTooLong,
    NotConnected,
    Outcome,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
    StreamBroken,
    TimedOut,
)
from ib_kernel.secrets import Secret, scrub
from ib_openai.limits import read_retry_after

_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
_CONTEXT = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
_FILTER = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
_AUTH = {"invalid_api_key", "invalid_authentication", "authentication_error", "permission_denied"}
_CONTEXT_WORDS = ("context length", "context size", "context window", "maximum context", "too many tokens")
_MODEL_CODES = {"model_not_found", "deploymentnotfound"}

_CHECK = "check the network and base_url"
_URL_HINT = "check base_url (it often ends in /v1)"

SHOWN_CHARS = 300
"""How much of a service's own message is repeated in ours."""


def from_status(
    status: int, headers: Mapping[str, str], body: Any, *, key: Secret | None = None
) -> ClientError:
    """Return our error for an answer with an error *status*; *body* is parsed JSON or text."""
    if status == 401 and key is None:
        return AuthFailed("the service wants an API key and none is set; set OPENAI_API_KEY", status=status)
    # A gateway that gave up waiting (504) says nothing about what the model behind it has done.
    error = _classify(status, _info(body, key), headers, outcome="unknown" if status == 504 else "rejected")
    if headers.get("x-should-retry", "").lower() == "false":
        error.retryable = False
    return error


def from_event(body: Any, *, key: Secret | None = None) -> ClientError:
    """Return our error for an error that arrives inside a stream: its cost is unknown."""
    return _classify(None, _info(body, key), {}, outcome="unknown")


def from_transport(error: BaseException, *, key: Secret | None = None) -> ClientError:
    """Return our error for anything that was raised while a request was built, sent or read."""
    import httpx2

    if isinstance(error, ClientError):
        return error

    reason = _reason(error, key)
    if isinstance(error, httpx2.PoolTimeout):
        return NotConnected("not sent: no free connection to the service in time")
    if isinstance(error, httpx2.ConnectTimeout):
        return NotConnected(f"not sent: the service could not be reached in time; {_CHECK}")
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
        return NotConnected(f"not sent: cannot connect to the service ({reason}); {_CHECK}")
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut("the request was sent and the service stopped answering")
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
        return BadRequest("the request cannot be sent; check base_url and the API key", outcome="not_sent")
    if isinstance(error, (httpx2.RequestError, OSError)):
        return StreamBroken(f"the connection to the service was lost ({reason})")
    if isinstance(error, (TypeError, ValueError, httpx2.InvalidURL)):
        return BadRequest(f"the request cannot be built ({type(error).__name__})", outcome="not_sent")
    return ServerFailed(f"the request failed ({type(error).__name__})", outcome="unknown", retryable=False)


def _classify(
    status: int | None, info: _Info, headers: Mapping[str, str], *, outcome: Outcome
) -> ClientError:
    tail = f": {info.message}" if info.message else ""
    shown = f" ({status})" if status else ""
    wait = read_retry_after(headers)
    kind, text, cost = _choose(status, info)
    asked = "" if wait is None else f"; it asks to wait {wait:g} s"
    error = kind(
        f"{text}{shown}{tail}{asked}",
        outcome=cost or outcome,
        retry_after_s=wait,
        status=status,
        code=info.code or None,
    )
    if info.message.lower().startswith("request too large"):  # above the whole limit: waiting cannot help
        error.retryable = False
    return error


def _choose(status: int | None, info: _Info) -> tuple[type[ClientError], str, Outcome | None]:
    """Pick the class, the first words and, where it differs, the outcome."""
    codes = {info.code.lower(), info.kind.lower(), info.inner.lower()}
    words = info.message.lower()
    if codes & _QUOTA or (status == 402):
        return QuotaExceeded, "the account is out of credit or over its billing limit", None
    if codes & _FILTER:
        billed: Outcome | None = "prompt_billed" if status == 400 else None
        return ContentFiltered, "the service's content filter refused this prompt", billed
    if codes & _CONTEXT or (status in (400, 413, 422, 500, None) and any(w in words for w in _CONTEXT_WORDS)):
        return ContextTooLong, "the prompt does not fit into the model's context window", None
    if status in (401, 403) or codes & _AUTH:
        return AuthFailed, _AUTH_TEXT[status == 403], None
    if status == 429 or "rate_limit_exceeded" in codes:
        return RateLimited, "the service asks to slow down", None
    if status == 404:
        if codes & _MODEL_CODES or "model" in words:
            return BadRequest, "the service has no such model; check --model", None
        return BadRequest, f"the service has no such address; {_URL_HINT}", None
    if status is None or status >= 500 or status in (408, 409):
        return ServerFailed, "the service failed", None
    if 300 <= status < 400:
        return BadRequest, "the service answers from another address; set base_url to it", None
    return BadRequest, "the service refused the request", None


_AUTH_TEXT = {
    False: "the service did not accept the API key",
    True: "the API key is not allowed to do this",
}


class _Info:
    """What an error body says, without secrets and in one line, whatever the body's shape."""

    __slots__ = ("code", "inner", "kind", "message")

    def __init__(
        self, key: Secret | None, message: Any, code: Any = "", kind: Any = "", inner: Any = ""
    ) -> None:
        line = " ".join(hide(_text(message), key).split())
        self.message = line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 1] + "…"
        self.code = hide(_text(code), key)
        self.kind = _text(kind)
        self.inner = _text(inner)


def _info(body: Any, key: Secret | None) -> _Info:
    if isinstance(body, Mapping):
        error = body.get("error") or body
        if not isinstance(error, Mapping):
            return _Info(key, error)
        inner = error.get("innererror")
        return _Info(
            key,
            error.get("message") or error.get("detail"),
            error.get("code"),
            error.get("type"),
            inner.get("code") if isinstance(inner, Mapping) else "",
        )
    text = _text(body)
    start = text[:2000].lower()
    return _Info(key, "" if "<html" in start or "<!doctype" in start else text)


def hide(text: str, key: Secret | None) -> str:
    """Return *text* without secrets, *key* among them however it is written (plain, JSON, URL)."""
    plain = key.reveal() if key is not None else ""
    if len(plain) < 4:  # a placeholder such as "x" would blank out whole words
        return scrub(text)
    return scrub(text, plain, json.dumps(plain)[1:-1], quote(plain, safe=""))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _reason(error: BaseException, key: Secret | None) -> str:
    text = " ".join(hide(str(error), key).split()) or type(error).__name__
    return text[:SHOWN_CHARS]


def not_an_answer(text: str, kind: str) -> ClientError:
    """Return our error for a 200 that is no API's answer, of content type *kind*.

    A web page costs nothing: no API sends one. Anything else may have been billed.
    """
    start = text[:2000].lower()
    if "<html" in start or "<!doctype" in start:
        return BadRequest(f"the address answers with a web page, not as an API; {_URL_HINT}")
    if "json" in kind:
        return StreamBroken("the service's answer is not whole: it is no valid JSON")
    return ServerFailed(f"the service's answer is not JSON; {_URL_HINT}", outcome="unknown", retryable=False)


def no_finish() -> ClientError:
    """Return the error for an answer that ended without saying so."""
    return StreamBroken("the answer ended without a finish reason, so it is probably cut off")
