"""Rows of a moved ledger that PostgreSQL's tables cannot hold: kept as they were, and part of their chain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.values import chain
from ib_kernel.values.verified import LinkedRow

if TYPE_CHECKING:
    import psycopg

_UNITS = {
    "created_us": ("created_at", 1e6),
    "asked_us": ("asked_at", 1e6),
    "started_us": ("started_at", 1e6),
    "ended_us": ("ended_at", 1e6),
    "latency_us": ("latency_ms", 1e3),
    "first_piece_us": ("first_piece_ms", 1e3),
}
"""Names in canonical bytes that are columns in other units."""

_LISTED = """
SELECT coalesce(s.session_id, ''), q.name, q.seq, q.reason
FROM ib.quarantine AS q LEFT JOIN ib.sessions AS s USING (session_key) ORDER BY 1, 2, 3"""


def packed(row: Mapping[str, Any]) -> bytes:
    """Return a row as it is kept."""
    plain = {name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in row.items()}
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")


def unpacked(kept: bytes) -> dict[str, Any]:
    """Return a row as it was."""
    plain = json.loads(bytes(kept).decode("utf-8", "surrogatepass"))
    return {n: bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for n, v in plain.items()}


def listed(conn: psycopg.Connection[Any]) -> list[str]:
    """Return one line per row that is set apart."""
    return [
        f"session {session}: row {seq} of {name} is in quarantine: PostgreSQL cannot take it ({why})"
        for session, name, seq, why in conn.execute(_LISTED).fetchall()
    ]


def linked_rows(
    conn: psycopg.Connection[Any], keys: Sequence[int] | None = None
) -> Iterator[tuple[int, LinkedRow]]:
    """Yield the session's key and the row, for `verify`, of all sessions or of some."""
    where, values = ("", []) if keys is None else (" WHERE session_key = ANY (%s)", [list(keys)])
    sql = f"SELECT session_key, name, seq, kept FROM ib.quarantine{where}"  # noqa: S608 (our own names)
    for key, name, seq, kept in conn.execute(sql, values):
        if name in chain.FIELDS:
            row = unpacked(kept)
            yield (
                key,
                LinkedRow(
                    name,
                    seq,
                    "ib.quarantine",
                    [_value(row, field) for field in chain.FIELDS[name]],
                    [row.get(text) for text in chain.TEXTS[name]],
                    row.get("salt"),
                    row.get("commitment"),
                    row.get("link_n"),
                    row.get("link"),
                ),
            )


def _value(row: Mapping[str, Any], field: str) -> Any:
    column, scale = _UNITS.get(field, (field, 0.0))
    return chain.microseconds(row[column], scale) if scale else row[column]
