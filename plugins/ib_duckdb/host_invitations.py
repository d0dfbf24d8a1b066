"""Invitations: codes, by their hashes, that let one candidate into one session, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.host_people import insert_grants
from ib_duckdb.rows import get
from ib_duckdb.writer import Operation
from ib_duckdb.writing import note
from ib_kernel.errors import ConfigError
from ib_kernel.values.domain import clean, moment
from ib_kernel.values.host import REPEAT_S, Grant, Invitation
from ib_kernel.values.taken import OF_SESSIONS, checked_hash

_NAMES = (
    "invitation_id, s.session_id, code_hash, created_by, i.created_at, expires_at, gateway, used_at, "
    "nonce_hash, revoked_at"
)
_FROM = "FROM invitations i JOIN sessions s USING (session_key)"

_TAKE = """
UPDATE invitations SET used_at = :now, nonce_hash = :nonce
WHERE code_hash = :code AND used_at IS NULL AND revoked_at IS NULL AND expires_at > :now
RETURNING 1"""

_AGAIN = """
SELECT 1 FROM invitations
WHERE code_hash = :code AND nonce_hash = :nonce AND used_at > :now - :repeat_s AND revoked_at IS NULL"""


class Invitations(Part):
    """The invitations of `ib_kernel.values.HostStore`."""

    def add_invitation(self, invitation: Invitation) -> None:
        """Record an invitation and an event "invited" (see `HostStore.add_invitation`)."""
        now = self._now()
        values: dict[str, Any] = {
            "invitation_id": clean(invitation.invitation_id),
            "code_hash": checked_hash("a code", invitation.code_hash),
            "created_by": clean(invitation.created_by),
            "created_at": moment("an invitation's time", invitation.created_at or now),
            "expires_at": moment("an invitation's end", invitation.expires_at),
            "gateway": int(invitation.gateway),
        }
        if not values["invitation_id"]:
            raise ConfigError("an invitation needs an id")
        with self._hot.write() as db:
            row = get(db, invitation.session_id)
            values["session_key"] = row["session_key"]
            names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
            try:
                db.execute(f"INSERT INTO invitations ({names}) VALUES ({marks})", values)  # noqa: S608
            except apsw.ConstraintError:
                raise ConfigError("an invitation of that id or code is there already") from None
            facts = {name: values[name] for name in ("invitation_id", "expires_at")}
            note(db, row, "invited", now, values["created_by"], **facts, gateway=bool(invitation.gateway))
        self._moved_soon()

    def invitations(self, session_id: str | None = None) -> list[Invitation]:
        """Return invitations, newest first."""
        where, order = "", "ORDER BY i.created_at DESC, invitation_id"
        values: tuple[str, ...] = ()
        with self._hot.read() as db:
            if session_id is not None:
                get(db, session_id)
                where, values = "WHERE s.session_id = ?", (clean(session_id),)
            rows: list[Any] = db.execute(f"SELECT {_NAMES} {_FROM} {where} {order}", values).fetchall()
        return [_to_invitation(row) for row in rows]

    def take_invitation(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant] = ()
    ) -> Invitation | None:
        """Use an invitation, in one conditional write (see `HostStore.take_invitation`)."""
        taken = self._writer.run(self._taking(code_hash, nonce_hash, grants))
        self._moved_soon()
        return taken

    def _taking(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant]
    ) -> Operation[Invitation | None]:
        if any(grant.kind not in OF_SESSIONS for grant in grants):
            raise ConfigError(f"an invitation gives tokens of kind {' and '.join(OF_SESSIONS)} only")
        asked = {"code": checked_hash("a code", code_hash), "nonce": checked_hash("a nonce", nonce_hash)}

        def work(db: apsw.Connection) -> Invitation | None:
            now = self._now()
            values = {**asked, "now": now, "repeat_s": REPEAT_S}
            fresh = bool(db.execute(_TAKE, values).fetchall())
            if not (fresh or db.execute(_AGAIN, values).fetchone()):
                return None
            sql = f"SELECT {_NAMES} {_FROM} WHERE code_hash = :code"
            taken = _to_invitation(next(iter(db.execute(sql, values))))
            if fresh:
                _let_in(db, taken, grants, now)
            return taken

        return Operation(work)

    def revoke_invitation(self, invitation_id: str, who: str) -> bool:
        """Make an unused invitation worthless (see `HostStore.revoke_invitation`)."""
        now, name = self._now(), clean(invitation_id)
        with self._hot.write() as db:
            found: list[Any] = db.execute(
                "UPDATE invitations SET revoked_at = ? WHERE invitation_id = ? AND used_at IS NULL"
                " AND revoked_at IS NULL RETURNING (SELECT session_id FROM sessions s"
                " WHERE s.session_key = invitations.session_key)",
                (now, name),
            ).fetchall()
            for (session_id,) in found:
                note(db, get(db, session_id), "revoked", now, who, invitation_id=name)
        self._moved_soon()
        return bool(found)


def _let_in(db: apsw.Connection, taken: Invitation, grants: Sequence[Grant], now: float) -> None:
    """Give the session to who has taken the invitation: older tokens end, and *grants* begin."""
    row = get(db, taken.session_id)
    db.execute(
        "UPDATE grants SET revoked_at = ? WHERE subject = ? AND kind IN ('candidate', 'gateway')"
        " AND revoked_at IS NULL",
        (now, taken.session_id),
    )
    mine = [g for g in grants if taken.gateway or g.kind == "candidate"]
    insert_grants(db, [dataclasses.replace(g, subject=taken.session_id) for g in mine])
    note(db, row, "joined", now, "", invitation_id=taken.invitation_id)


def _to_invitation(row: Sequence[Any]) -> Invitation:
    values = list(row)
    values[6] = bool(values[6])
    return Invitation(*values)
