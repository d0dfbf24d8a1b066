"""What the hot ledger accepts, the record accepts; and time is counted once, whatever clocks do."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import BuddyError, ConfigError
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, NewSession, Reservation, Status

HOUR = 3_600.0


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The ledger's time."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DuckDBStore]:
    """A ledger with one active session with a time limit of an hour."""
    store = DuckDBStore(tmp_path, clock=clock, background=False)
    store.open_session(NewSession("s", "Ada", 10**12, "m", time_limit_s=HOUR))
    store.set_status("s", Status.ACTIVE)
    yield store
    assert store.check() == []
    store.close()


def moved(store: DuckDBStore) -> None:
    """Every row reaches the record, and a question about all of them is answered."""
    store.flush()
    assert store._mover._reported == set()
    assert store.sql("SELECT count(*) FROM calls, messages, events, session_usage").rows


ODD_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**31, 2**53, 2**53 + 1, 2**63, 10**18, True, None, 1.5, math.nan, "7"]),
    st.sampled_from([np.int32(7), np.int64(2**40), np.uint64(2**63), np.float64(1.0), np.bool_(True)]),
)
ODD_MOMENTS = st.one_of(
    st.floats(), st.sampled_from([0.0, 1.79e9, 1.79e12, 1.79e15, -1.0, np.float64(1.79e9), None, "now"])
)
ODD_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["\ud800", "\x00", "a\udfff", None, 7]))
ODD_DETAILS = st.dictionaries(
    ODD_TEXTS, st.one_of(ODD_TEXTS, ODD_NUMBERS, st.lists(st.floats(), max_size=2)), max_size=3
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ODD_NUMBERS, ODD_NUMBERS, ODD_MOMENTS, ODD_TEXTS, ODD_DETAILS)
def test_what_one_store_takes_the_other_takes(
    store: DuckDBStore, number: Any, other: Any, moment: Any, text: Any, detail: Any
) -> None:
    """Every odd value is stored in both files, or refused in one line."""
    works = [
        lambda: store.add_event(LedgerEvent("s", text, moment, text, detail)),
        lambda: store.charge(
            "s",
            CallEnd(number, other, cached_tokens=other, latency_ms=moment, raw_usage=text, error=text),
            call=CallStart(turn=number, attempt=other, model=text, counted_tokens=number),
            messages=[Message(number, text, text, moment)],
        ),
        lambda: store.charge("s", CallEnd(1, 1, cost_nano_usd=number, first_piece_ms=moment)),
    ]
    for work in works:
        refusal = ""
        try:
            work()
        except BuddyError as error:
            refusal = str(error)
        assert "\n" not in refusal
    moved(store)


def test_a_lone_surrogate_in_details_is_replaced(store: DuckDBStore) -> None:
    """JSON that DuckDB reads comes out of it."""
    store.add_event(LedgerEvent("s", "note", 0.0, detail={"text": "a\ud800b", "\ud800": 1}))
    (event,) = [event for event in store.events("s") if event.kind == "note"]
    assert event.detail == {"text": "a\ufffdb", "\ufffd": 1}
    moved(store)
    assert store.sql("SELECT detail->>'text' FROM events WHERE kind = 'note'").rows == [("a\ufffdb",)]


def test_numbers_of_numpy_are_numbers(store: DuckDBStore) -> None:
    """They come from data frames, and are stored as Python's."""
    held = store.reserve("s", np.int64(100), lease_s=np.float64(60.0))  # type: ignore[arg-type]
    assert isinstance(held, Reservation)
    assert store.settle(held, CallEnd(np.int64(10), np.int32(5), latency_ms=np.float32(2.0)))  # type: ignore[arg-type]
    assert store.totals("s").used == 15
    moved(store)


@pytest.mark.parametrize(
    ("what", "work"),
    [
        ("turn", lambda s: s.charge("s", CallEnd(1, 1), call=CallStart(turn=2**31))),
        ("seconds since 1970", lambda s: s.add_event(LedgerEvent("s", "note", 1.79e15))),
        ("must be text", lambda s: s.charge("s", CallEnd(1, 1), messages=[Message(1, "user", None)])),
        ("input_tokens", lambda s: s.charge("s", CallEnd(10**18, 1))),
        ("JSON", lambda s: s.add_event(LedgerEvent("s", "note", 0.0, detail={"x": math.nan}))),
        ("latency_ms", lambda s: s.charge("s", CallEnd(1, 1, latency_ms=math.inf))),
    ],
)
def test_what_no_file_holds_is_refused_at_the_border(store: DuckDBStore, what: str, work: Any) -> None:
    """One line names the field and what is allowed; nothing is written."""
    with pytest.raises(ConfigError, match=what):
        work(store)
    assert store.totals("s").used == 0
    moved(store)


def test_sums_of_the_largest_numbers_are_answered(store: DuckDBStore) -> None:
    """Twelve sessions with as many tokens as one can have."""
    for number in range(12):
        store.open_session(NewSession(f"big{number}", "Ada", 2**53, "m"))
        store.charge(f"big{number}", CallEnd(2**53, 0))
    moved(store)
    assert store.sql("SELECT sum(total_tokens) FROM calls").rows == [(12 * 2**53,)]
    assert store.sql("SELECT input_tokens FROM usage_by_model").rows == [(12 * 2**53,)]


# --- time


def active(store: DuckDBStore) -> float:
    """The session's active seconds, as a look at it and as SQL tell."""
    seen = store.session("s").active_s
    asked = store.sql("SELECT active_s FROM sessions").rows[0][0]
    assert asked == pytest.approx(seen)
    return float(seen)


def tick(store: DuckDBStore) -> None:
    """Write something, so that the session's time is brought up to date."""
    store.charge("s", CallEnd(1, 1))


def test_a_clock_that_jitters_counts_each_second_once(store: DuckDBStore, clock: Clock) -> None:
    """Ten jitters of five seconds within ten seconds add one of them at most."""
    began = clock.now
    for second in range(1, 11):
        for jitter in (5.0, -5.0):
            clock.now = began + second + jitter
            tick(store)
    clock.now = began + 10
    tick(store)
    assert 10.0 <= active(store) <= 15.0


def test_a_clock_that_is_set_back_and_forward_counts_once(store: DuckDBStore, clock: Clock) -> None:
    """An hour back and an hour forward again are no hour of work."""
    for step in (50.0, -HOUR, 30.0, HOUR, 20.0):
        clock.now += step
        tick(store)
    assert 100.0 <= active(store) <= 100.0 + 120.0
    assert store.session("s").status == Status.ACTIVE


def test_a_sleep_does_not_use_up_a_limit(store: DuckDBStore, clock: Clock) -> None:
    """Three hours without a look are a machine that slept."""
    clock.now += 100
    tick(store)
    clock.now += 3 * HOUR
    assert store.session("s").status == Status.ACTIVE
    assert active(store) == pytest.approx(220.0)
    assert store.reserve("s", 1, lease_s=60.0)
    assert active(store) == pytest.approx(220.0)


def test_how_much_one_look_adds_is_a_setting(tmp_path: Path, clock: Clock) -> None:
    """A ledger that is looked at rarely may count more at once."""
    store = DuckDBStore(tmp_path / "rare", clock=clock, background=False, tick_s=HOUR)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    clock.now += 2_000
    assert active(store) == pytest.approx(2_000.0)
    store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.integers(0, 2**32))
def test_no_clock_counts_more_than_its_looks_allow(
    store: DuckDBStore, clock: Clock, steps: list[float], seed: int
) -> None:
    """Whatever the clock does, time never runs backwards, and each look adds at most its limit."""
    store.set_time_limit("s", None)
    before, rng = store.session("s").active_s, random.Random(seed)
    clock.now = 1_790_000_000.0 + rng.uniform(-1e6, 1e6)
    tick(store)
    before = store.session("s").active_s
    for step in steps:
        clock.now += step
        if rng.random() < 0.7:
            tick(store)
        after = store.session("s").active_s
        assert -1e-6 <= after - before <= 120.0 + 1e-6 or after == pytest.approx(before)
        tick(store)
        before = store.session("s").active_s


def test_running_sessions_are_shown_in_sql_as_they_are(store: DuckDBStore, clock: Clock) -> None:
    """Active seconds, minutes left and an elapsed limit, before anything is written about them."""
    store.set_time_limit("s", 300.0)
    tick(store)
    clock.now += 60
    ask = "SELECT status, active_s, time_limit_s, ended_at IS NULL FROM sessions"
    assert store.sql(ask).rows == [("active", 60.0, 300.0, True)]
    assert store.connect().execute(ask).fetchall() == [("active", 60.0, 300.0, True)]
    store.charge("s", CallEnd(10, 5), call=CallStart(turn=1))
    assert store.sql("SELECT minutes_of_time_limit FROM forecast").rows == [(4.0,)]
    for _ in range(2):
        clock.now += 115
        tick(store)
    clock.now += 60
    assert store.sql(ask).rows == [("expired", 300.0, 300.0, False)]
    assert store.session("s").status == Status.EXPIRED
    assert store.sql(ask).rows == [("expired", 300.0, 300.0, False)]


def test_time_goes_on_while_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is open brings the time of active sessions up to date by itself."""
    monkeypatch.setattr("ib_duckdb.mover.BEAT_S", 0.01)
    store = DuckDBStore(tmp_path / "beat", tick_s=0.5)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    deadline = time.monotonic() + 30
    while store.session("s").active_s < 1.5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    store.close()
