"""The gateway over real sockets: the openai package unchanged, one budget, fields, ends and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hosting import KEY, Served, served

from ib_kernel.errors import BudgetRefused
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer, Step
from ib_kernel.values import Session, Status

MODEL = "gpt-5.4-mini"
HI = [{"role": "user", "content": "What is a token bucket?"}]


@pytest.fixture
def service() -> Iterator[FaultServer]:
    """The service behind the host: it takes the host's key only."""
    with FaultServer(api_key=KEY) as running:
        yield running


@pytest.fixture
def host(settings: Settings, service: FaultServer) -> Iterator[Served]:
    """A host before that service."""
    with served(hosted(settings, service)) as running:
        yield running


def hosted(settings: Settings, service: FaultServer, **changes: Any) -> Settings:
    """Return settings of a host before *service*."""
    given = {"backoff_s": 0.01, "backoff_cap_s": 0.01, "retry_budget": 50, "base_url": service.base_url}
    return settings.replace(api_key=KEY, dialect="openai", model=MODEL, **{**given, **changes})


def tool(host: Served, session: Session, **options: Any) -> openai.OpenAI:
    """Return the openai package's client as a candidate's tool has it."""
    return openai.OpenAI(base_url=host.base_url, api_key=host.token(session), **options)


# --- the openai package, unchanged


def test_a_whole_reply_is_passed_on_and_charged_as_billed(host: Served, service: FaultServer) -> None:
    """The reply, its usage and its row say the same; the transcript has both sides under their own roles."""
    session = host.session()
    service.reply("A bucket that fills at a steady rate")
    with tool(host, session) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HI)
    assert answer.choices[0].message.content == "A bucket that fills at a steady rate"
    assert answer.usage is not None
    (row,) = host.calls(session)
    assert (row["client"], row["turn"], row["status"], row["source"]) == ("gateway", 0, "settled", "api")
    assert (row["input_tokens"], row["output_tokens"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    said = host.host.store.history(session.session_id)
    assert [(m.role, m.content) for m in said] == [
        ("gateway_user", "What is a token bucket?"),
        ("gateway_assistant", "A bucket that fills at a steady rate"),
    ]
    assert host.host.service.totals(session.session_id).held == 0


@pytest.mark.parametrize("asks", [True, False])
def test_a_stream_ends_with_usage_only_for_who_asked(host: Served, service: FaultServer, asks: bool) -> None:
    """Usage is always asked for upstream; a client that did not ask gets the stream it expects."""
    session = host.session()
    service.reply(pieces=["A ", "bucket ", "of ", 'to"ken\\s'])
    options = {"stream_options": {"include_usage": True}} if asks else {}
    with tool(host, session) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=HI, stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == 'A bucket of to"ken\\s'
    assert service.requests[-1].body["stream_options"] == {"include_usage": True}
    assert any(not c.choices for c in chunks) is asks
    (row,) = host.calls(session)
    assert (row["source"], row["output_tokens"]) == ("api", 4)
    assert host.host.store.history(session.session_id)[-1].content == 'A bucket of to"ken\\s'


@pytest.mark.parametrize("stream", [True, False])
def test_the_responses_api_works_too(host: Served, service: FaultServer, stream: bool) -> None:
    """Text in, text out, and nothing is stored with the service unless it is asked for."""
    session = host.session()
    service.reply(pieces=["A ", "bucket"])
    with tool(host, session) as client:
        answer = client.responses.create(
            model=MODEL, input="What is it?", instructions="Be brief.", stream=stream
        )
        if stream:
            events = list(answer)
            assert events[-1].type == "response.completed"
            assert events[-1].response.output_text == "A bucket"
        else:
            assert answer.output_text == "A bucket"
    assert service.requests[-1].body["store"] is False
    (row,) = host.calls(session)
    assert (row["output_tokens"], row["source"], row["finish_reason"]) == (2, "api", "stop")
    assert host.host.store.history(session.session_id)[-1].content == "A bucket"


def test_only_the_invited_model_is_listed_and_asked(host: Served) -> None:
    """Another model is the same error as OpenAI's for one that is not there."""
    session = host.session()
    with tool(host, session) as client:
        assert [model.id for model in client.models.list()] == [MODEL]
        assert client.models.retrieve(MODEL).id == MODEL
        with pytest.raises(openai.NotFoundError, match=r"gpt-5\.4-mini"):
            client.models.retrieve("gpt-5.4")
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="gpt-5.4", messages=HI)
    assert caught.value.code == "model_not_found"
    assert host.calls(session) == []


def test_a_wrong_token_is_a_401(host: Served) -> None:
    """As from OpenAI, so that a tool says that its key is wrong."""
    with (
        openai.OpenAI(base_url=host.base_url, api_key="ib_g_nobody") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_candidates_own_token_does_not_open_the_gateway(host: Served) -> None:
    """The gateway's token is another one, and may be revoked alone."""
    from ib_kernel.host.tokens import new_token

    with (
        openai.OpenAI(base_url=host.base_url, api_key=new_token("candidate")) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_an_interview_with_another_client_has_no_gateway(host: Served) -> None:
    """One line says which clients have one."""
    session = host.session(client="demo", model="demo")
    with (
        tool(host, session) as client,
        pytest.raises(openai.PermissionDeniedError, match="only interviews with"),
    ):
        client.models.list()


# --- the budget


def test_a_call_beyond_the_budget_is_insufficient_quota(host: Served, service: FaultServer) -> None:
    """The line says what is needed and left and what to do; the package does not try again."""
    session = host.session(token_budget=300)
    with tool(host, session) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=1000)
    assert caught.value.code == "insufficient_quota"
    assert "300" in str(caught.value)
    assert "%" not in str(caught.value)
    assert service.requests == []
    (event,) = [e for e in host.host.store.events(session.session_id) if e.kind == "refused"]
    assert (event.detail["reason"], event.detail["left"]) == ("budget", 300)
    assert event.detail["needed"] > 1000


def test_a_tool_s_wait_for_the_service_stops_the_candidate_s_clock(
    host: Served, service: FaultServer
) -> None:
    """A key's limit holds the call back: the seconds are given back, as an event and on the clock."""
    began = time.monotonic()
    session = host.session(time_limit_s=600.0)
    service.script("429", retry_after=1)
    service.reply("Go on.")
    with tool(host, session, max_retries=0) as client:
        assert client.chat.completions.create(model=MODEL, messages=HI).choices[0].message.content == "Go on."
    host.wait_until_idle(session)
    stops = [e for e in host.host.store.events(session.session_id) if e.kind == "clock_stopped"]
    stood = sum(event.detail["seconds"] for event in stops)
    assert stood >= 0.9
    now = host.host.service.get_session(session.session_id)
    assert now.active_s <= time.monotonic() - began - stood + 0.1
    assert now.time_left_s == pytest.approx(600.0 - now.active_s)


def test_a_reply_is_capped_at_what_is_left(host: Served, service: FaultServer) -> None:
    """A tool that names no length gets as long a reply as the budget carries."""
    session = host.session(token_budget=700)
    with tool(host, session) as client:
        client.chat.completions.create(model=MODEL, messages=HI)
    assert 600 < service.requests[0].body["max_completion_tokens"] < 700


def test_the_least_of_several_caps_is_sent(host: Served, service: FaultServer) -> None:
    """Both names of a cap in one request do not hold one figure and send another."""
    session = host.session()
    with tool(host, session) as client:
        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=50, max_completion_tokens=9_000)
    body = service.requests[0].body
    assert body["max_completion_tokens"] == 50
    assert "max_tokens" not in body


@pytest.mark.parametrize("run", range(int(os.environ.get("AT_ONCE_RUNS", "1"))))
def test_many_calls_at_once_never_exceed_the_budget(
    settings: Settings, service: FaultServer, run: int
) -> None:
    """40 tools and 40 turns on one budget: some are refused, none is beyond, and nothing stays held.

    AT_ONCE_RUNS says how often (`make test-host-long`).
    """
    with served(hosted(settings, service, reply_tokens=100, min_reply_tokens=50)) as host:
        session = host.session(token_budget=4_000)
        token, most, done = host.token(session), [0], threading.Event()

        def look() -> None:
            while not done.is_set():
                totals = host.host.service.totals(session.session_id)
                most[0] = max(most[0], totals.used + totals.held + totals.in_doubt)
                time.sleep(0.002)

        async def calls() -> int:
            client = openai.AsyncOpenAI(base_url=host.base_url, api_key=token, max_retries=0)

            async def one() -> bool:
                try:
                    await client.chat.completions.create(model=MODEL, messages=HI, max_tokens=100)
                except openai.RateLimitError:
                    return False
                return True

            async with client:
                return sum(await asyncio.gather(*(one() for _ in range(40))))

        def turn() -> None:
            buddy = host.host.interview(session.session_id)
            with contextlib.suppress(BudgetRefused):
                buddy.say_sync("What next?", max_tokens=100)

        service.decide = lambda request: Step(pieces=("word ",) * 60, delay_s=0.0)
        watcher = threading.Thread(target=look)
        watcher.start()
        turns = [threading.Thread(target=turn) for _ in range(40)]
        for thread in turns:
            thread.start()
        answered = asyncio.run(calls())
        for thread in turns:
            thread.join()
        host.wait_until_idle(session)
        done.set()
        watcher.join()
        totals = host.host.service.totals(session.session_id)
    assert answered > 0
    assert most[0] <= 4_000
    assert totals.overdraft == totals.held == totals.in_doubt == 0
    assert len(service.requests) == totals.calls


def test_a_ceiling_on_the_money_of_all_interviews_is_held_against(
    host: Served, service: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that may pass it is refused in one line, and so is a turn; without it both go."""
    from ib_kernel.budget import ceiling

    monkeypatch.setattr(ceiling, "KNOWN_S", 0.0)
    session = host.session()
    host.host.store.set_ceiling(day_nano_usd=1_000, who="Grace")
    with tool(host, session) as client:
        with pytest.raises(openai.RateLimitError, match="ceiling") as caught:
            client.chat.completions.create(model=MODEL, messages=HI)
        assert caught.value.code == "insufficient_quota"
        with pytest.raises(BudgetRefused):
            host.host.interview(session.session_id).say_sync("Hello")
        assert service.requests == []
        host.host.store.set_ceiling(who="Grace")
        client.chat.completions.create(model=MODEL, messages=HI)


def test_a_session_writes_no_more_than_its_share(host: Served, service: FaultServer) -> None:
    """Rows and bytes of one transcript are limited, so that no candidate fills the disk of all."""
    session = host.session()
    quota = host.host.gateway.quota
    quota._rows = 2
    with tool(host, session) as client:
        client.chat.completions.create(model=MODEL, messages=HI)
        with pytest.raises(openai.RateLimitError, match="transcript"):
            client.chat.completions.create(model=MODEL, messages=HI)
    assert len(service.requests) == 1


# --- fields


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"metadata": {"a": "x" * 5_000}}, "metadata"),
        ({"n": 1000}, "choices"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": []}, "message"),
        ({"messages": [{"role": "user", "content": "x", "cache": "y"}]}, "cache"),
        ({"messages": [{"role": "tester", "content": "x"}]}, "role"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "tokens"),
        ({"max_tokens": 10**9}, "at most"),
    ],
)
def test_what_nobody_could_count_is_refused(
    host: Served, service: FaultServer, fields: dict[str, Any], named: str
) -> None:
    """A 400 with one line that names it; nothing is sent and nothing held."""
    session = host.session()
    status, body = post(host, host.token(session), {"model": MODEL, "messages": HI, **fields})
    assert status == 400
    assert named in body["error"]["message"]
    assert "\n" not in body["error"]["message"]
    assert service.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"background": True},
        {"tools": [{"type": "mcp", "server_url": "https://example.org"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": "x", "more": "y"}]},
        {"input": {"role": "user"}},
        {"n": 2},
    ],
)
def test_what_a_response_would_take_from_elsewhere_is_refused(
    host: Served, service: FaultServer, fields: dict[str, Any]
) -> None:
    """Conversations, files and tools at the service could be billed and are not in the request."""
    session = host.session()
    body = {"model": MODEL, "input": "x", **fields}
    status, answer = post(host, host.token(session), body, path="responses")
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert service.requests == []


def test_a_field_that_is_there_twice_is_sent_once(host: Served, service: FaultServer) -> None:
    """What is sent is written anew: two parsers cannot read two models."""
    session = host.session()
    body = f'{{"model": "gpt-5.4-pro", "messages": {json.dumps(HI)}, "model": "{MODEL}"}}'
    assert post(host, host.token(session), body.encode())[0] == 200
    assert service.requests[0].body["model"] == MODEL


# --- ends


def test_a_stream_that_the_client_closes_is_charged(host: Served, service: FaultServer) -> None:
    """What had come is counted, the service's stream is closed, and the row says that it was stopped."""
    session = host.session()
    service.reply(pieces=["word "] * 400, delay_s=0.01)
    with tool(host, session) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
        for number, _ in enumerate(stream):
            if number == 5:
                break
        stream.close()
        service.wait_for_disconnect()
    host.wait_until_idle(session)
    (row,) = host.calls(session)
    assert (row["finish_reason"], row["source"], row["status"]) == ("stopped", "counted", "settled")
    assert row["output_tokens"] >= 4
    assert row["input_tokens"] > 0
    assert host.host.store.history(session.session_id)[-1].partial


def test_a_tool_call_that_the_client_closes_is_charged(settings: Settings, service: FaultServer) -> None:
    """Arguments are generated and billed like text, though nobody reads them as one."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{"}}
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    events = [
        {**head, "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
    ] * 50
    parts = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in events]
    with raw_service(parts, 0.02) as address, served(hosted(settings, service, base_url=address)) as host:
        session = host.session()
        with tool(host, session) as client:
            stream = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
            next(iter(stream))
            stream.close()
        host.wait_until_idle(session)
        (row,) = host.calls(session)
    assert row["output_tokens"] > 0


def test_a_reply_that_outgrows_its_hold_is_cut(host: Served, service: FaultServer) -> None:
    """A service that ignores the cap does not spend more than was held; the client sees *length*."""
    session = host.session()
    service.reply(pieces=["word "] * 300, cap=False)
    with tool(host, session) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=HI, stream=True, max_tokens=20))
    assert chunks[-1].choices[0].finish_reason == "length"
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert 0 < len(text.split()) <= 20
    host.wait_until_idle(session)
    (row,) = host.calls(session)
    assert row["finish_reason"] == "cap"


@pytest.mark.parametrize("how", ["pause", "complete", "cancel"])
def test_an_interview_that_stops_ends_what_runs(host: Served, service: FaultServer, how: str) -> None:
    """Its streams end with one line and are charged; nothing further is taken."""
    session = host.session()
    service.reply(pieces=["word "] * 4_000, delay_s=0.01)
    with tool(host, session) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
        chunks = iter(stream)
        for _ in range(4):
            next(chunks)
        getattr(host.host.service, how)(session.session_id)
        with pytest.raises(openai.APIError, match="the interview is"):
            for _ in chunks:
                pass
        host.wait_until_idle(session)
        (row,) = host.calls(session)
        assert (row["finish_reason"], row["status"]) == ("stopped", "settled")
        with pytest.raises(openai.PermissionDeniedError, match="the interview is"):
            client.chat.completions.create(model=MODEL, messages=HI)
    assert len(service.requests) == 1


def test_a_revoked_token_is_out_soon(host: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of a token is forgotten within seconds."""
    from ib_kernel.host.gateway import known

    monkeypatch.setattr(known, "KNOWN_S", 0.0)
    session = host.session()
    with tool(host, session) as client:
        client.models.list()
        host.host.store.revoke_grants(subject=session.session_id, kind="gateway", who="Grace")
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


# --- failures of the service


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("401", openai.InternalServerError, "service_unavailable"),
        ("403", openai.InternalServerError, "service_unavailable"),
        ("quota", openai.InternalServerError, "service_unavailable"),
        ("400", openai.BadRequestError, None),
        ("context", openai.BadRequestError, "context_length_exceeded"),
        ("429-no-retry", openai.RateLimitError, "rate_limit_exceeded"),
        ("429-long", openai.RateLimitError, "rate_limit_exceeded"),
        ("500", openai.InternalServerError, None),
        ("close", openai.APIError, None),
        ("error-event", openai.APIError, None),
        ("malformed", openai.APIError, None),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_of_the_service_is_one_of_the_package(
    settings: Settings,
    service: FaultServer,
    fault: str,
    kind: type[Exception],
    code: str | None,
    stream: bool,
) -> None:
    """Mapped, in one line, without the host's key; nothing stays held, and the package asks once."""
    with served(hosted(settings, service, attempts=1)) as host:
        session = host.session()
        service.script(fault)
        with tool(host, session) as client, pytest.raises(kind) as caught:
            answer = client.chat.completions.create(model=MODEL, messages=HI, stream=stream)
            if stream:
                list(answer)
            elif fault in ("close", "malformed", "error-event"):
                pytest.fail("a broken answer was passed on")
        host.wait_until_idle(session)
    assert KEY not in str(caught.value)
    assert KEY not in repr(vars(caught.value))
    assert getattr(caught.value, "code", None) == code
    assert len(service.requests) == 1


def test_a_failure_before_the_first_piece_is_tried_again(host: Served, service: FaultServer) -> None:
    """As the engine does; each attempt has its row, and the tool sees an answer."""
    session = host.session()
    service.script("503", retry_after=0)
    service.reply("Here it is")
    with tool(host, session) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HI)
    assert answer.choices[0].message.content == "Here it is"
    assert [(row["attempt"], row["status"]) for row in host.calls(session)] == [(1, "failed"), (2, "settled")]


def test_a_call_that_is_refused_again_and_again_waits_its_turn(
    settings: Settings, service: FaultServer
) -> None:
    """A rate limit's refusal is no attempt and costs no retry, as for a turn; another failure is both."""
    with served(hosted(settings, service, attempts=1, retry_budget=0)) as host:
        session = host.session()
        for _ in range(6):
            service.script("429", retry_after=0)
        service.reply("Here it is")
        with tool(host, session, max_retries=0) as client:
            answer = client.chat.completions.create(model=MODEL, messages=HI)
            assert answer.choices[0].message.content == "Here it is"
            service.script("503", retry_after=0)
            with pytest.raises(openai.InternalServerError):
                client.chat.completions.create(model=MODEL, messages=HI)
        rows = [(row["attempt"], row["status"]) for row in host.calls(session)]
        assert host.host.service.totals(session.session_id).held == 0
    assert rows == [*((n, "failed") for n in range(1, 7)), (7, "settled"), (1, "failed")]


def test_an_answer_that_never_came_stays_in_doubt(settings: Settings, service: FaultServer) -> None:
    """Sent and lost: charged until somebody decides, never free."""
    with served(hosted(settings, service, attempts=1)) as host:
        session = host.session()
        service.script("close-before-headers")
        with tool(host, session) as client, pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model=MODEL, messages=HI)
        host.wait_until_idle(session)
        totals = host.host.service.totals(session.session_id)
    assert totals.in_doubt > 0
    assert totals.held == 0


def test_a_service_that_closes_idle_connections_loses_no_call(
    settings: Settings, service: FaultServer
) -> None:
    """A connection that died while it was idle is not used again."""
    closing = raw_service([_WHOLE], 0.0, close_after=True)
    with closing as address, served(hosted(settings, service, base_url=address)) as host:
        session = host.session()
        with tool(host, session) as client:
            for _ in range(5):
                client.chat.completions.create(model=MODEL, messages=HI)
        host.wait_until_idle(session)
        totals = host.host.service.totals(session.session_id)
    assert totals.calls == 5
    assert totals.in_doubt == 0


def test_a_connection_that_is_lost_after_a_good_end_does_no_harm(
    settings: Settings, service: FaultServer
) -> None:
    """The answer is whole, and its call is charged and not in doubt."""
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    said: list[tuple[dict[str, str], str | None]] = [({"content": "Two."}, None), ({}, "stop")]
    parts = [
        b"data: "
        + json.dumps({**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]}).encode()
        + b"\n\n"
        for d, f in said
    ]
    losing = raw_service(parts, 0.0, loses_end=True)
    with losing as address, served(hosted(settings, service, base_url=address)) as host:
        session = host.session()
        with tool(host, session) as client:
            chunks = list(client.chat.completions.create(model=MODEL, messages=HI, stream=True))
        host.wait_until_idle(session)
        (row,) = host.calls(session)
        totals = host.host.service.totals(session.session_id)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Two.", None]
    assert (row["finish_reason"], totals.in_doubt) == ("stop", 0)


# --- hostile clients


def test_hostile_bodies_are_refused_in_one_line(host: Served, service: FaultServer) -> None:
    """Too long, too deep, no JSON, compressed, of any type: none reaches the service or fails the host."""
    token = host.token(host.session())
    deep = b'{"model": "%s", "messages": %s1%s}' % (MODEL.encode(), b"[" * 50_000, b"]" * 50_000)
    bodies = [
        b'{"model": "' + b"x" * 10_000_000 + b'"}',
        deep,
        b"not json",
        b"[]",
        b"",
        b"\xff\xfe",
        gzip.compress(b"x" * 1_000_000),
        b'{"model": "%s", "messages": [{"role": "user", "content": 1%s}]}' % (MODEL.encode(), b"0" * 10_000),
        b'{"model": "%s", "messages": [{"role": "user", "content": NaN}]}' % MODEL.encode(),
    ]
    for body in bodies:
        status, answer = post(host, token, body, headers={"Content-Type": "text/plain"})
        assert status in (400, 413), body[:60]
        assert "\n" not in answer["error"]["message"]
    assert service.requests == []


def test_a_slow_client_holds_nothing_while_it_sends(host: Served) -> None:
    """Nothing is reserved before the request is there; a request that does not come ends."""
    session = host.session()
    token = host.token(session)
    port = int(host.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(
            b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: 1000\r\n\r\n{" % (port, token.encode())
        )
        time.sleep(0.2)
        assert host.host.service.totals(session.session_id).held == 0
    assert host.calls(session) == []


def test_a_request_that_does_not_come_is_told_so(host: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the shape that tools understand, once its time is over."""
    monkeypatch.setattr("ib_kernel.host.app.BODY_S", 0.0)
    token = host.token(host.session())
    line = http.client.HTTPConnection("127.0.0.1", int(host.address.rpartition(":")[2]), timeout=60)
    line.putrequest("POST", "/openai/v1/chat/completions")
    line.putheader("Authorization", f"Bearer {token}")
    line.putheader("Content-Length", "1000")
    line.endheaders(b"{")
    answer = line.getresponse()
    assert answer.status == 408
    assert "did not arrive" in json.loads(answer.read())["error"]["message"]
    line.close()


def test_the_hosts_key_is_nowhere_that_a_candidate_can_see(host: Served, service: FaultServer) -> None:
    """No header and no body of any answer has it, and the service's own headers stay where they are."""
    session = host.session()
    service.headers["x-secret"] = KEY
    with tool(host, session) as client:
        answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=HI)
    assert KEY not in repr(dict(answer.headers)) + answer.text
    assert service.requests[0].sent_key(KEY)


def test_two_calls_of_a_session_run_at_once_and_a_third_waits(host: Served, service: FaultServer) -> None:
    """The third is sent when one of them has ended."""
    session = host.session()
    token = host.token(session)

    async def three() -> None:
        async with openai.AsyncOpenAI(base_url=host.base_url, api_key=token, max_retries=0) as client:
            tasks = [
                asyncio.create_task(client.chat.completions.create(model=MODEL, messages=HI))
                for _ in range(2)
            ]
            await asyncio.to_thread(service.wait_for_requests, 2)
            tasks.append(asyncio.create_task(client.chat.completions.create(model=MODEL, messages=HI)))
            assert host.host.pacing.places.running(session.session_id) == 2
            await asyncio.sleep(0.2)
            assert len(service.requests) == 2
            tasks[0].cancel()
            tasks[1].cancel()
            assert (await tasks[2]).choices

    for _ in range(2):
        service.script("hang-before-headers")
    asyncio.run(three())
    host.wait_until_idle(session)
    assert host.host.service.totals(session.session_id).in_doubt > 0


def test_a_paused_interview_takes_no_free_text(host: Served, service: FaultServer) -> None:
    """Paused, over or not begun: refused before anything is sent, and the tool hears why."""
    session = host.session()
    host.host.service.pause(session.session_id)
    assert host.host.service.get_session(session.session_id).status is Status.PAUSED
    with tool(host, session) as client, pytest.raises(openai.PermissionDeniedError, match="resumes"):
        client.chat.completions.create(model=MODEL, messages=HI)
    assert service.requests == []


# --- helpers

_WHOLE = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
    }
).encode()


def post(
    host: Served,
    token: str,
    body: Any,
    *,
    path: str = "chat/completions",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Post *body* (bytes as they are) and return the status and the JSON of the answer."""

    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    line = http.client.HTTPConnection("127.0.0.1", int(host.address.rpartition(":")[2]), timeout=60)
    line.request(
        "POST",
        f"/openai/v1/{path}",
        data,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})},
    )
    try:
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        line.close()


class raw_service:
    """A service that answers every request with given parts.

    `close_after` closes its idle connections, `loses_end` a stream's before its end.
    """

    def __init__(
        self, parts: list[bytes], gap_s: float, *, close_after: bool = False, loses_end: bool = False
    ) -> None:
        self._parts, self._gap_s, self._close_after = parts, gap_s, close_after
        self._loses_end = loses_end
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._accept, daemon=True).start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        stream = len(self._parts) > 1
        with wire:
            try:
                while self._request(wire):
                    self._answer(wire, stream)
                    if self._close_after or self._loses_end:
                        return
            except OSError:
                return

    def _request(self, wire: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            more = wire.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += wire.recv(65536)
        return True

    def _answer(self, wire: socket.socket, stream: bool) -> None:
        if not stream:
            (body,) = self._parts
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
                body
            )
            wire.sendall(head + body)
            return
        wire.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for part in self._parts:
            wire.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            time.sleep(self._gap_s)
        if not self._loses_end:
            wire.sendall(b"0\r\n\r\n")
