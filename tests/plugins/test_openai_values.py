"""JSON of services is read and written quickly, and means what the standard library's means."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_openai.values import read_json, write_json

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _standard(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@given(VALUES, st.booleans())
def test_a_value_is_read_as_the_standard_library_reads_it(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert repr(read_json(text)) == repr(_standard(text))  # NaN is not equal to itself


@given(st.text('[]{}",:0123456789.eE-+ntrufalsN\\d83\n\u00e9 ', max_size=40))
def test_whatever_else_comes_is_read_or_refused_alike(text: str) -> None:
    assert repr(read_json(text)) == repr(_standard(text))


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '"\ud800"', "[" * 300 + "]" * 300, "[" * 100_000, "\ufeff{}"]
)
def test_what_one_of_the_two_does_not_read(text: str) -> None:
    assert repr(read_json(text)) == repr(_standard(text))


def test_a_number_of_thousands_of_digits_spoils_nothing_else() -> None:
    assert read_json('{"a": 1, "b": ' + "9" * 5_000 + "}") == {"a": 1, "b": math.inf}


@given(VALUES)
def test_a_value_is_written_so_that_it_is_read_again(value: Any) -> None:
    assert repr(json.loads(write_json(value))) == repr(json.loads(json.dumps(value)))
