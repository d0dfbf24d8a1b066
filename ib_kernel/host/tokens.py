"""Tokens of the host: random, told by their first letters, and hashed wherever they are kept.

A candidate's and a gateway's token are made from the code and the nonce that they were asked for with, and
from the host's secret, so that a repeated question gets the same answer and nothing but hashes is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Literal

Kind = Literal["candidate", "gateway", "interviewer", "link"]

PREFIX: dict[Kind, str] = {
    "candidate": "ib_c_",
    "gateway": "ib_g_",
    "interviewer": "ib_i_",
    "link": "ib_l_",
}


def new_token(kind: Kind) -> str:
    """Return a new token of 256 random bits."""
    return PREFIX[kind] + secrets.token_urlsafe(32)


def derived_token(kind: Kind, secret: bytes, code: str, nonce: str) -> str:
    """Return the token that *code* and *nonce* always give under the host's *secret*."""
    made = hmac.digest(secret, f"{kind}\0{code}\0{nonce}".encode(), "sha256")
    return PREFIX[kind] + base64.urlsafe_b64encode(made).decode().rstrip("=")


def hashed(text: str) -> str:
    """Return what is stored of a code, a token or a nonce (80 random bits or more): SHA-256 in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_token(secret: bytes, token: str) -> str:
    """Return the value of ``X-IB-CSRF`` that belongs to the cookie *token*."""
    return hmac.digest(secret, f"csrf\0{token}".encode(), "sha256").hex()[:32]
