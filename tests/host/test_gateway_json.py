"""The gateway's own JSON means what the standard library's means."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp", reason="pip install 'interview-buddy-kernel[host]'")

from ib_kernel.host.gateway.quick_json import read_json, write_json

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _outcome(read: Any, raw: bytes) -> Any:
    try:
        return repr(read(raw))  # NaN is not equal to itself
    except (ValueError, RecursionError) as error:
        return RecursionError if isinstance(error, RecursionError) else ValueError


class TestReading:
    @given(VALUES, st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
    def test_says_what_the_standard_library_says(self, value: Any, encoding: str) -> None:
        raw = json.dumps(value).encode(encoding)
        assert _outcome(read_json, raw) == _outcome(json.loads, raw)

    @given(
        st.binary(max_size=40)
        | st.text('[]{}",:0123456789.eE-+ntrufalsN\\d83\n ', max_size=40).map(str.encode)
    )
    def test_agrees_about_whatever_else_comes(self, raw: bytes) -> None:
        assert _outcome(read_json, raw) == _outcome(json.loads, raw)

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"model": "a", "model": "b"}',
            b'["\\ud800"]',
            b'"\xed\xa0\x80"',
            b"[NaN, -Infinity, 1e999]",
            b"[" * 300 + b"]" * 300,
            b"[" * 100_000,
            b"[" + b"9" * 4_400 + b"]",
            b'\xef\xbb\xbf{"a": 1}',
        ],
        ids=["twice", "surrogate", "raw surrogate", "no number", "nested", "too deep", "too long", "mark"],
    )
    def test_agrees_about_what_one_of_the_two_does_not_read(self, raw: bytes) -> None:
        assert _outcome(read_json, raw) == _outcome(json.loads, raw)


class TestWriting:
    @given(VALUES)
    def test_is_read_again_as_it_was(self, value: Any) -> None:
        assert json.loads(write_json(value)) == json.loads(json.dumps(value))

    def test_writes_what_has_no_place_in_utf_8_as_an_escape(self) -> None:
        assert json.loads(write_json({"a": "\ud800"})) == {"a": "\ud800"}

    def test_writes_a_deep_nesting(self) -> None:
        value: Any = 1
        for _ in range(300):
            value = [value]
        assert json.loads(write_json(value)) == value

    def test_writes_no_number_as_the_standard_library_does(self) -> None:
        assert math.isnan(json.loads(write_json(math.nan)))
