"""An interrupt can come between any two instructions: it leaves no lock taken and no transaction open."""

from __future__ import annotations

import dis
import functools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import apsw
import pytest

from ib_duckdb import hot, locks, opened, writer
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import BuddyError
from ib_kernel.values import CallEnd, NewSession, Status

OURS = {module.__file__ for module in (hot, locks, opened, writer)}
CHECKED_AFTER = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "RESUME", "JUMP_BACKWARD"}
"""Instructions after which CPython (3.11 to 3.13) looks for signals; entering a `with` is none of them."""


class Interrupt(BaseException):
    """What ctrl-C raises, by another name: pytest ends at the real one."""


@functools.cache
def instructions(code: CodeType) -> dict[int, str]:
    """Return the names of a function's instructions by where they are."""
    return {found.offset: found.opname for found in dis.get_instructions(code)}


def interrupted_at(number: int, work: Callable[[], object]) -> bool:
    """Run *work*, interrupted where signals are looked for the *number*-th time; False if it ended before."""
    seen, before = 0, dict[FrameType, str]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += before.get(frame, "RESUME") in CHECKED_AFTER
            if seen == number:
                sys.settrace(None)
                raise Interrupt
            before[frame] = instructions(frame.f_code)[frame.f_lasti]
        return trace

    sys.settrace(trace)
    try:
        work()
    except Interrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def is_free(store: DuckDBStore) -> bool:
    """Return True if another thread can take the mutex, another process the lock, a connection the ledger."""
    taken: list[bool] = []

    def take() -> None:
        got = store._hot.fork.writing.acquire(timeout=5)
        if got:
            store._hot.fork.writing.release()
        taken.append(got)

    other = threading.Thread(target=take)
    other.start()
    other.join()
    lock = locks.FairLock(store._hot.path.with_name("hot.lock"))
    taken.append(lock.acquire(0))
    lock.close()
    db = apsw.Connection(str(store._hot.path))
    try:
        db.set_busy_timeout(0)
        db.execute("BEGIN IMMEDIATE; ROLLBACK")
    except apsw.BusyError:
        return False
    finally:
        db.close()
    return taken == [True, True]


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else is tracing")
def test_an_interrupt_anywhere_in_a_lone_write_leaves_the_ledger_free(tmp_path: Path) -> None:
    """The next caller goes on, whoever it is, and what was settled adds up."""
    store = DuckDBStore(tmp_path, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "gpt-5.4-mini"))
    store.set_status("s", Status.ACTIVE)
    held = [store.reserve("s", 100, lease_s=60.0)]

    def pair() -> None:
        reservation = store.reserve("s", 100, lease_s=60.0)
        held.append(reservation)
        store.settle(reservation, CallEnd(50, 25))  # type: ignore[arg-type]

    number = 1
    while interrupted_at(number, pair):
        assert is_free(store), f"after an interrupt at the {number}th place"
        number += 1
    assert number > 60
    other = threading.Thread(target=pair)
    other.start()
    other.join(10)
    assert not other.is_alive()
    assert store.check() == []
    with pytest.raises(BuddyError):
        store.settle(held[0], CallEnd(-1, 0))  # type: ignore[arg-type]  # nobody's transaction is still open
    store.close()
