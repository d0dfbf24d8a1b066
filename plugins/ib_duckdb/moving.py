"""The embedded ledger, read to be moved into another one (`ib_kernel.values.moving.LedgerSource`).

All rows are there: those of the hot ledger, those that are older than 30 days and only in the record, and
those that the record could not take. Sessions of an earlier hot ledger, which are in the record alone, come
along too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb import version_5
from ib_duckdb.columns import CHAINED, CHALLENGES, SESSION_ROWS, Column, Table
from ib_duckdb.record import WAIT_S
from ib_duckdb.record_file import watermark
from ib_duckdb.sources import attach
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import StoreError
from ib_kernel.values.moving import LedgerRows, LedgerSource

if TYPE_CHECKING:
    import apsw
    import duckdb

PIECE = 5_000
"""Rows of one piece at most."""

HISTORY = (*CHAINED, CHALLENGES)
"""Tables whose rows stay as they are."""

_STATE = ("people", "invitations", "grants", "secrets", "ceiling")
"""Tables that a host keeps, moved as they are."""

_SESSION_SUMS = (
    *("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "charged_tokens"),
    *("held", "in_doubt", "held_nano_usd", "held_billed", "cost_nano_usd"),
    *("calls", "turns", "messages", "events", "cells", "checks", "scores"),
    *("priced_calls", "unpriced_calls", "last_turn", "token_budget", "chain_n"),
)

_CHANGED = (
    "SELECT s.*, coalesce((SELECT max(changed_at) FROM session_rows r WHERE r.session_key = s.session_key),"
    " s.ended_at, s.started_at, s.created_at) AS changed_at FROM sessions s ORDER BY session_key"
)

_REQUESTS = (
    "SELECT session_key, request_id, body_sha, turn, rid, owner_hash, state, text, result, updated_at"
    " FROM requests ORDER BY revision"
)

_RUNNING = "SELECT count(*) FROM reservations WHERE state = 'held' AND lease_until > ?"

_LEFT_OUT = frozenset({"pruned_calls", "pruned_messages"})
"""Columns that say where rows are in this ledger, and nothing about the session."""


@contextmanager
def opened(folder: Path) -> Iterator[LedgerSource]:
    """Open the ledger in *folder* to be moved, bringing an older one forward. `StoreError` without one."""
    if not (folder / "hot.sqlite3").is_file():
        raise StoreError(f"{folder} has no ledger (hot.sqlite3); name its folder with --data, or IB_DATA_DIR")
    store = DuckDBStore(folder, background=False)
    try:
        store.flush()  # a record of an older version is brought forward
        with store._hot.write() as db:
            version_5.fill(db)
        with _record(store) as record, store._hot.snapshot() as hot:
            yield Embedded(store, record, hot, folder)
    finally:
        store.close()


@contextmanager
def _record(store: DuckDBStore) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """Yield a connection with the record attached, so that no row moves meanwhile; None without one."""
    import duckdb

    record = store._record
    with record.turn():
        db = duckdb.connect(":memory:")
        try:
            with record.exclusive(WAIT_S):
                name = attach(record, db)
            yield db if name else None
        finally:
            record.keep_lock()
            db.close()


class Embedded:
    """The ledger in a folder (`LedgerSource`), as it was when it was opened, or when `state` was called."""

    def __init__(
        self,
        store: DuckDBStore,
        record: duckdb.DuckDBPyConnection | None,
        hot: apsw.Connection,
        folder: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._record, self._hot, self._now = store, record, hot, now
        self.place, self.ledger_id = str(folder), store._hot.ledger_id

    def running(self) -> int:
        """Return how many reservations are held by somebody who may yet settle them."""
        return int(_one(self._hot, _RUNNING, (self._now(),)))

    @contextmanager
    def state(self) -> Iterator[LedgerSource]:
        """Return the ledger as it is now; what is written meanwhile is not in it."""
        with self._store._hot.snapshot() as hot:
            yield Embedded(self._store, self._record, hot, Path(self.place), self._now)

    def history(self, after: Mapping[str, int]) -> Iterator[LedgerRows]:
        """Return rows that are never changed again, in the order of their ``seq``, in pieces."""
        for table in HISTORY:
            mark = after.get(table.name, 0)
            if self._pruned(table, mark):
                yield from self._merged(table, mark)
            else:
                yield from self._of_hot(table, mark)

    def _pruned(self, table: Table, mark: int) -> bool:
        """Return True if rows above *mark* are in the record and no longer in the hot ledger."""
        if self._record is None or table is CHALLENGES:
            return False
        until = watermark(self._record, self.ledger_id, table, "record.")
        between = "seq > ? AND seq <= ?"
        here = _one(self._hot, f"SELECT count(*) FROM {table.name} WHERE {between}", (mark, until))  # noqa: S608
        apart = f"SELECT count(*) FROM quarantine WHERE name = ? AND {between}"  # noqa: S608 (our own words)
        here -= _one(self._hot, apart, (table.name, mark, until))
        moved = f"SELECT count(*) FROM {_place(table)} WHERE seq > ? AND session_key IN {_KNOWN}"  # noqa: S608
        return bool(self._ask(moved, [mark, self._keys()])[0][0] > here)

    def _of_hot(self, table: Table, mark: int) -> Iterator[LedgerRows]:
        sql = f"SELECT * FROM {table.name} WHERE seq > ? ORDER BY seq LIMIT {PIECE}"  # noqa: S608 (our names)
        while True:
            columns, rows = _read(self._hot, sql, (mark,))
            if not rows:
                return
            yield LedgerRows(table.name, columns, rows)
            mark = rows[-1][columns.index("seq")]

    def _merged(self, table: Table, mark: int) -> Iterator[LedgerRows]:
        """Return the rows of both files, each once: the hot ledger's own where both have it."""
        last = _one(self._hot, f"SELECT coalesce(max(seq), 0) FROM {table.name}")  # noqa: S608 (our names)
        known = self._keys()
        while mark < last:
            until = min(last, mark + PIECE)
            between = f"SELECT * FROM {table.name} WHERE seq > ? AND seq <= ?"  # noqa: S608
            columns, rows = _read(self._hot, between, (mark, until))
            at = columns.index("seq")
            have = {row[at] for row in rows}
            where = f"seq > ? AND seq <= ? AND session_key IN {_KNOWN}"
            older = [r for r in self._moved(table, columns, where, [mark, until, known]) if r[at] not in have]
            if rows or older:
                yield LedgerRows(table.name, columns, sorted([*rows, *older], key=lambda row: row[at]))
            mark = until

    def rest(self) -> Iterator[LedgerRows]:
        """Return everything that changes: sessions with their sums, reservations, what a host keeps."""
        columns, rows = _read(self._hot, _CHANGED, ())
        yield _without("sessions", columns, rows)
        yield LedgerRows("reservations", *_read(self._hot, "SELECT * FROM reservations ORDER BY rid", ()))
        yield LedgerRows("requests", *_read(self._hot, _REQUESTS, ()))
        for name in _STATE:
            yield LedgerRows(name, *_read(self._hot, f"SELECT * FROM {name}", ()))  # noqa: S608 (our own names)
        yield from self._earlier()

    def _earlier(self) -> Iterator[LedgerRows]:
        """Return sessions, with their rows, that only the record has: of a hot ledger that was lost."""
        if self._record is None:
            return
        lost = [key for (key,) in self._ask(_LOST, [self._keys()])]
        if not lost:
            return
        session_columns, _ = _read(self._hot, f"{_CHANGED} LIMIT 0", ())
        rows = [self._lost_session(session_columns, key) for key in lost]
        yield _without("sessions", session_columns, rows)
        for table in CHAINED:
            columns, _ = _read(self._hot, f"SELECT * FROM {table.name} LIMIT 0", ())  # noqa: S608
            found = self._moved(table, columns, f"session_key IN {_KNOWN}", [lost])
            for begin in range(0, len(found), PIECE):
                yield LedgerRows(table.name, columns, found[begin : begin + PIECE])

    def _lost_session(self, columns: Sequence[str], key: int) -> list[Any]:
        """Return the row of a session, built from the newest of its rows in the record and its sums."""
        names = [column.name for column in SESSION_ROWS.columns]
        values = ", ".join(_back(column) for column in SESSION_ROWS.columns)
        order = "ORDER BY seq DESC LIMIT 1"
        sql = f"SELECT {values} FROM {_place(SESSION_ROWS)} WHERE session_key = ? {order}"  # noqa: S608
        row = dict(zip(names, self._ask(sql, [key])[0], strict=True))
        row["budget_nano_usd"] = row.pop("budget_usd")
        sums = dict(zip(_SUM_NAMES, self._ask(_SUMS, [key])[0], strict=True))
        for table in CHAINED[1:]:
            count = f"SELECT count(*) FROM {_place(table)} WHERE session_key = ?"  # noqa: S608 (our own names)
            sums[table.name] = self._ask(count, [key])[0][0]
        row |= {name: int(value) for name, value in sums.items()}
        row["accommodation"] = ""
        return [row.get(name, 0 if name in _SESSION_SUMS else None) for name in columns]

    def _moved(self, table: Table, columns: Sequence[str], where: str, values: list[Any]) -> list[list[Any]]:
        """Return rows of the record as the hot ledger had them."""
        found = {_hot_name(column): _back(column) for column in table.columns}
        found |= {"rid": "'moved-' || seq", "owner_hash": "NULL"}
        read = ", ".join(found[name] for name in columns)
        sql = f"SELECT {read} FROM {_place(table)} WHERE {where} ORDER BY seq"  # noqa: S608 (our own names)
        return [list(row) for row in self._ask(sql, values)]

    def _ask(self, sql: str, values: list[Any]) -> list[Any]:
        assert self._record is not None  # noqa: S101 (for the type checker)
        return self._record.execute(sql, values).fetchall()

    def _keys(self) -> list[int]:
        return [key for (key,) in self._hot.execute("SELECT session_key FROM sessions")]

    def totals(self) -> Mapping[str, Mapping[str, Any]]:
        """Return each session's sums and the head of its chain, by its id, to be compared."""
        names = ("session_id", "status", "chain_head", *_SESSION_SUMS)
        rows = self._hot.execute(f"SELECT {', '.join(names)} FROM sessions")  # noqa: S608 (our own names)
        return {str(row[0]): dict(zip(names[1:], row[1:], strict=True)) for row in rows}


_KNOWN = "(SELECT unnest(?::BIGINT[]))"
_LOST = (
    f"SELECT DISTINCT session_key FROM record.internal.session_rows WHERE session_key NOT IN {_KNOWN}"  # noqa: S608
    " ORDER BY session_key"
)
_SUMS = """
SELECT count(*) FILTER (status = 'settled' AND total_tokens > 0),
    count(DISTINCT turn) FILTER (status = 'settled' AND total_tokens > 0 AND turn > 0),
    coalesce(max(turn), 0),
    coalesce(sum(input_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(output_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(cached_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(reasoning_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(charged_tokens) FILTER (status = 'settled'), 0),
    coalesce(sum(cost_usd) FILTER (status = 'settled'), 0) * 1000000000,
    count(*) FILTER (status = 'settled' AND total_tokens > 0 AND cost_usd IS NOT NULL),
    count(*) FILTER (status = 'settled' AND total_tokens > 0 AND cost_usd IS NULL)
FROM record.main.calls WHERE session_key = ?"""
_SUM_NAMES = (
    *("calls", "turns", "last_turn", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("charged_tokens", "cost_nano_usd", "priced_calls", "unpriced_calls"),
)


def _place(table: Table) -> str:
    return f"record.{table.schema}.{table.name}"


def _hot_name(column: Column) -> str:
    return {"cost_usd": "cost_nano_usd", "budget_usd": "budget_nano_usd"}.get(column.name, column.name)


def _back(column: Column) -> str:
    """Return the DuckDB expression of a column's value as the hot ledger had it."""
    if column.type == "TIMESTAMP":
        return f"epoch_us({column.name}) / 1000000"
    if column.type.startswith("DECIMAL"):
        return f"({column.name} * 1000000000)::BIGINT"
    if column.type == "JSON":
        return f"{column.name}::VARCHAR"
    if column.source.startswith("nullif("):
        return f"coalesce({column.name}, '')"
    return column.name


def _without(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> LedgerRows:
    kept = [at for at, name in enumerate(columns) if name not in _LEFT_OUT]
    return LedgerRows(table, tuple(columns[at] for at in kept), [[row[at] for at in kept] for row in rows])


def _read(
    db: apsw.Connection, sql: str, values: tuple[Any, ...]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the columns and rows of a query, the columns also where there is no row."""
    cursor = db.execute(sql, values)
    try:
        columns = tuple(name for name, *_ in cursor.get_description())
    except Exception:  # noqa: BLE001 - apsw has no description of a finished statement
        columns = _names_of(db, sql, values)
    return columns, list(cursor)


def _names_of(db: apsw.Connection, sql: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    import apsw.ext

    found = apsw.ext.query_info(db, sql, bindings=values)
    return tuple(name for name, _ in found.description)


def _one(db: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> Any:
    return next(iter(db.execute(sql, values)))[0]
