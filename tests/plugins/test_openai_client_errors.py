"""What servers and networks say becomes our errors and limits."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import errors
from ib_kernel.secrets import Secret
from ib_openai.limits import read_duration, read_retry_after
from ib_openai.mapping import from_event, from_status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("2", 2), ("1d", 86400), ("", None),
     ("soon", None), ("1s later", None), ("-3", None), ("inf", None), ("nan", None), (None, None)],
)  # fmt: skip
def test_durations(text: str | None, seconds: float | None) -> None:
    """Durations are read in the service's notation; anything else is unknown."""
    assert read_duration(text) == (pytest.approx(seconds) if seconds is not None else None)


def test_a_date_asks_for_the_time_until_then() -> None:
    """`Retry-After` may be a date; one that has passed asks for nothing; junk does not ask."""
    soon = email.utils.formatdate(time.time() + 100, usegmt=True)
    wait = read_retry_after({"retry-after": soon})
    assert wait is not None
    assert 0 < wait <= 101
    assert read_retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert read_retry_after({"retry-after": "tomorrow"}) is None
    assert read_retry_after({"retry-after": "9", "retry-after-ms": "20"}) == 0.02


@pytest.mark.parametrize(
    ("status", "body", "kind", "outcome", "retryable"),
    [
        (402, {"error": {"message": "pay"}}, errors.QuotaExceeded, "rejected", False),
        (429, {"error": {"code": "billing_hard_limit_reached"}}, errors.QuotaExceeded, "rejected", False),
        (429, {"error": {"message": "Request too large for gpt"}}, errors.RateLimited, "rejected", False),
        (400, {"error": {"type": "exceed_context_size_error"}}, errors.ContextTooLong, "rejected", False),
        (500, {"message": "the request exceeds the context size"}, errors.ContextTooLong, "rejected", False),
        (400, {"error": {"code": "content_filter"}}, errors.ContentFiltered, "prompt_billed", False),
        (404, "nothing here", errors.BadRequest, "rejected", False),
        (404, {"error": {"code": "DeploymentNotFound"}}, errors.BadRequest, "rejected", False),
        (307, "", errors.BadRequest, "rejected", False),
        (422, {"detail": "no"}, errors.BadRequest, "rejected", False),
        (408, "", errors.ServerFailed, "unknown", True),
        (524, "error code: 524", errors.ServerFailed, "unknown", True),
        (521, "", errors.ServerFailed, "rejected", True),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "status": "INVALID_ARGUMENT",
                        "details": [{"reason": "API_KEY_INVALID"}],
                    }
                }
            ],
            errors.AuthFailed,
            "rejected",
            False,
        ),
        (403, "<!doctype html><title>Denied</title>", errors.BadRequest, "rejected", False),
        (407, "", errors.BadRequest, "not_sent", False),
        (504, "", errors.ServerFailed, "unknown", True),
        (500, None, errors.ServerFailed, "rejected", True),
        (500, ["x"], errors.ServerFailed, "rejected", True),
        (500, {"error": "plain text"}, errors.ServerFailed, "rejected", True),
    ],
)
def test_statuses_become_our_errors(
    status: int, body: Any, kind: type[errors.ClientError], outcome: str, retryable: bool
) -> None:
    """Class, cost and retryability follow from status and code, whatever the body's shape."""
    error = from_status(status, {}, body)
    assert type(error) is kind
    assert (error.outcome, error.retryable, error.status) == (outcome, retryable, status)


def test_an_error_inside_a_stream_costs_nobody_knows_what() -> None:
    """The same codes are read inside a stream, where the outcome is unknown."""
    limited = from_event({"error": {"code": "rate_limit_exceeded", "message": "slow"}})
    assert (type(limited), limited.outcome) == (errors.RateLimited, "unknown")
    assert type(from_event({"type": "error", "code": "server_error", "message": "x"})) is errors.ServerFailed


@given(before=st.text(max_size=400), after=st.text(max_size=400))
def test_no_message_holds_the_key(before: str, after: str) -> None:
    """A service may echo the key anywhere in a message of any length: it is cut out before shortening."""
    key = 'odd"key/0123456789'
    for echoed in (key, json.dumps(key)[1:-1]):
        error = from_status(401, {}, {"error": {"message": before + echoed + after}}, key=Secret(key))
        assert key[:12] not in str(error) or key[:12] in before + after
        assert "\n" not in str(error)
