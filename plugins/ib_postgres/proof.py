"""`verify`: every session's hash chain, recomputed from its rows (see `ib_kernel.values.chain`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ib_kernel.values import chain
from ib_kernel.values.verified import LinkedRow, SessionChain, Verification
from ib_postgres import quarantine
from ib_postgres.database import Database
from ib_postgres.rows import Row
from ib_postgres.text import given, given_json, given_value

BATCH = 200
"""Sessions whose rows are in memory at once."""

US = {
    "created_us": ("created_at", 1e6),
    "asked_us": ("asked_at", 1e6),
    "started_us": ("started_at", 1e6),
    "ended_us": ("ended_at", 1e6),
    "latency_us": ("latency_ms", 1e3),
    "first_piece_us": ("first_piece_ms", 1e3),
}
"""Names in canonical bytes that are columns in other units."""

_JSON = ("detail", "tests", "quotes")


def verify(database: Database, key: int | None = None) -> Verification:
    """Recompute the chain of one session, by its key, or of all, in one snapshot."""
    from psycopg.rows import dict_row

    rows = erased = 0
    differences: list[str] = []
    with database.session() as db, db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        db.execute("SET LOCAL statement_timeout = 0")
        ask = db.cursor(row_factory=dict_row)
        where, values = ("WHERE session_key = %s", [key]) if key is not None else ("", [])
        sql: Any = f"SELECT session_key FROM ib.sessions {where} ORDER BY 1"  # noqa: S608 (our own names)
        keys = [row["session_key"] for row in ask.execute(sql, values).fetchall()]
        for begin in range(0, len(keys), BATCH):
            for session in _chains(ask, keys[begin : begin + BATCH]):
                line = session.difference()
                differences += [line] if line else []
                rows, erased = rows + session.seen, erased + session.erased
    return Verification(len(keys), rows, erased, tuple(differences))


def _chains(ask: Any, keys: Sequence[int]) -> Iterator[SessionChain]:
    found: dict[int, list[LinkedRow]] = defaultdict(list)
    for table in chain.FIELDS:
        sql = f"SELECT * FROM ib.{table} WHERE session_key = ANY (%s)"  # noqa: S608 (our own names)
        for row in ask.execute(sql, (list(keys),)).fetchall():
            found[row["session_key"]].append(_linked(table, row))
    for key, row in quarantine.linked_rows(ask.connection, keys):
        found[key].append(row)
    sql = "SELECT session_key, session_id, chain_n, chain_head FROM ib.sessions WHERE session_key = ANY (%s)"
    for row in ask.execute(sql, (list(keys),)).fetchall():
        name = given(row["session_id"])
        yield SessionChain(name, row["chain_n"], row["chain_head"], found[row["session_key"]])


def canonical_values(table: str, row: Row) -> list[Any]:
    """Return a row's values, given or stored, in the order and units of its canonical bytes."""
    return [
        chain.microseconds(row[column], scale) if scale else row[column]
        for column, scale in (US.get(name, (name, 0.0)) for name in chain.FIELDS[table])
    ]


def _linked(table: str, row: Row) -> LinkedRow:
    values = [given_value(value) for value in canonical_values(table, row)]
    texts = [
        text if (text := row[name]) is None else given_json(text) if name in _JSON else given(text)
        for name in chain.TEXTS[table]
    ]
    return LinkedRow(
        table,
        row["seq"],
        "the database",
        values,
        texts,
        row.get("salt"),
        row.get("commitment"),
        row["link_n"],
        row["link"],
    )
