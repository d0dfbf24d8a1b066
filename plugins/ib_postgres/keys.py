"""What rows are found by: a session's key follows from its id, and a reservation's id says whose it is."""

from __future__ import annotations

import hashlib
import secrets

_RANDOM = 24
"""Hex digits of an id that are random; the session's key stands behind them in 16 more."""


def session_key(session_id: str) -> int:
    """Return the key of a session: the first 63 bits of the SHA-256 of its id."""
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def new_rid(key: int) -> str:
    """Return an id for a reservation or a call of the session *key*: 96 random bits, then the key."""
    return f"{secrets.token_hex(_RANDOM // 2)}{key:016x}"


def key_of(rid: str) -> int | None:
    """Return the key of the session that an id belongs to, or None for an id made by another ledger."""
    if len(rid) != _RANDOM + 16:
        return None
    try:
        key = int(rid[_RANDOM:], 16)
    except ValueError:
        return None
    return key if key < 1 << 63 else None
