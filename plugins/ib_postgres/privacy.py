"""Showing and erasing all that the ledger has about a person (`ib_kernel.values.privacy.PrivacyStore`).

An erasure is one transaction, which also notes that tables still have to be written anew (`VACUUM FULL`):
until then dead rows have the older text. Who comes next goes on there, whatever was killed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import SessionInactive, StoreBusy, StoreError
from ib_kernel.values import Session, Status, chain, erasure
from ib_kernel.values.erasure import Erasure
from ib_kernel.values.privacy import KnownSession
from ib_postgres.base import Part
from ib_postgres.keys import session_key
from ib_postgres.proof import canonical_values
from ib_postgres.rows import Row
from ib_postgres.text import given, given_json, stored, stored_json

if TYPE_CHECKING:
    from ib_kernel.values.verified import Verification

_GOING_ON = (Status.ACTIVE, Status.PAUSED)
_LEFT_OPEN = {Status.CREATED: Status.CANCELLED, Status.EXPIRED: Status.COMPLETED}

_JSON = frozenset({"detail", "tests", "quotes", "meta", "result"})
_LINKED = tuple(chain.FIELDS)
_TABLES = ("sessions", *_LINKED, "reservations", "requests", "invitations")
"""The tables that have rows of a session, but for its tokens."""

_HASHES = frozenset(
    [
        *(
            "session_key",
            "seq",
            "salt",
            "commitment",
            "link",
            "link_n",
            "chain_n",
            "chain_head",
            "owner_hash",
        ),
        *("code_hash", "nonce_hash", "body_sha", "rid"),
    ]
)
"""Columns that say nothing about the person."""

_BESIDE = (
    "UPDATE ib.reservations SET owner = '', doubt_reason = '' WHERE session_key = %(key)s",
    "UPDATE ib.requests SET text = '', result = '{}', body_sha = '', request_id = 'erased-' || rid"
    " WHERE session_key = %(key)s",
    "DELETE FROM ib.invitations WHERE session_key = %(key)s",
    "DELETE FROM ib.grants WHERE kind IN ('candidate', 'gateway') AND subject = %(id)s",
)

ELSEWHERE = (
    "write-ahead log: segments that were not reused, and archives of it",
    "standbys until they have replayed this, pg_dump files, base backups, snapshots of the disk",
    "the server's log and pg_stat_statements, where statements are logged",
)
"""What an erasure here cannot reach."""

STATISTICS = "pg_statistic, which this role may not write anew: VACUUM FULL pg_catalog.pg_statistic"

LOCK_S = 60
"""Seconds to wait for a table that somebody else uses."""


class Privacy(Part):
    """All rows about a person, and their erasure."""

    def known_sessions(self) -> list[KnownSession]:
        """Return every session, newest first (see `PrivacyStore.known_sessions`)."""
        names = "session_id, candidate, external_id, status, created_at, keep_until, meta"
        rows = self._database.read(f"SELECT {names} FROM ib.sessions ORDER BY created_at DESC")  # noqa: S608
        return [
            KnownSession(
                given(row["session_id"]),
                given(row["candidate"]),
                given(row["external_id"]),
                row["status"],
                row["created_at"],
                row["keep_until"],
                _about(row["meta"]),
            )
            for row in rows
        ]

    def rows_about(self, session_ids: Sequence[str]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Return all rows of some sessions, table by table (see `PrivacyStore.rows_about`)."""
        keys = {self._row(name)["session_key"]: name for name in session_ids}
        for table in _TABLES:
            order = "created_at" if table in ("sessions", "reservations", "invitations") else "seq"
            order = "updated_at" if table == "requests" else order
            where = f"WHERE session_key = ANY (%s) ORDER BY session_key, {order}"
            sql = f"SELECT * FROM ib.{table} {where}"  # noqa: S608 (our own names)
            found = self._database.read(sql, (list(keys),))
            yield table, [{"session_id": keys[row["session_key"]], **_plain(row)} for row in found]

    def erase(self, session_ids: Sequence[str], *, who: str = "") -> Erasure:
        """Erase the person from some sessions (see `PrivacyStore.erase`)."""
        self.resume_erasures()
        rows = [self._current(name) for name in session_ids]
        for name, row in zip(session_ids, rows, strict=True):
            if row["status"] in _GOING_ON:
                raise SessionInactive(
                    f"session {name} is {row['status']}; end it first, then erase", row["status"]
                )
        for name, row in zip(session_ids, rows, strict=True):
            if row["status"] in _LEFT_OPEN:
                self.set_status(name, _LEFT_OPEN[row["status"]], who=who)
        doubted = {
            row["session_key"]
            for name, row in zip(session_ids, rows, strict=True)
            if self.verification(name).differences
        }
        now = self._moment()
        with self._database.session() as db, db.transaction():
            db.execute("SET LOCAL statement_timeout = 0")
            work = _Erasing(db, [row["session_key"] for row in rows], doubted, who)
            ids = work.run(now)
        self._changed()
        return self._written_anew(ids, dict(work.rows))

    def resume_erasures(self) -> Erasure | None:
        """Finish what was begun (see `PrivacyStore.resume_erasures`)."""
        sql = "SELECT session_id FROM ib.erasing JOIN ib.sessions USING (session_key) ORDER BY 1"
        begun = [given(row["session_id"]) for row in self._database.read(sql)]
        return self._written_anew(begun, {}) if begun else None

    def _written_anew(self, ids: Sequence[str], rows: Mapping[str, int]) -> Erasure:
        """Write the tables anew, so that no dead row, and no statistics, have the older text."""
        import psycopg

        elsewhere, done = list(ELSEWHERE), []
        with self._database.session() as db:
            db.execute(f"SET statement_timeout = 0; SET lock_timeout = '{LOCK_S}s'")
            try:
                for table in (*_TABLES, "grants"):
                    if not _write_anew(db, f"ib.{table}", ", ANALYZE"):
                        raise StoreError(
                            f"this role may not write ib.{table} anew (VACUUM FULL): the texts are erased, "
                            "but not yet from dead rows; run ib erase --resume as the owner of the tables"
                        )
                    done.append(f"ib.{table}")
                if not _write_anew(db, "pg_catalog.pg_statistic"):
                    elsewhere.append(STATISTICS)
                db.execute("DELETE FROM ib.erasing")
            except psycopg.errors.LockNotAvailable:
                raise StoreBusy(
                    "somebody uses a table of the ledger all the time, and it has to be written anew: the "
                    "texts are erased, but not yet from dead rows; end what uses it, and run the same again"
                ) from None
            finally:
                with suppress(psycopg.Error):
                    db.execute("RESET statement_timeout; RESET lock_timeout")
        return Erasure(tuple(ids), rows, tuple(done), (), tuple(elsewhere))

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move a session to *status*."""
        raise NotImplementedError

    def verification(self, session_id: str | None = None) -> Verification:
        """Recompute a session's chain."""
        raise NotImplementedError


def _write_anew(db: Any, table: str, how: str = "") -> bool:
    """Write a table anew; False where this role may not: the server then only warns."""
    import psycopg

    sql = "SELECT pg_relation_filenode(%s::regclass)"
    before = db.execute(sql, (table,)).fetchone()
    try:
        db.execute(f"VACUUM (FULL{how}) {table}")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return bool(db.execute(sql, (table,)).fetchone() != before)


class _Erasing:
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
        sessions = [_given(row) for row in self._ask.execute(sql, (self._keys,)).fetchall()]
        self._require_ended(sessions)
        own = [row for row in sessions if not _about(row["meta"])]
        names = erasure.Names.of([r["candidate"] for r in own], [r["external_id"] for r in own])
        for table in _LINKED:
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
        for row in map(_given, self._ask.execute(sql, (self._keys,)).fetchall()):
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
        for table in _LINKED:
            sql: Any = f"SELECT * FROM ib.{table} WHERE session_key = %s AND link_n = 1"  # noqa: S608 (ours)
            for row in self._ask.execute(sql, (key,)).fetchall():
                self._seal(table, _given(row))

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


def _about(meta: str) -> str:
    with suppress(ValueError, AttributeError):
        return str(json.loads(given_json(meta)).get("about") or "")
    return ""


def _given(row: Row) -> Row:
    """Return a row's texts as they were given."""
    return {name: _convert(name, value, given, given_json) for name, value in row.items()}


def _stored(name: str, value: Any) -> Any:
    return _convert(name, value, stored, stored_json)


def _convert(name: str, value: Any, text: Callable[[str], str], as_json: Callable[[str], str]) -> Any:
    if not isinstance(value, str):
        return value
    return as_json(value) if name in _JSON else text(value)


def _plain(row: Row) -> Row:
    """Return a row as JSON has it, without keys, hashes and links."""
    return {name: _plain_value(name, value) for name, value in _given(row).items() if name not in _HASHES}


def _plain_value(name: str, value: Any) -> Any:
    if name in _JSON and isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    if isinstance(value, float) and name.endswith(("_at", "_until")):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value
