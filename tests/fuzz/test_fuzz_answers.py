"""Bytes of a service: read to an end, or one of our errors in one line, wherever they are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ClientError
from ib_kernel.secrets import Secret
from ib_kernel.turn.reply_text import ReplyText
from ib_kernel.turn.usage_check import check_usage
from ib_kernel.values import Done, Piece
from ib_kernel.values.sse import Decoder
from ib_openai.answers import AnswerReader
from ib_openai.chat import ChatReader
from ib_openai.mapping import from_status
from ib_openai.reading import read_reply
from ib_openai.responses import ResponsesReader

KEY = Secret("not-the-key-of-anyone-1")
NAMES = st.sampled_from(
    [
        "choices", "delta", "message", "content", "text", "type", "index", "finish_reason", "usage", "error",
        "response", "output", "item", "part", "status", "code", "prompt_tokens", "completion_tokens",
        "total_tokens", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
        "prompt_tokens_details", "completion_tokens_details", "reasoning_content", "refusal", "tool_calls",
        "model", "id", "created", "service_tier", "x_groq", "detail", "errors", "base_resp", "extra_content",
        "incomplete_details", "reason", "output_index", "content_index", "output_text", "object",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "stop", "length", "null", "error", "output_text", "thinking", "message", "response", "completed",
        "failed", "queued", "response.completed", "response.failed", "response.output_text.delta",
        "response.output_text.done", "response.output_item.done", "response.content_part.done", "Hi",
        "<think>", "</think>", "\ud83d", "\ude00", "not-the-key-", "of-anyone-1", "\x1b[2J", "7", "1e999",
    ]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([0, 1, 70, 2**53, 2**64, -1]), st.floats(),
    WORDS,
    st.text(max_size=5),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
CHUNKS = st.one_of(
    VALUES,
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.builds(lambda d, f: {"choices": [{"index": 0, "delta": d, "finish_reason": f}]}, VALUES, LEAVES),
    st.builds(lambda kind, rest: {**rest, "type": kind}, WORDS, st.dictionaries(NAMES, VALUES, max_size=3)),
    st.builds(lambda kind, inner: {"type": kind, "response": inner}, WORDS, VALUES),
)
LINES = st.one_of(
    CHUNKS.map(lambda value: f"data: {json.dumps(value)}\n\n"),
    CHUNKS.map(lambda value: f"{json.dumps(value)}\n"),
    st.sampled_from(
        ["data: [DONE]\n\n", ": ping\n\n", "event: error\n", "data:\n\n", "\r", "\r\n", "{", "[", "<html"]
    ),
    st.integers(1, 3_000).map(lambda n: f"data: {'[' * n}\n\n"),
    st.text(max_size=8),
)
BODIES = st.one_of(
    st.lists(LINES, max_size=8).map(lambda lines: "".join(lines).encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
)
CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=5)


class Response:
    """A body in pieces, as the reader takes it."""

    def __init__(self, body: bytes, cuts: list[int]) -> None:
        self.body, self.cuts = body, cuts

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        at, turn = 0, 0
        while at < len(self.body):
            size = self.cuts[turn % len(self.cuts)]
            yield self.body[at : at + size]
            at, turn = at + size, turn + 1


def heard(body: bytes, cuts: list[int], reader: AnswerReader) -> tuple[str, Done | str]:
    """Return the text, and how the reading ended."""

    async def run() -> tuple[str, Done | str]:
        said: list[str] = []
        replies: Any = read_reply(Response(body, cuts), reader)  # type: ignore[arg-type]
        try:
            async for one in replies:
                if isinstance(one, Piece):
                    said.append(one.text)
                if isinstance(one, Done):
                    return "".join(said), one
            raise AssertionError("no end")
        except ClientError as error:
            return "".join(said), one_line(error)

    return asyncio.run(run())


def one_line(error: ClientError) -> str:
    """Return the error's class and line, which steers no terminal and shows no key."""
    line = str(error)
    assert 0 < len(line) < 2_000
    assert not set("\n\r\x1b\0") & set(line), line
    assert KEY.reveal() not in line
    return f"{type(error).__name__}: {line}"


@fuzzed
@given(BODIES, CUTS, st.sampled_from([ChatReader, ResponsesReader]))
def test_bodies(body: bytes, cuts: list[int], kind: type[AnswerReader]) -> None:
    """A body says the same wherever it is cut; what it says of usage is judged without a fault."""
    cut, whole = heard(body, cuts, kind(KEY)), heard(body, [max(1, len(body))], kind(KEY))
    assert cut == whole
    text, end = cut
    if isinstance(end, Done):
        checked = check_usage(end.usage, prompt=100, exact=True, has_text=bool(text))
        assert 0 <= (checked.input_tokens or 0) + (checked.output_tokens or 0) < 2**53
        assert checked.cached_tokens >= 0
    reply = ReplyText()
    parts = [reply.take(piece)[1] for piece in text] + [reply.end()[1]]
    assert KEY.reveal() not in "".join(parts)


@fuzzed
@given(BODIES, CUTS)
def test_decoder(body: bytes, cuts: list[int]) -> None:
    """Events are the same wherever the bytes are cut."""

    def events(sizes: list[int]) -> list[Any]:
        decoder, found, at, turn = Decoder(), [], 0, 0
        try:
            while at < len(body):
                size = sizes[turn % len(sizes)]
                found += decoder.feed(body[at : at + size])
                at, turn = at + size, turn + 1
            return [*found, *decoder.finish()]
        except ClientError as error:
            return [*found, one_line(error)]

    assert events(cuts) == events([1])


@fuzzed
@given(
    st.integers(300, 599),
    st.one_of(VALUES, st.text(max_size=300)),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_error_answers(status: int, body: Any, location: str, wait: str) -> None:
    """Every status with every body is one of our errors, in one line."""
    error = from_status(status, {"location": location, "retry-after": wait}, body, key=KEY)
    one_line(error)
    assert error.retry_after_s is None or 0 <= error.retry_after_s < 10**9
