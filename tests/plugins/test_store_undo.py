"""A process that is killed while DuckDB writes over its metadata: the file is put right, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ib_duckdb.prune import prune
from ib_duckdb.store import DuckDBStore
from ib_duckdb.undo_log import NAME, UndoLog
from ib_kernel.values import CallEnd, Message, NewSession, Status

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows kills in other ways")

METADATA, BLOCK = 3 * 4096, 256 * 1024
"""Where the first block of a small file is, which has its metadata, and how long it is."""

DAY_S = 86_400
COUNT = "SELECT count(*), count(DISTINCT response_id) FROM calls"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A ledger some of whose rows are in the record alone, as those that are older than 30 days."""
    store = DuckDBStore(tmp_path, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "gpt-5.4-mini"))
    store.set_status("s", Status.ACTIVE)
    settle(store, "older", 40)
    store.flush()
    prune(store._hot, store._record.marks, time.time() + 31 * DAY_S)
    with store._hot.read() as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone()[0] < 40
    settle(store, "newer", 5)
    yield store
    store.close()


def settle(store: DuckDBStore, name: str, count: int) -> None:
    """Settle *count* calls, each with a message."""
    for number in range(count):
        held = store.reserve("s", 100, lease_s=60.0)
        end = CallEnd(3, 4, response_id=f"{name}-{number}")
        store.settle(held, end, messages=[Message(0, "user", "what is a list?")])  # type: ignore[arg-type]


def cut_short(store: DuckDBStore, share: float) -> None:
    """Leave the file as a process does that is killed when a *share* of its metadata is written.

    A child is killed between its commit and its checkpoint. DuckDB ends the checkpoint in a copy of the
    files; the blocks of that are put into the file itself, but for its header, which DuckDB writes last.
    """
    path, copied = store._record.path, store._record.path.with_name("copied")
    if (child := os.fork()) == 0:
        try:
            own = DuckDBStore(path.parent, background=False)
            with own._record.exclusive(5), own._record._engine.attached(path, own._record._undo) as db:
                db.execute("CREATE VIEW main.another AS SELECT 1")
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    copied.mkdir()
    for name in (path.name, f"{path.name}.wal"):
        shutil.copy(path.with_name(name), copied)
    duckdb.connect(str(copied / path.name)).close()
    old, new = path.read_bytes(), (copied / path.name).read_bytes()
    shutil.rmtree(copied)
    end = METADATA + BLOCK
    changed = [at for at in range(METADATA, end) if old[at] != new[at]]
    cut = changed[int(share * (len(changed) - 1))]
    path.write_bytes(old[:METADATA] + new[METADATA:cut] + old[cut:end] + new[end:])


def unreadable(path: Path) -> bool:
    """Return True if DuckDB finds a wrong checksum in the file."""
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return "checksum" in str(error)
    return False


@pytest.mark.parametrize("share", [0.05, 0.5, 1])
@pytest.mark.parametrize("first", ["move", "query", "open"])
def test_a_checkpoint_that_was_cut_short_is_undone(store: DuckDBStore, share: float, first: str) -> None:
    """Whoever comes next puts the file right; rows that only it has are there, and new ones arrive once."""
    cut_short(store, share)
    assert unreadable(store._record.path)
    if first == "move":
        assert store._mover.flush()
    elif first == "open":
        store = DuckDBStore(store._hot.path.parent, background=False)
    assert store.sql(COUNT).rows == [(45, 45)]
    assert store.check() == []
    assert not list(store._hot.path.parent.glob("usage.damaged*"))
    settle(store, "last", 3)
    store.flush()
    assert store.sql(COUNT).rows == [(48, 48)]
    assert store._hot.path.with_name(NAME).stat().st_size == 0


def test_a_file_with_another_header_is_not_touched(store: DuckDBStore) -> None:
    """What was kept belongs to one state of one file: a later one that is damaged is set aside as it is."""
    cut_short(store, 0.5)
    path = store._record.path
    torn = bytearray(path.read_bytes())
    torn[4096 + 8] ^= 1  # in the database's header
    path.write_bytes(torn)
    assert not UndoLog(path).put_back()
    assert path.read_bytes() == torn
    store.flush()
    assert [kept.read_bytes() for kept in path.parent.glob("usage.damaged*.duckdb")] == [bytes(torn)]


@pytest.mark.parametrize("keep", [0, 31, 40, 5_000, -1])
def test_an_undo_log_that_is_not_whole_is_none(store: DuckDBStore, keep: int) -> None:
    """Killed while it was written, nothing else had been; of any other it cannot be known."""
    cut_short(store, 0.5)
    path = store._record.path
    kept = path.with_name(NAME)
    kept.write_bytes(kept.read_bytes()[:keep])
    torn = path.read_bytes()
    assert not UndoLog(path).put_back()
    assert path.read_bytes() == torn


def test_a_ledger_works_where_the_system_has_no_such_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: no reading at a place, no locks of open files. Nothing is kept; all else is as ever."""
    monkeypatch.setattr("ib_duckdb.files.GUARDED", False)
    for name in ("pread", "pwrite"):
        monkeypatch.delattr(os, name)
    store = DuckDBStore(tmp_path)
    store.open_session(NewSession("s", "Ada", 10**9, "gpt-5.4-mini"))
    store.set_status("s", Status.ACTIVE)
    settle(store, "one", 3)
    store.flush()
    settle(store, "two", 3)
    assert store.sql(COUNT).rows == [(6, 6)]
    with store.connect() as db:
        assert db.execute(COUNT).fetchall() == [(6, 6)]
    store.close()
    assert not (tmp_path / NAME).exists()


def test_a_log_of_many_rows_never_makes_duckdb_write_a_checkpoint_of_its_own(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is always of the newest header: between two saves there is no checkpoint but ours."""
    monkeypatch.setattr("ib_duckdb.record.CHUNK", 7)
    saved: list[bytes] = []
    save, path = UndoLog.save, store._record.path

    def noted(self: UndoLog, db: duckdb.DuckDBPyConnection) -> None:
        with path.open("rb") as file:
            saved.append(file.read(METADATA))
        save(self, db)

    monkeypatch.setattr(UndoLog, "save", noted)
    settle(store, "many", 30)
    store.flush()
    assert len(saved) > 5
    assert len(set(saved)) == len(saved)
    assert store.sql(COUNT).rows == [(75, 75)]
    assert store.check() == []
