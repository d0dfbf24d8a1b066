"""What the parts of the store share: the hot ledger, the clock, and how a session is read up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ib_duckdb.hot import Hot
from ib_duckdb.rows import Row, elapsed, get
from ib_duckdb.writer import Operation, Writer
from ib_duckdb.writing import expire_if_elapsed, sweep
from ib_kernel.values import CallEnd, Message, Reservation

_STALE = "SELECT 1 FROM reservations WHERE session_key = ? AND state = 'held' AND lease_until <= ? LIMIT 1"


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
        now = self._now()
        with self._hot.read() as db:
            row = get(db, session_id)
            stale = db.execute(_STALE, (row["session_key"], now)).fetchone() is not None
        if not (stale or elapsed(row, now)):
            return row
        with self._hot.write() as db:
            sweep(db, row["session_key"], now)
            expire_if_elapsed(db, get(db, session_id), now)
            row = get(db, session_id)
        self._moved_soon()
        return row
