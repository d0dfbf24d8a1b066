"""The session's hash chain in the hot ledger: every row's link, written with the row (see `values.chain`)."""

from __future__ import annotations

from typing import Any

import apsw

from ib_duckdb.rows import Row
from ib_kernel.values import chain

_US = {
    "created_us": ("created_at", 1e6),
    "asked_us": ("asked_at", 1e6),
    "started_us": ("started_at", 1e6),
    "ended_us": ("ended_at", 1e6),
    "latency_us": ("latency_ms", 1e3),
    "first_piece_us": ("first_piece_ms", 1e3),
}
"""Names in canonical bytes that are columns in other units."""


class Chain:
    """One session's chain while rows are appended to it in a transaction; `save` writes its head."""

    def __init__(self, db: apsw.Connection, key: int, session_id: str, n: int, head: bytes | None) -> None:
        self._db, self._key = db, key
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
        """Append the *row* (hot columns by name); return it with its link, and a salt where it has texts."""
        texts = chain.TEXTS[table]
        linked = dict(row)
        committed = None
        if texts:
            linked["salt"] = salt = chain.new_salt()
            committed = chain.commitment(salt, [row[name] for name in texts])
        self.n += 1
        self.head = chain.link(self.head, chain.canonical(table, in_units(table, row), committed))
        return linked | {"link_n": self.n, "link": self.head}

    def save(self) -> None:
        """Keep the head in the session's row."""
        values = (self.n, self.head, self._key)
        self._db.execute("UPDATE sessions SET chain_n = ?, chain_head = ? WHERE session_key = ?", values)


def in_units(table: str, row: Row) -> Row:
    """Return a hot row's values by the names and in the units of its canonical bytes."""
    values: dict[str, Any] = {}
    for name in chain.FIELDS[table]:
        column, scale = _US.get(name, (name, 0.0))
        values[name] = chain.microseconds(row[column], scale) if scale else row[column]
    return values
