"""The fault server is OpenAI-shaped, does what it is told, and tells what it saw."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from ib_kernel.testing import FAULTS, FaultServer, Step
from ib_kernel.testing.server import Recorded

KEY = "sk-server-0123456789abcdef"
ASK: list[Any] = [{"role": "user", "content": "one two three four"}]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service for one test."""
    with FaultServer() as running:
        yield running


@pytest.fixture
def sdk(server: FaultServer) -> Iterator[OpenAI]:
    """Return OpenAI's own client, pointed at the service."""
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def strict() -> Iterator[None]:
    """Fail on what the SDK warns about when an answer's shape surprises it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_the_official_sdk_reads_a_chat_answer(server: FaultServer, sdk: OpenAI, strict: None) -> None:
    """The SDK's typed objects are filled, and usage follows the documented rule."""
    answer = sdk.chat.completions.create(model="gpt-5.4-mini", messages=ASK)
    assert answer.choices[0].message.content == "You said: one two three four"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3 + 4, 6)
    assert answer.to_dict(mode="json")["object"] == "chat.completion"


def test_the_official_sdk_reads_a_chat_stream(server: FaultServer, sdk: OpenAI, strict: None) -> None:
    """Pieces come as chunks, usage in a last chunk without choices, and only when it is asked for."""
    server.reply(pieces=["a", "b"])
    options: Any = {"include_usage": True}
    chunks = list(sdk.chat.completions.create(model="m", messages=ASK, stream=True, stream_options=options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "ab"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2
    without = list(sdk.chat.completions.create(model="m", messages=ASK, stream=True))
    assert all(chunk.usage is None for chunk in without)


def test_the_official_sdk_reads_responses(server: FaultServer, sdk: OpenAI, strict: None) -> None:
    """The Responses API answers whole and streamed, with its own words for usage."""
    answer = sdk.responses.create(model="m", input="one two")
    assert (answer.status, answer.output_text) == ("completed", "You said: one two")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 4)
    events = list(sdk.responses.create(model="m", input="one two", stream=True))
    assert events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "You said: one two"


def test_the_official_sdk_lists_models(server: FaultServer, sdk: OpenAI) -> None:
    """`GET /models` has OpenAI's shape."""
    assert "gpt-5.4-mini" in [model.id for model in sdk.models.list()]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", openai.RateLimitError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("context", openai.BadRequestError),
        ("500", openai.InternalServerError),
        ("close-before-headers", openai.APIConnectionError),
    ],
)
def test_the_official_sdk_knows_the_faults(
    server: FaultServer, sdk: OpenAI, fault: str, kind: type[Exception]
) -> None:
    """Faults raise in the SDK what the real service's errors raise."""
    server.script(fault)
    with pytest.raises(kind):
        sdk.chat.completions.create(model="m", messages=ASK)


def test_the_cap_is_honoured_in_every_field_it_knows(server: FaultServer, sdk: OpenAI) -> None:
    """A reply is cut at the cap and says so; a server can be told to know one field only."""
    answer = sdk.chat.completions.create(model="m", messages=ASK, max_completion_tokens=2)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("You said:", "length")
    with FaultServer(cap_fields=["max_tokens"]) as old:
        asked = _post(old, {"model": "m", "messages": ASK, "max_completion_tokens": 2})
        assert asked["choices"][0]["finish_reason"] == "stop"


def test_several_choices_are_billed(server: FaultServer, sdk: OpenAI) -> None:
    """With n = 2 both choices come, and both are in the usage."""
    answer = sdk.chat.completions.create(model="m", messages=ASK, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_steps_are_used_in_order_then_all_is_well(server: FaultServer) -> None:
    """Each scripted step answers one request; afterwards requests are answered well."""
    server.script("503")
    server.script("429", retry_after=7, should_retry=False)
    for status in (503, 429):
        with pytest.raises(urllib.error.HTTPError) as caught:
            _post(server, {"model": "m", "messages": ASK})
        assert caught.value.code == status
        headers = caught.value.headers
        caught.value.close()
    assert (headers["retry-after"], headers["x-should-retry"]) == ("7", "false")
    assert _post(server, {"model": "m", "messages": ASK})["choices"]
    assert [record.fault for record in server.requests] == ["503", "429", "reply"]


def test_decide_picks_a_step_by_the_request(server: FaultServer) -> None:
    """A callable can decide, and is asked only when nothing is scripted."""

    def decide(record: Recorded) -> Step | None:
        return Step(text="even") if record.number % 2 == 0 else None

    server.decide = decide
    texts = [_post(server, {"model": "m", "messages": ASK})["choices"][0]["message"]["content"] for _ in "12"]
    assert texts == ["even", "You said: one two three four"]


def test_requests_are_recorded_without_the_key(server: FaultServer, sdk: OpenAI) -> None:
    """Path, body and headers are kept; the key only as a digest that can be compared."""
    sdk.chat.completions.create(model="m", messages=ASK)
    record = server.requests[0]
    assert (record.method, record.path, record.status) == ("POST", "/v1/chat/completions", 200)
    assert record.body["messages"] == ASK
    assert record.headers["authorization"] == "[redacted]"
    assert record.sent_key(KEY)
    assert not record.sent_key("sk-another")
    assert KEY not in repr(record)
    assert KEY not in repr(vars(record))


def test_only_the_right_key_is_accepted_when_one_is_set() -> None:
    """With a key of its own the server refuses any other."""
    with (
        FaultServer(api_key=KEY) as guarded,
        OpenAI(base_url=guarded.base_url, api_key="x", max_retries=0) as c,
    ):
        with pytest.raises(openai.AuthenticationError):
            c.models.list()
        assert c.with_options(api_key=KEY).models.list().data


def test_a_client_that_leaves_early_is_seen(server: FaultServer, sdk: OpenAI) -> None:
    """Closing a stream before its end is recorded with the pieces that had been sent."""
    server.script("stall", pieces=("a", "b", "c"), after=2)
    with sdk.chat.completions.create(model="m", messages=ASK, stream=True) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content == "b":
                break
    record = server.wait_for_disconnect()
    assert (record.pieces_sent, record.complete, record.stopped_early) == (2, False, True)


def test_waiting_for_what_does_not_happen_fails(server: FaultServer) -> None:
    """Waiting has an end, and its error shows what was seen."""
    with pytest.raises(TimeoutError, match="requests so far"):
        server.wait_for_disconnect(timeout=0.01)


@pytest.mark.parametrize("body", [None, [], {}, {"model": "m"}, {"model": "m", "messages": []}])
def test_malformed_requests_are_refused_like_openai(server: FaultServer, body: Any) -> None:
    """A request without model or messages gets a 400 that names what is missing."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        _post(server, body)
    assert caught.value.code == 400
    assert json.loads(caught.value.read())["error"]["message"]
    caught.value.close()


def test_both_caps_at_once_are_refused(server: FaultServer, sdk: OpenAI) -> None:
    """OpenAI refuses the two caps together, and so does the server."""
    with pytest.raises(openai.BadRequestError, match="at the same time"):
        sdk.chat.completions.create(model="m", messages=ASK, max_tokens=3, max_completion_tokens=3)


def test_an_unknown_address_is_a_404(server: FaultServer) -> None:
    """Other paths do not exist."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        _post(server, {"model": "m", "messages": ASK}, "/nowhere")
    assert caught.value.code == 404
    caught.value.close()


def test_an_unknown_fault_is_named(server: FaultServer) -> None:
    """A typo in a fault's name says what there is."""
    with pytest.raises(ValueError, match=r"no fault called '430'; known: 429"):
        server.script("430")


def test_every_fault_explains_itself() -> None:
    """Each fault has a sentence and a step of its name."""
    assert all(fault.doc and fault.step.name == name == fault.name for name, fault in FAULTS.items())


def test_leaving_ends_threads_and_sockets() -> None:
    """After the context neither a thread nor a listening port is left, even with a client that hangs."""
    before = threading.active_count()
    with FaultServer() as server:
        server.script("hang-before-headers")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
            server.wait_for_requests(1)
            assert server.open_connections() == 1
            server.stop()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def _post(server: FaultServer, body: Any, path: str = "/chat/completions") -> Any:
    request = urllib.request.Request(
        server.base_url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return json.load(response)
