"""What the openai client sends: bodies of both APIs, as each dialect wants them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import errors
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed_value
from ib_kernel.values import ChatRequest
from ib_openai.chat import chat_body
from ib_openai.client import OpenAIClient
from ib_openai.dialects import DIALECTS, detect
from ib_openai.responses import responses_body

HELLO = ({"role": "user", "content": "Hello"},)


def request(**changes: Any) -> ChatRequest:
    """Return a small request."""
    return ChatRequest(**{"model": "gpt-5.4-mini", "messages": HELLO, "max_completion_tokens": 50, **changes})


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
    settings = Settings(base_url="http://127.0.0.1:1/v1", models=models)
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


def test_a_server_without_a_system_role_gets_the_prompt_before_the_question() -> None:
    """`system_role = "user"` joins the system messages and the question, in both APIs; roles alternate."""
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Ask."},
        {"role": "user", "content": [{"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Why?"},
    )
    for api, field in (("chat", "messages"), ("responses", "input")):
        settings = Settings(base_url="http://127.0.0.1:1/v1", system_role="user", api=api)
        sent = OpenAIClient(settings).body(request(messages=messages))[field]
        assert [one["role"] for one in sent] == ["user", "assistant", "user"]
        assert [part["text"] for part in sent[0]["content"]] == ["Be brief.\n\nAsk.", "What?"]


def test_a_server_that_refuses_stream_options_is_not_sent_them() -> None:
    """`usage_in_stream` beats the dialect in both directions."""
    for wanted in (True, False):
        client = OpenAIClient(Settings(base_url="http://127.0.0.1:1/v1", usage_in_stream=wanted))
        assert ("stream_options" in client.body(request())) is wanted


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
    body = well_formed_value({"messages": [{"role": "user", "content": text}]})
    sent = body["messages"][0]["content"]
    sent.encode()
    assert sent == text or any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize("body_of", [chat_body, responses_body])
def test_a_conversation_is_named_to_openais_cache_only(body_of: Any) -> None:
    """Others might refuse a field that they do not know; a caller's own name for it wins."""
    asked = request(cache_key="session-1")
    assert body_of(asked, DIALECTS["openai"])["prompt_cache_key"] == "session-1"
    assert "prompt_cache_key" not in body_of(request(), DIALECTS["openai"])
    for name, dialect in DIALECTS.items():
        assert ("prompt_cache_key" in body_of(asked, dialect)) == (name == "openai")
    own = request(cache_key="session-1", extra={"prompt_cache_key": "mine"})
    assert body_of(own, DIALECTS["openai"])["prompt_cache_key"] == "mine"
