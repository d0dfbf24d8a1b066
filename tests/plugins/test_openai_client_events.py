"""The openai client reads a stream's bytes strictly: any cut, any line end, any JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel import errors
from ib_kernel.values.sse import Decoder, Event
from ib_openai.chat import ChatReader
from ib_openai.responses import ResponsesReader

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
    monkeypatch.setattr("ib_kernel.values.sse.MAX_EVENT_BYTES", 1000)
    decoder = Decoder()
    with pytest.raises(errors.StreamBroken, match="more than"):
        for _ in range(20):
            decoder.feed(b"x" * 100)


def test_an_endless_event_of_many_lines_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded when an event's blank line never comes."""
    monkeypatch.setattr("ib_kernel.values.sse.MAX_EVENT_BYTES", 1000)
    decoder = Decoder()
    with pytest.raises(errors.StreamBroken, match="more than"):
        for _ in range(20):
            decoder.feed(b"data: " + b"x" * 100 + b"\n")


NAMES = ["choices", "delta", "message", "content", "text", "type", "usage", "error", "detail",
         "index", "finish_reason", "id", "response", "output", "reasoning", "total_tokens"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
)


@pytest.mark.parametrize("reader", [ChatReader, ResponsesReader])
@given(value=JSON, kind=st.sampled_from(["", "error", "response.completed", "response.output_text.delta"]))
def test_any_json_is_read_or_refused_cleanly(reader: type[Any], value: Any, kind: str) -> None:
    """Whatever a service sends, a reader gives texts or one of our errors, never a crash."""
    heard: list[Any] = []
    with contextlib.suppress(errors.ClientError):
        heard += reader().feed(Event(kind, json.dumps(value)))
    with contextlib.suppress(errors.ClientError):
        heard += reader().whole(value)
    assert all(isinstance(one.text, str) for one in heard)
