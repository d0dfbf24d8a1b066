"""Raw errors in, ours out: what the SDK, the transport or the service reports becomes one `ClientError`.

`outcome` follows one rule: an answer with an error status, or an error instead of an answer, has cost nothing
(`rejected`), a request that never left neither (`not_sent`); once the service may have begun to answer,
nobody can say (`unknown`), and neither can a gateway that gave up waiting. Only Azure
bills a prompt that its filter refuses (`prompt_billed`; Azure's documentation, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
from ib_kernel.secrets import Secret
from ib_openai.error_info import SHOWN_CHARS, Info, hide, read_info
from ib_openai.limits import read_retry_after

_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
_CONTEXT = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
_FILTER = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
_AUTH = {"invalid_api_key", "invalid_authentication", "authentication_error", "permission_denied",
         "api_key_invalid", "unauthenticated"}  # fmt: skip
_CONTEXT_WORDS = ("context length", "context size", "context window", "maximum context", "too many tokens",
                  "prompt is too long", "maximum prompt length", "exceeds the maximum number of tokens",
                  "`max_new_tokens` must be", "range of input length")  # fmt: skip
"""How OpenAI, llama.cpp, vLLM, Cohere, Anthropic, xAI, Gemini, TGI and DashScope say it (read 2026-11)."""
_RATE = {"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"}
_MODEL_CODES = {"model_not_found", "deploymentnotfound"}

_CHECK = "check the network and base_url"
_URL_HINT = "check base_url (it often ends in /v1)"


_GAVE_UP = {408, 499, 504, 520, 522, 524, 598, 599}
"""Statuses of gateways that stopped waiting: they say nothing about what the model behind them has done.
(Cloudflare's list of 5xx errors, nginx's 499; read 2026-11.)"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an error's line may need to know of the request: its `path`, and the `proxy` it went through."""

    path: str = ""
    proxy: str = ""


def from_status(
    status: int,
    headers: Mapping[str, str],
    body: Any,
    *,
    key: Secret | None = None,
    asked: Asked | None = None,
) -> ClientError:
    """Return our error for an answer with an error *status*; *body* is parsed JSON or text."""
    info = read_info(body, key)
    if status == 401 and key is None and not info.page:
        return AuthFailed("the service wants an API key and none is set; set OPENAI_API_KEY", status=status)
    outcome: Outcome = "unknown" if status in _GAVE_UP else "rejected"
    error = _classify(status, info, headers, outcome=outcome, asked=asked or Asked(), key=key)
    if headers.get("x-should-retry", "").lower() == "false":
        error.retryable = False
    return error


def from_event(body: Any, *, key: Secret | None = None, began: bool = True) -> ClientError:
    """Return our error for an error inside a 200; its cost is unknown once a reply *began*."""
    info = read_info(body, key)
    status = info.status
    unknown = began or status in _GAVE_UP
    return _classify(status, info, {}, outcome="unknown" if unknown else "rejected", asked=Asked(), key=key)


def from_transport(
    error: BaseException, *, key: Secret | None = None, asked: Asked | None = None
) -> ClientError:
    """Return our error for anything that was raised while a request was built, sent or read."""
    import httpx2

    if isinstance(error, ClientError):
        return error

    reason = _reason(error, key)
    proxy = asked.proxy if asked is not None else ""
    if isinstance(error, httpx2.ProxyError) and "407" in reason:
        return _classify(407, Info(key, ""), {}, outcome="not_sent", asked=asked or Asked(), key=key)
    if isinstance(error, httpx2.PoolTimeout):
        return NotConnected("not sent: no free connection to the service in time")
    if isinstance(error, httpx2.ConnectTimeout):
        return NotConnected(f"not sent: the service could not be reached in time; {_CHECK}")
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
        through = f" through the proxy {proxy}" if proxy else ""
        check = f"{_CHECK}, and SSL_CERT_FILE" if "CERTIFICATE_VERIFY_FAILED" in reason else _CHECK
        return NotConnected(f"not sent: cannot connect to the service{through} ({reason}); {check}")
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut("the request was sent and the service stopped answering")
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
        return BadRequest("the request cannot be sent; check base_url and the API key", outcome="not_sent")
    if isinstance(error, httpx2.RemoteProtocolError) and "buffer too long" in reason:  # h11's words
        return StreamBroken(
            "the headers of the service's answer are longer than 100 KiB, so that it was not read; check "
            "base_url, and what stands between you and the service",
            retryable=False,
        )
    if isinstance(error, (httpx2.RequestError, OSError)):
        return StreamBroken(f"the connection to the service was lost ({reason})")
    if isinstance(error, (TypeError, ValueError, httpx2.InvalidURL)):
        return BadRequest(f"the request cannot be built ({type(error).__name__})", outcome="not_sent")
    return ServerFailed(f"the request failed ({type(error).__name__})", outcome="unknown", retryable=False)


def _classify(
    status: int | None,
    info: Info,
    headers: Mapping[str, str],
    *,
    outcome: Outcome,
    asked: Asked,
    key: Secret | None,
) -> ClientError:
    tail = f": {info.message}" if info.message else ""
    shown = f" ({status})" if status else ""
    wait = read_retry_after(headers)
    wait = info.wait_s if wait is None else wait
    place = hide(headers.get("location", ""), key)[:SHOWN_CHARS] if status and 300 <= status < 400 else ""
    kind, text, cost = _choose(status, info, asked)
    if place:
        text = f"the service answers from another address, {place}; set base_url to it"
    pause = "" if wait is None else f"; it asks to wait {wait:g} s"
    advice = _advice(status, info)
    error = kind(
        f"{text}{shown}{tail}{pause}{advice}",
        outcome=cost or outcome,
        retry_after_s=wait,
        status=status,
        code=info.code or None,
    )
    if info.message.lower().startswith("request too large"):  # above the whole limit: waiting cannot help
        error.retryable = False
    return error


def _choose(status: int | None, info: Info, asked: Asked) -> tuple[type[ClientError], str, Outcome | None]:
    """Pick the class, the first words and, where it differs, the outcome."""
    codes = info.codes
    words = info.message.lower()
    if status == 407:
        proxy = f"the proxy {asked.proxy}" if asked.proxy else "a proxy"
        line = (
            f"{proxy} wants a user and password; write them into HTTPS_PROXY: http://user:password@host:port"
        )
        return BadRequest, line, "not_sent"
    if info.page and status in (401, 403, 451):
        line = "a proxy or firewall answered with a web page, not the service: the API key was not refused"
        return BadRequest, f"{line}; {_CHECK}", None
    if codes & _QUOTA or (status == 402):
        return QuotaExceeded, "the account is out of credit or over its billing limit", None
    if codes & _FILTER:
        billed: Outcome | None = "prompt_billed" if status == 400 else None
        return ContentFiltered, "the service's content filter refused this prompt", billed
    if codes & _CONTEXT or (status in (400, 413, 422, 500, None) and any(w in words for w in _CONTEXT_WORDS)):
        return ContextTooLong, "the prompt does not fit into the model's context window", None
    if status in (401, 403) or codes & _AUTH:
        return AuthFailed, _AUTH_TEXT[status == 403], None
    if status == 429 or codes & _RATE:
        return RateLimited, "the service asks to slow down", None
    if status in (404, 405, 501):
        if codes & _MODEL_CODES or "model" in words:
            return BadRequest, "the service has no such model; check --model", None
        if asked.path == "/responses":
            return BadRequest, "the service does not know the Responses API; use --api chat", None
        return BadRequest, f"the service has no such address; {_URL_HINT}", None
    if status is None or status >= 500 or status in (408, 409, 499):
        return ServerFailed, "the service failed", None
    if 300 <= status < 400:
        return BadRequest, "the service answers from another address; set base_url to it", None
    return BadRequest, "the service refused the request", None


def _advice(status: int | None, info: Info) -> str:
    """Return what to set for a server that does not know a part of our requests."""
    words = info.message.lower()
    if status not in (400, 404, 422, 500, 501):
        return ""
    if "stream_options" in words or "include_usage" in words:
        return "; set usage_in_stream = false, which leaves stream_options out"
    if "alternate" in words or "must end with a user" in words:
        return '; this server takes user and assistant in turns only: set system_role = "user"'
    if any(phrase in words for phrase in _NO_SYSTEM):
        return '; set system_role = "user" for servers without a system role'
    return ""


_NO_SYSTEM = (
    "system role",
    "role system",
    "role 'system'",
    'role "system"',
    "role: system",
    "role `system`",
    "system message",
    "system prompt",
    "developer role",
    "role 'developer'",
    "developer instruction",
)
"""How chat templates and services say that they take no system message."""

_AUTH_TEXT = {
    False: "the service did not accept the API key",
    True: "the API key is not allowed to do this",
}


def _reason(error: BaseException, key: Secret | None) -> str:
    text = " ".join(hide(str(error), key).split()) or type(error).__name__
    return text[:SHOWN_CHARS]


def not_an_answer(text: str, json_begun: bool) -> ClientError:
    """Return our error for a 200 whose body begins with *text* and is no API's answer.

    A web page costs nothing: no API sends one. Anything else may have been billed.
    """
    start = text[:2000].lower()
    if "<html" in start or "<!doctype" in start:
        return BadRequest(f"the address answers with a web page, not as an API; {_URL_HINT}")
    if json_begun:
        return StreamBroken("the service's answer is not whole: it is no valid JSON")
    return ServerFailed(f"the service's answer is not JSON; {_URL_HINT}", outcome="unknown", retryable=False)


def no_finish() -> ClientError:
    """Return the error for an answer that ended without saying so."""
    return StreamBroken("the answer ended without a finish reason, so it is probably cut off")


def nothing_came() -> ClientError:
    """Return the error for a good status with nothing behind it; asking again may be billed again."""
    return StreamBroken("the service's answer is empty: no reply and no error in it", retryable=False)


def no_reply() -> ClientError:
    """Return the error for an answer that is whole and without a reply."""
    return StreamBroken("the service's answer has no reply (no choices in it)", retryable=False)
