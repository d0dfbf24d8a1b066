"""Rows of another ledger, made to fit PostgreSQL's columns; those that do not fit are told apart."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ib_kernel.values.moving import LedgerRows
from ib_postgres import quarantine
from ib_postgres.text import stored, stored_json

if TYPE_CHECKING:
    import psycopg

EARLIER = 1 << 62
"""What is taken from the ``seq`` of rows of an earlier ledger, so that their numbers are nobody else's."""

LATEST = 253_402_300_800.0
"""The end of the year 9999 in seconds since 1970; a moment beyond it is none."""

_JSON = frozenset({"meta", "detail", "files", "tests", "quotes", "result"})

_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable = 'YES'
FROM information_schema.columns WHERE table_schema = 'ib' ORDER BY table_name, ordinal_position"""

_RANGES = {"integer": 2**31, "bigint": 2**63}


class Keys(Protocol):
    """Each session's key here, by its key there."""

    def __getitem__(self, theirs: int) -> int:
        """Return the key here."""
        ...


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    nullable: bool

    @property
    def is_moment(self) -> bool:
        return self.name.endswith("_at") or self.name in ("lease_until", "keep_until")


class Misfit(ValueError):
    """A value that a column cannot hold; the text says why."""


class Fitting:
    """Makes rows fit the tables of one ledger, and inserts them."""

    def __init__(self, tables: Mapping[str, Sequence[_Column]], keys: Keys) -> None:
        self._tables, self._keys = tables, keys

    @classmethod
    def of(cls, conn: psycopg.Connection[Any], keys: Keys) -> Fitting:
        """Return it for the ledger that *conn* is connected to; *keys* say whose rows these are."""
        tables: dict[str, list[_Column]] = {}
        for table, name, kind, nullable in conn.execute(_COLUMNS).fetchall():
            tables.setdefault(table, []).append(_Column(name, kind, nullable))
        return cls(tables, keys)

    def insert(self, conn: psycopg.Connection[Any], piece: LedgerRows, *, earlier: bool = False) -> None:
        """Insert a piece of rows; those that do not fit go to quarantine. Call it in a transaction."""
        if not piece.rows:
            return
        columns = [column for column in self._tables[piece.table] if column.name in piece.columns]
        given = dict(zip(piece.columns, zip(*piece.rows, strict=True), strict=True))
        keys = (
            [self._keys[key] for key in given["session_key"]]
            if "session_key" in given
            else [0] * len(piece.rows)
        )
        bad: dict[int, str] = {}
        fitted = []
        for column in columns:
            values = self._values(column, given[column.name], keys, earlier=earlier)
            fitted.append(_fitted(column, values, bad))
        rows = [row for at, row in enumerate(zip(*fitted, strict=True)) if at not in bad]
        names = ", ".join(f'"{column.name}"' for column in columns)
        copy = f"COPY ib.{piece.table} ({names}) FROM STDIN"
        with conn.cursor() as cursor, cursor.copy(copy) as into:
            for row in rows:
                into.write_row(row)
        for at, reason in bad.items():
            _set_apart(conn, piece, at, keys[at], reason)

    @staticmethod
    def _values(
        column: _Column, values: Sequence[Any], keys: Sequence[int], *, earlier: bool
    ) -> Sequence[Any]:
        if column.name == "session_key":
            return keys
        if column.name == "rid":
            return [_rid(rid, key) for rid, key in zip(values, keys, strict=True)]
        if column.name == "seq" and earlier:
            return [seq - EARLIER for seq in values]
        return values


def _rid(rid: str, key: int) -> str:
    """Return a reservation's id as this ledger has it: 24 digits of its own, then the session's key."""
    digits = rid[:24]
    if len(rid) < 24 or set(digits) - set("0123456789abcdef"):
        digits = hashlib.sha256(rid.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{digits}{key:016x}"


def _fitted(column: _Column, values: Sequence[Any], bad: dict[int, str]) -> Sequence[Any]:
    """Return a column's values as it holds them; rows whose value does not fit are named in *bad*."""
    if column.nullable and not any(value is not None for value in values):
        return values
    fit = _fit(column)
    fitted: list[Any] = []
    for at, value in enumerate(values):
        if value is None:
            if not column.nullable:
                bad.setdefault(at, f"{column.name} is missing")
            fitted.append(None)
            continue
        try:
            fitted.append(fit(value))
        except Misfit as why:
            bad.setdefault(at, f"{column.name} {why}")
            fitted.append(None)
    return fitted


def _fit(column: _Column) -> Callable[[Any], Any]:
    if column.type in _RANGES:
        return _whole(_RANGES[column.type])
    if column.type == "double precision":
        return _moment if column.is_moment else _figure
    if column.type == "boolean":
        return bool
    if column.type == "text":
        return _json if column.name in _JSON else _text
    return _bytes


def _whole(end: int) -> Callable[[Any], int]:
    def whole(value: Any) -> int:
        if type(value) is not int or not -end <= value < end:
            raise Misfit(f"is no whole number of {64 if end > 2**31 else 32} bits")
        return value

    return whole


def _figure(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Misfit("is no number")
    return float(value)


def _moment(value: Any) -> float:
    if not 0 <= _figure(value) < LATEST:
        raise Misfit("is no time in seconds since 1970")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("is no text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("has half a character") from None
    return stored(value)


def _json(value: Any) -> str:
    text = _text(value) if isinstance(value, str) and "\0" not in value else None
    try:
        json.loads(value)
    except (ValueError, TypeError, RecursionError):
        text = None
    if text is None:
        raise Misfit("is no JSON")
    return stored_json(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, memoryview)):
        raise Misfit("is no run of bytes")
    return bytes(value)


def _set_apart(conn: psycopg.Connection[Any], piece: LedgerRows, at: int, key: int, reason: str) -> None:
    row = dict(zip(piece.columns, piece.rows[at], strict=True))
    conn.execute(
        "INSERT INTO ib.quarantine (name, seq, session_key, reason, kept) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (session_key, name, seq) DO UPDATE SET reason = excluded.reason, kept = excluded.kept",
        [piece.table, row.get("seq", at), key, reason, quarantine.packed(row)],
    )
