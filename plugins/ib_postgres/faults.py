"""What a failure of the database means: to be tried again, or one line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ib_kernel.errors import StoreError

if TYPE_CHECKING:
    from ib_postgres.address import Address
    from ib_postgres.database import Database

Kind = Literal["redo", "lost", "prepared"]

_REDO = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: rolled back, nothing was done (PostgreSQL's appendix A, read 2026-11)."""

_LOST = frozenset({"57P01", "57P02", "57P03", "53300", "25006"})
"""Shut down, crashed, starting, too many connections, a standby: another attempt may meet another server."""

_PREPARED = frozenset({"26000", "42P05"})
"""A prepared statement that is not there, or already is: a pooler has given us another's connection."""


class Away(Exception):
    """There is no connection to be had; nothing was sent."""


class Refused(StoreError):
    """The database does not take this one write; others of the same transaction may be well."""


class Conflict(Exception):
    """Somebody was first: `state` is the database's code, `constraint` the key that is taken."""

    def __init__(self, state: str, constraint: str) -> None:
        super().__init__(f"{state} {constraint}")
        self.state, self.constraint = state, constraint


class Unconfirmed(StoreError):
    """A write is done here, and the standby has not confirmed it: it may be lost with this server."""


def kind_of(error: BaseException) -> Kind | None:
    """Return how a failure is tried again: None: it is not."""
    import psycopg

    if isinstance(error, Away):
        return "lost"
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    if state in _REDO:
        return "redo"
    if state in _PREPARED:
        return "prepared"
    if state.startswith("08") or state in _LOST:
        return "lost"
    if not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return None if _is_final(error) else "lost"
    return None


def _is_final(error: BaseException) -> bool:
    """Return True for what another attempt does not change: a server that has not let us in."""
    text = str(error)
    finals = ("password authentication failed", "no password supplied", "no pg_hba.conf entry")
    return any(said in text for said in (*finals, "startup parameter", "does not exist"))


def explain(error: BaseException, database: Database) -> None:
    """Raise one line in place of an error of the database, or `Conflict`; return for any other error."""
    import psycopg

    if not isinstance(error, (psycopg.Error, Away)):
        return
    where, state = database.address, getattr(error, "sqlstate", None) or ""
    if isinstance(error, psycopg.Error) and (state == "23505" or state.startswith("IB")):
        raise Conflict(state, error.diag.constraint_name or "") from None
    said, seconds = _said(error), f"{database.timeout_s:g} s (plugins.postgres.store_timeout_s)"
    if kind_of(error) == "lost":
        line = f"does not answer ({said}): nothing is admitted until it does; tried for {seconds}"
    elif state == "57014":
        line = f"did not finish within {seconds}, so nothing was recorded; does somebody hold its rows?"
    elif state in ("42P01", "3F000", "42883"):
        line = f"is not set up ({said}); run ib store init --store postgres"
    elif state == "42501":
        line = f"does not let this role do that ({said})"
    elif "startup parameter" in said:
        line = f"is reached through a pooler ({said}); set pooler = true in [plugins.postgres]"
    elif state.startswith("53"):
        line = f"is out of space or memory: nothing was recorded ({said})"
    else:
        raise Refused(f"the ledger {where} has refused: {said}") from None
    raise StoreError(f"the ledger {where} {line}") from None


def _said(error: BaseException) -> str:
    """Return the first line of what the server or libpq said."""
    import psycopg

    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = (said or str(error) or type(error).__name__).strip()
    return " ".join(text.split("\n", 1)[0].split())[:300]


def listen_for_warnings(db: Any) -> None:
    """Remember on the connection that a commit was not confirmed."""
    db.ib_warned = ""

    def heard(notice: Any) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.sqlstate == "01000":
            db.ib_warned = notice.message_primary or "a warning"

    db.add_notice_handler(heard)


def require_confirmed(db: Any, address: Address) -> None:
    """Raise `Unconfirmed` when the server has committed here and could not wait for its standby."""
    said, db.ib_warned = getattr(db, "ib_warned", ""), ""
    if said:
        raise Unconfirmed(
            f"the ledger {address} has not confirmed a write ({said}): it is not known to be safe; "
            "look at its standby"
        )
