"""Ledgers of version 1, in which turns shared numbers, are brought forward; ``older/`` has such a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from older_ledger import read_older, write_older

from ib_duckdb.renumber import Attempt, Text, renumber, repeats
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import ReservationError
from ib_kernel.values import CallEnd, CallStart, Reservation

OLDER = read_older("version_1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the ledger that the code of version 1 wrote: both files."""
    return write_older(OLDER, tmp_path)


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """The ledger, opened by today's code at the moment it was left."""
    store = DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)
    yield store
    assert store.check() == []
    store.close()


TURNS = {
    "old": ["o1", "o2", None, "o3", "o4", "o5"],  # None: the turn failed and said nothing
    "both": ["b1", "b2", None, "b3", "b4", "b5", "b6", "b7"],
    "plain": ["p1", "p2", "p3", "p4"],
}


def said(store: DuckDBStore, name: str) -> dict[int, list[str]]:
    """Return what was said in each turn of a session's transcript."""
    turns: dict[int, list[str]] = {}
    for message in store.history(name):
        turns.setdefault(message.turn, []).append(message.content)
    return turns


def test_the_older_ledger_has_turns_that_share_a_number() -> None:
    """What is tested here is not empty: pairs repeat in what the older code wrote."""
    rows = OLDER["record"]["main.calls"]["rows"]
    pairs = [tuple(row[:3]) for row in rows if row[1] != "0"]
    assert len(set(pairs)) < len(pairs)


def test_no_pair_of_turn_and_attempt_repeats(store: DuckDBStore) -> None:
    """In rows that are only in the record, in both files, only hot, and in doubt."""
    pairs = "SELECT count(*), count(DISTINCT (session_id, turn, attempt)) FROM calls WHERE turn > 0"
    ((rows, different),) = store.sql(pairs).rows
    assert rows == different == 20
    assert store.check() == []


@pytest.mark.parametrize("name", ["old", "both", "plain"])
def test_turns_are_told_apart_in_the_order_in_which_they_began(store: DuckDBStore, name: str) -> None:
    """Each turn has its question and its answer, in the transcript and in SQL; failed ones have a number."""
    found = said(store, name)
    asked = [texts[0] for _, texts in sorted(found.items())]
    assert asked == [text for text in TURNS[name] if text]
    assert all(answer == f"re {question}" for question, answer in found.values() if question != "b4")
    rows = store.sql(
        f"SELECT DISTINCT turn FROM calls WHERE session_id = '{name}' AND turn > 0 ORDER BY 1"
    ).rows
    assert len(rows) == len(TURNS[name])
    in_sql = store.sql(f"SELECT turn, content FROM messages WHERE session_id = '{name}' ORDER BY seq").rows
    assert in_sql == [(m.turn, m.content) for m in store.history(name)]


def test_numbers_that_did_not_repeat_stay(store: DuckDBStore) -> None:
    """A session that never overlapped or failed is as it was."""
    calls = store.sql("SELECT turn, attempt, status FROM calls WHERE session_id = 'plain' ORDER BY seq").rows
    assert calls == [
        (1, 1, "settled"),
        (2, 1, "settled"),
        (3, 1, "failed"),
        (3, 2, "settled"),
        (4, 1, "settled"),
    ]


def test_messages_follow_the_calls_that_wrote_them(store: DuckDBStore) -> None:
    """An answer's row and its call ended at the same moment, whichever of two turns at once it was."""
    apart = """
        SELECT count(*), max(abs(epoch(c.ended_at) - epoch(m.created_at))) FROM messages AS m
        JOIN calls AS c ON c.session_id = m.session_id AND c.turn = m.turn AND c.status = 'settled'
        WHERE m.role = 'assistant'"""
    assert store.sql(apart).rows == [(15, 0.0)]


def test_questions_get_the_moment_they_were_asked(store: DuckDBStore) -> None:
    """It is when their turn's first attempt began, before the answer."""
    rows = store.sql(
        "SELECT count(*) FILTER (asked_at IS NULL), bool_and(asked_at < created_at) FROM messages"
    ).rows
    assert rows == [(0, True)]
    hot = store.history("both")
    record = store.sql("SELECT epoch(asked_at) FROM messages WHERE session_id = 'both' ORDER BY seq").rows
    assert [m.asked_at for m in hot] == pytest.approx([asked for (asked,) in record])


def test_totals_count_the_turns_that_were_told_apart(store: DuckDBStore) -> None:
    """Two turns at once were counted as one."""
    counted = dict(store.sql("SELECT session_id, turns FROM session_usage").rows)
    assert counted == {"old": 5, "both": 6, "plain": 4}
    assert {name: store.totals(name).turns for name in ("both", "plain")} == {"both": 6, "plain": 4}


def test_the_next_turn_gets_a_number_nobody_had(store: DuckDBStore) -> None:
    """Numbers go on after the highest, held turns included."""
    for name, turn in (("old", 7), ("both", 9), ("plain", 6)):
        held = store.reserve(name, 10, lease_s=60.0, call=CallStart(turn=None))
        assert isinstance(held, Reservation)
        assert held.turn >= turn
        assert held.turn not in {
            row[0] for row in store.sql(f"SELECT turn FROM calls WHERE session_id = '{name}'")
        }
        store.release(held)


def test_what_an_older_kernel_reserved_has_no_owner(folder: Path) -> None:
    """Nobody can end it; when its lease is over it is unresolved, and somebody decides."""
    now = [OLDER["now"]]
    store = DuckDBStore(folder, clock=lambda: now[0], background=False)
    (held,) = store.reservations("plain")
    assert (held.in_doubt, held.turn, held.owner) == (False, 5, "old kernel")
    for token in ("", "made up"):
        forged = Reservation(held.reservation_id, "plain", 200, held.lease_until, owner_token=token)
        with pytest.raises(ReservationError):
            store.settle(forged, CallEnd(1, 1))
        with pytest.raises(ReservationError):
            store.release(forged)
    now[0] += 700
    assert store.totals("plain").in_doubt == 200
    assert store.resolve(held.reservation_id, CallEnd(20, 10), who="Ada")
    assert store.check() == []
    store.close()


def test_both_files_are_backed_up_first(store: DuckDBStore, folder: Path) -> None:
    """What the older code wrote is kept beside the new files."""
    store.flush()
    assert (folder / "hot.version-1.sqlite3").exists()
    with duckdb.connect(str(folder / "usage.version-1.duckdb"), read_only=True) as kept:
        rows = OLDER["record"]["main.calls"]["rows"]
        assert kept.execute("SELECT count(*) FROM calls").fetchall() == [(len(rows),)]


def test_a_lost_record_is_rebuilt_with_the_same_numbers(folder: Path) -> None:
    """What the hot ledger still has gets the numbers that the record had."""
    store = DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)
    ask = "SELECT turn, attempt, status FROM calls WHERE session_id = 'both' ORDER BY seq NULLS LAST"
    before = store.sql(ask).rows
    store.close()
    (folder / "usage.duckdb").unlink()
    again = DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)
    assert again.sql(ask).rows == before
    again.close()


# --- the rule


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Attempt], list[Text], dict[str, int]]:
    """Turns as version 1 had them: some at once, some failed; with each text's true turn."""
    attempts: list[Attempt] = []
    texts: list[Text] = []
    truth: dict[str, int] = {}
    now, settled, turn = 0.0, 0, 0
    for _ in range(draw(st.integers(1, 6))):
        waiting: list[tuple[int, int, float]] = []
        number = settled + 1
        for _ in range(draw(st.integers(1, 3))):  # at once
            turn, now = turn + 1, now + 1
            tries = draw(st.integers(1, 3)) if not waiting else 1
            for attempt in range(1, tries):
                attempts.append(Attempt(f"c{turn}.{attempt}", number, attempt, now, now + 1, False))
                now += 2
            waiting.append((turn, tries, now))
        answered = False
        for which, attempt, began in draw(st.permutations(waiting)):
            now += 5
            done = draw(st.booleans())
            attempts.append(Attempt(f"c{which}.{attempt}", number, attempt, began, now, done))
            if done:
                answered = True
                for role in ("user", "assistant"):
                    texts.append(Text(f"{role}{which}", number, role, now))
                    truth[f"{role}{which}"] = which
        settled += answered
    return attempts, texts, truth


@given(histories())
def test_whatever_happened_turns_and_their_messages_are_found(
    history: tuple[list[Attempt], list[Text], dict[str, int]],
) -> None:
    """No pair repeats, turns are numbered in order of their beginning, and every message is in its own."""
    attempts, texts, truth = history
    calls, messages = renumber(attempts, texts)
    renumbered = [
        Attempt(a.id, calls[a.id], a.attempt, a.started_at, a.ended_at, a.answered) for a in attempts
    ]
    assert not repeats(renumbered)
    assert calls == {a.id: int(a.id[1:].split(".")[0]) for a in attempts}
    assert messages == truth


def test_outside_turns_nothing_is_numbered() -> None:
    """Calls and messages of turn 0, and messages whose turn has no attempt, keep what they have."""
    outside = Attempt("c", 0, 1, 1.0, 2.0, True)
    calls, messages = renumber([outside], [Text("m", 0, "user", 2.0), Text("n", 7, "user", 2.0)])
    assert (calls, messages) == ({}, {})
