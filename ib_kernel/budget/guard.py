"""The guard of locked sessions: who may change what was agreed, and how often a passphrase may be wrong."""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Sequence

from ib_kernel.budget import lock
from ib_kernel.budget.access import LedgerAccess, actor
from ib_kernel.errors import Locked
from ib_kernel.values import LedgerEvent, Session


class SessionGuard:
    """Lets changes of one ledger's sessions pass, or refuses them (`ib_kernel.budget.lock`)."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access

    def unlock(self, session: Session, passphrase: str | None, what: str) -> None:
        """Let a change of *session* pass; a wrong passphrase is recorded, and so many are taken.

        Args:
            session: The session; one without a lock lets all pass.
            passphrase: What was given, if anything.
            what: What is to be changed, for the refusal's line.

        Raises:
            Locked: It is locked, and the passphrase is not given or wrong, or too many were wrong.
        """
        if passphrase and lock.is_locked(session):
            self._require_few_tries(session)
        try:
            lock.require(session, passphrase, what)
        except Locked as refused:
            if refused.wrong:
                fact = LedgerEvent(session.session_id, "refused", 0.0, actor(), {"what": what})
                self._access.store.add_event(fact)
            raise

    def _require_few_tries(self, session: Session) -> None:
        since = time.time() - lock.TRIES_WITHIN_S
        tries = [
            e.created_at for e in self._access.store.events(session.session_id) if _is_wrong_try(e, since)
        ]
        if len(tries) >= lock.TRIES:
            wait = max(1.0, tries[-lock.TRIES] - since)
            raise Locked(
                f"session {session.session_id} took {len(tries)} wrong passphrases; it takes the next in "
                f"{math.ceil(wait / 60)} min"
            )

    def require_no_lock(self, candidate: str, passphrases: Sequence[str | None]) -> None:
        """Let *candidate* start a session while no lock of an earlier one forbids it.

        Args:
            candidate: Who is to be interviewed.
            passphrases: What was given; the first one is tried.

        Raises:
            Locked: A lock guards what this person starts, and the passphrase does not open it.
        """
        now, name = time.time(), _folded(candidate)
        for session in self._access.store.sessions(limit=200):
            ended = session.ended_at is not None and now - session.ended_at > lock.STAYS_S
            if not lock.is_locked(session) or _folded(session.candidate) != name or ended:
                continue
            given = next((p for p in passphrases if p), None)
            self.unlock(session, given, f"another session for {session.candidate}")


def _is_wrong_try(event: LedgerEvent, since: float) -> bool:
    return event.kind == "refused" and "what" in event.detail and event.created_at > since


def _folded(name: str) -> str:
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(seen.casefold().split())
