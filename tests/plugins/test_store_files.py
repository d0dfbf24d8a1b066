"""The ledger knows its own files: other libraries, copies, moved and removed files, forks."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ib_duckdb import files, forks
from ib_duckdb.opened import CHECKPOINT_PAGES
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import StoreError
from ib_kernel.values import CallEnd, NewSession, Status

BUDGET = 10_000


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with one active session and one settled call of 15 tokens."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", BUDGET, "m"))
    store.set_status("s", Status.ACTIVE)
    spend(store)
    yield store
    store.close()


def spend(store: DuckDBStore) -> None:
    """Hold and settle 15 tokens."""
    held = store.reserve("s", 20, lease_s=60.0)
    assert held
    store.settle(held, CallEnd(10, 5))


def peek(folder: Path) -> None:
    """Look into the hot ledger with the standard library, as any tool in the kernel might."""
    db = sqlite3.connect(folder / "hot.sqlite3")
    assert db.execute("SELECT count(*) FROM calls").fetchone()[0] >= 0
    db.close()


def copy(folder: Path) -> None:
    """Copy the folder while it is in use."""
    shutil.copytree(folder, folder.with_name("copy"), dirs_exist_ok=True)


def read_all(folder: Path) -> None:
    """Read and close every file, which drops the process's POSIX locks."""
    for path in folder.iterdir():
        path.read_bytes()


BEGIN = """
import os, signal, sqlite3, sys
from pathlib import Path
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import *
folder = Path(sys.argv[1])
def spend(store):
    held = store.reserve('s', 20, lease_s=60.0)
    return bool(held) and store.settle(held, CallEnd(10, 5))
"""


def in_another_process(script: str, folder: Path, status: int = 0) -> str:
    """Run Python with *folder* as its argument; return what it prints."""
    command = [sys.executable, "-c", BEGIN + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == status, done.stderr
    return done.stdout.strip()


ONE_MORE = "store = DuckDBStore(folder, background=False); spend(store); print(store.totals('s').used)"


@pytest.mark.skipif(not files.GUARDED, reason="this system has no locks that a second library leaves alone")
@pytest.mark.parametrize("disturb", [peek, copy, read_all])
def test_what_else_this_process_does_with_the_files_loses_nothing(
    store: DuckDBStore, folder: Path, disturb: Callable[[Path], None]
) -> None:
    """Other handles come and go; every process still sees every call, and a budget is spent once."""
    log = os.stat(folder / "hot.sqlite3-wal").st_ino
    for count in (2, 4):
        disturb(folder)
        assert os.stat(folder / "hot.sqlite3-wal").st_ino == log
        spend(store)
        disturb(folder)
        assert in_another_process(ONE_MORE + "; store.close()", folder) == str(15 * (count + 1))
        assert store.totals("s").used == 15 * (count + 1)
    assert store.check() == []


def test_a_second_library_cannot_make_the_budget_be_spent_twice(store: DuckDBStore, folder: Path) -> None:
    """A kernel with a peeking tool and another process race to the end of one budget."""
    spend_all = "store = DuckDBStore(folder, background=False)\nwhile spend(store): pass\nprint('done')"
    done = threading.Event()

    def peeks() -> None:
        while not done.is_set():
            peek(folder)

    thread = threading.Thread(target=peeks)
    thread.start()
    try:
        other = threading.Thread(target=in_another_process, args=(spend_all, folder))
        other.start()
        while held := store.reserve("s", 20, lease_s=60.0):
            store.settle(held, CallEnd(10, 5))
        other.join()
    finally:
        done.set()
        thread.join()
    assert BUDGET - 20 < store.totals("s").used <= BUDGET
    assert store.check() == []


def test_a_killed_process_that_was_peeked_into_loses_nothing(store: DuckDBStore, folder: Path) -> None:
    """What was acknowledged after the second library's close is there after `kill -9`."""
    script = (
        "store = DuckDBStore(folder, background=False)\n"
        "for _ in range(15):\n"
        "    db = sqlite3.connect(folder / 'hot.sqlite3'); db.execute('SELECT * FROM calls').fetchall()\n"
        "    db.close(); spend(store); print('x', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = in_another_process(script, folder, status=-signal.SIGKILL)
    assert said.split() == ["x"] * 15
    assert store.totals("s").calls == 16
    assert store.check() == []


def test_a_log_removed_by_hand_is_brought_back(store: DuckDBStore, folder: Path) -> None:
    """What only the removed log held is written to the database, and calls go on."""
    (folder / "hot.sqlite3-wal").unlink()
    spend(store)
    (folder / "hot.sqlite3-shm").unlink()
    spend(store)
    assert store.totals("s").calls == 3
    assert in_another_process(ONE_MORE, folder) == "60"
    assert store.check() == []


def test_a_removed_lock_file_is_made_again(store: DuckDBStore, folder: Path) -> None:
    """Without it, two processes would hold different locks."""
    (folder / "hot.lock").unlink()
    spend(store)
    assert (folder / "hot.lock").exists()
    assert in_another_process(ONE_MORE, folder) == "45"
    spend(store)
    assert store.totals("s").calls == 4


def _rename(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _rename_and_begin_anew(folder: Path) -> None:
    _rename(folder)
    in_another_process("DuckDBStore(folder, background=False).close()", folder)


def _replace_by_another(folder: Path) -> None:
    (folder / "hot.sqlite3").rename(folder / "old.sqlite3")
    for end in ("-wal", "-shm"):
        (folder / f"hot.sqlite3{end}").unlink()
    in_another_process("DuckDBStore(folder, background=False).close()", folder)


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("away", [_rename, _rename_and_begin_anew, _replace_by_another, _delete])
def test_a_ledger_that_is_gone_admits_nothing(
    store: DuckDBStore, folder: Path, away: Callable[[Path], None]
) -> None:
    """Moved, replaced or deleted under a running kernel: one line that says so, at once and again."""
    held = store.reserve("s", 20, lease_s=60.0)
    assert held
    away(folder)
    works: list[Callable[[], object]] = [
        lambda: store.reserve("s", 20, lease_s=60.0),
        lambda: store.settle(held, CallEnd(1, 1)),
        lambda: store.open_session(NewSession("t", "Ada", 1, "m")),
        lambda: store.totals("s"),
        lambda: store.check(),
    ]
    for work in works:
        with pytest.raises(StoreError, match=r"was moved.*deleted while this process used it") as caught:
            work()
        assert "\n" not in str(caught.value)


def test_a_ledger_that_comes_back_goes_on(store: DuckDBStore, folder: Path) -> None:
    """A folder that was renamed by mistake and is put back is the same ledger."""
    away = folder.with_name("elsewhere")
    folder.rename(away)
    with pytest.raises(StoreError):
        store.reserve("s", 20, lease_s=60.0)
    away.rename(folder)
    spend(store)
    assert store.totals("s").used == 30
    assert store.check() == []


def test_a_removed_hot_file_is_saved_beside_its_place(store: DuckDBStore, folder: Path) -> None:
    """What was acknowledged is kept in a file that may take the removed one's place."""
    spend(store)
    (folder / "hot.sqlite3").unlink()
    with pytest.raises(StoreError, match=r"hot\.saved-1\.sqlite3"):
        store.reserve("s", 20, lease_s=60.0)
    with pytest.raises(StoreError):
        store.totals("s")
    assert not (folder / "hot.sqlite3").exists()
    for path in folder.glob("hot.sqlite3*"):
        path.unlink()
    (folder / "hot.saved-1.sqlite3").rename(folder / "hot.sqlite3")
    again = DuckDBStore(folder, background=False)
    assert again.totals("s").used == 30
    assert again.check() == []
    again.close()


def test_the_log_stays_short(store: DuckDBStore, folder: Path) -> None:
    """Checkpoints are ours to make, and they are made."""
    text = "x" * 40_000
    for _ in range(200):
        store.open_session(NewSession(os.urandom(8).hex(), text, 1, "m"))
    log = (folder / "hot.sqlite3-wal").stat().st_size
    assert log < 3 * CHECKPOINT_PAGES * 4096
    assert (folder / "hot.sqlite3").stat().st_size > CHECKPOINT_PAGES * 4096


def test_the_log_is_copied_when_nobody_waits(
    store: DuckDBStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process waits for its turn it may grow, and not without end."""

    def write(times: int) -> int:
        for _ in range(times):
            store.open_session(NewSession(os.urandom(8).hex(), "x" * 40_000, 1, "m"))
        return (folder / "hot.sqlite3").stat().st_size

    monkeypatch.setattr(store._hot, "wanted", lambda: True)
    before = write(1)
    assert write(60) == before
    assert (folder / "hot.sqlite3-wal").stat().st_size > CHECKPOINT_PAGES * 4096
    assert write(300) > before
    with monkeypatch.context() as nobody:
        nobody.setattr(store._hot, "wanted", lambda: False)
        copied = write(120)
    assert copied > before + CHECKPOINT_PAGES * 4096
    assert store.check() == []


def test_nobody_checkpoints_under_a_reader(store: DuckDBStore) -> None:
    """A long read sees one state of the ledger, whatever is written meanwhile."""
    with store._hot.snapshot() as rows:
        before = rows.execute("SELECT count(*), sum(length(candidate)) FROM sessions").fetchall()
        for _ in range(120):
            store.open_session(NewSession(os.urandom(8).hex(), "x" * 40_000, 1, "m"))
        assert rows.execute("SELECT count(*), sum(length(candidate)) FROM sessions").fetchall() == before


# --- forks


def in_child(work: Callable[[], object]) -> str:
    """Run *work* in a forked process; return "Error: text" or its answer."""
    out, back = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(back, said.encode())
        os._exit(0)
    os.close(back)
    with os.fdopen(out) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@needs_fork
def test_a_forked_child_is_told_at_once(store: DuckDBStore) -> None:
    """What the parent had open is refused in one line, for reading, writing and asking."""
    for work in (
        lambda: store.reserve("s", 1, lease_s=1.0),
        lambda: store.totals("s"),
        lambda: store.sql("SELECT 1"),
    ):
        said = in_child(work)
        assert said.startswith("StoreError: the ledger")
        assert "build a new store" in said
    assert in_child(store.close) == "None"
    spend(store)
    assert store.check() == []


@needs_fork
def test_a_child_opens_a_ledger_of_its_own(store: DuckDBStore, folder: Path) -> None:
    """Also while threads of the parent write: the fork waits for a moment between two transactions."""
    done = threading.Event()

    def writes() -> None:
        while not done.is_set():
            store.charge("s", CallEnd(1, 1))

    threads = [threading.Thread(target=writes) for _ in range(3)]
    for thread in threads:
        thread.start()

    def work() -> str:
        mine = DuckDBStore(folder, background=False)
        for _ in range(5):
            mine.charge("s", CallEnd(1, 1))
        mine.close()
        return "5"

    answers = [in_child(work) for _ in range(6)]
    done.set()
    for thread in threads:
        thread.join()
    assert answers == ["5"] * 6
    assert store.check() == []


@needs_fork
def test_a_fork_in_the_middle_of_a_write_is_one_line(
    store: DuckDBStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no quiet moment comes, the child neither hangs nor guesses."""
    monkeypatch.setattr(forks, "QUIET_S", 0.05)
    inside, done = threading.Event(), threading.Event()

    def writes() -> None:
        with store._hot.write():
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=writes)
    thread.start()
    inside.wait(30)
    try:
        assert "opened before this process was forked" in in_child(lambda: store.totals("s"))
        assert "'spawn'" in in_child(lambda: DuckDBStore(folder))
    finally:
        done.set()
        thread.join()
    spend(store)


@pytest.mark.parametrize("name", ["hot.sqlite3", "hot.sqlite3-wal", "hot.sqlite3-shm"])
@pytest.mark.parametrize("change", ["removed", "replaced", "folder"])
def test_a_change_in_a_folder_that_was_quiet_is_seen(tmp_path: Path, name: str, change: str) -> None:
    """One look at the folder is enough only as long as nothing in it was made, removed or renamed."""
    folder = tmp_path / "ledger"
    store = DuckDBStore(folder, background=False)
    os.utime(folder, (1_000_000_000, 1_000_000_000))
    guard = store._hot._opened.guard
    assert guard.in_place()
    assert guard._quiet is not None or not files.GUARDED
    moved = folder.rename(tmp_path / "away") if change == "folder" else folder
    if change == "folder":
        folder.mkdir()
    else:
        kept = moved / name
        kept.rename(moved / "kept")
        if change == "replaced":
            kept.write_bytes((moved / "kept").read_bytes())
    assert not guard.in_place()
    if change == "folder":
        folder.rmdir()
        moved.rename(folder)
    else:
        (folder / "kept").replace(folder / name)
    assert guard.in_place()
    store.close()
