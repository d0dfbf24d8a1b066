"""Invitations: codes, by their hashes, that let one candidate into one session, once."""

from __future__ import annotations

from collections.abc import Sequence

from ib_kernel.errors import ConfigError
from ib_kernel.values.domain import clean, moment
from ib_kernel.values.host import REPEAT_S, Grant, Invitation
from ib_kernel.values.taken import OF_SESSIONS, checked_hash
from ib_postgres.base import new_mark
from ib_postgres.host_people import grant_columns
from ib_postgres.rows import Row
from ib_postgres.sessions import Sessions
from ib_postgres.text import given_value, stored
from ib_postgres.writer import Write

_LIST = """
SELECT i.*, s.session_id FROM ib.invitations AS i JOIN ib.sessions AS s USING (session_key)
WHERE %(key)s::bigint IS NULL OR i.session_key = %(key)s
ORDER BY i.created_at DESC, i.invitation_id"""


class Invitations(Sessions):
    """The invitations of `ib_kernel.values.HostStore`."""

    def add_invitation(self, invitation: Invitation) -> None:
        """Record an invitation and an event "invited" (see `HostStore.add_invitation`)."""
        values = {
            "invitation_id": stored(clean(invitation.invitation_id)),
            "code_hash": checked_hash("a code", invitation.code_hash),
            "created_by": stored(clean(invitation.created_by)),
            "created_at": moment("an invitation's time", invitation.created_at)
            if invitation.created_at
            else None,
            "expires_at": moment("an invitation's end", invitation.expires_at),
            "gateway": bool(invitation.gateway),
        }
        if not values["invitation_id"]:
            raise ConfigError("an invitation needs an id")
        asked = self._of(invitation.session_id, salt=new_mark(), **values)
        if not self._known(invitation.session_id, self._call("add_invitation", asked))["done"]:
            raise ConfigError("an invitation of that id or code is there already")

    def invitations(self, session_id: str | None = None) -> list[Invitation]:
        """Return invitations, newest first."""
        key = None if session_id is None else self._row(session_id)["session_key"]
        return [_to_invitation(row) for row in self._database.read(_LIST, {"key": key})]

    def take_invitation(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant] = ()
    ) -> Invitation | None:
        """Use an invitation, in one conditional write (see `HostStore.take_invitation`)."""
        said = self._write(self._taking(code_hash, nonce_hash, grants))
        return None if said is None else _to_invitation(said)

    async def atake_invitation(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant] = ()
    ) -> Invitation | None:
        """Do the same for a caller on an event loop."""
        said = await self._awrite(self._taking(code_hash, nonce_hash, grants))
        return None if said is None else _to_invitation(said)

    def revoke_invitation(self, invitation_id: str, who: str) -> bool:
        """Make an unused invitation worthless (see `HostStore.revoke_invitation`)."""
        asked = self._asked(invitation_id=stored(clean(invitation_id)), who=stored(clean(who)))
        return bool(self._call("revoke_invitation", asked)["done"])

    def _taking(self, code_hash: str, nonce_hash: str, grants: Sequence[Grant]) -> Write:
        if any(grant.kind not in OF_SESSIONS for grant in grants):
            raise ConfigError(f"an invitation gives tokens of kind {' and '.join(OF_SESSIONS)} only")
        asked = self._asked(
            code_hash=checked_hash("a code", code_hash),
            nonce_hash=checked_hash("a nonce", nonce_hash),
            repeat_s=REPEAT_S,
            grants=[grant_columns(grant) for grant in grants],
        )
        return Write("take_invitation", asked)


def _to_invitation(row: Row) -> Invitation:
    return Invitation(**{name: given_value(row[name]) for name in Invitation.__slots__})
