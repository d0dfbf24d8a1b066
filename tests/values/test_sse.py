"""An event is read the same whether it comes alone or in parts."""

from __future__ import annotations

import pytest

from ib_kernel.errors import StreamBroken
from ib_kernel.values import sse
from ib_kernel.values.sse import Decoder, Event


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        ([b"data: a\n\n", b"data: b\n\n"], [Event("", "a"), Event("", "b")]),
        ([b"event: error\n", b"data: a\n\n"], [Event("error", "a")]),
        ([b"data: a\n", b"data: b\n\n"], [Event("", "a\nb")]),
        ([b"data: a", b"data: b\n\n"], [Event("", "adata: b")]),
        ([b"data: a\rdata: b\n\n"], [Event("", "a\nb")]),
        ([b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n", b"data: c\n\n"], [Event("", "a"), Event("", "c")]),
        ([b"data: \n\n"], [Event("", "")]),
    ],
)
def test_what_comes_before_a_chunk_belongs_to_it(chunks: list[bytes], events: list[Event]) -> None:
    """A chunk that looks like a whole event may be the end of one; a byte order mark only begins a stream."""
    decoder = Decoder()
    assert [event for chunk in chunks for event in decoder.feed(chunk)] == events
    assert decoder.any_field


def test_an_event_that_comes_at_once_is_not_too_long_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 20)
    assert Decoder().feed(b"data: " + 14 * b"x" + b"\n\n") == [Event("", 14 * "x")]
    with pytest.raises(StreamBroken):
        Decoder().feed(b"data: " + 15 * b"x" + b"\n\n")


def test_bytes_that_are_no_text_break_the_stream() -> None:
    with pytest.raises(StreamBroken, match="UTF-8"):
        Decoder().feed(b"data: \xff\n\n")
