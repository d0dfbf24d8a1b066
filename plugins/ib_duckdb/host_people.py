"""A host's people and the tokens that let somebody in: by their hashes only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import apsw

from ib_duckdb.base import Part
from ib_duckdb.rows import find
from ib_duckdb.writing import note
from ib_kernel.errors import ConfigError
from ib_kernel.values.domain import clean
from ib_kernel.values.host import Grant, GrantKind, Person, Role
from ib_kernel.values.taken import OF_SESSIONS, grant_row, person

_GRANT = "token_hash, kind, subject, created_at, expires_at, revoked_at, created_by"


class People(Part):
    """The people and tokens of `ib_kernel.values.HostStore`."""

    def add_person(self, name: str, role: Role, *, who: str = "") -> Person:
        """Let somebody in on the interviewer's side (see `HostStore.add_person`)."""
        name, now = person(name, role), self._now()
        with self._hot.write() as db:
            there = "SELECT 1 FROM people WHERE name = ? AND removed_at IS NULL"
            if db.execute(there, (name,)).fetchone():
                raise ConfigError(f"{name!r} is there already; choose another name, or remove them first")
            values = (name, role, now, clean(who))
            db.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, NULL, '')", values)
        return Person(name, role, now)

    def people(self) -> list[Person]:
        """Return everybody by name, removed ones included."""
        sql = "SELECT name, role, created_at, removed_at FROM people ORDER BY name"
        with self._hot.read() as db:
            rows: list[Any] = db.execute(sql).fetchall()
        return [Person(*row) for row in rows]

    def remove_person(self, name: str, who: str) -> bool:
        """Keep somebody out from now on and revoke their tokens (see `HostStore.remove_person`)."""
        values = {"now": self._now(), "name": clean(name).strip(), "who": clean(who)}
        with self._hot.write() as db:
            db.execute(
                "UPDATE people SET removed_at = :now, removed_by = :who"
                " WHERE name = :name AND removed_at IS NULL",
                values,
            )
            removed = db.changes() > 0
            db.execute(
                "UPDATE grants SET revoked_at = :now WHERE subject = :name AND revoked_at IS NULL"
                " AND kind IN ('interviewer', 'link')",
                values,
            )
        return removed

    def add_grant(self, grant: Grant) -> None:
        """Store a token's hash. `ConfigError` for one that is there."""
        with self._hot.write() as db:
            try:
                insert_grants(db, [grant])
            except apsw.ConstraintError:
                raise ConfigError("a token of that hash is there already; make a new one") from None

    def grant(self, token_hash: str) -> Grant | None:
        """Return what a token is for, revoked and expired ones too, or None."""
        with self._hot.read() as db:
            row: Any = db.execute(
                f"SELECT {_GRANT} FROM grants WHERE token_hash = ?",  # noqa: S608 (our own names)
                (clean(token_hash),),
            ).fetchone()
        return Grant(*row) if row else None

    def grants(self, subject: str | None = None, kind: GrantKind | None = None) -> list[Grant]:
        """Return tokens, newest first, revoked and expired ones too."""
        where, values = _matching(subject=subject, kind=kind)
        sql = f"SELECT {_GRANT} FROM grants WHERE {where} ORDER BY created_at DESC, token_hash"  # noqa: S608
        with self._hot.read() as db:
            rows: list[Any] = db.execute(sql, values).fetchall()
        return [Grant(*row) for row in rows]

    def revoke_grants(
        self,
        *,
        subject: str | None = None,
        kind: GrantKind | None = None,
        token_hash: str | None = None,
        who: str = "",
    ) -> int:
        """Revoke the tokens that match all that is given (see `HostStore.revoke_grants`)."""
        where, values = _matching(subject=subject, kind=kind, token_hash=token_hash)
        if not values:
            raise ConfigError("say whose tokens are revoked: a subject, a kind or one token")
        now = self._now()
        sql = (
            f"UPDATE grants SET revoked_at = :now WHERE {where} AND revoked_at IS NULL"  # noqa: S608
            " RETURNING kind, subject"
        )
        with self._hot.write() as db:
            revoked: list[Any] = db.execute(sql, {**values, "now": now}).fetchall()
            for name in sorted({subject for kind, subject in revoked if kind in OF_SESSIONS}):
                row = find(db, name)
                if row is not None:
                    note(db, row, "revoked", now, who, tokens=sum(name == subject for _, subject in revoked))
        self._moved_soon()
        return len(revoked)

    def host_secret(self) -> bytes:
        """Return the ledger's 32 random bytes, made once; they are listed and moved nowhere."""
        if self._secret is None:
            with self._hot.write() as db:
                values = ("host", secrets.token_bytes(32))
                db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", values)
                self._secret = next(v for (v,) in db.execute("SELECT value FROM secrets WHERE name = 'host'"))
        return self._secret

    _secret: bytes | None = None


def insert_grants(db: apsw.Connection, grants: Sequence[Grant]) -> None:
    """Store tokens' hashes; `apsw.ConstraintError` for one that is there."""
    db.executemany(
        "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?)",
        [tuple(grant_row(grant).values()) for grant in grants],
    )


def _matching(**wanted: str | None) -> tuple[str, dict[str, str]]:
    values = {name: clean(value) for name, value in wanted.items() if value is not None}
    return " AND ".join(("true", *(f"{name} = :{name}" for name in values))), values
