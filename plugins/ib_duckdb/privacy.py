"""Showing and erasing all that the ledger has about a person (`ib_kernel.values.privacy.PrivacyStore`).

An erasure is begun in one transaction of the hot ledger, which also notes that its files still have to be
written anew: whoever comes next goes on there, whatever was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb import erase_copies, erase_files
from ib_duckdb.base import Part
from ib_duckdb.columns import TABLES
from ib_duckdb.rows import Row, find
from ib_kernel.errors import SessionInactive
from ib_kernel.values import Session, Status
from ib_kernel.values.erasure import Erasure
from ib_kernel.values.privacy import KnownSession

if TYPE_CHECKING:
    from ib_duckdb.record import Record
    from ib_kernel.values.results import QueryResult
    from ib_kernel.values.verified import Verification

_KNOWN = """
SELECT session_id, candidate, coalesce(external_id, ''), status, epoch(created_at), epoch(keep_until),
    coalesce(meta ->> 'about', '')
FROM sessions ORDER BY created_at DESC"""

_GOING_ON = (Status.ACTIVE, Status.PAUSED)

_LEFT_OPEN = {Status.CREATED: Status.CANCELLED, Status.EXPIRED: Status.COMPLETED}
"""Sessions that nobody is in, and what they become, so that nobody comes into them again."""

_BESIDE = {
    "reservations": "tokens, nano_usd, owner, created_at, lease_until, state, doubt_reason, turn, model",
    "requests": "request_id, turn, state, text, result, updated_at",
    "invitations": "created_by, created_at, expires_at, gateway, used_at, revoked_at",
}
"""What the hot ledger keeps of a session beside its record: without hashes of codes and tokens."""

_JSON = frozenset(column.name for table in TABLES for column in table.columns if column.type == "JSON")


class Privacy(Part):
    """All rows about a person, and their erasure."""

    _record: Record

    def known_sessions(self) -> list[KnownSession]:
        """Return every session that has rows anywhere, newest first (see `PrivacyStore.known_sessions`)."""
        return [KnownSession(*row) for row in self.sql(_KNOWN)]

    def rows_about(self, session_ids: Sequence[str]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Return all rows of some sessions, table by table (see `PrivacyStore.rows_about`)."""
        wanted = ", ".join("'{}'".format(name.replace("'", "''")) for name in session_ids)
        for table in ("sessions", *(t.name for t in TABLES if t.schema == "main" and t.name != "challenges")):
            order = "created_at" if table == "sessions" else "session_key, seq"
            found = self.sql(f"SELECT * FROM {table} WHERE session_id IN ({wanted}) ORDER BY {order}")  # noqa: S608
            yield table, [_plain(row) for row in found.dicts()]
        yield "accommodations", self._accommodations(session_ids)
        for table, names in _BESIDE.items():
            yield table, self._beside(table, names, session_ids)

    def erase(self, session_ids: Sequence[str], *, who: str = "") -> Erasure:
        """Erase the person from some sessions (see `PrivacyStore.erase`)."""
        self.resume_erasures()
        here = [found for found in map(self._row, session_ids) if found is not None]
        for row in here:
            if row["status"] in _GOING_ON:
                line = f"session {row['session_id']} is {row['status']}; end it first, then erase"
                raise SessionInactive(line, row["status"])
        for row in here:
            if row["status"] in _LEFT_OPEN:
                self.set_status(row["session_id"], _LEFT_OPEN[row["status"]], who=who)
        names = [row["session_id"] for row in here]
        doubted = [name for name in names if self.verification(name).differences]
        done = erase_files.erase(self._hot, self._record, session_ids, doubted, who, self._now())
        self._moved_soon()
        return done

    def unreadable_copies(self) -> list[str]:
        """Return the files beside the ledger that nobody can read: `erase` removes them."""
        return erase_copies.unreadable(self._record.path.parent)

    def erase_in_backup(self, folder: Path, session_ids: Sequence[str], *, who: str = "") -> list[str]:
        """Erase the person from some sessions in a folder that `backup` has written; return those it had.

        Raises:
            StoreError: It is no backup, or its files are not those that were written.
        """
        return erase_copies.erase_backup(Path(folder), set(session_ids), who, self._now())

    def resume_erasures(self) -> Erasure | None:
        """Finish what was begun (see `PrivacyStore.resume_erasures`)."""
        return erase_files.resume(self._hot, self._record)

    def _row(self, session_id: str) -> Row | None:
        with self._hot.read() as db:
            if find(db, session_id) is None:
                return None
        return self._current(session_id)

    def _accommodations(self, session_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        found = (row for row in map(self._row, session_ids) if row is not None and row["accommodation"])
        return [{name: row[name] for name in ("session_id", "accommodation")} for row in found]

    def _beside(self, table: str, names: str, session_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        sql = (
            f"SELECT {names} FROM {table} WHERE session_key ="  # noqa: S608 (our own names)
            " (SELECT session_key FROM sessions WHERE session_id = ?)"
        )
        with self._hot.read() as db:
            for session_id in session_ids:
                found: list[Any] = db.execute(sql, (session_id,)).fetchall()
                told = (dict(zip(names.split(", "), row, strict=True)) for row in found)
                rows += [{"session_id": session_id, **row} for row in told]
        return rows

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move a session to *status*."""
        raise NotImplementedError

    def sql(self, query: str) -> QueryResult:
        """Answer one query."""
        raise NotImplementedError

    def verification(self, session_id: str | None = None) -> Verification:
        """Recompute a session's chain."""
        raise NotImplementedError


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it: times in ISO 8601 (UTC), money as text, JSON as what it says."""
    return {name: _plain_value(name, value) for name, value in row.items()}


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and name in _JSON:
        with suppress(ValueError):
            return json.loads(value)
    return value
