"""`verify`: every session's hash chain, recomputed from all copies of its rows: hot, moved, and set apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_duckdb.columns import CALLS, CHAINED, Table
from ib_duckdb.links import US, in_units
from ib_duckdb.query import reading
from ib_duckdb.record import Record
from ib_duckdb.rows import Row, get
from ib_kernel.values import chain
from ib_kernel.values.verified import LinkedRow, SessionChain, Verification

if TYPE_CHECKING:
    import apsw
    import duckdb

    from ib_duckdb.hot import Hot

BATCH = 200
"""Sessions whose rows are in memory at once."""

HOT, MOVED = "hot.sqlite3", "usage.duckdb"

_LINK = ("seq", "link_n", "link")
_SALT = ("salt", "commitment")


def verify(record: Record, hot: Hot, now: float, session_id: str | None = None) -> Verification:
    """Recompute the chain of one session, or of all. `UnknownSession`; `StoreBusy` while others write.

    Rows of both files are looked at, also where both have a copy; what was being written meanwhile is not.
    """

    def work(db: duckdb.DuckDBPyConnection) -> Verification:
        with hot.snapshot() as rows:  # the record is attached: nothing can move out of sight
            if session_id is not None:
                found: list[Any] = [get(rows, session_id)["session_key"]]
            else:
                found = [key for (key,) in rows.execute("SELECT session_key FROM sessions ORDER BY 1")]
            return _verify(rows, db, _has_record(db), found)

    return reading(record, hot, now, work)


def _has_record(db: duckdb.DuckDBPyConnection) -> bool:
    names = db.execute("SELECT database_name FROM duckdb_databases()").fetchall()
    return ("record",) in names


def _verify(
    hot: apsw.Connection, record: duckdb.DuckDBPyConnection, moved: bool, keys: Sequence[int]
) -> Verification:
    rows = erased = 0
    differences: list[str] = []
    for begin in range(0, len(keys), BATCH):
        batch = keys[begin : begin + BATCH]
        found: dict[int, list[LinkedRow]] = defaultdict(list)
        marks = ", ".join("?" * len(batch))
        names = "session_key, session_id, charged_tokens, chain_n, chain_head"
        sql = f"SELECT {names} FROM sessions WHERE session_key IN ({marks})"  # noqa: S608 (our own names)
        sessions: list[Any] = hot.execute(sql, tuple(batch)).fetchall()
        for table in CHAINED:
            copies = [(HOT, key, row) for key, row in _hot_rows(hot, table, batch)]
            copies += [(MOVED, *copy) for copy in _record_rows(record, table, batch)] if moved else []
            if table is CALLS:
                _check_used(copies, {key: charged for key, _, charged, *_ in sessions})
            for place, key, row in copies:
                found[key].append(_row(table.name, place, row))
        for key, name, _, count, head in sessions:
            session = SessionChain(name, count, head, found[key])
            line = session.difference()
            differences += [line] if line else []
            rows, erased = rows + session.seen, erased + session.erased
    return Verification(len(keys), rows, erased, tuple(differences))


def _check_used(copies: Sequence[tuple[str, int, Row]], charged: Mapping[int, int]) -> None:
    """Take the link from each call that does not say what its session had been charged by then.

    It follows from the session's sum and the calls after it, wherever they are.
    """
    by_seq: dict[int, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for _, key, row in copies:
        by_seq[key][row["seq"]].append(row)
    for key, calls in by_seq.items():
        used = charged.get(key, 0)
        for seq in sorted(calls, reverse=True):
            for row in calls[seq]:
                if row["used"] not in (used, None):  # None: a program of version 4 wrote it
                    row["link"] = b""
            if calls[seq][0]["status"] == "settled":
                used -= calls[seq][0]["charged_tokens"] or 0


def _hot_rows(db: apsw.Connection, table: Table, keys: Sequence[int]) -> Iterator[tuple[int, Row]]:
    names = [*row_names(table.name), *(["used"] if table is CALLS else ())]
    marks = ", ".join("?" * len(keys))
    sql = f"SELECT session_key, {', '.join(names)} FROM {table.name} WHERE session_key IN ({marks})"  # noqa: S608
    for key, *values in db.execute(sql, tuple(keys)):
        yield key, dict(zip(names, values, strict=True))


def _record_rows(
    db: duckdb.DuckDBPyConnection, table: Table, keys: Sequence[int]
) -> Iterator[tuple[int, Row]]:
    names = [*row_names(table.name), "session_id", *(["total_tokens", "used"] if table is CALLS else ())]
    columns = ", ".join(in_record(name) for name in names)
    where = "session_key IN (SELECT unnest(?))"
    sql = f"SELECT session_key, {columns} FROM record.main.{table.name} WHERE {where}"  # noqa: S608 (our names)
    db.execute(sql, [list(keys)])
    for key, *values in db.fetchall():
        row = dict(zip(names, values, strict=True))
        if row.get("total_tokens") != _total(row):  # the one column that follows from others of its row
            row["link"] = b""
        yield key, row


def _total(row: dict[str, Any]) -> int | None:
    parts = [row.get(name) for name in ("input_tokens", "output_tokens")]
    return None if None in parts else sum(parts)  # type: ignore[arg-type]


def row_names(table: str) -> list[str]:
    """Return the columns that a row's link is made of, and those that are kept with it."""
    fields = [US.get(name, (name, 0.0))[0] for name in chain.FIELDS[table]]
    return [*fields, *chain.TEXTS[table], *(_SALT if chain.TEXTS[table] else ()), *_LINK]


TIMES = frozenset(column for column, scale in US.values() if scale == 1e6)
"""Columns that are read from the record in microseconds."""


def in_record(name: str) -> str:
    """Return the DuckDB expression whose value is what the hot ledger has in that column."""
    if name in TIMES:
        return f"epoch_us({name}) AS {name}"
    if name == "cost_nano_usd":
        return "(cost_usd * 1000000000)::HUGEINT AS cost_nano_usd"
    if name in ("detail", "tests", "quotes"):
        return f"{name}::VARCHAR AS {name}"
    return name


def _row(table: str, place: str, row: Row) -> LinkedRow:
    moved = place == MOVED
    return LinkedRow(
        table,
        row["seq"],
        place,
        in_units(table, row, whole=TIMES if moved else frozenset()),
        [row[name] for name in chain.TEXTS[table]],
        row.get("salt"),
        row.get("commitment"),
        row["link_n"],
        row["link"],
        row.get("session_id"),
    )
