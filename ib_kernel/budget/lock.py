"""A session's lock: a passphrase that more budget, more time, resuming and writing off then need.

What is stored is a salted scrypt hash with its parameters (RFC 7914), never the passphrase. The lock keeps
the person being assessed from raising their own limit through magics, widgets and `TokenService`. It does not
stop somebody who edits the ledger's files or calls the store directly.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import ConfigError, Locked
from ib_kernel.values import NewSession

META_KEY = "ib_lock"
"""Where a session's `meta` keeps its lock."""

COST = {"n": 2**15, "r": 8, "p": 3}
"""scrypt's parameters for new locks, 32 MB of memory: OWASP Password Storage Cheat Sheet, read 2026-11."""

SHORTEST = 8
"""Characters a passphrase must have at least (NIST SP 800-63B of 2017, section 5.1.1.1)."""

_MOST_MEMORY = 2**28


def make_lock(passphrase: str, cost: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return a new lock for *passphrase*, as JSON-able values. `ConfigError` for one that is too short."""
    if not isinstance(passphrase, str) or len(passphrase) < SHORTEST:
        raise ConfigError(f"the passphrase is too short; choose one of at least {SHORTEST} characters")
    salt = os.urandom(16)
    values = {name: int((cost or COST)[name]) for name in ("n", "r", "p")}
    return {"kind": "scrypt", **values, "salt": salt.hex(), "hash": _hash(passphrase, salt, values).hex()}


def opens(lock: Mapping[str, Any], passphrase: str) -> bool:
    """Return True if *passphrase* opens *lock*. `ConfigError` when the lock itself cannot be read."""
    try:
        if lock["kind"] != "scrypt":
            raise ValueError
        salt, expected = bytes.fromhex(lock["salt"]), bytes.fromhex(lock["hash"])
        found = _hash(passphrase, salt, lock)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError("the session's lock is damaged, so that nothing can open it") from None
    return hmac.compare_digest(found, expected)


def is_locked(session: NewSession) -> bool:
    """Return True if *session* was started with a lock."""
    return META_KEY in session.meta


def require(session: NewSession, passphrase: str | None, what: str) -> None:
    """Let *what* (such as "a larger budget") pass, or raise `Locked`. A session without a lock lets all pass.

    `Locked.wrong` tells a wrong passphrase from a missing one.
    """
    if not is_locked(session):
        return
    if not passphrase:
        raise Locked(
            f"session {session.session_id} is locked: {what} needs its passphrase (in Python: passphrase=…)"
        )
    lock = session.meta[META_KEY]
    if not isinstance(passphrase, str) or not opens(lock if isinstance(lock, Mapping) else {}, passphrase):
        raise Locked(
            f"wrong passphrase: session {session.session_id} stays locked, nothing was changed", wrong=True
        )


def _hash(passphrase: str, salt: bytes, cost: Mapping[str, Any]) -> bytes:
    n, r, p = int(cost["n"]), int(cost["r"]), int(cost["p"])
    memory = 128 * r * (n + p + 2)
    if memory > _MOST_MEMORY:
        raise ValueError
    secret = passphrase.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=memory + 2**20, dklen=32)
