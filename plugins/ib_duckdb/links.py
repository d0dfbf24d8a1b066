"""The session's hash chain in the hot ledger: every row's link, written with the row (see `values.chain`)."""

from __future__ import annotations

import operator
from typing import Any

import apsw

from ib_duckdb.rows import Row
from ib_kernel.values import chain

US = {
    "created_us": ("created_at", 1e6),
    "asked_us": ("asked_at", 1e6),
    "started_us": ("started_at", 1e6),
    "ended_us": ("ended_at", 1e6),
    "latency_us": ("latency_ms", 1e3),
    "first_piece_us": ("first_piece_ms", 1e3),
}
"""Names in canonical bytes that are columns in other units."""


_SAVE = """
UPDATE sessions SET chain_n = ?, chain_head = ?, events = events + ?, messages = messages + ?
WHERE session_key = ?"""


class Chain:
    """One session's chain while rows are appended to it in a transaction; `save` writes its head."""

    def __init__(self, db: apsw.Connection, key: int, session_id: str, n: int, head: bytes | None) -> None:
        self._db, self.key = db, key
        self.n, self.head = n, chain.first(session_id) if head is None else head

    @classmethod
    def of(cls, db: apsw.Connection, key: int) -> Chain:
        """Return the chain of the session *key* as it stands."""
        sql = "SELECT session_id, chain_n, chain_head FROM sessions WHERE session_key = ?"
        session_id, n, head = next(db.execute(sql, (key,)))
        return cls(db, key, session_id, n, head)

    @classmethod
    def of_row(cls, db: apsw.Connection, row: Row) -> Chain:
        """Return the chain of the session whose row this is."""
        return cls(db, row["session_key"], row["session_id"], row["chain_n"], row["chain_head"])

    def add(self, table: str, row: Row) -> Row:
        """Append the *row* (hot columns by name); give it its link, and a salt where it has texts."""
        texts, committed = chain.TEXTS[table], None
        if texts:
            salt = row["salt"] = chain.new_salt()
            committed = chain.commitment(salt, [row[name] for name in texts])
        row["link_n"] = self.n = self.n + 1
        made = chain.canonical(table, in_units(table, row), committed)
        row["link"] = self.head = chain.link(self.head, made)
        return row

    def save(self, *, events: int = 0, messages: int = 0) -> None:
        """Keep the head in the session's row, and how many events and messages were added."""
        self._db.execute(_SAVE, (self.n, self.head, events, messages, self.key))


_COLUMNS = {table: [US.get(name, (name, 0.0))[0] for name in names] for table, names in chain.FIELDS.items()}
_PICK = {table: operator.itemgetter(*columns) for table, columns in _COLUMNS.items()}
_SCALED = {
    table: [(at, *US[name]) for at, name in enumerate(names) if name in US]
    for table, names in chain.FIELDS.items()
}


def in_units(table: str, row: Row, whole: frozenset[str] = frozenset()) -> list[Any]:
    """Return a row's values in the order and units of its canonical bytes.

    *whole* are columns that are in microseconds already.
    """
    values = list(_PICK[table](row))
    for at, column, scale in _SCALED[table]:
        if values[at] is not None and column not in whole:
            values[at] = chain.microseconds(values[at], scale)
    return values
