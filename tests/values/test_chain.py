"""The pure functions of the hash chain: canonical bytes, commitments, links."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.values import chain

TEXTS = st.lists(st.none() | st.text(max_size=8), max_size=4)


def test_canonical_bytes_are_plain_json() -> None:
    """Anybody can recompute them: this is how a message's look, byte for byte."""
    values = [3, "user", 0, 1_790_000_000_123_456, None]
    committed = chain.commitment(b"salt", ["hello"])
    assert committed == hashlib.sha256(b"salt5:hello").digest()
    expected = f'["messages",3,"user",false,1790000000123456,null,"{committed.hex()}"]'
    assert chain.canonical("messages", values, committed) == expected.encode()
    assert chain.link(b"before", b"row") == hashlib.sha256(b"beforerow").digest()
    assert chain.first("é") == hashlib.sha256('["ib chain 1","é"]'.encode()).digest()


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
FLAGS = {"counted_exact", "partial", "ok", "saw_model"}


@given(st.data(), st.sampled_from(sorted(chain.FIELDS)), st.none() | st.binary(min_size=32, max_size=32))
def test_canonical_bytes_are_what_json_writes(
    data: st.DataObject, table: str, committed: bytes | None
) -> None:
    """Whatever a row has, its bytes are those of the standard library's encoder: nothing else is promised."""
    names = chain.FIELDS[table]
    values = data.draw(st.lists(VALUES, min_size=len(names), max_size=len(names)))
    plain = [None if value == "" else value for value in values]
    for at, name in enumerate(names):
        if name in FLAGS and plain[at] is not None:
            plain[at] = bool(plain[at])
    whole = [table, *plain, None if committed is None else committed.hex()]
    expected = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    assert chain.canonical(table, values, committed) == expected.encode("utf-8", "surrogatepass")


@given(TEXTS, TEXTS)
def test_different_texts_have_different_commitments(one: list[str | None], other: list[str | None]) -> None:
    """Where one text ends and the next begins, and whether there is one, cannot be confused."""
    same = chain.commitment(b"s" * 16, one) == chain.commitment(b"s" * 16, other)
    assert same == (one == other)


def test_a_commitment_does_not_tell_its_text() -> None:
    """The same text has another commitment each time, so that nobody can try words out."""
    salts = {chain.new_salt() for _ in range(50)}
    assert len(salts) == len({chain.commitment(salt, ["yes"]) for salt in salts}) == 50
    assert {len(salt) for salt in salts} == {16}


@pytest.mark.parametrize("table", sorted(chain.FIELDS))
def test_every_value_counts(table: str) -> None:
    """Each field of a row changes its bytes, and no two fields can be exchanged."""
    plain: list[object] = [None] * len(chain.FIELDS[table])
    seen = {chain.canonical(table, plain)}
    for at in range(len(plain)):
        changed = [*plain[:at], 7, *plain[at + 1 :]]
        seen.add(chain.canonical(table, changed))
    assert len(seen) == len(plain) + 1
    assert json.loads(next(iter(seen)))[0] == table


def test_no_text_is_no_text() -> None:
    """A column with "" in one file and NULL in another gives the same bytes; a zero does not."""
    empty, null, zero = ([1, value, True, 5, None] for value in ("", None, 0))
    assert chain.canonical("messages", empty) == chain.canonical("messages", null)
    assert chain.canonical("messages", zero) != chain.canonical("messages", null)


@given(st.integers(0, 4 * 10**15))
def test_microseconds_survive_seconds(whole: int) -> None:
    """A time that was whole microseconds is the same ones after a file has kept it as seconds."""
    assert chain.microseconds(whole / 1e6) == whole
    assert chain.microseconds(None) is None
