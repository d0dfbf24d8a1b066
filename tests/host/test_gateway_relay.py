"""However a stream is cut into reads: what is passed on, what is read of it, and where it is cut."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.host.gateway.reading import read_come
from ib_kernel.host.gateway.relay import Meter, Relay
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
    stream: bytes, places: list[int], cap: int, *, drop_usage: bool
) -> tuple[bytes, PassingChat, bool]:
    answer = PassingChat()
    relay, out = Relay(answer, Meter(answer, cap, len), drop_usage=drop_usage), b""
    for read in _reads(stream, places):
        out += relay.take(read)
        if relay.cut:
            return out, answer, True
    return out + relay.rest(), answer, False


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


@given(st.lists(said.filter(lambda one: one[0]), min_size=1, max_size=30), cuts, st.integers(1, 60))
def test_a_cut_comes_after_the_same_event_however_it_was_read(
    pieces: list[tuple[str, str]], places: list[int], cap: int
) -> None:
    """What has more tokens than the cap is not passed on, and everything before it is."""
    events = [_event(text, end) for text, end in pieces]
    fits = [total for total in itertools.accumulate(len(text) for text, _ in pieces) if total <= cap]
    out, answer, was_cut = _relayed(b"".join([*events, STOP, DONE]), places, cap, drop_usage=False)
    assert was_cut is (len(fits) < len(pieces))
    if was_cut:
        assert out == b"".join(events[: len(fits)]) + answer.cut_short()


def test_pieces_that_have_come_are_read_at_once() -> None:
    """Those that were there before the read, and those that came while it waited, to the end."""
    from aiohttp import StreamReader
    from aiohttp.base_protocol import BaseProtocol

    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        protocol.transport = asyncio.Transport()  # open, and never paused
        content = StreamReader(protocol, 2**16, loop=loop)
        content.begin_http_chunk_receiving()

        def come(*pieces: bytes) -> None:
            for piece in pieces:
                content.feed_data(piece)
                content.end_http_chunk_receiving()

        come(b"one ", b"two ")
        found = [await read_come(content)]
        loop.call_soon(come, b"three ", b"four ")
        found.append(await read_come(content))
        come(b"five")
        content.feed_eof()
        return [*found, await read_come(content), await read_come(content)]

    assert asyncio.run(main()) == [b"one two ", b"three four ", b"five", b""]
