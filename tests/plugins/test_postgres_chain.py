"""The hash chain on PostgreSQL: computed in the database, and the same as everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_servers import Databases

from ib_kernel.values import (
    CallEnd,
    CallStart,
    Cell,
    Check,
    LedgerEvent,
    Message,
    NewSession,
    Reservation,
    Score,
    Status,
)

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.keys import key_of, new_rid, session_key
from ib_postgres.store import PostgresStore
from ib_postgres.text import given as as_given
from ib_postgres.text import given_json, stored, stored_json

ODD = [
    "",
    "\0",
    "␀",
    "␀0",
    "␀1\0",
    "a\0␀0\0",
    '"\\\n\t\r\b\f\x01\x1f\x7f',
    "é🦉\u2028\ud800",
    "\\u0000",
    "x" * 300,
]
TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=20), st.text(alphabet="\0␀01\\u", max_size=12))
NUMBERS = st.one_of(st.sampled_from([0, 1, 2**53]), st.integers(0, 10**6))
SPANS = st.one_of(st.none(), st.floats(0, 1e9), st.sampled_from([0.0005, 0.4999999, 1e-9, 12345.6789]))
MOMENTS = st.one_of(st.floats(0, 4e9), st.sampled_from([1.0000005, 1_790_000_000.1234565, 0.0000004999]))


@pytest.fixture
def name(ledgers: Databases, tmp_path: Path) -> Iterator[str]:
    """An empty ledger's database."""
    yield ledgers.take(tmp_path)
    ledgers.give_back(tmp_path)


@pytest.fixture
def store(ledgers: Databases, name: str) -> Iterator[PostgresStore]:
    """A store on it."""
    store = PostgresStore(ledgers.server.url(name), background=False, store_timeout_s=30)
    yield store
    store.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_links_follow_whatever_is_recorded(store: PostgresStore, data: Any) -> None:
    """Odd texts, numbers and times: what Python recomputes from the rows is what the database has linked."""
    text, number, span, moment = (
        lambda kind=kind: data.draw(kind) for kind in (TEXTS, NUMBERS, SPANS, MOMENTS)
    )
    session = f"s{len(store.sessions())} {text()}"
    policy = data.draw(st.sampled_from(["billed", "new"]))
    store.open_session(NewSession(session, text(), 10**6, text(), meta={"m": text()}, charge=policy))
    store.set_status(session, Status.ACTIVE, who=text())
    end = CallEnd(
        number(), number(), number(), number(),
        model_returned=text(), cost_nano_usd=data.draw(st.none() | NUMBERS), price_source=text() or None,
        finish_reason=text(), error=text() or None, response_id=text(), latency_ms=span(),
        first_piece_ms=span(), raw_usage=text() or None,
    )  # fmt: skip
    said = [
        Message(0, text() or "user", text(), moment(), data.draw(st.booleans()), moment()) for _ in range(2)
    ]
    call = CallStart(
        None, 1, text(), text(), number(), data.draw(st.none() | st.booleans()), text(), sent_hmac=text()
    )
    store.charge(session, end, call=call, messages=said)
    held = store.reserve(session, 5, lease_s=60, owner=text(), call=call)
    if isinstance(held, Reservation):
        store.mark_unresolved(held, text(), messages=said)
        store.write_off(held.reservation_id, who="Ada " + text(), reason=text())
    store.add_event(
        LedgerEvent(session, text(), moment(), text(), {"t": text(), "n": number(), "f": moment()})
    )
    store.add_cell(
        Cell(session, text(), True, moment(), moment(), 3, text(), text(), number(), text() or None)
    )
    store.add_check(
        Check(session, "hidden", 1, 2, ({"name": text()},), text(), text(), "host", moment(), moment())
    )
    store.add_score(Score(session, text(), text(), "person", 1, reason=text(), quotes=({"words": text()},)))
    assert store.verify(session) == []
    assert store.check() == []
    first, second = (m.content.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for m in said)
    assert [m.content for m in store.history(session)][:2] == [first, second]


@given(st.text(alphabet=st.characters(codec="utf-8")) | st.text(alphabet="\0␀01\\u"))
def test_no_text_is_lost(text: str) -> None:
    """What a column cannot keep is kept otherwise and comes back; JSON stays JSON that jsonb takes."""
    import json

    assert "\0" not in stored(text)
    assert as_given(stored(text)) == text
    written = json.dumps({text: [text]}, ensure_ascii=False)
    kept = stored_json(written)
    assert given_json(kept) == written
    assert "\\u0000" not in kept.replace("\\\\", "")
    json.loads(kept)


@given(st.text())
def test_an_id_says_whose_it_is(name: str) -> None:
    """A reservation's id carries its session's key; ids of other ledgers say nothing."""
    key = session_key(name)
    assert 0 <= key < 2**63
    assert key_of(new_rid(key)) == key
    assert key_of("0" * 32) is None
    assert key_of("z" * 40) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE ib.messages SET content = 'forged'", "messages"),
        ("UPDATE ib.calls SET input_tokens = 1", "calls"),
        ("DELETE FROM ib.events WHERE kind = 'note'", "missing"),
        ("UPDATE ib.sessions SET chain_head = '\\x00'", "head"),
    ],
)
def test_what_was_changed_is_named(
    ledgers: Databases, name: str, store: PostgresStore, change: str, named: str
) -> None:
    """Whoever changes a row behind the ledger's back is found out."""
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    store.charge("s", CallEnd(3, 4), messages=[Message(1, "user", "hello")])
    store.add_event(LedgerEvent("s", "note", 0.0))
    store.set_status("s", Status.COMPLETED)
    assert store.verify() == []
    ledgers.server.execute(change, database=name)
    (line,) = store.verify()
    assert named in line
