"""The openai client on real connections: keys, addresses, reuse, limits, ends."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import subprocess
import sys
from typing import Any

import pytest

from ib_kernel import errors
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_kernel.testing.client import listen
from ib_kernel.values import ChatRequest, Done, Usage
from ib_openai import ib_register
from ib_openai.client import OpenAIClient
from ib_openai.limits import read_rate_limits

KEY = "sk-parts-0123456789abcdef"


HELLO = ({"role": "user", "content": "Hello"},)


def request(**changes: Any) -> ChatRequest:
    """Return a small request."""
    return ChatRequest(**{"model": "gpt-5.4-mini", "messages": HELLO, "max_completion_tokens": 50, **changes})


async def _ask(client: OpenAIClient, **changes: Any) -> Any:
    try:
        return await listen(client, client.body(request(**changes)))
    finally:
        await client.aclose()


def test_junk_after_the_finish_reason_does_not_spoil_the_answer() -> None:
    """A reply that is complete stays complete, with the usage that had come."""
    with FaultServer() as server:
        server.script("malformed", pieces=("a", "b"), tail=True)
        heard = asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY))))
    assert heard.text == "ab"


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


def test_a_silence_that_nobody_watches_ends() -> None:
    """Without a pipeline the transport's own limit ends a hanging attempt, its outcome unknown."""
    with FaultServer() as server:
        server.script("hang-before-headers")
        settings = Settings(base_url=server.base_url, api_key=KEY, first_piece_s=0.05, gap_s=0.05)
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


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_usage_is_kept_as_it_came(api: str) -> None:
    """Beside the figures, the service's own object is handed on, unknown fields included."""
    words = ("prompt", "completion") if api == "chat" else ("input", "output")
    usage = {f"{words[0]}_tokens": 9, f"{words[1]}_tokens": 4, "cost_in_moons": 3}
    with FaultServer() as server:
        server.reply("Well.", usage=usage)
        heard = asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url, api_key=KEY, api=api))))
    assert heard.usage == Usage(9, 4)
    assert json.loads(heard.done.raw_usage) == usage


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


def test_openai_itself_is_never_asked_without_a_key() -> None:
    """An address of OpenAI's or Azure's without a key is the same one line, before anything is sent."""
    for url in ("https://api.openai.com/v1", "https://x.openai.azure.com/openai/v1"):
        with pytest.raises(errors.NoKey, match="OPENAI_API_KEY is not set"):
            OpenAIClient(Settings(base_url=url))


def test_a_server_that_wants_a_key_is_named() -> None:
    """A 401 without a key says that one is wanted, not that it was wrong."""
    with FaultServer(api_key=KEY) as server, pytest.raises(errors.AuthFailed, match="wants an API key"):
        asyncio.run(_ask(OpenAIClient(Settings(base_url=server.base_url))))


def test_azure_gets_its_header_and_its_version() -> None:
    """The dialect's header carries the key, and the address's query goes with every request."""
    with FaultServer() as server:
        settings = Settings(base_url=server.base_url + "?api-version=preview", api_key=KEY, dialect="azure")
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
        "from ib_kernel.plugin.registry import Catalog\n"
        "from ib_kernel.settings import Settings\n"
        "import ib_openai\n"
        "catalog = Catalog(); ib_openai.ib_register(catalog)\n"
        "catalog.clients.get('openai')(Settings(api_key='sk-0123456789'))\n"
        "print([m for m in ('openai', 'httpx2', 'anyio', 'pydantic') if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugin_offers_the_client() -> None:
    """The hook registers the name `openai`."""
    catalog = Catalog()
    ib_register(catalog)
    assert list(catalog.clients.names()) == ["openai"]
