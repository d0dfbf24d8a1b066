"""One erasure in its transaction: a person's texts and names, what vouches for the rest, a session's key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ib_kernel.errors import SessionInactive
from ib_kernel.values import Status, chain, erasure
from ib_postgres.keys import session_key
from ib_postgres.proof import canonical_values
from ib_postgres.rows import Row
from ib_postgres.text import given, given_json, stored, stored_json

JSON = frozenset({"detail", "tests", "quotes", "meta", "result"})
"""Columns that are JSON."""

LINKED = tuple(chain.FIELDS)
"""Tables whose rows are in the hash chain."""

_BESIDE = (
    "UPDATE ib.reservations SET owner = '', doubt_reason = '' WHERE session_key = %(key)s",
    "UPDATE ib.requests SET text = '', result = '{}', body_sha = '', request_id = 'erased-' || rid"
    " WHERE session_key = %(key)s",
    "DELETE FROM ib.invitations WHERE session_key = %(key)s",
    "DELETE FROM ib.grants WHERE kind IN ('candidate', 'gateway') AND subject = %(id)s",
)


class Erasing:
    """One erasure in its transaction.

    Args:
        db: A connection in a transaction.
        keys: The sessions.
        doubted: Those whose chain differs already: nothing vouches for their rows.
        who: Who erases.
    """

    def __init__(self, db: Any, keys: Sequence[int], doubted: set[int], who: str) -> None:
        from psycopg.rows import dict_row

        self._db, self._keys, self._doubted, self._who = db, list(keys), doubted, who
        self._ask = db.cursor(row_factory=dict_row)
        self.rows: Counter[str] = Counter()
        self._seals: dict[int, dict[str, str]] = {key: {} for key in keys}

    def run(self, now: float | None) -> list[str]:
        """Erase; return the sessions' ids as they are afterwards."""
        sql = "SELECT * FROM ib.sessions WHERE session_key = ANY (%s) ORDER BY session_key FOR UPDATE"
        sessions = [given_row(row) for row in self._ask.execute(sql, (self._keys,)).fetchall()]
        self._require_ended(sessions)
        own = [row for row in sessions if not about(row["meta"])]
        names = erasure.Names.of([r["candidate"] for r in own], [r["external_id"] for r in own])
        for table in LINKED:
            self._erase_table(table, names)
        pseudonym, ids = erasure.new_pseudonym(), []
        for row in sessions:
            key, old = row["session_key"], row["session_id"]
            changed = erasure.erased_session(row, names, pseudonym)
            new = changed.pop("session_id", old)
            for statement in _BESIDE:
                self._db.execute(statement, {"key": key, "id": stored(old)})
            self._update("sessions", "session_key = %(key)s", {"key": key}, changed)
            if new != old:
                self._seal_first(key)
            self._record(key, now)
            key = self._rename(key, new) if new != old else key
            self._db.execute("INSERT INTO ib.erasing VALUES (%s) ON CONFLICT DO NOTHING", (key,))
            ids.append(new)
        return ids

    def _require_ended(self, sessions: Sequence[Row]) -> None:
        held = "SELECT 1 FROM ib.reservations WHERE session_key = %s AND state = 'held' LIMIT 1"
        for row in sessions:
            if row["status"] not in (Status.COMPLETED, Status.CANCELLED):
                raise SessionInactive(
                    f"session {row['session_id']} is {row['status']}; end it first", row["status"]
                )
            if self._db.execute(held, (row["session_key"],)).fetchone():
                raise SessionInactive(
                    f"a call of session {row['session_id']} has not ended; try again when its reply has",
                    row["status"],
                )

    def _erase_table(self, table: str, names: erasure.Names) -> None:
        sql: Any = f"SELECT * FROM ib.{table} WHERE session_key = ANY (%s)"  # noqa: S608 (our own names)
        for row in map(given_row, self._ask.execute(sql, (self._keys,)).fetchall()):
            changed = erasure.erased_row(table, row, names)
            if not changed:
                continue
            self.rows[table] += 1
            where = {"key": row["session_key"], "seq": row["seq"]}
            self._update(table, "session_key = %(key)s AND seq = %(seq)s", where, changed)
            if row["link"] is not None and erasure.is_sealed(table, changed):
                self._seal(table, {**row, **changed})

    def _seal(self, table: str, row: Row) -> None:
        if row["session_key"] in self._doubted:
            return
        committed = None
        if texts := chain.TEXTS[table]:
            committed = row["commitment"]
            if row["salt"] is not None:
                committed = chain.commitment(row["salt"], [row[name] for name in texts])
        made = erasure.seal(row["link"], chain.canonical(table, canonical_values(table, row), committed))
        self._seals[row["session_key"]][str(row["link_n"])] = made

    def _seal_first(self, key: int) -> None:
        """Vouch for the row whose link follows from the session's older id."""
        for table in LINKED:
            sql: Any = f"SELECT * FROM ib.{table} WHERE session_key = %s AND link_n = 1"  # noqa: S608 (ours)
            for row in self._ask.execute(sql, (key,)).fetchall():
                self._seal(table, given_row(row))

    def _record(self, key: int, now: float | None) -> None:
        seals = dict(sorted(self._seals[key].items(), key=lambda item: int(item[0])))
        detail = stored_json(json.dumps({"seals": seals}))
        at = "coalesce(%(now)s, extract(epoch FROM statement_timestamp()))::double precision"
        values = {"key": key, "kind": erasure.EVENT, "now": now, "who": stored(self._who), "detail": detail}
        self._db.execute(f"SELECT ib.append_event(%(key)s, %(kind)s, {at}, %(who)s, %(detail)s)", values)
        self._db.execute(f"SELECT ib.say_changed(%(key)s, {at}, 'session', 'event')", values)

    def _rename(self, key: int, new: str) -> int:
        """Give a session another id, from which its key follows in every table; return the new key."""
        to = session_key(new)
        self._db.execute("UPDATE ib.sessions SET session_id = %s WHERE session_key = %s", (stored(new), key))
        tables = (
            "SELECT table_name, bool_or(column_name = 'rid') FROM information_schema.columns"
            " WHERE table_schema = 'ib' AND column_name IN ('session_key', 'rid') GROUP BY 1"
        )
        for table, has_rid in self._db.execute(tables).fetchall():
            rid = ", rid = left(rid, 24) || lpad(to_hex(%(to)s::bigint), 16, '0')" if has_rid else ""
            sets = f"session_key = %(to)s{rid}"
            sql: Any = f"UPDATE ib.{table} SET {sets} WHERE session_key = %(key)s"  # noqa: S608 (our own names)
            self._db.execute(sql, {"to": to, "key": key})
        return to

    def _update(self, table: str, where: str, by: Row, changed: Mapping[str, Any]) -> None:
        if not changed:
            return
        sets = ", ".join(f"{name} = %(new_{name})s" for name in changed)
        new = {f"new_{name}": _stored(name, value) for name, value in changed.items()}
        sql: Any = f"UPDATE ib.{table} SET {sets} WHERE {where}"  # noqa: S608 (our own names)
        self._db.execute(sql, {**by, **new})


def about(meta: str) -> str:
    """Return the session that a judge's session is about; "" for any other."""
    with suppress(ValueError, AttributeError):
        return str(json.loads(given_json(meta)).get("about") or "")
    return ""


def given_row(row: Row) -> Row:
    """Return a row's texts as they were given."""
    return {name: _convert(name, value, given, given_json) for name, value in row.items()}


def _stored(name: str, value: Any) -> Any:
    return _convert(name, value, stored, stored_json)


def _convert(name: str, value: Any, text: Callable[[str], str], as_json: Callable[[str], str]) -> Any:
    if not isinstance(value, str):
        return value
    return as_json(value) if name in JSON else text(value)
