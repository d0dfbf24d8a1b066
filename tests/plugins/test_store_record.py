"""The record keeps up, and nothing that happens to it stops a call: other processes, damage, odd rows."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ib_duckdb import foreign
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, LedgerEvent, NewSession, Status


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with one moved call."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    spend(store)
    store.flush()
    yield store
    store.close()


def spend(store: DuckDBStore) -> None:
    """Hold and settle 15 tokens."""
    held = store.reserve("s", 20, lease_s=60.0)
    assert held
    store.settle(held, CallEnd(10, 5))


def plain(folder: Path, query: str = "SELECT count(*) FROM calls") -> list[tuple[Any, ...]]:
    """Ask the file as any other tool would."""
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
        return db.execute(query).fetchall()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; fail after half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def reader_sees(folder: Path, calls: int) -> bool:
    """Look with a process of its own, as a tool beside the kernels does."""
    script = (
        "import duckdb, sys\n"
        "try: print(duckdb.connect(sys.argv[1], read_only=True)"
        ".sql('SELECT count(*) FROM calls').fetchall()[0][0])\n"
        "except duckdb.Error: print(-1)"
    )
    command = [sys.executable, "-c", script, str(folder / "usage.duckdb")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [str(calls)]


ENDS = (
    "import os, signal, sys; from pathlib import Path; from ib_duckdb.store import DuckDBStore\n"
    "from ib_kernel.values import *\n"
    "store = DuckDBStore(Path(sys.argv[1]))\n"
    "for _ in range(20):\n"
    "    held = store.reserve('s', 20, lease_s=60.0); store.settle(held, CallEnd(10, 5))\n"
)


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_rows_of_a_process_that_ended_at_once_are_moved_by_another(
    store: DuckDBStore, folder: Path, end: str
) -> None:
    """While anybody has the ledger open, idle as it may be, an outside reader comes to see them."""
    idle = DuckDBStore(folder)
    processes = [subprocess.Popen([sys.executable, "-c", ENDS + end, str(folder)]) for _ in range(2)]
    for process in processes:
        process.wait()
    until(lambda: reader_sees(folder, 41))
    idle.close()
    assert store.check() == []


def test_rows_that_nobody_moved_are_moved_at_the_next_opening(store: DuckDBStore, folder: Path) -> None:
    """A kernel that only opens the ledger brings the record up to date."""
    spend(store)
    store._hot.close()  # as if killed
    assert plain(folder) == [(1,)]
    again = DuckDBStore(folder)
    until(lambda: reader_sees(folder, 2))
    again.close()


def test_an_idle_ledger_opens_nothing(store: DuckDBStore, folder: Path) -> None:
    """A look costs no opening of the record by any process while there is nothing to move."""
    other = DuckDBStore(folder, background=False)
    seen = (folder / "usage.duckdb").stat().st_mtime_ns
    with duckdb.connect(str(folder / "usage.duckdb")):  # or flush would have to wait
        assert other._record.move() == store._record.move() == 0
        store.add_event(LedgerEvent("s", "note", 0.0))
        assert other._record.move() is None
    store.flush()
    assert (folder / "usage.duckdb").stat().st_mtime_ns != seen
    assert other._mover.flush()
    assert other._record.marks == store._record.marks
    other.close()


# --- handles of others in this process


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="this system does not list handles")
def test_the_users_own_connection_keeps_its_lock(store: DuckDBStore, folder: Path) -> None:
    """Our handles come and go beside it, and still no other process can write under it."""
    path = folder / "usage.duckdb"
    write = [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1])", str(path)]
    with duckdb.connect(str(path), read_only=True) as mine:
        spend(store)
        store.flush()
        store.sql("SELECT 1")
        store.connect().close()
        assert foreign.handles(path) == [False]
        assert b"Conflicting lock" in subprocess.run(write, capture_output=True).stderr
        assert mine.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
    store.flush()
    assert plain(folder) == [(2,)]
    assert subprocess.run(write).returncode == 0


# --- damage


def damages(size: int, seed: int) -> Callable[[bytearray], None]:
    """Return one of many ways to damage a file: bits, zeros, noise, a cut, a missing middle."""
    rng = random.Random(seed)
    at, length = rng.randrange(size), rng.choice((1, 16, 512, 4096, 262_144))
    kind = rng.randrange(5)

    def damage(data: bytearray) -> None:
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 2:
            data[at : at + length] = rng.randbytes(len(data[at : at + length]))
        elif kind == 3:
            del data[at:]
        else:
            del data[at : at + length]

    return damage


ASK = "SELECT count(*), sum(total_tokens), count(DISTINCT seq), max(length(model)) FROM calls"


DAMAGES = int(os.environ.get("DAMAGES", "24"))
"""Random damages to try; all but the first eight are slow ones."""


@pytest.mark.parametrize(
    "seeds",
    [range(8), *(pytest.param(range(i, i + 8), marks=pytest.mark.slow) for i in range(8, DAMAGES, 8))],
)
def test_whatever_is_damaged_the_answers_stay_right(folder: Path, seeds: range) -> None:
    """A damaged record is set aside and rebuilt by whoever notices first, or it was not damaged."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    for _ in range(40):
        store.charge("s", CallEnd(10, 5, raw_usage=os.urandom(64).hex()))
    store.flush()
    path, calls = folder / "usage.duckdb", 40
    for seed in seeds:
        data = bytearray(path.read_bytes())
        damages(len(data), seed)(data)
        path.write_bytes(data)
        if seed % 2:
            store.charge("s", CallEnd(10, 5))
            calls += 1
            store.flush()
        if seed % 3:
            assert store.connect().execute(ASK).fetchall() == [(calls, 15 * calls, calls, 0)], seed
        assert store.sql(ASK).rows == [(calls, 15 * calls, calls, 0)], seed
        assert store.check() == []
        store.flush()
        assert plain(folder, ASK) == [(calls, 15 * calls, calls, 0)], seed
    store.close()


# --- rows that DuckDB does not take


def test_a_handed_out_connection_cannot_open_the_ledger(
    store: DuckDBStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by name, from wherever it is asked; other files of the working directory it may use."""
    work = tmp_path / "it's work"
    work.mkdir()
    for here, inside in ((work, False), (tmp_path, True)):
        monkeypatch.chdir(here)
        with store.connect() as db:
            for way in ("", "(READ_WRITE)", "(READ_ONLY)"):
                with pytest.raises(duckdb.PermissionException):
                    db.execute(f"ATTACH '{folder / 'usage.duckdb'}' AS mine {way}")
            with pytest.raises(duckdb.Error):
                db.execute("SET enable_external_access = true")
            if not inside:
                db.execute("COPY calls TO 'calls.csv'")
                assert (work / "calls.csv").exists()
            assert db.execute("SELECT count(*) FROM sessions").fetchone() is not None


def test_what_does_not_fit_into_memory_is_kept_from_other_users(store: DuckDBStore) -> None:
    """DuckDB's own files for it can be read by all, under a name that can be guessed, in a folder of all."""
    many = "SELECT count(*) FROM (SELECT repeat('x', 20) || range AS text FROM range(2000000) ORDER BY text)"
    with store.connect() as db:
        db.execute("SET memory_limit = '60MB'; SET threads = 1")
        assert db.execute(many).fetchall() == [(2_000_000,)]
        (name,) = db.execute("SELECT current_setting('temp_directory')").fetchall()[0]
        folder = Path(name).parent
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.geteuid())
        assert folder != Path(tempfile.gettempdir())


def test_an_older_hot_ledger_that_was_put_back_is_named(
    store: DuckDBStore, folder: Path, tmp_path: Path
) -> None:
    """The record has rows that it lost, and new ones would get their numbers: none is moved over them."""
    store.charge("s", CallEnd(10, 5))
    before = store.totals("s").calls
    store.close()
    shutil.copy(folder / "hot.sqlite3", tmp_path / "older")
    newer = DuckDBStore(folder, background=False)
    for _ in range(3):
        newer.charge("s", CallEnd(10, 5))
    newer.close()
    shutil.copy(tmp_path / "older", folder / "hot.sqlite3")
    back = DuckDBStore(folder, background=False)
    problems = back.check()
    assert any("3 rows of calls that hot.sqlite3 no longer has" in line for line in problems), problems
    assert all("\n" not in line for line in problems)
    assert back.charge("s", CallEnd(10, 5)).calls == before + 1
    back.flush()
    asked = back.sql("SELECT count(*) FROM calls WHERE session_id = 's'").rows
    assert asked == [(before + 3,)]
    back.close()


def test_a_row_that_duckdb_refuses_stops_nothing(store: DuckDBStore, folder: Path) -> None:
    """It is set apart and shown by the doctor; queries, moves and copies go on with all others."""
    for number in range(5):
        store.add_event(LedgerEvent("s", "note", 0.0, detail={"n": number}))
    with store._hot.write() as db:
        db.execute("UPDATE events SET detail = '{\"text\": \"\\ud800\"}' WHERE detail LIKE '%3%'")
        db.execute("UPDATE events SET created_at = 1.79e15 WHERE detail LIKE '%1%'")
    ask = "SELECT detail->>'n' FROM events WHERE kind = 'note' ORDER BY seq"
    left = [("0",), ("2",), ("4",)]
    assert store.sql(ask).rows == left
    assert store.connect().execute(ask).fetchall() == left
    store.flush()
    assert plain(folder, ask) == left
    spend(store)
    store.flush()
    assert plain(folder) == [(2,)]
    lines = store.check()
    assert [line[:35] for line in lines] == [
        "session s: row 4 of events is in qu",
        "session s: row 6 of events is in qu",
    ]
    store._mover._pruned_at = None
    store._clock = lambda: time.time() + 86_400 * 40
    store.flush()
    with store._hot.read() as db:
        kept = db.execute("SELECT count(*) FROM events WHERE seq IN (4, 6)").fetchone()
    assert kept == (2,)
