"""Many writes in one transaction leave the ledger as one transaction each would have, to the byte."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ib_duckdb.store import DuckDBStore
from ib_duckdb.writer import Operation, _Queued
from ib_kernel.values import (
    CallEnd,
    CallStart,
    LedgerEvent,
    Message,
    NewSession,
    Reservation,
    Status,
)

SESSIONS = {
    "s": NewSession("s", "Ada", 600, "m"),
    "t": NewSession("t", "Bob", 500, "m", charge="new", billed_ceiling=900, time_limit_s=30.0),
    "u\0v": NewSession("u\0v", "Cyd", 10_000, "m", budget_nano_usd=800),
}
TABLES = ("sessions", "reservations", "released", "calls", "messages", "events", "session_rows", "requests")
Step = Callable[["Ledger"], "Operation[Any] | None"]


@dataclass
class Ledger:
    """A ledger whose clock, ids, tokens and salts are given, and what was reserved in it so far."""

    store: DuckDBStore
    now: list[float]
    made: Iterator[int] = field(default_factory=itertools.count)
    reserved: list[Reservation] = field(default_factory=list)

    def pick(self, number: int) -> Reservation | None:
        """Return one of the reservations so far; the same one in two ledgers that do the same."""
        return self.reserved[number % len(self.reserved)] if self.reserved else None

    def together(self, steps: Sequence[Step]) -> list[Any]:
        """Do *steps* in one transaction; return the answers or errors in words."""
        queued = [_Queued(operation) for step in steps if (operation := step(self)) is not None]
        with self.store._hot.alone():
            self.store._writer._commit(queued)
        return [self._told(one.error or one.answer) for one in queued]

    def one_by_one(self, steps: Sequence[Step]) -> list[Any]:
        """Do each of *steps* in a transaction of its own; return the same."""
        operations = [operation for step in steps if (operation := step(self)) is not None]
        return [self._told(self._run(operation)) for operation in operations]

    def _run(self, operation: Operation[Any]) -> Any:
        try:
            return self.store._writer.run(operation)
        except Exception as error:
            return error

    def _told(self, answer: Any) -> str:
        if isinstance(answer, Reservation):
            self.reserved.append(answer)
        return f"{type(answer).__name__}: {answer}"

    def rows(self) -> dict[str, list[Any]]:
        """Return all that the ledger has, but for what names the ledger itself."""
        with self.store._hot.read() as db:
            found = {name: sorted(map(repr, db.execute(f"SELECT * FROM {name}"))) for name in TABLES}
            found["ceiling"] = list(map(repr, db.execute("SELECT * FROM ceiling")))
            return found


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Yield a ledger with `SESSIONS`."""
    now = [1_000.0]
    with pytest.MonkeyPatch.context() as patch:
        ledger = Ledger(DuckDBStore(folder, clock=lambda: now[0], background=False, tick_s=20.0), now)
        for where in ("ib_duckdb.calls.random_hex", "ib_kernel.values.ownership.random_hex"):
            patch.setattr(where, lambda count: f"{next(ledger.made):032x}")
        patch.setattr("ib_kernel.values.chain.new_salt", lambda: b"salt" * 4)
        with ledger.store._hot.write() as db:
            db.execute("UPDATE ledger SET first_key = 0")
        for name, session in SESSIONS.items():
            ledger.store.open_session(session)
            ledger.store.set_status(name, Status.ACTIVE)
        yield ledger
        ledger.store.close()


names = st.sampled_from(["s", "s", "s", "t", "t", "u\0v", "nowhere"])
small = st.integers(0, 120)
numbers = st.integers(0, 50)
texts = st.lists(st.sampled_from(["a question", "nul \0 and é \ud800", ""]), max_size=2).map(
    lambda told: tuple(Message(0, "user", text, asked_at=900.0) for text in told)
)
starts = st.builds(
    CallStart,
    turn=st.sampled_from([0, 0, None, None, 1, 2]),
    attempt=st.sampled_from([1, 1, 2]),
    model=st.sampled_from(["m", "é\ud800"]),
    request_id=st.sampled_from(["", "", "", "r"]),
    most_running=st.sampled_from([None, None, 1, 3]),
)
ends = st.builds(
    CallEnd,
    input_tokens=small,
    output_tokens=small,
    cost_nano_usd=st.sampled_from([None, 0, 7, 300]),
    latency_ms=st.sampled_from([None, 0.1 + 0.2]),
    raw_usage=st.sampled_from([None, "{}", "nul \0"]),
)


@st.composite
def reserves(draw: st.DrawFn) -> Step:
    """Hold some tokens."""
    name, call = draw(names), draw(starts)
    held = (draw(st.integers(0, 300)), draw(st.none() | small), draw(st.sampled_from([0, 0, 250, 2**53])))
    lease = draw(st.sampled_from([0.0, 5.0, 60.0]))
    return lambda ledger: ledger.store._reserving(name, held, lease, "o", call)


@st.composite
def endings(draw: st.DrawFn) -> Step:
    """End, mark or renew one of the reservations so far, perhaps as somebody who does not own it."""
    kind, number, end, told = draw(st.sampled_from(KINDS)), draw(numbers), draw(ends), draw(texts)
    stranger = draw(st.sampled_from([False] * 9 + [True]))

    def step(ledger: Ledger) -> Operation[Any] | None:
        mine = ledger.pick(number)
        if mine is None:
            return None
        mine = replace(mine, owner_token="another") if stranger else mine
        store = ledger.store
        return {
            "settle": lambda: store._settling(mine, end, told),
            "release": lambda: store._releasing(mine, None),
            "fail": lambda: store._releasing(mine, CallEnd(0, 0, error="ClientError")),
            "mark": lambda: store._marking(mine, "no answer", told),
            "renew": lambda: store._renewing([mine], 60.0),
        }[kind]()

    return step


KINDS = ["settle"] * 6 + ["release", "fail", "mark", "renew"]


@st.composite
def others(draw: st.DrawFn) -> Step:
    """Write something that has no reservation."""
    name, end, call, told = draw(names), draw(ends), draw(starts), draw(texts)
    kind = draw(st.sampled_from(["charge", "message", "event"]))
    return lambda ledger: {
        "charge": lambda: ledger.store._charging(name, end, call, told),
        "message": lambda: ledger.store._adding_message(name, Message(0, "interviewer", "go on")),
        "event": lambda: ledger.store._adding_event(LedgerEvent(name, "note", 5.0, "I", {"x": "\0"})),
    }[kind]()


steps = st.lists(reserves() | reserves() | endings() | endings() | others(), min_size=3, max_size=20)
rounds = st.lists(
    st.tuples(steps, st.sampled_from([0.0, 0.0, 1.0, 6.0, 70.0]), st.sampled_from([None, None, 0, 400, -1])),
    min_size=1,
    max_size=5,
)


def played(
    run: Callable[[Ledger], Callable[[Sequence[Step]], list[Any]]], told: Any, *, verified: bool = False
) -> Any:
    """Play rounds of steps in a new ledger; return answers and rows after each, and what does not verify."""
    seen: list[Any] = []
    with tempfile.TemporaryDirectory() as place, opened(Path(place)) as ledger:
        for steps, passed, most in told:
            if most is not None:
                day = None if most < 0 else most
                ledger.store.set_ceiling(day_nano_usd=day, who="I")
            seen.append((run(ledger)(steps), ledger.rows()))
            ledger.now[0] += passed
        return seen, ledger.store.verify() if verified else []


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds)
def test_a_batch_does_what_its_operations_do_one_by_one(told: Any) -> None:
    """The same answers, refusals, errors and rows, links and sums included."""
    together, differing = played(lambda ledger: ledger.together, told, verified=True)
    alone, _ = played(lambda ledger: ledger.one_by_one, told)
    for number, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert one[0] == other[0], f"answers of round {number}"
        for table, rows in one[1].items():
            assert rows == other[1][table], f"{table} after round {number}"
    assert differing == []


def hold(tokens: int = 10, nano_usd: int = 0, lease_s: float = 60.0, **call: Any) -> Step:
    """Hold tokens of the session "s"."""
    held = (tokens, None, nano_usd)
    return lambda ledger: ledger.store._reserving("s", held, lease_s, "o", CallStart(**call))


def settle(number: int, *told: Message) -> Step:
    """Settle one of the reservations so far."""
    return lambda ledger: ledger.store._settling(
        ledger.reserved[number], CallEnd(3, 4, cost_nano_usd=5), told
    )


def mark(number: int, *told: Message) -> Step:
    """Say of one of them that nobody knows what it has cost."""
    return lambda ledger: ledger.store._marking(ledger.reserved[number], "no answer", told)


SAID = Message(0, "user", "a question", asked_at=900.0)
EXACTLY = {
    "as many as may run": [([hold(most_running=2)] * 4, 0.0, None)],
    "as much as the budget has": [([hold(250)] * 4, 0.0, None)],
    "as much as the ceiling has": [([hold(nano_usd=150)] * 4, 0.0, 400)],
    "a turn of two attempts counted once": [
        ([hold(turn=None)], 0.0, None),
        ([hold(turn=1, attempt=2)], 0.0, None),
        ([settle(0, SAID), settle(1, SAID), settle(0)], 0.0, None),
    ],
    "a lease that is over, where nothing fits": [
        ([hold(500, lease_s=5.0)], 6.0, None),
        ([hold(10), hold(300), hold(10)], 0.0, None),
    ],
    "what came late": [
        ([hold(turn=None, lease_s=5.0), hold(turn=None)], 6.0, None),
        ([settle(1, SAID), settle(0, SAID), hold(turn=None)], 0.0, None),
        ([settle(0, SAID), settle(1, SAID)], 0.0, None),
    ],
    "what was said before": [
        ([hold(turn=None), hold(turn=None)], 0.0, None),
        ([mark(0, SAID)], 0.0, None),
        ([settle(1, SAID), settle(0, SAID), hold(turn=None)], 0.0, None),
    ],
    "each of a hundred": [([hold(1)] * 100, 0.0, None), ([settle(n, SAID) for n in range(100)], 0.0, None)],
}


@pytest.mark.parametrize("told", EXACTLY.values(), ids=EXACTLY)
def test_a_batch_sees_what_those_before_have_left(told: Any) -> None:
    """Each caller of a batch finds what the ones before it have held, settled and refused."""
    together, differing = played(lambda ledger: ledger.together, told, verified=True)
    assert together == played(lambda ledger: ledger.one_by_one, told)[0]
    assert differing == []
