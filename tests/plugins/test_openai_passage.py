"""Answers that are passed on: read as our own are, whatever is skipped, and whatever is generated besides."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ClientError
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.values import Done, Piece
from ib_kernel.values.sse import Decoder
from ib_openai.chat import ChatReader
from ib_openai.client import OpenAIClient
from ib_openai.passing import PassingChat, PassingResponses
from ib_openai.plain_chunk import plain_chunk
from ib_openai.values import read_json

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.4-mini"}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a chat stream."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    value = {**HEAD, "choices": [choice], "usage": None, **more}
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


END = chunk({}, "stop") + b"data: [DONE]\n\n"
USAGE = chunk({}, choices=[], usage={"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8})

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
padding = st.text("abcXYZ019", max_size=8)
odd = st.sampled_from(
    [
        {"role": "assistant", "content": ""},
        {"content": "x", "reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"refusal": "no"},
        {},
        {"content": None},
    ]
)
events = st.lists(
    st.one_of(
        st.tuples(texts, padding).map(lambda p: chunk({"content": p[0]}, obfuscation=p[1])),
        odd.map(chunk),
        st.just(chunk({}, "stop")),
        st.just(chunk({"content": "cut \N{SNOWMAN}"}).replace(b"\xe2\x98\x83", b"\xe2\x98")),
        st.just(b": keep-alive\n\n"),
    ),
    max_size=12,
)


@given(events, st.lists(st.integers(0, 12), max_size=4))
def test_a_stream_reads_the_same_whatever_is_skipped(sent: list[bytes], cuts: list[int]) -> None:
    """Text, end and usage are those of the client's own reader, however the events are put together."""
    whole = [*sent, chunk({"content": "."}), chunk({}, "stop"), USAGE, b"data: [DONE]\n\n"]
    passing, ours, decoder, text = PassingChat(), ChatReader(), Decoder(), []
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})

    def skipping() -> Done:
        for first, last in itertools.pairwise(places):
            passing.feed(b"".join(whole[first:last]))
        return passing.done()

    def parsing() -> Done:
        for raw in whole:
            for event in decoder.feed(raw):
                text.extend(one.text for one in ours.feed(event) if isinstance(one, Piece))
        return ours.done()

    assert _outcome(skipping) == _outcome(parsing)
    assert "".join(passing.pieces) == "".join(text)
    assert (passing.finished, passing.complete) == (ours.finished, ours.complete)


def _outcome(read: Callable[[], Done]) -> Done | str:
    try:
        return read()
    except ClientError as error:
        return repr(error)


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("word", ["w{} ", 'a line,\n\t"{}" ', "\N{SNOWMAN}\u0001{}"])
def test_nearly_all_of_a_stream_is_not_parsed(monkeypatch: pytest.MonkeyPatch, word: str, end: str) -> None:
    """Of a hundred plain chunks a few are parsed, in one block as in many, whatever they spell."""
    parsed = []
    once = ChatReader._one

    def counted(self: Any, kind: str, value: Any, *, whole: bool = False) -> Any:
        parsed.append(value)
        return once(self, kind, value, whole=whole)

    monkeypatch.setattr(ChatReader, "_one", counted)
    said = ["first ", *(word.format(n) for n in range(99))]
    words = [
        chunk({"content": one}, obfuscation="ab" * (n % 3)).replace(b"\n\n", end.encode())
        for n, one in enumerate(said)
    ]
    for blocks in (words, [b"".join(words)]):
        parsed.clear()
        answer = PassingChat()
        for block in blocks:
            answer.feed(block)
        assert len(parsed) <= 3
        assert "".join(answer.pieces) == "".join(said)


@pytest.mark.parametrize("padded", [{}, {"obfuscation": "a"}])
@pytest.mark.parametrize(
    ("usual", "other"),
    [
        (b'"index": 0', b'"index": 1'),
        (b'"finish_reason": null', b'"finish_reason": "ok"'),
        (b'"usage": null', b'"usage": true'),
        (b"\n\n", b"\nid: 5\n\n"),
        (b"data: ", b"datA: "),
    ],
)
def test_an_event_that_differs_elsewhere_is_left_to_the_parser(
    usual: bytes, other: bytes, padded: dict[str, str]
) -> None:
    """It may say something else, though its text stands where the others have theirs."""
    first = chunk({"content": "one"}, **padded)
    odd = first.replace(usual, other)
    answer = PassingChat()
    answer.feed(first)
    assert answer.plain(2 * first + odd + first, 0) == (["oneone"], 2 * len(first))
    assert answer.plain(odd, 0) == answer.plain(odd + first, 0) == ([], 0)


@pytest.mark.parametrize(
    "rest",
    [
        b'"obfuscation": "a", "usage": {"prompt_tokens": 1}, "x": "b"}',
        b'"obfuscation": "-"}',
        b'"}',
    ],
)
def test_nothing_hides_in_a_padding(rest: bytes) -> None:
    """Between a text and an event's end there is what the others have there, and letters and digits."""
    first = chunk({"content": "one"}, obfuscation="a")
    start = b'"obfuscation"' if rest != b'"}' else b'"}, "logprobs"'
    odd = first[: first.index(start)] + rest + b"\n\n"
    answer = PassingChat()
    answer.feed(first)
    assert answer.plain(2 * first + odd + first, 0) == (["oneone"], 2 * len(first))
    assert answer.plain(odd, 0) == answer.plain(odd + first, 0) == ([], 0)


def test_a_text_after_a_finish_reason_says_that_it_was_none() -> None:
    """So it is parsed, however plain it is."""
    first = chunk({"content": "one"})
    answer = PassingChat()
    answer.feed(2 * first + chunk({}, "stop"))
    assert answer.finished
    assert answer.plain(first, 0) == ([], 0)
    answer.feed(first)
    assert (answer.finished, "".join(answer.pieces)) == (False, "oneoneone")


@pytest.mark.parametrize("junk", [b"\x00", b"\xff", b"\n", b'"', b"\\", b"\\ud83d", b"\x1f"])
def test_junk_between_plain_chunks_is_left_to_the_parser(junk: bytes) -> None:
    """Bytes that no text has end what is read together, where they stand and not before."""
    first = chunk({"content": "one"}, obfuscation="a")
    odd = chunk({"content": "odd|ity"}, obfuscation="b").replace(b"|", junk)
    answer = PassingChat()
    answer.feed(first)
    texts, end = answer.plain(3 * first + odd + first, 0)
    assert (texts, end) in ((["oneoneone"], 3 * len(first)), ([], 0))
    assert answer.plain(odd + first, 0) == ([], 0)


@pytest.mark.parametrize(
    "event",
    [
        chunk({"content": "x"}, "stop"),
        chunk({"content": 'a"b'}),
        chunk({"role": "assistant", "content": "x"}),
        chunk({"content": "x"}, usage={"prompt_tokens": 1}),
        chunk({"content": "x"}, error={"message": "no"}),
        b"data: [DONE]\n\n",
        b"data: {\n\n",
    ],
)
def test_what_says_more_than_a_text_makes_no_shape(event: bytes) -> None:
    """A finish reason, usage, an error, another field: such a chunk is always parsed."""
    assert plain_chunk(event, read_json(event[5:].decode())) is None


@pytest.mark.parametrize(
    "event",
    [
        b'{"choices":[{"index":0,"delta":{"content":"no"},"finish_reason":null}],'
        b'"choices":[{"index":0,"delta":{"content":"so"},"finish_reason":null}]}',
        b'{"x":{"delta":{"content":"no"}},"choices":[{"index":0,"delta":{"content":"so"},"finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"no"},"delta":{"content":"so"},"finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"so"},"finish_reason":null,"obfuscation":"a"}]}',
        b'{"choices":[{"index":0,"delta":{"content":"so"},"finish_reason":null}],"obfuscation":"a",'
        b'"obfuscation":"b"}',
    ],
)
def test_a_field_that_is_there_twice_makes_no_shape(event: bytes) -> None:
    """Which of two places is read is the parser's to say: such chunks are all parsed."""
    assert plain_chunk(b"data: " + event + b"\n\n", read_json(event.decode())) is None


def test_what_is_generated_beside_the_text_is_noted() -> None:
    """Tool calls, other choices and reasoning are billed, and nobody reads them as the reply."""
    answer = PassingChat()
    answer.feed(chunk({"reasoning_content": "hm"}))
    answer.feed(chunk({"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": "{}"}}]}))
    other = {"index": 1, "delta": {"content": "second"}, "finish_reason": None}
    answer.feed(chunk({}, choices=[other]))
    assert answer.pieces == []
    assert sorted(answer.others) == sorted(["hm", "look", "{}", "second"])


def test_a_responses_tool_call_is_noted_too() -> None:
    """Its arguments come as deltas of their own."""
    answer = PassingResponses()
    for delta in ('{"a"', ": 1}"):
        event = {"type": "response.function_call_arguments.delta", "delta": delta}
        answer.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert "".join(answer.others) == '{"a": 1}'


@pytest.mark.parametrize("answer", [PassingChat(), PassingResponses()])
def test_a_cut_answer_ends_as_at_its_cap(answer: Any) -> None:
    """What ends the stream here reads as a reply that was too long."""
    other = type(answer)()
    other.feed(answer.cut_short())
    assert other.done().finish_reason == "length"


def test_an_error_event_is_ours_and_without_the_key() -> None:
    """Mapped as in our own streams."""
    answer = PassingChat(Secret("sk-abcdefghij0123456789"))
    with pytest.raises(ClientError) as caught:
        answer.feed(b'data: {"error": {"message": "bad sk-abcdefghij0123456789", "code": 500}}\n\n')
    assert "sk-abcdefghij" not in str(caught.value)


def test_a_passage_goes_where_the_settings_say() -> None:
    """Address, query, key and the field for the cap are the client's own; its repr has no key."""
    settings = Settings(
        api_key="sk-abcdefghij0123456789", base_url="https://x.openai.azure.com/openai/v1?api-version=2"
    )
    passage = OpenAIClient(settings).passage()
    assert passage.url("chat") == "https://x.openai.azure.com/openai/v1/chat/completions?api-version=2"
    assert passage.headers()["Authorization"] == "Bearer sk-abcdefghij0123456789"
    assert passage.headers()["api-key"] == "sk-abcdefghij0123456789"
    assert "sk-abc" not in repr(passage) + repr(vars(passage))
    assert passage.responses_body({"model": "m", "input": "x"}, 7)["max_output_tokens"] == 7


PLAIN: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-5.4-mini",
    "usage": {"prompt_tokens": 26, "completion_tokens": 5, "total_tokens": 31},
    "service_tier": "default",
}
USUAL: dict[str, Any] = {
    "index": 0,
    "message": {"role": "assistant", "content": "Two.", "refusal": None},
    "finish_reason": "stop",
}
LEFT_OUT = object()
about = st.dictionaries(
    st.sampled_from([*PLAIN, "error", "obfuscation", "base_resp", "detail", "eval_count", "done"]),
    st.sampled_from(
        [
            LEFT_OUT,
            None,
            "",
            "gpt-x",
            7,
            True,
            {},
            {"code": 1},
            {"prompt_tokens": -1},
            {"input_tokens": 3},
            [],
        ]
    ),
    max_size=2,
)
of_choice = st.dictionaries(
    st.sampled_from([*USUAL, "logprobs", "delta", "text", "error", "usage"]),
    st.sampled_from(
        [
            LEFT_OUT,
            None,
            0,
            1,
            "0",
            0.0,
            "stop",
            "length",
            " STOP",
            "content_filter",
            "error",
            "tool_calls",
            {},
            {"content": "x"},
            {"prompt_tokens": 2, "completion_tokens": 1},
            ["stop"],
            "null",
        ]
    ),
    max_size=2,
)
of_message = st.dictionaries(
    st.sampled_from(
        ["role", "content", "refusal", "annotations", "tool_calls", "function_call", "reasoning"]
    ),
    st.sampled_from(
        [
            LEFT_OUT,
            None,
            "",
            "no",
            "a\ud800",
            [],
            [{"function": {"name": "f", "arguments": "{}"}}],
            {},
            {"name": "f", "arguments": "{}"},
            [{"type": "text", "text": "part"}],
            3,
        ]
    ),
    max_size=2,
)


def _with(value: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in {**value, **changed}.items() if one is not LEFT_OUT}


def _read_whole(body: bytes, *, at_once: bool) -> Any:
    """Return all that a reader knows of a whole answer, or its error."""
    answer = PassingChat()
    if not at_once:
        answer._reader._plain_text = lambda answer: None  # type: ignore[method-assign]
    try:
        answer.whole(body)
    except ClientError as error:
        return type(error), str(error), error.usage, error.raw_usage
    known = {
        name: one
        for name, one in vars(answer._reader).items()
        if name not in ("_plain_text", "_others", "last")
    }
    try:
        done: Any = answer.done()
    except ClientError as error:
        done = type(error), str(error), error.usage, error.raw_usage
    return answer.pieces, answer.others, known, done


class TestWholeAnswers:
    @given(about, st.lists(st.tuples(of_choice, of_message), min_size=1, max_size=2))
    def test_one_that_is_read_at_once_says_the_same(
        self, changed: dict[str, Any], choices: list[tuple[dict[str, Any], dict[str, Any]]]
    ) -> None:
        made = [
            _with({**USUAL, "message": _with(USUAL["message"], message)}, choice)
            for choice, message in choices
        ]
        body = json.dumps(_with({**PLAIN, "choices": made}, changed)).encode()
        assert _read_whole(body, at_once=True) == _read_whole(body, at_once=False)

    def test_the_usual_one_is_read_at_once(self) -> None:
        reader = PassingChat()._reader
        assert reader._plain_text({**PLAIN, "choices": [USUAL]}) == "Two."

    @pytest.mark.parametrize(
        "body", [b"\xef\xbb\xbf{}", b"[]", b"null", b"<html>", b"\xff\xfe", b"", b'"text"']
    )
    def test_what_is_no_answer_is_told_as_before(self, body: bytes) -> None:
        with pytest.raises(ClientError):
            answer = PassingChat()
            answer.whole(body)
            answer.done()
