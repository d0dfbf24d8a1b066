"""Who may end a reservation: whoever has its token, of which a ledger keeps only a hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from ib_kernel.errors import ReservationError
from ib_kernel.secrets.random_pool import random_hex
from ib_kernel.values.ledger import Reservation


def new_token() -> tuple[str, bytes]:
    """Return a token of 128 random bits, and the hash that is stored."""
    token = random_hex(16)
    return token, owner_hash(token)


def owns(reservation: Reservation, row: Mapping[str, Any]) -> bool:
    """Return True if *reservation* has the token that *row* was made with."""
    stored = row["owner_hash"]  # NULL for what an older version reserved: then nobody is its owner
    return stored is not None and hmac.compare_digest(owner_hash(reservation.owner_token), stored)


def require_owner(reservation: Reservation, row: Mapping[str, Any]) -> None:
    """Raise `ReservationError` unless *reservation* has the token that *row* was made with."""
    if not owns(reservation, row):
        raise not_the_owner(reservation.reservation_id)


def not_the_owner(rid: str) -> ReservationError:
    """Return the error for somebody who ends a reservation that another has made."""
    return ReservationError(
        f"reservation {rid} belongs to whoever reserved it; anybody else decides about it once it is in "
        f"doubt (%budget resolve {rid[:8]})"
    )


def owner_hash(token: str) -> bytes:
    """Return what a ledger keeps of an owner's token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
