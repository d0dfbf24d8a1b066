"""Showing and erasing all that the ledger has about a person (`ib_kernel.values.privacy.PrivacyStore`).

An erasure is one transaction, which also notes that tables still have to be written anew (`VACUUM FULL`):
until then dead rows have the older text. Who comes next goes on there, whatever was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import SessionInactive, StoreBusy, StoreError
from ib_kernel.values import Session, Status
from ib_kernel.values.erasure import Erasure
from ib_kernel.values.privacy import KnownSession
from ib_postgres.base import Part
from ib_postgres.erase_rows import JSON, LINKED, Erasing, about, given_row
from ib_postgres.rows import Row
from ib_postgres.text import given

if TYPE_CHECKING:
    from ib_kernel.values.verified import Verification

_GOING_ON = (Status.ACTIVE, Status.PAUSED)
_LEFT_OPEN = {Status.CREATED: Status.CANCELLED, Status.EXPIRED: Status.COMPLETED}

_TABLES = ("sessions", *LINKED, "reservations", "requests", "invitations")
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
                about(row["meta"]),
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
            work = Erasing(db, [row["session_key"] for row in rows], doubted, who)
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


def _plain(row: Row) -> Row:
    """Return a row as JSON has it, without keys, hashes and links."""
    return {name: _plain_value(name, value) for name, value in given_row(row).items() if name not in _HASHES}


def _plain_value(name: str, value: Any) -> Any:
    if name in JSON and isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    if isinstance(value, float) and name.endswith(("_at", "_until")):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value
