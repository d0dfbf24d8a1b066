"""any-llm's errors in, ours out. `outcome` follows the rule that the openai client has, too.

An answer with an error status has cost nothing; a request that never left neither; everything else may have
been billed. any-llm 1.40 keeps the HTTP status, the provider's code and ``Retry-After`` (read 2026-11).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from ib_kernel import errors
from ib_kernel.errors import ClientError
from ib_kernel.secrets import scrub

SHOWN_CHARS = 300
"""How much of a provider's own message is repeated in ours."""

_BY_NAME: dict[str, type[ClientError]] = {
    "InsufficientFundsError": errors.QuotaExceeded,
    "ContextLengthExceededError": errors.ContextTooLong,
    "ContentFilterError": errors.ContentFiltered,
    "ContentFilterFinishReasonError": errors.ContentFiltered,
    "AuthenticationError": errors.AuthFailed,
    "MissingApiKeyError": errors.NoKey,
    "ModelNotFoundError": errors.BadRequest,
    "InvalidRequestError": errors.BadRequest,
    "UnsupportedParameterError": errors.BadRequest,
    "UnsupportedProviderError": errors.BadRequest,
    "LengthFinishReasonError": errors.BadRequest,
    "RateLimitError": errors.RateLimited,
}
_GAVE_UP = {408, 499, 504, 520, 522, 524, 598, 599}
"""Statuses of gateways that stopped waiting, which say nothing about what the model has done."""
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError")
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_FILTER = ("content_filter", "content_policy_violation")


def mapped(error: BaseException, key: str | None) -> ClientError:
    """Return our error for anything that any-llm, its SDKs or its HTTP client raised."""
    if isinstance(error, ClientError):
        return error
    chain = list(_chain(error))
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    status = _first(chain, "status_code")
    code = str(_first(chain, "code") or "")
    text = " ".join(scrub(str(getattr(error, "message", None) or error), key).split())[:SHOWN_CHARS]
    if "<html" in text.lower() or "<!doctype" in text.lower():
        text = ""
    if isinstance(status, int) and status >= 400:
        return _refused(names, status, code, text, chain)
    if names & set(_NOT_SENT):
        return errors.NotConnected(f"not sent: cannot connect to the service ({text}); check the network")
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
        return errors.TimedOut("the request was sent and the service stopped answering")
    if "MissingApiKeyError" in names:
        return errors.NoKey(f"the provider wants an API key: {text}")
    if names & {"UnsupportedParameterError", "UnsupportedProviderError", "ImportError"}:
        return errors.BadRequest(f"any-llm cannot send this: {text}", outcome="not_sent")
    if names & {"APIConnectionError", "RequestError", "JSONDecodeError", "ValidationError", "TypeError"}:
        return errors.StreamBroken(f"the answer was cut off or malformed ({type(error).__name__})")
    return errors.ServerFailed(f"the service failed: {text}", outcome="unknown")


def _refused(names: set[str], status: int, code: str, text: str, chain: list[Any]) -> ClientError:
    kind = next((ours for name, ours in _BY_NAME.items() if name in names), None)
    if code in _QUOTA or status == 402:
        kind = errors.QuotaExceeded
    elif code in _FILTER:
        kind = errors.ContentFiltered
    elif status in (401, 403):
        kind = errors.AuthFailed
    elif status == 429 and kind is not errors.QuotaExceeded:
        kind = errors.RateLimited
    elif status >= 500 or status in (408, 409):
        kind = errors.ServerFailed
    headers = _headers(chain)
    wait = _seconds(_first(chain, "retry_after"), headers)
    billed = kind is errors.ContentFiltered and status == 400
    error = (kind or errors.BadRequest)(
        f"the service answered {status}: {text or code or 'no reason given'}",
        outcome="prompt_billed" if billed else "unknown" if status in _GAVE_UP else "rejected",
        retry_after_s=wait,
        status=status,
        code=code or None,
    )
    if str(headers.get("x-should-retry", "")).lower() == "false":
        error.retryable = False
    return error


def _chain(error: BaseException | None) -> Iterator[Any]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "original_exception", None) or error.__cause__ or error.__context__


def _first(chain: list[Any], name: str) -> Any:
    return next((value for one in chain if (value := getattr(one, name, None)) is not None), None)


def _headers(chain: list[Any]) -> Any:
    response = _first(chain, "response")
    return getattr(response, "headers", None) or {}


def _seconds(asked: Any, headers: Any) -> float | None:
    """Return the wait that was asked for, in seconds: ``retry-after-ms`` first, then a number or a date."""
    milliseconds = headers.get("retry-after-ms")
    for raw, unit in ((milliseconds, 0.001), (headers.get("retry-after"), 1.0), (asked, 1.0)):
        if raw is None or len(str(raw)) > 64:
            continue
        try:
            return max(0.0, float(raw) * unit)
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(str(raw)).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            continue
    return None
