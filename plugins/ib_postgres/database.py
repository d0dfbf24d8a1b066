"""Connections to the database: kept, watched, and asked again where nothing can have gone wrong by it.

psycopg's own pool waits longer and longer between attempts to connect, up to minutes; a failover takes
seconds. So this one connects whenever somebody needs a connection and none is free, within his time.
"""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ib_kernel.errors import StoreError
from ib_postgres import faults
from ib_postgres.address import Address
from ib_postgres.calling import call, call_all
from ib_postgres.watch import watched

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
Row = dict[str, Any]

PAUSE_S = 0.05
"""Seconds between two attempts to reach a ledger that was lost, within a caller's time."""

_open: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """One database, for all threads of this process.

    Args:
        address: Where it is.
        size: Connections at most.
        timeout_s: Seconds after which whoever waits is told so.
        pooler: Nothing is kept in a connection: no prepared statements, no settings.
    """

    def __init__(self, address: Address, *, size: int, timeout_s: float, pooler: bool = False) -> None:
        self.address, self.timeout_s = address, timeout_s
        self._how = address.connection(timeout_s, pooler)
        self._size, self._prepares = size, not pooler
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._free: list[psycopg.Connection[Any]] = []
        self._count, self._closed = 0, False
        self._changed = threading.Condition()

    def write(
        self, name: str, asked: Mapping[str, Any], *, repeatable: bool = True, read_committed: bool = False
    ) -> Any:
        """Do one write, in one round trip and one transaction, and return its answer once it is durable.

        Args:
            name: The function of schema ``ib`` that does it.
            asked: Its argument. When its answer was lost, it is asked once more with ``again``.
            repeatable: It can tell that it has been done before.
            read_committed: It waits for others and then looks at what they did, whatever the database's
                default isolation is.

        Raises:
            StoreError: It is not known to be done, in one line.
        """
        given = dict(asked)

        def work(db: psycopg.Connection[Any]) -> Any:
            if read_committed:
                with db.transaction():
                    db.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                    return call(db, name, to_json(given))
            return call(db, name, to_json(given))

        def lost() -> None:
            given["again"] = True

        return self.run(work, lost if repeatable else None)

    def write_all(self, writes: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Do several writes in one transaction, in this order, and return their answers.

        Raises:
            StoreError: The ledger is away; `psycopg.Error` for one of them: then none was done.
        """
        names = [name for name, _ in writes]
        given = [dict(asked) for _, asked in writes]

        def work(db: psycopg.Connection[Any]) -> list[Any]:
            return call_all(db, names, [to_json(asked) for asked in given])

        def lost() -> None:
            for asked in given:
                asked["again"] = True

        return self.run(work, lost)

    def read(self, sql: str, values: Any = ()) -> list[Row]:
        """Return the rows of a query of our own, by their columns' names."""
        from psycopg.rows import dict_row

        def work(db: psycopg.Connection[Any]) -> list[Row]:
            text: Any = sql
            return db.cursor(row_factory=dict_row).execute(text, values).fetchall()

        return self.run(work, lambda: None)

    def run(self, work: Callable[[psycopg.Connection[Any]], T], lost: Callable[[], None] | None) -> T:
        """Do *work* on a connection, and again where the database says that it was not done.

        Args:
            work: What is done, in one transaction of its own.
            lost: Called before *work* is done again after an answer was lost; None: it is not.

        Raises:
            StoreError: One line; the ledger may not answer, or has refused.
        """
        deadline = time.monotonic() + self.timeout_s
        while True:
            sent = False
            try:
                with self._connection(deadline) as db:
                    sent = True
                    answer = work(db)
                    faults.require_confirmed(db, self.address)
                    return answer
            except Exception as error:
                kind = faults.kind_of(error)
                given_up = kind is None or (kind == "lost" and sent and lost is None)
                if given_up or time.monotonic() + PAUSE_S >= deadline:
                    faults.explain(error, self)
                    raise
                if kind == "lost" and sent and lost is not None:
                    lost()
                if kind == "prepared":
                    self._prepares = False
                    self._forget_free()
            time.sleep(PAUSE_S if kind == "lost" else 0.002)

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection for longer work of several statements; nothing of it is repeated."""
        try:
            with self._connection(time.monotonic() + self.timeout_s, watch=False) as db:
                yield db
        except Exception as error:
            faults.explain(error, self)
            raise

    @contextmanager
    def dedicated(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection of its own, outside the pool and without a deadline; it is closed afterwards."""
        try:
            db = self._connect()
            try:
                yield db
            finally:
                db.close()
        except Exception as error:
            faults.explain(error, self)
            raise

    @contextmanager
    def _connection(self, deadline: float, *, watch: bool = True) -> Iterator[psycopg.Connection[Any]]:
        db = self._take(deadline)
        try:
            if watch:
                with watched(db, deadline):
                    yield db
            else:
                yield db
        finally:
            self._give_back(db)

    def _take(self, deadline: float) -> psycopg.Connection[Any]:
        with self._changed:
            while not self._free and self._count >= self._size:
                if self._closed or not self._changed.wait(deadline - time.monotonic()):
                    break
            if self._closed:
                raise StoreError("the ledger was closed")
            if self._free:
                return self._free.pop()
            if self._count >= self._size:
                raise faults.Away(f"all {self._size} connections are at work")
            self._count += 1
        try:
            return self._connect()
        except BaseException:
            self._forget_one()
            raise

    def connect(self) -> psycopg.Connection[Any]:
        """Return a further connection, which its caller closes. `psycopg.Error` where none is to be had."""
        return self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        db = psycopg.connect(**self._how, autocommit=True)
        db.prepare_threshold = 1 if self._prepares else None
        db.ib_prepared = set() if self._prepares else None  # type: ignore[attr-defined]
        faults.listen_for_warnings(db)
        return db

    def _give_back(self, db: psycopg.Connection[Any]) -> None:
        from psycopg.pq import TransactionStatus

        if db.closed or db.info.transaction_status != TransactionStatus.IDLE or self._closed:
            with suppress(Exception):
                db.close()
            self._forget_one()
            return
        with self._changed:
            self._free.append(db)
            self._changed.notify()

    def _forget_one(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def _forget_free(self) -> None:
        with self._changed:
            free, self._free = self._free, []
            self._count -= len(free)
            self._changed.notify_all()
        for db in free:
            with suppress(Exception):
                db.close()

    def close(self) -> None:
        """Close all connections; those at work when they come back. Idempotent."""
        self._closed = True
        self._forget_free()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def to_json(asked: Mapping[str, Any]) -> str:
    """Return what a function of the database is asked, as JSON."""
    return _encode(asked)


def _in_child() -> None:
    for database in list(_open):  # connections belong to the parent, and so does whoever holds the lock
        database._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
