"""Kill writers and the mover of rows with SIGKILL at random points, then audit the ledger.

    python benchmarks/crash.py [--kills 1000] [--seed N] [--keep FOLDER]

Three writers hold and settle tokens (with two messages each, now and then a release or a doubt) and a
mover moves rows, all in one ledger; each is killed after a random time and replaced. One writer shares its
transactions among eight callers, and in every process a thread opens, reads and closes the hot ledger with
the standard library's SQLite all the while. A writer notes every
hold and every end *after* the store has acknowledged it, in a file that a kill cannot take back. Every 25
kills, and at the end, fresh processes must be able to write, to move and to open both files. Prints five
counts, which must be zero, and exits with 1 when one is not. POSIX only (fork, SIGKILL).
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import duckdb

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, CallStart, Message, NewSession, Status

WRITERS = 3
SESSIONS = tuple(f"s{number}" for number in range(4))
LIFE_S = (0.002, 0.35)
"""Seconds that a process lives, at least and at most."""

PATIENCE_S = 20.0
"""Seconds after which a fresh process that cannot go on counts as stopped by a stuck lock."""

COUNTS = (
    "lost acknowledged rows",
    "doubled rows",
    "wrong totals",
    "stuck locks",
    "unopenable files",
)


SUMS = """
SELECT sum(total_tokens) FILTER (status = 'settled'), sum(held_tokens) FILTER (status = 'in_doubt'),
    (SELECT count(*) FROM messages WHERE session_id = '{0}'),
    count(*) FILTER (status = 'settled' AND response_id IS NOT NULL)
FROM calls WHERE session_id = '{0}'"""


def peek(folder: Path, rng: random.Random) -> None:
    """Look into the hot ledger with the standard library, as some tool in a kernel may, again and again."""
    while True:
        db = sqlite3.connect(folder / "hot.sqlite3", timeout=5.0)
        with suppress(sqlite3.OperationalError):  # locked by somebody who opens it
            db.execute("SELECT count(*) FROM calls").fetchall()
        db.close()
        time.sleep(rng.uniform(0.0, 0.01))


def with_peeker(folder: Path, rng: random.Random) -> None:
    """Let this process be peeked into."""
    threading.Thread(target=peek, args=(folder, random.Random(rng.random())), daemon=True).start()


def write(folder: Path, name: str, seed: int) -> None:
    """Hold and end tokens until killed; note in a file what the store has acknowledged."""
    rng = random.Random(seed)
    notes = os.open(folder / "acks" / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    store = DuckDBStore(folder)
    with_peeker(folder, rng)
    for _ in range(7 if rng.random() < 0.33 else 0):
        own = random.Random(rng.random())
        threading.Thread(target=_write, args=(store, notes, own), daemon=True).start()
    _write(store, notes, rng)


def _write(store: DuckDBStore, notes: int, rng: random.Random) -> None:
    while True:
        held = store.reserve(rng.choice(SESSIONS), 100, lease_s=0.5, call=CallStart(turn=None))
        if not held:
            raise SystemExit(f"refused: {held}")
        rid = held.reservation_id
        os.write(notes, f"held {rid}\n".encode())
        chance = rng.random()
        if chance < 0.1:
            store.release(held)
            os.write(notes, f"released {rid}\n".encode())
        elif chance < 0.15:
            store.mark_unresolved(held, "lost")
        else:
            texts = (Message(0, "user", "a" * 50), Message(0, "assistant", "b" * 200))
            end = CallEnd(rng.randrange(1, 60), rng.randrange(1, 40), response_id=rid, cost_nano_usd=7)
            store.settle(held, end, messages=texts)
            os.write(notes, f"settled {rid}\n".encode())


def move(folder: Path, name: str, seed: int) -> None:
    """Move rows to usage.duckdb until killed."""
    store = DuckDBStore(folder, background=False)
    with_peeker(folder, random.Random(seed))
    while True:
        store.flush()
        time.sleep(0.001)


def probe_write(folder: Path) -> None:
    """Hold and settle once, and move."""
    store = DuckDBStore(folder, background=False)
    held = store.reserve(SESSIONS[0], 1, lease_s=5.0)
    store.settle(held, CallEnd(1, 0))
    while not store._mover.flush():  # another mover may be at work
        time.sleep(0.005)


def probe_open(folder: Path) -> None:
    """Open both files with their own tools and look through all of them."""
    hot = apsw.Connection(f"{(folder / 'hot.sqlite3').as_uri()}?mode=ro", flags=0x41)
    hot.set_busy_timeout(10_000)
    assert hot.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    while True:
        try:
            with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
                db.execute("SELECT sum(hash(c)) FROM calls c").fetchall()
                db.execute("SELECT sum(hash(m)) FROM messages m").fetchall()
                return
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            time.sleep(0.002)


def fork(work: Callable[..., None], *args: object) -> int:
    """Run *work* in a forked process and return its id; it ends with status 1 when *work* raises."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        work(*args)
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{work.__name__}: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def ends_well(work: Callable[..., None], *args: object) -> bool | None:
    """Return True if *work* ends well in a fresh process; None when it does not end in `PATIENCE_S`."""
    pid = fork(work, *args)
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
    finally:
        os.close(fd)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        print(f"{work.__name__}: ended by signal {os.WTERMSIG(status)}")
    return status == 0


def look(folder: Path, counts: Counter[str]) -> None:
    """Count what fresh processes cannot do."""
    wrote, opened = ends_well(probe_write, folder), ends_well(probe_open, folder)
    if wrote is None:
        counts["stuck locks"] += 1
    if wrote is False or not opened:
        counts["unopenable files"] += 1


def kill_many(folder: Path, kills: int, rng: random.Random, counts: Counter[str]) -> Counter[str]:
    """Keep the processes running and kill them one by one; return how many of each kind were killed."""
    alive: list[tuple[float, int, str]] = []  # when to kill, process, kind
    killed: Counter[str] = Counter()
    number = 0
    while sum(killed.values()) < kills:
        while len(alive) < WRITERS + 1:
            kind = "writer" if any(kind == "mover" for *_, kind in alive) else "mover"
            number += 1
            work = write if kind == "writer" else move
            pid = fork(work, folder, f"{number:05}", rng.randrange(1 << 30))
            alive.append((time.monotonic() + rng.uniform(*LIFE_S), pid, kind))
        alive.sort()
        due, pid, kind = alive.pop(0)
        time.sleep(max(0.0, due - time.monotonic()))
        os.kill(pid, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            raise SystemExit(f"a {kind} ended by itself; see its line above")
        killed[kind] += 1
        if sum(killed.values()) % 25 == 0:
            look(folder, counts)
    for _, pid, kind in alive:  # the last ones, all at once
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed[kind] += 1
    return killed


def audit(folder: Path, counts: Counter[str]) -> dict[str, int]:
    """Compare what was acknowledged with what both files hold; return figures for the reader."""
    noted: dict[str, set[str]] = {"held": set(), "settled": set(), "released": set()}
    for path in (folder / "acks").iterdir():
        for line in path.read_text().splitlines():
            what, rid = line.split()
            noted[what].add(rid)
    look(folder, counts)
    time.sleep(0.6)  # the last leases run out
    store = DuckDBStore(folder, background=False)
    store.flush()
    rows = [rid for (rid,) in store.sql("SELECT response_id FROM calls WHERE response_id IS NOT NULL")]
    open_now = {held.reservation_id for held in store.reservations()}
    released = noted["released"]
    ended = set(rows) | {rid for rid in noted["held"] if _was_released(store, rid)}
    counts["lost acknowledged rows"] += len(noted["settled"] - set(rows))
    counts["lost acknowledged rows"] += len(noted["held"] - ended - open_now) + len(released - ended)
    counts["doubled rows"] += len(rows) - len(set(rows)) + len(set(rows) & open_now)
    problems = store.check()
    counts["wrong totals"] += len(problems)
    for line in problems[:20]:
        print(line)
    for session in SESSIONS:
        totals = store.totals(session)
        sums = store.sql(SUMS.format(session)).rows[0]
        expected = (totals.used, totals.in_doubt, totals.messages, totals.messages // 2)
        counts["wrong totals"] += tuple(map(int, sums)) != expected or totals.held != 0
    counts["unopenable files"] += len(list(folder.glob("usage.damaged*")))
    store.close()
    return {"settled": len(rows), "acknowledged": len(noted["settled"]), "in doubt": len(open_now)}


def _was_released(store: DuckDBStore, rid: str) -> bool:
    with store._hot.read() as db:
        return db.execute("SELECT 1 FROM released WHERE rid = ?", (rid,)).fetchone() is not None


def main() -> int:
    """Run, print, and return the exit code."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--kills", type=int, default=1_000)
    arguments.add_argument("--seed", type=int, default=None, help="of the kills' times (default: random)")
    arguments.add_argument("--keep", type=Path, default=None, help="leave the ledger there afterwards")
    given = arguments.parse_args()
    seed = random.SystemRandom().randrange(1 << 30) if given.seed is None else given.seed
    folder = given.keep or Path(tempfile.mkdtemp(prefix="ib-crash-"))
    (folder / "acks").mkdir(parents=True)
    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    store = DuckDBStore(folder, background=False)
    for session in SESSIONS:
        store.open_session(NewSession(session, "Ada", 10**12, "m"))
        store.set_status(session, Status.ACTIVE)
    store.close()
    began = time.monotonic()
    try:
        killed = kill_many(folder, given.kills, random.Random(seed), counts)
        found = audit(folder, counts)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    took = time.monotonic() - began
    print(
        f"{sum(killed.values())} kills ({killed['writer']} writers, {killed['mover']} movers) in "
        f"{took:.0f} s, seed {seed}; {found['settled']:,} calls settled, {found['in doubt']:,} left in doubt"
    )
    for name in COUNTS:
        print(f"{counts[name]:>6} {name}")
    return 1 if any(counts[name] for name in COUNTS) else 0


if __name__ == "__main__":
    sys.exit(main())
