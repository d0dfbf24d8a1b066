"""A service that repeats the host's key: no candidate's tool ever gets it, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosting import KEY, Served, served
from hypothesis import given
from hypothesis import strategies as st
from test_gateway import HI, MODEL, hosted, tool

from ib_kernel.host.gateway.veil import Veil
from ib_kernel.secrets.known import learn
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer


@pytest.fixture
def service() -> Iterator[FaultServer]:
    with FaultServer(api_key=KEY) as running:
        yield running


@pytest.fixture
def host(settings: Settings, service: FaultServer) -> Iterator[Served]:
    with served(hosted(settings, service)) as running:
        yield running


def test_a_whole_answer_that_repeats_the_key(host: Served, service: FaultServer) -> None:
    """The text around the key arrives."""
    service.reply(f"your key is {KEY}, is it not")
    with tool(host, host.session()) as client:
        answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=HI)
    assert KEY not in answer.text
    assert "your key is [redacted], is it not" in answer.text


@pytest.mark.parametrize("size", [3, 7, 1000])
def test_a_stream_that_repeats_the_key(host: Served, service: FaultServer, size: int) -> None:
    """Neither in one event nor in the pieces of several: the stream ends before it."""
    text = f"Well: {KEY} and more"
    service.reply(pieces=[text[at : at + size] for at in range(0, len(text), size)])
    with tool(host, host.session()) as client:
        said = [
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model=MODEL, messages=HI, stream=True)
            if chunk.choices
        ]
    assert KEY[:12] not in "".join(said)
    assert size < len(text) or "".join(said) == "Well: [redacted] and more"


class _Answer:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.others: list[str] = []


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_however_a_secret_is_cut(sizes: list[int], before: str, after: str) -> None:
    """A text without a secret passes whole; of one that is in it there is no more than a beginning."""
    secret = "qz7-Xw9kPlanted55Secret"
    learn(secret)
    for text in (before + after, before + secret + after):
        answer: Any = _Answer()
        veil, at, turn, out = Veil(answer), 0, 0, b""
        while at < len(text) and not veil.torn:
            piece = text[at : at + sizes[turn % len(sizes)]]
            at, turn = at + len(piece), turn + 1
            answer.pieces.append(piece)
            out += veil.pass_on(piece.encode("utf-8", "surrogatepass"))
        out += veil.rest()
        if secret in text:
            assert secret[:13].encode() not in out
        elif secret.lower() not in text.lower():
            assert out == text.encode("utf-8", "surrogatepass")
