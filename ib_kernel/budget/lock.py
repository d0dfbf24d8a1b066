"""A session's lock: a passphrase that a change of what was agreed then needs.

What is stored is a salted scrypt hash with its parameters (RFC 7914), never the passphrase. The lock keeps
the budget, the time limit, the model, the temperature, the length of replies, the prompt and the start of
further sessions what they were, through magics, widgets, `Interview` and `TokenService`. It cannot stop
somebody who edits the ledger's files, calls the store directly or changes this code: whoever runs the process
owns it. Real interviews are held by a host.
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


FIXED_KEY = "fixes"
"""Where a lock keeps what it fixes beside the session's own fields."""

TRIES = 5
"""Wrong passphrases that a session takes within `TRIES_WITHIN_S`; then it takes none until they are older."""

TRIES_WITHIN_S = 900.0

STAYS_S = 86_400.0
"""Seconds for which an ended session's lock still guards the start of another for the same person."""


def make_lock(
    passphrase: str, cost: Mapping[str, int] | None = None, *, fixes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a new lock, as JSON-able values.

    Args:
        passphrase: At least `SHORTEST` characters.
        cost: scrypt's parameters; `COST` when None.
        fixes: What the lock fixes beside the session's own fields: ``temperature`` (None: the model's
            default) and ``reply_tokens``, the longest reply in tokens.

    Raises:
        ConfigError: The passphrase is too short.
    """
    if not isinstance(passphrase, str) or len(passphrase) < SHORTEST:
        raise ConfigError(f"the passphrase is too short; choose one of at least {SHORTEST} characters")
    salt = os.urandom(16)
    values = {name: int((cost or COST)[name]) for name in ("n", "r", "p")}
    digest = _hash(passphrase, salt, values).hex()
    return {"kind": "scrypt", **values, "salt": salt.hex(), "hash": digest, FIXED_KEY: dict(fixes or {})}


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


def require_same_turn(
    session: NewSession, *, model: str, temperature: float | None, reply_tokens: int
) -> None:
    """Let a turn of a locked session pass as it was agreed, or raise `Locked` with what to leave out.

    Args:
        session: The session; one without a lock lets all pass.
        model: The model that is to be asked.
        temperature: The temperature that is to be sent, None for the model's default.
        reply_tokens: The longest reply that is asked for, in tokens.
    """
    if not is_locked(session):
        return
    locked = f"session {session.session_id} is locked"
    if model != session.model:
        raise Locked(f"{locked}: it stays with the model {session.model}; leave -m (in Python: model=) out")
    fixed = fixes(session)
    if "temperature" in fixed and temperature != fixed["temperature"]:
        raise Locked(f"{locked}: its temperature stays as it is; leave -t (in Python: temperature=) out")
    longest = fixed.get("reply_tokens")
    if isinstance(longest, int) and reply_tokens > longest:
        raise Locked(f"{locked}: a reply has at most {longest:,} tokens there; try %%interview -n {longest}")


def fixes(session: NewSession) -> Mapping[str, Any]:
    """Return what the session's lock fixes beside the session's own fields; empty for an older lock."""
    lock = session.meta.get(META_KEY)
    found = lock.get(FIXED_KEY) if isinstance(lock, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _hash(passphrase: str, salt: bytes, cost: Mapping[str, Any]) -> bytes:
    n, r, p = int(cost["n"]), int(cost["r"]), int(cost["p"])
    memory = 128 * r * (n + p + 2)
    if memory > _MOST_MEMORY:
        raise ValueError
    secret = passphrase.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=memory + 2**20, dklen=32)
