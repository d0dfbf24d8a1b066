"""The keyed hash of a request's body: what was sent can be compared later without being stored twice."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from ib_kernel.secrets import holds_no_key, scrub_value

CAPS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
"""Fields that the pipeline sets from attempt to attempt; they stand in the row, and not in the hash."""


_encode = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str).encode


def canonical_body(body: Mapping[str, Any]) -> bytes:
    """Return a request's body as bytes that depend on nothing but what it says.

    The reply's cap is left out, because it follows from what is left at that moment. Keys are hidden as in
    the transcript, so that the same body can be rebuilt from it.

    Args:
        body: The request as the client sends it.
    """
    said = {name: value for name, value in body.items() if name not in CAPS}
    return _encode(said if holds_no_key(said) else scrub_value(said)).encode("ascii")


def sent_hmac(body: Mapping[str, Any], secret: bytes) -> str:
    """Return the HMAC-SHA-256 of a request's body in hex.

    Args:
        body: The request as the client sends it.
        secret: The ledger's key for it; empty: the result is "", too.
    """
    return hmac.digest(secret, b"sent\0" + canonical_body(body), "sha256").hex() if secret else ""
