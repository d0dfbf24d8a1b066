"""A host's people, and the tokens that let somebody in: by their hashes only."""

from __future__ import annotations

import asyncio
import secrets

from ib_kernel.errors import ConfigError
from ib_kernel.values.domain import clean
from ib_kernel.values.host import SEEN_S, Grant, GrantKind, HostAddress, Person, Role
from ib_kernel.values.taken import grant_row, person
from ib_postgres.base import Part
from ib_postgres.rows import Row
from ib_postgres.text import given_value, stored

_GRANTS = """
SELECT token_hash, kind, subject, created_at, expires_at, revoked_at, created_by FROM ib.grants
WHERE (%(subject)s::text IS NULL OR subject = %(subject)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(token)s::text IS NULL OR token_hash = %(token)s)
ORDER BY created_at DESC, token_hash"""

_HOSTS = """
SELECT address, fingerprint, seen_at FROM ib.hosts
WHERE seen_at > coalesce(%(now)s, extract(epoch FROM statement_timestamp())) - %(within)s
ORDER BY seen_at DESC, address"""

_MAKE_ONE = """
WITH made AS (
    INSERT INTO ib.secrets VALUES ('host', %s) ON CONFLICT (name) DO NOTHING RETURNING value
)
SELECT value FROM made UNION ALL SELECT value FROM ib.secrets WHERE name = 'host'"""


class People(Part):
    """The people and tokens of `ib_kernel.values.HostStore`."""

    def add_person(self, name: str, role: Role, *, who: str = "") -> Person:
        """Let somebody in on the interviewer's side (see `HostStore.add_person`)."""
        name = person(name, role)
        asked = self._asked(name=stored(name), role=role, who=stored(clean(who)))
        said = self._call("add_person", asked, repeatable=False)
        if not said["done"]:
            raise ConfigError(f"{name!r} is there already; choose another name, or remove them first")
        return Person(name, role, said["created_at"])

    def people(self) -> list[Person]:
        """Return everybody by name, removed ones included."""
        sql = 'SELECT name, role, created_at, removed_at FROM ib.people ORDER BY name COLLATE "C"'
        rows = self._database.read(sql)
        return [Person(**{name: given_value(value) for name, value in row.items()}) for row in rows]

    def remove_person(self, name: str, who: str) -> bool:
        """Keep somebody out from now on and revoke their tokens (see `HostStore.remove_person`)."""
        asked = self._asked(name=stored(clean(name).strip()), who=stored(clean(who)))
        return bool(self._call("remove_person", asked)["done"])

    def add_grant(self, grant: Grant) -> None:
        """Store a token's hash. `ConfigError` for one that is there."""
        if not self._call("add_grants", {"grants": [grant_columns(grant)]})["done"]:
            raise ConfigError("a token of that hash is there already; make a new one")

    def grant(self, token_hash: str) -> Grant | None:
        """Return what a token is for, revoked and expired ones too, or None."""
        found = self._found(token=clean(token_hash))
        return found[0] if found else None

    async def agrant(self, token_hash: str) -> Grant | None:
        """Do the same for a caller on an event loop."""
        return await asyncio.to_thread(self.grant, token_hash)

    def grants(self, subject: str | None = None, kind: GrantKind | None = None) -> list[Grant]:
        """Return tokens, newest first, revoked and expired ones too."""
        return self._found(subject=subject, kind=kind)

    def _found(self, **wanted: str | None) -> list[Grant]:
        values = {"subject": None, "kind": None, "token": None} | {
            name: None if value is None else stored(clean(value)) for name, value in wanted.items()
        }
        rows = self._database.read(_GRANTS, values)
        return [Grant(**{name: given_value(value) for name, value in row.items()}) for row in rows]

    def revoke_grants(
        self,
        *,
        subject: str | None = None,
        kind: GrantKind | None = None,
        token_hash: str | None = None,
        who: str = "",
    ) -> int:
        """Revoke the tokens that match all that is given (see `HostStore.revoke_grants`)."""
        wanted = {"subject": subject, "kind": kind, "token_hash": token_hash}
        told = {name: stored(clean(value)) for name, value in wanted.items() if value is not None}
        if not told:
            raise ConfigError("say whose tokens are revoked: a subject, a kind or one token")
        asked = self._asked(who=stored(clean(who)), **told)
        return int(self._call("revoke_grants", asked, repeatable=False))

    def announce_host(self, address: str, fingerprint: str) -> None:
        """Say that a host serves this ledger at an address; called every few seconds."""
        told = {"address": stored(clean(address)), "fingerprint": stored(clean(fingerprint))}
        self._database.write("announce_host", self._asked(**told))

    def withdraw_host(self, address: str) -> None:
        """Say that a host serves no more."""
        self._database.read(
            "DELETE FROM ib.hosts WHERE address = %s RETURNING address", (stored(clean(address)),)
        )

    def hosts(self) -> list[HostAddress]:
        """Return the hosts that were seen within `SEEN_S`, newest first."""
        rows = self._database.read(_HOSTS, {"now": self._moment(), "within": SEEN_S})
        return [HostAddress(**{name: given_value(value) for name, value in row.items()}) for row in rows]

    def host_secret(self) -> bytes:
        """Return the ledger's 32 random bytes, made once; they are listed and moved nowhere."""
        if self._secret is None:
            rows: list[Row] = []
            while not rows:  # another has just made it, and this statement began before
                rows = self._database.read(_MAKE_ONE, (secrets.token_bytes(32),))
            self._secret = bytes(rows[0]["value"])
        return self._secret

    _secret: bytes | None = None


def grant_columns(grant: Grant) -> Row:
    """Return the columns of a token's hash, as the database takes them."""
    return {name: stored(v) if isinstance(v, str) else v for name, v in grant_row(grant).items()}
