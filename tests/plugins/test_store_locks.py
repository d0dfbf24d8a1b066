"""The lock among processes is passed on: nobody gets it twice while somebody else waits."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ib_duckdb.locks import FairLock, OsLock

GREEDY = """
import mmap, sys, time
from pathlib import Path
from ib_duckdb.locks import FairLock
lock = FairLock(Path(sys.argv[1]))
with open(sys.argv[2], "r+b") as file, mmap.mmap(file.fileno(), 8) as times:
    while True:
        assert lock.acquire(60.0)
        times[:8] = (int.from_bytes(times[:8], "little") + 1).to_bytes(8, "little")
        time.sleep(0.002)
        lock.release()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there, processes poll for the lock")
def test_a_lone_process_waits_for_one_turn_of_a_greedy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the other one asks for it: it had its turn, and the next one is ours."""
    import fcntl

    flock = fcntl.flock
    path, counted = tmp_path / "hot.lock", tmp_path / "times"
    counted.write_bytes(bytes(8))
    lock, began, waited = FairLock(path), [0], []
    command = [sys.executable, "-c", GREEDY, str(path), str(counted)]
    with counted.open("r+b") as file, mmap.mmap(file.fileno(), 8) as times:

        def look(fd: int, how: int) -> None:
            """Count from when we are at the gate: until then, nobody knows that we wait."""
            flock(fd, how)
            if fd == lock._gate._fd and how & fcntl.LOCK_EX and not began[0]:
                began[0] = int.from_bytes(times[:8], "little")

        monkeypatch.setattr("fcntl.flock", look)
        process = subprocess.Popen(command)
        try:
            while not any(times[:8]):
                assert process.poll() is None
            for _ in range(100):
                assert lock.acquire(60.0)
                waited.append(int.from_bytes(times[:8], "little") - began[0])
                lock.release()
                began[0] = 0
                time.sleep(0.001)
        finally:
            process.kill()
            process.wait()
            lock.close()
    assert max(waited) <= 1, waited


def test_who_holds_it_knows_whether_somebody_waits(tmp_path: Path) -> None:
    """So that a long turn can be cut short."""
    lock, other = FairLock(tmp_path / "hot.lock"), FairLock(tmp_path / "hot.lock")
    assert lock.acquire(0)
    assert not lock.wanted()
    assert not other.acquire(0)
    assert not lock.wanted()  # who only looked does not wait
    assert other._gate.acquire(0)
    assert lock.wanted()
    other.close()
    assert not lock.wanted()
    lock.close()


def test_a_failed_wait_leaves_the_gate_open(tmp_path: Path) -> None:
    """Or nobody would come near the lock any more."""
    lock, other = FairLock(tmp_path / "hot.lock"), FairLock(tmp_path / "hot.lock")
    assert lock.acquire(0)
    assert not other.acquire(0.05)
    lock.release()
    third = FairLock(tmp_path / "hot.lock")
    assert third.acquire(30)  # the wait that was given up may have its turn first, and lets go at once
    third.release()
    for one in (lock, other, third):
        one.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there, processes poll for the lock")
def test_a_thread_that_has_waited_waits_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under contention every transaction waits, and none should have to start a thread for it."""
    started: list[str] = []

    class Counted(threading.Thread):
        def start(self) -> None:
            started.append(self.name)
            super().start()

    lock, other = OsLock(tmp_path / "lock"), OsLock(tmp_path / "lock")
    monkeypatch.setattr(threading, "Thread", Counted)
    for _ in range(20):
        assert lock.acquire(30)
        threading.Timer(0.01, lock.release).start()
        assert other.acquire(30)
        other.release()
    assert started.count("ib-lock") <= 10, started
    lock.close()
    other.close()
