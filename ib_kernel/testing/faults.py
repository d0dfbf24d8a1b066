"""What `FaultServer` can be told to do: one `Step` per request, and every fault by name in `FAULTS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Trouble = Literal["", "hang", "reset", "close", "junk", "error"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """How one request is answered. The default is a good answer.

    The answer: `text`, or its `pieces` as they are to be sent (one piece counts as one token), `usage` as the
    service's JSON object (None: computed; `prompt_tokens` says what a request's body is billed as),
    `finish_reason` (None: none is sent), `model`, `service_tier`.

    Refusal: `status` other than 200 sends `error` (a JSON object, or text as it is) with `headers`;
    `retry_after`, `retry_after_ms` and `should_retry` become theirs. ``{key}`` in an error's message is
    replaced by the key that the client sent.

    Damage: after `after` pieces (`tail`: after the finish reason) comes `trouble`: *hang*, TCP *reset*,
    *close* without an end, *junk* (`junk` is sent as an event's data), an *error* event (`error`). `hang_at`
    hangs *before* or *after* the headers. `end` False leaves ``[DONE]`` out. `usage_sent` says when usage is
    sent in a stream, `cap` False ignores the cap. `delay_s` is waited before each piece, `write_bytes` are
    written at once, `raw` replaces the body of a 200, of type `content_type`.
    """

    text: str | None = None
    pieces: tuple[str, ...] | None = None
    usage: Mapping[str, Any] | None = None
    prompt_tokens: Callable[[Mapping[str, Any]], int] | None = None
    finish_reason: str | None = "stop"
    model: str | None = None
    service_tier: str | None = "default"
    status: int = 200
    error: Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | str | None = None
    retry_after_ms: float | None = None
    should_retry: bool | None = None
    trouble: Trouble = ""
    after: int = 2
    tail: bool = False
    junk: str = '{"id": "chatcmpl-'
    hang_at: Literal["", "before", "after"] = ""
    end: bool = True
    usage_sent: Literal["end", "never", "twice", "cumulative"] = "end"
    cap: bool = True
    empty_choices: bool = False
    comments: bool = False
    line_end: Literal["\n", "\r\n", "\r"] = "\n"
    delay_s: float = 0.0
    write_bytes: int | None = None
    write_delay_s: float = 0.0
    raw: str | None = None
    content_type: str = "text/html"
    name: str = "reply"

    def all_headers(self) -> dict[str, str]:
        """Return the headers that this step adds to its answer."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after}"
        if self.retry_after_ms is not None:
            headers["retry-after-ms"] = f"{self.retry_after_ms}"
        if self.should_retry is not None:
            headers["x-should-retry"] = str(self.should_retry).lower()
        return headers


@dataclass(frozen=True)
class Fault:
    """A fault by name: what a real service or network does (`doc`), and the `step` that does it."""

    name: str
    doc: str
    step: Step


def _error(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


_SLOW = _error("Rate limit reached for requests. Try again later.", "requests", "rate_limit_exceeded")
_QUOTA = _error(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
_LONG = _error(
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "invalid_request_error",
    "context_length_exceeded",
    "messages",
)
_KEY = _error("Incorrect API key provided: {key}. You can find your API key online.", "x", "invalid_api_key")
_DENIED = _error("Project does not have access to model.", "invalid_request_error", "permission_denied")
_NO_MODEL = _error("The model `nope` does not exist.", "invalid_request_error", "model_not_found")
_DOWN = _error("The server had an error while processing your request.", "server_error")
_AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    }
}

_TABLE: tuple[tuple[str, str, Step], ...] = (
    ("429", "too many requests; the service does not say for how long", Step(status=429, error=_SLOW)),
    ("429-seconds", "… with Retry-After in seconds", Step(status=429, error=_SLOW, retry_after=2)),
    ("429-ms", "… with retry-after-ms", Step(status=429, error=_SLOW, retry_after_ms=150)),
    ("429-date", "… with Retry-After as a date that has passed",
     Step(status=429, error=_SLOW, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")),
    ("429-long", "… with ten minutes", Step(status=429, error=_SLOW, retry_after=600)),
    ("429-no-retry", "… that forbids another attempt", Step(status=429, error=_SLOW, should_retry=False)),
    ("quota", "out of credit, sent as 429", Step(status=429, error=_QUOTA)),
    ("context", "400, the prompt is longer than the context window", Step(status=400, error=_LONG)),
    ("400", "any other bad request",
     Step(status=400, error=_error("Invalid value for 'messages'.", "invalid_request_error"))),
    ("401", "the key is refused, and echoed in the message", Step(status=401, error=_KEY)),
    ("403", "the key may not do this", Step(status=403, error=_DENIED)),
    ("404", "no such model", Step(status=404, error=_NO_MODEL)),
    ("500", "internal error", Step(status=500, error=_DOWN)),
    ("502", "a gateway's web page", Step(status=502, error="<html><body>Bad gateway</body></html>")),
    ("503", "overloaded, with Retry-After", Step(status=503, error=_DOWN, retry_after=1)),
    ("529", "overloaded (unofficial status)", Step(status=529, error=_DOWN)),
    ("hang-before-headers", "nothing is ever answered", Step(hang_at="before")),
    ("hang-after-headers", "only the headers are sent", Step(hang_at="after")),
    ("close-before-headers", "the connection is closed without an answer", Step(status=0, trouble="close")),
    ("slow-drip", "a few bytes at a time", Step(write_bytes=16, write_delay_s=0.001)),
    ("stall", "nothing comes after some pieces", Step(trouble="hang")),
    ("reset", "TCP reset after some pieces", Step(trouble="reset")),
    ("close", "the connection is closed after some pieces", Step(trouble="close")),
    ("no-finish", "a clean end without a finish reason", Step(finish_reason=None, usage_sent="never")),
    ("malformed", "data that are not JSON", Step(trouble="junk")),
    ("error-event", "an error inside a 200 stream", Step(trouble="error", error=_DOWN)),
    ("no-usage", "usage is never sent", Step(usage_sent="never")),
    ("usage-twice", "usage is sent twice", Step(usage_sent="twice")),
    ("usage-cumulative", "usage so far is sent with every piece", Step(usage_sent="cumulative")),
    ("above-cap", "the cap is ignored", Step(cap=False)),
    ("empty-choices", "chunks without choices in between", Step(empty_choices=True)),
    ("filtered-reply", "the reply is cut by the filter, in a 200", Step(finish_reason="content_filter")),
    ("filtered-prompt", "the prompt is refused by Azure's filter, and billed",
     Step(status=400, error=_AZURE_FILTER)),
    ("unknown-finish", "a finish reason nobody knows", Step(finish_reason="because")),
    ("enormous", "one piece of a megabyte", Step(pieces=("x" * (1 << 20), " end"))),
    ("split-unicode", "every byte on its own, characters of four bytes",
     Step(pieces=("ä", "→", "😀", "e\u0301 ", "日本"), write_bytes=1)),
    ("comments", "keep-alive comments, and CRLF line ends", Step(comments=True, line_end="\r\n")),
    ("no-done", "a good end without [DONE]", Step(end=False)),
    ("not-json", "a web page instead of an answer", Step(raw="<!doctype html><p>Welcome to nginx</p>")),
    ("not-json-text", "text instead of an answer", Step(raw="it works", content_type="text/plain")),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {
    name: Fault(name, doc, dataclasses.replace(step, name=name)) for name, doc, step in _TABLE
}
"""Every fault by name. Two more come from the request itself: ``n = 2`` and a refused cap."""
