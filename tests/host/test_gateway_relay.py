"""However a stream is cut into reads: what is passed on, what is read of it, and where it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ib_kernel.errors import StreamBroken
from ib_kernel.host.gateway import relay as relay_module
from ib_kernel.host.gateway.relay import Events, Meter, Relay
from ib_openai.passing import PassingChat


def _event(content: str, end: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    value = {"id": "1", "object": "chat.completion.chunk", "choices": [choice], **more}
    return f"data: {json.dumps(value, ensure_ascii=False)}{end}".encode()


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}}\n\n'
STOP = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

ends = st.sampled_from(["\n\n", "\n\n", "\n\n", "\r\n\r\n", "\r\r"])
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
said = st.tuples(text, ends)
mixed = st.lists(said, max_size=15)
alike = ends.flatmap(lambda end: st.lists(st.tuples(text, st.just(end)), max_size=15))
cuts = st.lists(st.integers(0, 4_000), max_size=20)


def _reads(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[first:last] for first, last in itertools.pairwise(at)]


def _relayed(
    stream: bytes, places: list[int], cap: int, drop_usage: bool, count: Callable[[str], int] = len
) -> tuple[bytes, PassingChat, bool]:
    answer = PassingChat()
    relay, out = Relay(answer, Meter(answer, cap, count), drop_usage=drop_usage), b""
    for read in _reads(stream, places):
        out += relay.take(read)
        if relay.cut:
            return out, answer, True
    out += relay.rest()
    return out, answer, relay.cut


@given(mixed | alike, cuts, st.booleans())
def test_what_is_passed_on_does_not_depend_on_the_reads(
    pieces: list[tuple[str, str]], places: list[int], drop_usage: bool
) -> None:
    """Every byte in its order, without the usage where nobody asked for it; every text is read once."""
    events = [_event(text, end) for text, end in pieces]
    stream = b"".join([*events, STOP, USAGE, DONE])
    out, answer, was_cut = _relayed(stream, places, 10**6, drop_usage=drop_usage)
    assert not was_cut
    assert out == (stream.replace(USAGE, b"") if drop_usage else stream)
    assert "".join(answer.pieces) == "".join(text for text, _ in pieces)
    usage = answer.done().usage
    assert usage is not None
    assert answer.complete


words = st.text('ab\N{SNOWMAN}"', min_size=1, max_size=5)
plain_ends = st.sampled_from(["\n\n", "\n\n", "\r\n\r\n"])


def _in_bytes(text: str) -> int:
    return len(text.encode())


@given(
    st.lists(words, min_size=1, max_size=30),
    plain_ends,
    cuts | st.integers(1, 4),
    st.integers(1, 90),
    st.sampled_from([len, _in_bytes]),
)
@example(["\N{SNOWMAN}", "\N{SNOWMAN}"], "\n\n", 1, 2, len)
def test_a_cut_comes_after_the_same_event_however_it_was_read(
    pieces: list[str], end: str, places: list[int] | int, cap: int, count: Callable[[str], int]
) -> None:
    """What has more tokens than the cap is not passed on, and everything before it is.

    The reads are cut anywhere, or after each few events.
    """
    events = [_event(text, end) for text in pieces]
    if isinstance(places, int):
        places = [*itertools.accumulate(map(len, events))][::places]
    fits = [total for total in itertools.accumulate(map(count, pieces)) if total <= cap]
    stream = b"".join([*events, STOP, DONE])
    out, answer, was_cut = _relayed(stream, places, cap, drop_usage=False, count=count)
    assert was_cut is (len(fits) < len(pieces))
    if was_cut:
        assert out == b"".join(events[: len(fits)]) + answer.cut_short()
        assert "".join(answer.pieces) == "".join(pieces[: len(fits) + 1])


@given(st.lists(said, max_size=9), cuts)
def test_an_event_is_passed_on_as_soon_as_it_is_whole(
    pieces: list[tuple[str, str]], places: list[int]
) -> None:
    """Nothing waits for the next event, wherever the reads are cut, and nothing goes before its end."""
    events = [_event(text, end) for text, end in pieces]
    ends_at = [0, *itertools.accumulate(map(len, events))]
    stream, answer, read = b"".join([*events, STOP]), PassingChat(), 0
    relay, out = Relay(answer, Meter(answer, 10**6, len), drop_usage=False), b""
    for part in _reads(stream, places):
        out, read = out + relay.take(part), read + len(part)
        # Of CR LF CR LF, the first three are an empty line too.
        assert out == stream[: len(out)]
        assert max(at for at in (*ends_at, len(stream)) if at <= read) <= len(out) <= read
        assert len(out) in (*ends_at, len(stream)) or stream[len(out) - 2 : len(out)] in (b"\r\r", b"\n\r")


def test_an_event_of_several_lines_is_one() -> None:
    """A cut comes before it or after it, also where its lines end with CR LF."""
    events = [b"event: message\r\n" + _event(text, "\r\n\r\n") for text in ("one", "two", "three")]
    out, answer, was_cut = _relayed(b"".join(events), [], 6, drop_usage=False)
    assert was_cut
    assert out == events[0] + events[1] + answer.cut_short()


@pytest.mark.parametrize("cap", [2, 100])
def test_the_last_event_may_lack_its_empty_line(cap: int) -> None:
    """It is read and passed on at the stream's end, or cut there as any other."""
    out, answer, was_cut = _relayed(_event("a", "\n\n") + _event("bc", "\n"), [], cap, drop_usage=False)
    assert answer.pieces == ["a", "bc"]
    assert was_cut is (cap == 2)
    assert out == _event("a", "\n\n") + (answer.cut_short() if was_cut else _event("bc", "\n") + b"\n\n")


def test_what_nobody_sees_fills_the_cap_too() -> None:
    """The arguments of a tool call are generated, and billed."""

    def call(arguments: str) -> bytes:
        calls = [{"index": 0, "function": {"arguments": arguments}}]
        choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    events = [call("abc") for _ in range(5)]
    out, answer, was_cut = _relayed(b"".join(events), [], 7, drop_usage=False)
    assert was_cut
    assert out == events[0] + events[1] + answer.cut_short()


def test_nothing_is_counted_while_its_bytes_fit() -> None:
    """A text has at most as many tokens as bytes."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    events = [_event("abcd", "\n\n") for _ in range(25)]
    _, _, was_cut = _relayed(b"".join(events), [len(events[0]), 9 * len(events[0])], 100, False, count)
    assert not was_cut
    assert counted == []


def test_usage_beside_a_text_is_passed_on() -> None:
    """Only what has nothing but the usage is left out where nobody asked for it."""
    text = _event("a", "\n\n", usage={"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8})
    out, _, _ = _relayed(text + USAGE + STOP, [], 100, drop_usage=True)
    assert out == text + STOP


def test_an_answer_that_ends_by_itself_is_not_cut() -> None:
    """Its end stands in the event that passes the cap, which is here already."""
    said = {"index": 0, "delta": {"content": "b" * 9}, "finish_reason": "stop"}
    stream = _event("a", "\n\n") + b"data: " + json.dumps({"choices": [said]}).encode() + b"\n\n" + DONE
    assert _relayed(stream, [], 4, drop_usage=False)[::2] == (stream, False)


def test_an_event_that_does_not_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are counted over all reads, and it breaks the stream."""
    monkeypatch.setattr(relay_module, "MAX_EVENT_BYTES", 100)
    events = Events()
    assert events.take(b"data: " + 60 * b"x") == b""
    with pytest.raises(StreamBroken, match="more than"):
        events.take(60 * b"x")
