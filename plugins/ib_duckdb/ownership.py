"""Who may end a reservation: whoever has its token, of which only the hot ledger keeps a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ib_duckdb.rows import Row
from ib_kernel.errors import ReservationError
from ib_kernel.values import Reservation


def new_token() -> tuple[str, bytes]:
    """Return a token of 128 random bits, and the hash that is stored."""
    token = secrets.token_hex(16)
    return token, _hash(token)


def owns(reservation: Reservation, row: Row) -> bool:
    """Return True if *reservation* has the token that *row* was made with."""
    stored = row["owner_hash"]  # NULL for what an older version reserved: then nobody is its owner
    return stored is not None and hmac.compare_digest(_hash(reservation.owner_token), stored)


def require_owner(reservation: Reservation, row: Row) -> None:
    """Raise `ReservationError` unless *reservation* has the token that *row* was made with."""
    if not owns(reservation, row):
        rid = reservation.reservation_id
        raise ReservationError(
            f"reservation {rid} belongs to whoever reserved it; anybody else decides about it once it is in "
            f"doubt (%budget resolve {rid[:8]})"
        )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
