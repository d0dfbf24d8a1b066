"""What the parts of the store share: the hot ledger, the clock, and how a session is read up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from ib_duckdb.hot import Hot
from ib_duckdb.rows import Row, elapsed, get
from ib_duckdb.writer import Operation, Writer
from ib_duckdb.writing import STALE, expire_if_elapsed, sweep
from ib_kernel.values import CallEnd, Message, Reservation


class Part:
    """Base of the store's parts."""

    _hot: Hot
    _writer: Writer
    _clock: Callable[[], float]
    _keep_text: bool

    def _moved_soon(self, *, now: bool = False) -> None:
        """Have final rows moved soon, or *now* because a session has ended."""
        raise NotImplementedError

    def _changed(self) -> None:
        """Wake who waits for changes in this process."""
        raise NotImplementedError

    def _older(self, columns: str, table: str, row: Row, more: str = "") -> Sequence[Any]:
        """Return a session's rows from the record."""
        raise NotImplementedError

    def _releasing(self, reservation: Reservation, end: CallEnd | None) -> Operation[bool]:
        """Return the operation that releases a reservation."""
        raise NotImplementedError

    def _now(self) -> float:
        return float(self._clock())

    def _texts(self, messages: Sequence[Message]) -> Sequence[Message]:
        return messages if self._keep_text else ()

    def _current(self, session_id: str) -> Row:
        """Return the session's row after leases and time limits that are over have been applied.

        Nothing is written when there is nothing to apply, so that reading stays as cheap as it looks.
        """
        with self._hot.read() as db:
            row = get(db, session_id)
            due = self._is_due(db, row, self._now())
        return self._brought_up(session_id) if due else row

    def _is_due(self, db: apsw.Connection, row: Row, now: float) -> bool:
        """Return True if a lease or the time limit of *row*'s session is over and nothing has said so yet."""
        return elapsed(row, now) or db.execute(STALE, (row["session_key"], now)).fetchone() is not None

    def _brought_up(self, session_id: str) -> Row:
        """Apply what is over, and return the session's row as it then is."""
        with self._hot.write() as db:
            row = self._applied(db, get(db, session_id), self._now())
        self._moved_soon()
        return row

    def _applied(self, db: apsw.Connection, row: Row, now: float) -> Row:
        """Do the same inside a transaction."""
        sweep(db, row["session_key"], now)
        expire_if_elapsed(db, get(db, row["session_id"]), now)
        return get(db, row["session_id"])
