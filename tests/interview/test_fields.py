"""What may go along with a request: counted or without influence on the count, never another model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ConfigError
from ib_kernel.interview.fields import ALLOWED, LARGEST, OWN, check_messages, read_extra

BIG = "x" * 18_000
SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "description": BIG}}}
CHAT_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
FIELDS = st.sampled_from(sorted(ALLOWED["chat"])) | st.text(max_size=20)


@pytest.mark.parametrize("api", ALLOWED)
@pytest.mark.parametrize("name", sorted(OWN))
def test_what_the_session_decides_cannot_be_overridden(api: str, name: str) -> None:
    """Neither the model nor the messages under any of their names."""
    with pytest.raises(ConfigError, match=f"a further field cannot set '{name}'"):
        read_extra({name: "other"}, None, api)


@pytest.mark.parametrize(
    "extra",
    [
        {"prediction": {"type": "content", "content": BIG}},
        {"text": {"format": {"type": "json_object", "note": BIG}}},
        {"response_format": {"type": "json_object", "note": BIG}},
        {"response_format": {"type": "json_schema", "json_schema": {"note": BIG}}},
        {"metadata": {"note": BIG}},
        {"user": BIG},
        {"stop": [BIG]},
        {"previous_response_id": "r1"},
        {"web_search_options": {}},
        {"extra_body": {"messages": []}},
        {"stream_options": {"include_usage": False}},
        {1: 2},
    ],
)
@pytest.mark.parametrize("api", ALLOWED)
def test_what_nobody_counts_is_refused(extra: dict[str, object], api: str) -> None:
    """Fields beyond the list, and long texts in fields that are not counted, are one line."""
    with pytest.raises(ConfigError) as caught:
        read_extra(extra, None, api)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize(
    ("api", "extra"),
    [
        ("chat", {"tools": [{"type": "function", "function": {"name": "f", "description": BIG}}]}),
        (
            "chat",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
        ),
        ("responses", {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}}),
        (
            "responses",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
        ),
        ("chat", {"seed": 7, "stop": ["\n"], "top_p": 0.5, "reasoning_effort": "low"}),
    ],
)
def test_what_is_counted_may_be_long(api: str, extra: dict[str, object]) -> None:
    """Tools and schemas of any size, and short fields, pass unchanged."""
    assert read_extra(extra, None, api) == (extra, 1, None)


@pytest.mark.parametrize("value", [{1, 2}, float, b"x", [object()]])
def test_a_value_that_is_no_json_is_refused(value: object) -> None:
    """Before anything is reserved."""
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        read_extra({"stop": value}, None, "chat")


@pytest.mark.parametrize("n", [0, -1, 129, True, "2", None])
def test_the_number_of_choices_is_a_whole_number(n: object) -> None:
    """What is reserved follows from it."""
    with pytest.raises(ConfigError, match="the number of choices"):
        read_extra({"n": n}, None, "chat")


def test_the_least_cap_counts() -> None:
    """By whichever of its names a cap comes, and beside the argument."""
    assert read_extra({"max_tokens": 9, "max_output_tokens": 7, "n": 2}, 8, "chat") == ({}, 2, 7)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ({"role": "user", "content": "x", "note": BIG}, "cannot have the field 'note'"),
        ("text", "a message is a dict with a role and a content, not of type str"),
        (None, "not of type NoneType"),
        ({"role": "System", "content": "x"}, "cannot have the role 'System'; allowed: assistant"),
        ({"content": "x"}, "cannot have the role None"),
        ({"role": "user", "content": {"text": BIG}}, "text or a list of parts, not of type dict"),
        ({"role": "user", "content": 5}, "not of type int"),
        ({"role": "user", "content": b"x"}, "not of type bytes"),
    ],
)
def test_a_message_holds_only_what_is_counted(message: object, line: str) -> None:
    """What the counter does not read, or would read as another speaker's, is refused in words."""
    with pytest.raises(ConfigError, match=re.escape(line)):
        check_messages([message])  # type: ignore[list-item]


def test_no_message_is_nothing_to_send() -> None:
    """It would only be refused by the service."""
    with pytest.raises(ConfigError, match="no message to send"):
        check_messages([])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)


@given(
    st.dictionaries(st.sampled_from(sorted(ALLOWED["chat"])) | st.text(max_size=20), json_values, max_size=5)
)
def test_any_fields_are_taken_or_refused_with_one_line(extra: dict[str, object]) -> None:
    """Nothing else happens, whatever a program passes."""
    try:
        rest, n, _ = read_extra(extra, None, "chat")
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert set(rest) <= ALLOWED["chat"]
        assert n >= 1


def test_the_limit_is_that_of_one_field() -> None:
    """A text just under it passes, one over it does not."""
    assert read_extra({"user": "x" * (LARGEST - 2)}, None, "chat")[0]
    with pytest.raises(ConfigError, match="are not counted"):
        read_extra({"user": "x" * LARGEST}, None, "chat")
