"""The ledger's hash chain: whatever is changed in a row of either file is named, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import duckdb
import pytest

from ib_duckdb.columns import CHAINED, TABLES
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import (
    CallEnd,
    CallStart,
    Cell,
    Check,
    LedgerEvent,
    Message,
    NewSession,
    Score,
    Status,
    chain,
)

DAY = 86_400.0
UNPROTECTED = {"rid", "owner_hash", "session_key", "seq"}
"""Columns that the record does not have (the first two), or that other tests are about."""


class Clock:
    """Moves a little with each look, as clocks do."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.123456

    def __call__(self) -> float:
        self.now += 0.0123457
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the test's ledger."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DuckDBStore]:
    """A ledger with every kind of row, in which two sessions take turns."""
    store = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    for name in ("s", "t"):
        store.open_session(NewSession(name, "Ada", 10**6, "m", charge="new"))
        store.set_status(name, Status.ACTIVE)
    for text in ("first — é", "second\n𝔘"):
        for name in ("s", "t"):
            turn(store, text, name)
    now = clock()
    store.add_cell(Cell("s", "x = 1\nprint(x)", True, now - 1, now, 3, "python", "", 2, "1\n"))
    store.add_check(Check("s", "visible", 1, 2, ({"name": "a", "ok": True},), "c", "d", "host", now, now))
    store.add_score(Score("s", "c1", "Grace", "person", 2, 1, 3, "good", ({"turn": 1},), True, "r", "m", "p"))
    store.add_event(LedgerEvent("s", "note", 0.0, "Grace", {"text": "calm"}))
    yield store
    store.close()


def turn(store: DuckDBStore, text: str, name: str = "s") -> None:
    """Have one turn in which *text* is said, with every figure a call may have."""
    call = CallStart(None, 1, "demo", "m", 90, True, "p-1", 1, sent_hmac="ab" * 32)
    held = store.reserve(name, 100, lease_s=600, call=call)
    assert held
    end = CallEnd(
        300, 20, 10, 5, "api", "m-2", 123_456_789, "list 1", "stop", "Odd", "id", 812.345678, 99.9, "{}", 40
    )
    said = [Message(1, "user", text, asked_at=1.5), Message(1, "assistant", f"re {text}", partial=True)]
    assert store.settle(held, end, messages=said)


def test_an_untouched_ledger_is_in_order(store: DuckDBStore, clock: Clock) -> None:
    """Hot, moved, and with rows that only the record still has; the head is what the totals tell."""
    assert store.verify() == []
    rows = store.verification().rows
    store.flush()
    both = store.verification()
    assert (both.differences, both.sessions, both.erased) == ((), 2, 0)
    assert both.rows == 2 * rows  # each in both files
    turn(store, "third")
    assert store.verify("s") == []
    head = store.totals("s").chain_head
    assert len(head) == 64
    turn(store, "fourth")
    assert store.totals("s").chain_head != head
    assert store.totals("t").chain_head != head


def test_rows_that_only_the_record_has_are_verified(store: DuckDBStore, tmp_path: Path, clock: Clock) -> None:
    """After thirty days, when the hot ledger has let go of them."""
    store.flush()
    clock.now += 40 * DAY
    later = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    later.flush()
    turn(later, "much later")
    with later._hot.read() as db:
        left = db.execute("SELECT count(*) FROM messages").fetchall()[0][0]
    assert left < 10
    assert later.verify() == []
    later.close()
    change_record(tmp_path, "UPDATE messages SET content = 'forged' WHERE seq = 1")
    assert "row 1 of messages in usage.duckdb differs" in store.verify()[0]


@pytest.mark.parametrize("table", [table.name for table in CHAINED])
def test_any_change_of_a_hot_row_is_named(store: DuckDBStore, table: str) -> None:
    """Every column of every kind of row, one after the other."""
    with store._hot.read() as db:
        key = "SELECT session_key FROM sessions WHERE session_id = 's'"
        newest = f"SELECT max(seq) FROM {table} WHERE session_key = ({key})"
        seq = db.execute(newest).fetchall()[0][0]
        columns = [
            name
            for (name,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')")
            if name not in UNPROTECTED
        ]
    assert len(columns) >= 8  # the events' are the fewest
    for column in columns:
        with store._hot.write() as db:
            (old,) = db.execute(f"SELECT {column} FROM {table} WHERE seq = ?", (seq,)).fetchall()[0]
            new = other(old, column)
            db.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", (new, seq))
        found = store.verify()
        assert len(found) == 1, column
        assert found[0].startswith("session s: "), column
        with store._hot.write() as db:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", (old, seq))
    assert store.verify() == []


def other(value: Any, column: str) -> Any:
    """Return another value that the column could have."""
    if value is None:
        return b"x" if column == "commitment" else 7
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, str):
        return value + " " if column in ("detail", "tests", "quotes") else value + "x"
    return 1 - value if value in (0, 1) else value + 100


@pytest.mark.parametrize("table", [table.name for table in CHAINED])
def test_any_change_of_a_moved_row_is_named(store: DuckDBStore, tmp_path: Path, table: str) -> None:
    """In the record, also where the hot ledger still has the true one."""
    store.flush()
    columns = [c for t in TABLES if t.name == table for c in t.columns]
    for column in columns:
        with duckdb.connect(str(tmp_path / "data" / "usage.duckdb")) as db:
            db.execute(f"CREATE OR REPLACE TABLE kept AS FROM {table}")
            where = f"seq = (SELECT max(seq) FROM {table} WHERE session_id = 's')"
            value = changed(column.name, column.type)
            db.execute(f"UPDATE {table} SET {column.name} = {value} WHERE {where}")
        found = store.verify()
        assert found, column.name
        assert column.name == "session_key" or found[0].startswith("session s: "), column.name
        change_record(tmp_path, f"DELETE FROM {table}; INSERT INTO {table} FROM kept; DROP TABLE kept")
    assert store.verify() == []


def changed(name: str, kind: str) -> str:
    """Return a DuckDB expression for another value of the column."""
    if kind == "VARCHAR":
        return f"coalesce({name}, '') || 'x'"
    if kind == "JSON":
        return f"({name}::VARCHAR || ' ')::JSON"
    if kind == "BLOB":
        return f"coalesce({name}, ''::BLOB) || 'x'::BLOB"
    if kind == "BOOLEAN":
        return f"NOT coalesce({name}, false)"
    if kind == "TIMESTAMP":
        return f"coalesce({name}, '2026-01-01'::TIMESTAMP) + INTERVAL 1 MICROSECOND"
    step = "0.000000001" if kind.startswith("DECIMAL") else "0.001" if kind == "DOUBLE" else "1"
    return f"coalesce({name}, 0) + {step}"


def change_record(tmp_path: Path, sql: str) -> None:
    """Run statements in ``usage.duckdb`` as somebody with a DuckDB of their own would."""
    with duckdb.connect(str(tmp_path / "data" / "usage.duckdb")) as db:
        db.execute(sql)


def test_rows_that_are_gone_moved_or_added_are_named(store: DuckDBStore) -> None:
    """A row less, a row of one session in another's name, two rows exchanged, a row that nobody wrote."""
    steps = {
        "missing": "DELETE FROM messages WHERE seq = 2",
        "another session's or missing": "UPDATE messages SET session_key = session_key + 1 WHERE seq = 1",
        "exchanged": "UPDATE messages SET content = (SELECT content FROM messages m"
        " WHERE m.seq = 3 - messages.seq) WHERE seq IN (1, 2)",
        "not in the chain": "INSERT INTO events (session_key, kind, created_at, who, detail)"
        " SELECT session_key, 'note', 1, 'x', '{}' FROM sessions WHERE session_id = 's'",
        "cut short": "UPDATE sessions SET chain_n = chain_n - 1 WHERE session_id = 's'",
        "head": "UPDATE sessions SET chain_head = zeroblob(32) WHERE session_id = 's'",
    }
    for what, sql in steps.items():
        with store._hot.write() as db:
            names = ("messages", "events", "sessions")
            copies = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}
            db.execute(sql)
        assert any(line.startswith("session s: ") for line in store.verify()), what
        with store._hot.write() as db:
            for table, rows in copies.items():
                db.execute(f"DELETE FROM {table}")
                db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    assert store.verify() == []


def test_erased_text_is_erased_and_not_a_difference(store: DuckDBStore, tmp_path: Path) -> None:
    """Text and salt go, the commitment stays: the chain still follows. Other text in its place differs."""
    store.flush()
    with store._hot.write() as db:
        seq, salt, text = db.execute("SELECT seq, salt, content FROM messages WHERE seq = 1").fetchall()[0]
        left = chain.commitment(salt, [text])
        sql = "UPDATE messages SET content = '', salt = NULL, commitment = ? WHERE seq = 1"
        db.execute(sql, (left,))
    found = store.verification()
    assert (found.differences, found.erased) == ((), 1)
    with duckdb.connect(str(tmp_path / "data" / "usage.duckdb")) as db2:
        sql = "UPDATE messages SET content = '', salt = NULL, commitment = ? WHERE seq = 1"
        db2.execute(sql, [left])
    assert store.verification().erased == 1
    with store._hot.write() as db:
        db.execute("UPDATE messages SET content = 'something else' WHERE seq = 1")
    assert "row 1 of messages in hot.sqlite3 differs" in store.verify()[0]
    assert seq == 1


def test_a_row_in_quarantine_keeps_its_link(store: DuckDBStore) -> None:
    """What the record cannot take stays in the chain; changing it is named all the same."""
    store.flush()
    turn(store, "later")
    with store._hot.write() as db:
        before = db.execute("SELECT max(seq), detail FROM events").fetchall()[0]
        store_event = "UPDATE events SET detail = '{\"broken' WHERE seq = ?"
        db.execute(store_event, (before[0],))
    assert len(store.verify()) == 1
    with store._hot.write() as db:
        db.execute("UPDATE events SET detail = ? WHERE seq = ?", (before[1], before[0]))
        values = ("messages", 9, 0, "a test")
        db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", values)
    store.flush()
    assert store.verify() == []


def test_threads_and_processes_keep_one_order(tmp_path: Path) -> None:
    """Several threads here and two other processes write to one session at once, rows move meanwhile."""
    store = DuckDBStore(tmp_path / "data")
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    command = [sys.executable, "-m", "ib_kernel.testing._store_child", "ib_duckdb.store:DuckDBStore"]
    arguments = [str(tmp_path / "data"), "number", "20"]
    pipe = subprocess.PIPE
    others = [subprocess.Popen([*command, *arguments], stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in others:
        assert process.stdout is not None
        process.stdout.readline()

    def work() -> None:
        for count in range(15):
            turn(store, str(count))
            store.add_event(LedgerEvent("s", "note", 0.0, "x", {"n": count}))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for process in others:
        process.communicate("go\n", timeout=120)
    for thread in threads:
        thread.join()
    store.flush()
    with store._hot.read() as db:
        links = [n for (n,) in db.execute("SELECT link_n FROM calls UNION ALL SELECT link_n FROM messages"
                                          " UNION ALL SELECT link_n FROM events ORDER BY 1")]  # fmt: skip
    assert links == list(range(1, len(links) + 1))
    assert store.verify() == []
    assert store.check() == []
    store.close()


def test_a_killed_writer_leaves_a_whole_chain(tmp_path: Path) -> None:
    """Rows, links and head are one write: `kill -9` leaves all of it or nothing."""
    store = DuckDBStore(tmp_path / "data", background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    command = [sys.executable, "-m", "ib_kernel.testing._store_child", "ib_duckdb.store:DuckDBStore"]
    arguments = [str(tmp_path / "data"), "acknowledge", "100000"]
    pipe = subprocess.PIPE
    for kill in range(3):
        with subprocess.Popen([*command, *arguments], stdin=pipe, stdout=pipe, text=True) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdout.readline()
            writer.stdin.write("go\n")
            writer.stdin.flush()
            for _ in range(5 + 3 * kill):
                writer.stdout.readline()
            writer.kill()
        assert store.verify() == []
    store.close()


def test_a_ledger_whose_record_was_rebuilt_says_what_is_missing(
    store: DuckDBStore, tmp_path: Path, clock: Clock
) -> None:
    """Rows that nobody has any more cannot be proven, and are not passed over in silence."""
    store.flush()
    clock.now += 40 * DAY
    later = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    turn(later, "later")
    later.flush()
    later.close()
    (tmp_path / "data" / "usage.duckdb").unlink()
    found = store.verify("s")
    assert len(found) == 1
    assert "is missing" in found[0]


def test_a_backup_verifies(store: DuckDBStore, tmp_path: Path, clock: Clock) -> None:
    """What comes back is the same chain."""
    store.flush()
    turn(store, "hot only")
    store.backup(tmp_path / "backup")
    new = DuckDBStore(tmp_path / "new", clock=clock, background=False)
    assert new.restore(tmp_path / "backup") == []
    assert new.verify() == []
    assert new.totals("s").chain_head == store.totals("s").chain_head
    new.close()
    db = apsw.Connection(str(tmp_path / "new" / "hot.sqlite3"))
    db.execute("UPDATE messages SET content = 'forged' WHERE seq = 1")
    db.close()
    again = DuckDBStore(tmp_path / "new", clock=clock, background=False)
    assert len(again.verify()) == 1
    again.close()
