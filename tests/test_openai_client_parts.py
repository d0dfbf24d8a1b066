"""The parts of the openai client: event decoding, bodies, dialects, limits, error mapping, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import logging
import pickle
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import errors
from ib_kernel.catalog import Catalog
from ib_kernel.protocols import ChatRequest, Done, Usage
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_kernel.testing.client import listen
from ib_openai import ib_register
from ib_openai.chat import ChatReader, chat_body
from ib_openai.client import OpenAIClient
from ib_openai.dialects import DIALECTS, detect
from ib_openai.limits import read_duration, read_rate_limits, read_retry_after
from ib_openai.mapping import from_event, from_status
from ib_openai.responses import ResponsesReader, responses_body
from ib_openai.sse import Decoder, Event
from ib_openai.values import read_usage, sendable

KEY = "sk-parts-0123456789abcdef"
HELLO = ({"role": "user", "content": "Hello"},)


def settings_for(base_url: str, api_key: str | None, **further: Any) -> Settings:
    """Return settings, with *further* ones that a client may look for."""
    known = Settings(base_url=base_url, api_key=api_key)
    names = ("base_url", "api_key", "models", "first_piece_s", "gap_s")
    values = {name: getattr(known, name) for name in names}
    return cast(Settings, SimpleNamespace(**{**values, **further}))


def request(**changes: Any) -> ChatRequest:
    """Return a small request."""
    return ChatRequest(**{"model": "gpt-5.4-mini", "messages": HELLO, "max_completion_tokens": 50, **changes})


# --- events ---

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0"), min_size=1))


ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(texts=TEXTS, end=ENDS, cuts=st.lists(st.integers(1, 7)), bom=st.booleans())
def test_events_survive_any_cut_and_any_line_end(
    texts: list[str], end: str, cuts: list[int], bom: bool
) -> None:
    """However the bytes are cut, and whatever ends the lines, the same events come out."""
    lines = [f"event: x{end}: a comment{end}data: {text}{end}id: 7{end}{end}" for text in texts]
    raw = (b"\xef\xbb\xbf" if bom else b"") + "".join(lines).encode()
    decoder, events, at = Decoder(), [], 0
    for size in [*cuts, len(raw) + 1]:
        events += decoder.feed(raw[at : at + size])
        at += size
    events += decoder.finish()
    assert events == [Event("x", text) for text in texts]


def test_data_lines_are_joined_and_a_cut_last_event_still_counts() -> None:
    """Several data lines make one event; the end of the stream ends the last one."""
    decoder = Decoder()
    assert decoder.feed(b"data: a\ndata:b\n\n") == [Event("", "a\nb")]
    assert decoder.feed(b"data: [DONE]") == []
    assert decoder.finish() == [Event("", "[DONE]")]


def test_bytes_that_are_not_utf8_break_the_stream() -> None:
    """Wrong bytes are not guessed at."""
    with pytest.raises(errors.StreamBroken, match="UTF-8"):
        Decoder().feed(b"data: \xff\n\n")


def test_an_endless_line_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded when a line does not end."""
    monkeypatch.setattr("ib_openai.sse.MAX_EVENT_BYTES", 1000)
    decoder = Decoder()
    with pytest.raises(errors.StreamBroken, match="more than"):
        for _ in range(20):
            decoder.feed(b"x" * 100)


def test_an_endless_event_of_many_lines_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded when an event's blank line never comes."""
    monkeypatch.setattr("ib_openai.sse.MAX_EVENT_BYTES", 1000)
    decoder = Decoder()
    with pytest.raises(errors.StreamBroken, match="more than"):
        for _ in range(20):
            decoder.feed(b"data: " + b"x" * 100 + b"\n")


# --- reading ---


NAMES = ["choices", "delta", "content", "usage", "error", "index", "finish_reason", "id", "response"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
)


@pytest.mark.parametrize("reader", [ChatReader, ResponsesReader])
@given(value=JSON, kind=st.sampled_from(["", "error", "response.completed", "response.output_text.delta"]))
def test_any_json_is_read_or_refused_cleanly(reader: type[Any], value: Any, kind: str) -> None:
    """Whatever a service sends, a reader gives texts or one of our errors, never a crash."""
    texts: list[str] = []
    with contextlib.suppress(errors.ClientError):
        texts += reader().feed(Event(kind, json.dumps(value)))
    if isinstance(value, dict):
        with contextlib.suppress(errors.ClientError):
            texts += reader().whole(value)
    assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize(
    "raw",
    [None, 3, [], {}, {"prompt_tokens": 3}, {"prompt_tokens": None, "completion_tokens": 1},
     {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "3", "completion_tokens": 1},
     {"prompt_tokens": True, "completion_tokens": 1}, {"prompt_tokens": 1.5, "completion_tokens": 1}],
)  # fmt: skip
def test_usage_that_is_not_usage_is_missing(raw: Any) -> None:
    """Half a usage object is no usage: it is never taken for zero."""
    assert read_usage(raw, "prompt", "completion") is None


def test_details_that_are_null_are_zero() -> None:
    """Compatible servers send null details."""
    raw = {"prompt_tokens": 3, "completion_tokens": 2.0, "prompt_tokens_details": None}
    assert read_usage(raw, "prompt", "completion") == Usage(3, 2)


def test_junk_after_the_finish_reason_does_not_spoil_the_answer() -> None:
    """A reply that is complete stays complete, with the usage that had come."""
    with FaultServer() as server:
        server.script("malformed", pieces=("a", "b"), tail=True)
        heard = asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))))
    assert heard.text == "ab"


async def _ask(client: OpenAIClient, **changes: Any) -> Any:
    try:
        return await listen(client, client.body(request(**changes)))
    finally:
        await client.aclose()


# --- bodies and dialects ---


@pytest.mark.parametrize(
    ("url", "model", "name", "field"),
    [
        (None, "gpt-5.4-mini", "openai", "max_completion_tokens"),
        ("https://api.openai.com/v1", "gpt-4o", "openai", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "o3", "openai", "max_completion_tokens"),
        ("https://x.openai.azure.com/openai/v1", "gpt-5", "azure", "max_completion_tokens"),
        ("http://localhost:11434/v1", "gpt-oss:20b", "ollama", "max_tokens"),
        ("http://127.0.0.1:8080/v1", "gpt-4o", "llama.cpp", "max_tokens"),
        ("http://127.0.0.1:8000/v1", "qwen", "vllm", "max_tokens"),
        ("http://[::1]:1234/v1", "qwen", "lmstudio", "max_tokens"),
        ("http://127.0.0.1:5555/v1", "qwen", "compatible", "max_tokens"),
        ("https://gateway.example/v1", "gpt-5.4", "compatible", "max_completion_tokens"),
        ("https://gateway.example/v1", "ft:gpt-4o:me", "compatible", "max_completion_tokens"),
        ("https://gateway.example:8080/v1", "gpt-oss-120b", "compatible", "max_tokens"),
        ("https://api.openai.com.evil.example/v1", "m", "compatible", "max_tokens"),
    ],
)
def test_the_address_tells_the_dialect_and_so_the_cap_field(
    url: str | None, model: str, name: str, field: str
) -> None:
    """Hosts and local default ports are known; a gateway gives OpenAI's models OpenAI's field."""
    dialect = detect(url)
    body = chat_body(request(model=model), dialect)
    assert dialect.name == name
    assert {key for key in body if key.startswith("max_")} == {field}
    assert body[field] == 50


def test_a_dialect_can_be_set_and_a_wrong_one_is_named() -> None:
    """The setting wins over the address; a typo says what there is."""
    assert detect("https://api.openai.com/v1", "llama.cpp").name == "llama.cpp"
    assert detect(None, "auto").name == "openai"
    with pytest.raises(errors.ConfigError, match=r"'llama'; allowed: auto, openai"):
        detect(None, "llama")


def test_a_models_own_cap_field_wins() -> None:
    """What the user's settings say about a model beats every guess."""
    models = {"m": {"cap_field": "max_completion_tokens"}}
    settings = settings_for("http://127.0.0.1:1/v1", None, models=models)
    assert OpenAIClient(settings).body(request(model="m"))["max_completion_tokens"] == 50


def test_a_body_says_what_was_asked_and_no_more() -> None:
    """Temperature and n are left out unless asked for; extra fields come last and win."""
    plain = chat_body(request(), DIALECTS["openai"])
    assert set(plain) == {"model", "messages", "max_completion_tokens", "stream", "stream_options"}
    full = chat_body(request(temperature=0.0, n=2, extra={"seed": 1}), DIALECTS["openai"])
    assert (full["temperature"], full["n"], full["seed"]) == (0.0, 2, 1)
    assert "stream_options" not in chat_body(request(extra={"stream": False}), DIALECTS["openai"])


def test_roles_and_reasoning_follow_the_dialect() -> None:
    """A server that does not know `developer` gets `system`, and no reasoning parameter it lacks."""
    asked = request(messages=({"role": "developer", "content": "x"},), extra={"reasoning_effort": "low"})
    openai, llama = (chat_body(asked, DIALECTS[name]) for name in ("openai", "llama.cpp"))
    assert (openai["messages"][0]["role"], openai["reasoning_effort"]) == ("developer", "low")
    assert llama["messages"][0]["role"] == "system"
    assert "reasoning_effort" not in llama


def test_a_chat_request_becomes_a_responses_body() -> None:
    """Messages, tools, schemas and reasoning are said in the other API's words."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    )
    extra = {
        "tools": [tool],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
        "reasoning_effort": "low",
        "verbosity": "low",
    }
    body = responses_body(request(messages=messages, extra=extra), DIALECTS["openai"])
    assert body == {
        "model": "gpt-5.4-mini",
        "input": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What?"},
                    {"type": "input_image", "image_url": "data:,", "detail": "low"},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "A cat."}]},
        ],
        "max_output_tokens": 50,
        "stream": True,
        "store": False,
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {}}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
    }


def test_responses_gives_no_second_choice() -> None:
    """Asking for several choices is refused before anything is sent."""
    with pytest.raises(errors.BadRequest) as caught:
        responses_body(request(n=2), DIALECTS["openai"])
    assert caught.value.outcome == "not_sent"


@given(st.text(st.characters(), max_size=30))
def test_any_text_can_be_sent(text: str) -> None:
    """Lone surrogates become U+FFFD, pairs become their character, all else stays."""
    body = sendable({"messages": [{"role": "user", "content": text}]})
    sent = body["messages"][0]["content"]
    sent.encode()
    assert sent == text or any("\ud800" <= char <= "\udfff" for char in text)


# --- limits ---


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


def test_rate_limits_are_kept_per_model() -> None:
    """What the last answer said, good or bad, is kept for its model."""
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    with FaultServer(headers=headers) as server:

        async def scene() -> OpenAIClient:
            client = OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))
            await listen(client, client.body(request(model="a")))
            server.headers = {"x-ratelimit-remaining-requests": "0"}
            server.script("429")
            with pytest.raises(errors.RateLimited):
                await listen(client, client.body(request(model="b")))
            server.headers = {}
            await listen(client, client.body(request(model="c")))
            await client.aclose()
            return client

        limits = asyncio.run(scene()).rate_limits
    assert set(limits) == {"a", "b"}
    assert (limits["a"].limit_requests, limits["a"].remaining_requests) == (500, 499)
    assert (limits["a"].reset_requests_s, limits["a"].reset_tokens_s) == (0.12, 360.0)
    assert limits["a"].limit_tokens is None
    assert limits["b"].remaining_requests == 0
    assert read_rate_limits({"x-other": "1"}) is None


# --- errors ---


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
        (408, "", errors.ServerFailed, "rejected", True),
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


def test_a_silence_that_nobody_watches_ends() -> None:
    """Without a pipeline the transport's own limit ends a hanging attempt, its outcome unknown."""
    with FaultServer() as server:
        server.script("hang-before-headers")
        settings = settings_for(server.base_url, KEY, first_piece_s=0.05, gap_s=0.05)
        with pytest.raises(errors.TimedOut) as caught:
            asyncio.run(_ask(OpenAIClient(settings)))
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", True)


def test_a_finished_reply_does_not_wait_for_a_lazy_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the finish reason a stream that never ends is a good answer, without usage."""
    monkeypatch.setattr("ib_openai.reading.TAIL_S", 0.05)
    with FaultServer() as server:
        server.script("stall", pieces=("a", "b"), tail=True)
        heard = asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))))
    assert heard.text == "ab"
    assert heard.done == Done("stop", None, "gpt-5.4-mini", "chatcmpl-0", 1_790_000_000, "default")


def test_connections_are_used_again() -> None:
    """Complete replies leave their connection open for the next one."""
    with FaultServer() as server:

        async def scene() -> None:
            client = OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))
            for _ in range(5):
                await listen(client, client.body(request()))
            assert server.open_connections() == 1
            await client.aclose()

        asyncio.run(scene())
        assert server.connections == 1


# --- keys and addresses ---


def test_no_key_and_no_address_is_one_line() -> None:
    """The line says what to do next."""
    with pytest.raises(errors.NoKey) as caught:
        OpenAIClient(Settings(client="openai"))
    assert str(caught.value) == (
        "the openai client was chosen but OPENAI_API_KEY is not set. Try %interview start --client demo."
    )


def test_a_local_server_needs_no_key() -> None:
    """With an address alone no Authorization header is sent at all."""
    with FaultServer() as server:
        heard = asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url))))
        assert heard.text == "You said: Hello"
        assert "authorization" not in server.requests[0].headers


def test_azure_gets_its_header_and_its_version() -> None:
    """The dialect's header carries the key, and the address's query goes with every request."""
    with FaultServer() as server:
        settings = settings_for(server.base_url + "?api-version=preview", KEY, dialect="azure")
        asyncio.run(_ask(OpenAIClient(settings)))
        seen = server.requests[0]
    assert seen.path == "/v1/chat/completions?api-version=preview"
    assert seen.headers["api-key"] == "[redacted]"
    assert seen.sent_key(KEY)


def test_the_sdk_does_not_hold_the_key_either() -> None:
    """Nothing reachable from the client by attributes shows the key, and it cannot be pickled."""
    with FaultServer() as server:

        async def scene() -> OpenAIClient:
            client = OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))
            await listen(client, client.body(request()))
            sdk = client._sdk
            assert sdk is not None
            assert KEY not in repr(vars(sdk)) + repr(vars(sdk._client)) + sdk.api_key
            await client.aclose()
            return client

        client = asyncio.run(scene())
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(client)


def test_other_keys_in_the_environment_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings alone say which key and which server: the SDK's own look-ups are switched off."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-0123456789")
    with FaultServer() as server:
        asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))))
        assert server.requests[0].sent_key(KEY)
        assert "sk-admin" not in repr(server.requests[0].headers)


def test_a_prompt_is_not_sent_on_to_another_address(caplog: pytest.LogCaptureFixture) -> None:
    """A redirect is an error that names the remedy: neither prompt nor key go elsewhere."""
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server, FaultServer() as other:
        server.script("400", status=307, error="", headers={"location": other.base_url + "/chat/completions"})
        with pytest.raises(errors.BadRequest, match="set base_url to it"):
            asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))))
        assert other.requests == []
    assert KEY not in caplog.text


def test_the_plugin_loads_without_the_sdk() -> None:
    """Registering the plugin, and even making a client, imports neither openai nor httpx2."""
    code = (
        "import sys\n"
        "from ib_kernel.catalog import Catalog\n"
        "from ib_kernel.settings import Settings\n"
        "import ib_openai\n"
        "catalog = Catalog(); ib_openai.ib_register(catalog)\n"
        "catalog.clients.get('openai')(Settings(api_key='sk-0123456789'))\n"
        "print([m for m in ('openai', 'httpx2', 'anyio', 'pydantic') if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugin_offers_the_client() -> None:
    """The hook registers the name `openai`."""
    catalog = Catalog()
    ib_register(catalog)
    assert list(catalog.clients.names()) == ["openai"]
