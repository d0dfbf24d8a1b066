"""A service that repeats the host's key: no candidate's tool ever gets it, whole or in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hosting import KEY, Served, served
from hypothesis import given
from hypothesis import strategies as st
from test_gateway import HI, MODEL, hosted, tool

from ib_kernel.host.gateway.relay import Meter, Relay
from ib_kernel.host.gateway.veil import Veil, veiled
from ib_kernel.secrets import known
from ib_kernel.secrets.known import START, learn
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_openai.passing import PassingChat

SECRET = "qz7-Xw9kPlanted55Secret"


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
    learn(SECRET)
    for text in (before + after, before + SECRET + after):
        answer: Any = _Answer()
        veil, at, turn, out = Veil(answer), 0, 0, b""
        while at < len(text) and not veil.torn:
            piece = text[at : at + sizes[turn % len(sizes)]]
            at, turn = at + len(piece), turn + 1
            answer.pieces.append(piece)
            out += veil.pass_on(piece.encode("utf-8", "surrogatepass"))
        out += veil.rest()
        if SECRET in text:
            assert SECRET[:13].encode() not in out
        elif SECRET.lower() not in text.lower():
            assert out == text.encode("utf-8", "surrogatepass")


def _event(content: str) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


def _relayed(pieces: list[str], cap: int = 1_000) -> tuple[bytes, PassingChat, bool]:
    learn(SECRET)
    answer = PassingChat()
    relay, out = Relay(answer, Meter(answer, cap, len), drop_usage=False), b""
    for piece in pieces:
        out += relay.take(_event(piece))
        if relay.cut:
            return out, answer, True
    return out + relay.rest(), answer, relay.cut


def test_a_secret_in_one_event_is_hidden_there() -> None:
    """What the candidate reads and what is recorded are the same."""
    out, answer, was_cut = _relayed(["It is ", f"{SECRET}!", " Well."])
    assert out == _event("It is ") + _event("[redacted]!") + _event(" Well.")
    assert ("".join(answer.pieces), was_cut) == ("It is [redacted]! Well.", False)


@pytest.mark.parametrize("first", [START, 9])
def test_an_answer_that_tells_a_secret_in_pieces_ends_before_it(first: int) -> None:
    """The events that began it are never passed on."""
    out, answer, was_cut = _relayed(["It is ", SECRET[:first], SECRET[first:15], SECRET[15:], " Well."])
    assert was_cut
    assert out == _event("It is ") + answer.cut_short()


def test_what_only_began_like_a_secret_is_passed_on() -> None:
    """It waits for what follows, or for the end: of the stream, or at the cap."""
    begun = [_event(piece) for piece in ("It is ", SECRET[:4], SECRET[4:7])]
    for more, cap in (([], 1_000), (["."], 1_000), (["." * 9], 15)):
        out, answer, was_cut = _relayed(["It is ", SECRET[:4], SECRET[4:7], *more], cap)
        assert out == b"".join(begun) + (answer.cut_short() if was_cut else b"".join(map(_event, more)))
        assert was_cut is (cap == 15)


@pytest.mark.parametrize(("told", "passed"), [(7, True), (15, False)])
def test_a_cut_within_what_may_be_a_secret_has_its_end(told: int, passed: bool) -> None:
    """The client hears that the answer is over, with what was kept back where that tells nothing."""
    pieces = ["It is ", SECRET[:4], SECRET[4:told]]
    out, answer, was_cut = _relayed(pieces, 11)
    assert was_cut
    assert out == b"".join(map(_event, pieces[: 2 if passed else 1])) + answer.cut_short()


def test_the_environment_is_known_before_anything_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody has looked for its keys before."""
    monkeypatch.setattr(known, "registry", known.Known())
    monkeypatch.setenv("PLANTED_API_KEY", "qz8-Another77Planted")
    assert veiled(b"it is qz8-Another77Planted") == b"it is [redacted]"


@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_what_the_end_cuts_of_a_secret_is_not_passed_on(case: Callable[[str], str]) -> None:
    """Most of it would tell it, in whatever case."""
    out, _, _ = _relayed(["It is ", case(SECRET[:8]), case(SECRET[8:20])])
    assert out == _event("It is ")


def test_a_secret_is_not_told_in_what_nobody_sees() -> None:
    """The arguments of a tool call are looked at as the text is."""
    learn(SECRET)
    answer: Any = _Answer()
    veil, out = Veil(answer), b""
    for at in range(0, len(SECRET), 5):
        answer.others.append(SECRET[at : at + 5])
        out += veil.pass_on(b"%d" % at)
    assert (veil.torn, out + veil.rest()) == (True, b"")


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    """Only the secret is replaced."""
    learn(SECRET)
    assert veiled(b"\xff\x80 " + SECRET.encode() + b" \xe2\x98") == b"\xff\x80 [redacted] \xe2\x98"
