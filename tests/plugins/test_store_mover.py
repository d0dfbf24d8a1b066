"""Moving rows: what it leaves between two moves, what it binds, and how often it is done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from clock import eventually
from hypothesis import example, given
from hypothesis import strategies as st

from ib_duckdb import mover, quarantine
from ib_duckdb.columns import Column, Table, columns_of
from ib_duckdb.engine import Engine
from ib_duckdb.files import GUARDED
from ib_duckdb.store import DuckDBStore
from ib_duckdb.undo_log import UndoLog
from ib_kernel.values import CallEnd, LedgerEvent, NewSession, Status

guarded = pytest.mark.skipif(not GUARDED, reason="no locks of open file descriptions here")


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with one moved call."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    store.charge("s", CallEnd(10, 5))
    store.flush()
    yield store
    assert store.check() == []
    store.close()


def outside(folder: Path, statement: str = "SELECT count(*) FROM calls") -> str:
    """Ask the file for writing in a process of its own, as another tool does; return what it says."""
    script = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
    command = [sys.executable, "-c", script, str(folder / "usage.duckdb"), statement]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


# --- what is kept between two moves


def test_nothing_is_kept_open_between_two_moves(store: DuckDBStore, folder: Path) -> None:
    """After a move anybody may have the file, in this process too, and later moves go on as before."""
    path = folder / "usage.duckdb"
    for calls in (2, 3):
        store.charge("s", CallEnd(10, 5))
        store.flush()
        assert outside(folder) == f"[({calls},)]"
        with duckdb.connect(str(path)) as mine:
            assert mine.execute("SELECT count(*) FROM calls").fetchall() == [(calls,)]
        assert not (folder / "usage.duckdb.wal").exists()


def test_a_move_that_failed_leaves_nothing_behind(
    store: DuckDBStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock on the file and no row twice: the next move begins anew."""
    store.charge("s", CallEnd(10, 5))
    with monkeypatch.context() as broken:
        broken.setattr("ib_duckdb.record_file.set_watermarks", lambda *_: 1 / 0)
        assert not store._mover.flush()
    assert outside(folder) == "[(1,)]"
    store.flush()
    store.flush()
    assert outside(folder) == "[(2,)]"


def test_rows_of_all_tables_are_moved_in_one_transaction(store: DuckDBStore, folder: Path) -> None:
    """A program that is stopped within one leaves all of its rows to the next move, none of them alone."""
    store.charge("s", CallEnd(10, 5))
    store.add_event(LedgerEvent("s", "note", 0.0))
    real = quarantine.insert_all

    def stopped(*args: Any, also: Any, **kwargs: Any) -> int:
        def done() -> None:
            also()
            raise KeyboardInterrupt

        return real(*args, also=done, **kwargs)

    with pytest.MonkeyPatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(quarantine, "insert_all", stopped)
        store._record.move()
    both = "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM events WHERE kind = 'note')"
    assert outside(folder, both) == "[(1, 0)]"
    store.flush()
    assert outside(folder, both) == "[(2, 1)]"


def test_many_rows_are_moved_in_several_transactions(
    store: DuckDBStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait, no more than so many are in memory at once, and each is moved once."""
    monkeypatch.setattr("ib_duckdb.record.CHUNK", 3)
    for number in range(7):
        store.charge("s", CallEnd(10, 5))
        store.add_event(LedgerEvent("s", "note", float(number)))
    store.flush()
    both = "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM events WHERE kind = 'note')"
    assert outside(folder, both) == "[(8, 7)]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_ends_although_its_parent_moves_rows(store: DuckDBStore) -> None:
    """What the parent keeps between two moves is not ended in the child, which has none of its threads."""
    store.charge("s", CallEnd(10, 5))
    store.flush()
    engine = store._record._engine
    assert engine._db is not None
    child = os.fork()
    if child == 0:
        engine.close()
        os._exit(0 if engine._db is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    store.charge("s", CallEnd(10, 5))
    assert store._record.move() == 1


def test_a_file_in_use_elsewhere_is_said_to_be_so(store: DuckDBStore, folder: Path) -> None:
    """Attaching it names who has it, as opening it does."""
    from ib_duckdb.faults import InUse

    script = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder / "usage.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        engine = Engine()
        with (
            pytest.raises(InUse, match=rf"process {process.pid}\)"),
            engine.attached(folder / "usage.duckdb", UndoLog(folder / "usage.duckdb")),
        ):
            pass
        process.communicate()


# --- how often, and by whom


@pytest.fixture
def other(store: DuckDBStore, folder: Path) -> Iterator[DuckDBStore]:
    """The same ledger, opened once more by somebody who has never written."""
    other = DuckDBStore(folder, background=False)
    other.flush()
    yield other
    other.close()


def spend(store: DuckDBStore, calls: int = 1) -> None:
    """Have calls that wait to be moved by this one's mover, which does nothing by itself."""
    store._mover._stopped = True  # so that it starts no thread
    for _ in range(calls):
        store.charge("s", CallEnd(10, 5))
    store._mover.wake()


def moved(store: DuckDBStore) -> None:
    """Move as the mover's thread does."""
    store._mover._wanted.clear()
    assert store._mover.flush()


def test_few_rows_are_moved_within_two_seconds(store: DuckDBStore) -> None:
    """Whatever a move takes, nothing waits longer while few rows come."""
    for _ in range(3):
        spend(store)
        moved(store)
    assert store._mover.wait_s(True) == mover.BATCH_S < 2


@guarded
def test_many_rows_are_moved_less_often(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait follows what the last move took, up to a limit; the first, which loads DuckDB, has no say."""
    monkeypatch.setattr(mover, "FEW", 3)
    spend(store, 4)
    moved(store)
    assert store._mover.wait_s(True) == mover.BATCH_S
    monkeypatch.setattr(mover, "SHARE", 1e-9)
    spend(store, 4)
    moved(store)
    assert mover.BATCH_S < (store._mover.wait_s(True) or 0) <= mover.MOST_S
    monkeypatch.setattr(mover, "SHARE", 1e9)
    spend(store, 4)
    moved(store)
    assert store._mover.wait_s(True) == mover.BATCH_S


@guarded
def test_rows_of_a_process_that_moves_them_itself_are_left_to_it(
    store: DuckDBStore, other: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others watch, and do its work only when it has said so for very long."""
    spend(store)
    assert other._mover.unseen()
    assert other._mover.wait_s(False) is None
    monkeypatch.setattr(mover, "PATIENCE_S", -1.0)
    assert other._mover.wait_s(False) == mover.WATCHED_S
    monkeypatch.undo()
    moved(store)
    assert other._mover.wait_s(False) == mover.WATCHED_S  # it costs a look: nothing is there to move
    assert other._record.move() == 0


@guarded
def test_rows_of_a_process_that_has_ended_wait_for_nobody(store: DuckDBStore, other: DuckDBStore) -> None:
    """They are moved at once although a busy process will move rows later; that is done once."""
    spend(store)
    busy = DuckDBStore(store._record.path.parent, background=False)
    spend(busy)
    assert not other._mover.is_urgent()
    store._mover._duty.close()  # as if killed: its lock goes, and what it has said stays
    assert other._mover.is_urgent()
    assert other._mover.wait_s(False) == mover.WATCHED_S
    moved(other)
    assert not other._mover.is_urgent()
    assert other._mover.wait_s(False) is None
    busy.close()


@guarded
def test_a_killed_process_is_noticed_by_one_that_rests(store: DuckDBStore, folder: Path) -> None:
    """Its rows are moved although the only other process would not move any for hours."""
    busy = DuckDBStore(folder)
    busy._mover._free_at = time.monotonic() + 10_000
    busy.charge("s", CallEnd(10, 5))
    script = (
        "import os, signal, sys; from pathlib import Path; from ib_duckdb.store import DuckDBStore\n"
        "from ib_kernel.values import CallEnd\n"
        "store = DuckDBStore(Path(sys.argv[1])); store.charge('s', CallEnd(10, 5))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)])
    eventually(lambda: busy._record.marks.get("calls") == 3)
    busy.close()


@guarded
def test_rows_that_could_not_be_moved_at_the_end_are_left_to_others(
    store: DuckDBStore, other: DuckDBStore, folder: Path
) -> None:
    """A ledger that is closed while another tool has the file open says that it left some."""
    spend(store)
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True):
        store.close()
    assert other._mover.is_urgent()
    moved(other)
    assert other._record.marks["calls"] == 2
    assert not other._mover.is_urgent()


@guarded
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_takes_nobody_s_place(store: DuckDBStore, other: DuckDBStore) -> None:
    """What it inherits neither says that its parent still lives, nor that it has ended."""
    spend(store)
    ready, begun = os.pipe()
    over, ended = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ended)
        os.write(begun, b"1")
        os.read(over, 1)  # until the parent closes it
        os._exit(0)
    assert os.read(ready, 1) == b"1"
    assert other._mover._duty.look() == (True, [])
    store._mover._duty.close()
    assert other._mover.is_urgent()
    os.close(ended)
    assert os.waitpid(child, 0)[1] == 0
    for end in (ready, begun, over):
        os.close(end)


# --- what is bound


KINDS = Table(
    "kinds",
    "main",
    "seq",
    (
        Column("whole", "BIGINT"),
        Column("small", "INTEGER"),
        Column("yes", "BOOLEAN"),
        Column("real", "DOUBLE"),
        Column("text", "VARCHAR"),
        Column("bytes", "BLOB"),
        Column("moment", "TIMESTAMP"),
        Column("money", "DECIMAL(18,9)"),
        Column("json", "JSON"),
        Column("seq", "BIGINT"),
    ),
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(0, 2),
        st.none() | st.integers(0, 1),
        st.none() | st.sampled_from([0.0, -0.0, 0.1, float("inf")]) | st.floats(allow_nan=False),
        st.none() | _TEXT,
        st.none() | st.binary(max_size=2),
        st.none() | st.integers(-(10**15), 10**15),
        st.none() | st.sampled_from(["0.000000001", "-3.5", "999999999.999999999"]),
        st.none() | st.sampled_from(["{}", '{"a": [1, "é"]}', "null"]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with that table."""
    with duckdb.connect(":memory:") as db:
        db.execute(KINDS.create("main"))
        yield db


ZEROS = [(None, None, None, zero, None, None, None, None, None) for zero in (0.0, -0.0)]


@given(ROWS, st.integers(0, 9))
@example(ZEROS, 9)
def test_a_column_of_equal_values_is_the_same_as_a_list_of_them(
    memory: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]], same: int
) -> None:
    """Whatever values are bound as one, the rows are those that lists of all values make."""
    rows = [(*(row[i] if i != same else rows[0][i] for i in range(9)), seq) for seq, row in enumerate(rows)]
    memory.execute("TRUNCATE kinds")
    quarantine.insert(memory, KINDS, "main", rows)
    values = ", ".join(f"{column.bind} AS {column.name}" for column in KINDS.columns)
    expected = memory.execute(f"SELECT {values}", columns_of(rows)).fetchall()
    found = memory.execute("FROM kinds ORDER BY seq").fetchall()
    assert repr(found) == repr(expected)  # tells 0.0 from -0.0
