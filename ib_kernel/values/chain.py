"""The hash chain of a session: each row's link follows from the link before it and from the row itself.

Canonical bytes are the same wherever a row is kept: UTF-8 JSON without spaces, times as whole microseconds
since 1970 (UTC), durations as whole microseconds, money as nano-dollars, no text as null. Personal text
stands in them as a salted commitment, so that it can be erased later (text and salt; the commitment is kept
instead) while every link can still be recomputed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.secrets.random_pool import random_bytes

FIELDS: Mapping[str, tuple[str, ...]] = {
    "calls": (
        *("turn", "attempt", "client", "model", "model_returned", "counted_tokens", "counted_exact"),
        *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "charged_tokens", "source"),
        *("cost_nano_usd", "price_source", "latency_us", "first_piece_us", "finish_reason", "status"),
        *("error", "held_tokens", "overdraft", "token_budget", "prompt_version", "response_id", "raw_usage"),
        *("history_from_turn", "sent_hmac", "started_us", "ended_us"),
    ),
    "messages": ("turn", "role", "partial", "created_us", "asked_us"),
    "events": ("kind", "created_us", "who"),
    "cells": (
        *("n", "execution_count", "kind", "source_sha", "lines", "ok", "error", "output_chars"),
        *("started_us", "ended_us"),
    ),
    "checks": (
        *("n", "challenge_sha", "suite", "passed", "total", "source_sha", "ran_on"),
        *("started_us", "ended_us"),
    ),
    "scores": (
        *("criterion", "rater", "rater_kind", "level", "low", "high", "saw_model", "rubric_sha", "model"),
        *("prompt_version", "created_us"),
    ),
}
"""By table, what stands in a row's canonical bytes as it is."""

TEXTS: Mapping[str, tuple[str, ...]] = {
    "calls": (),
    "messages": ("content",),
    "events": ("detail",),
    "cells": ("source", "output"),
    "checks": ("tests",),
    "scores": ("reason", "quotes"),
}
"""By table, the personal texts that stand in it as one commitment."""

_FLAGS = frozenset({"counted_exact", "partial", "ok", "saw_model"})
_FLAG_AT = {
    table: tuple(at for at, name in enumerate(names) if name in _FLAGS) for table, names in FIELDS.items()
}


def microseconds(value: float | None, scale: float = 1e6) -> int | None:
    """Return a time or duration as whole microseconds, halves upwards; *scale* is how many make one unit."""
    return None if value is None else math.floor(value * scale + 0.5)


def new_salt() -> bytes:
    """Return the salt of a commitment: 128 random bits."""
    return random_bytes(16)


def commitment(salt: bytes, texts: Sequence[str | None]) -> bytes:
    """Return what stands for *texts* in canonical bytes; without *salt* nobody can guess them from it."""
    parts = [salt]
    for text in texts:
        data = None if text is None else text.encode("utf-8", "surrogatepass")
        parts.append(b"-" if data is None else b"%d:%b" % (len(data), data))
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(table: str, values: Sequence[Any], committed: bytes | None = None) -> bytes:
    """Return a row's canonical bytes.

    Args:
        table: Its table's name (a key of `FIELDS`).
        values: Its values in the order of `FIELDS`; flags may be numbers, "" is no text.
        committed: The commitment to its personal texts; None for a table without any.
    """
    parts = [  # faster for a row's few values than the encoder, which is made for trees
        str(value)
        if type(value) is int
        else "null"
        if value is None or value == ""
        else _quoted(value)
        if type(value) is str
        else _encode(value)
        for value in values
    ]
    for at in _FLAG_AT[table]:
        if values[at] not in (None, ""):
            parts[at] = "true" if values[at] else "false"
    parts.append("null" if committed is None else f'"{committed.hex()}"')
    return f'["{table}",{",".join(parts)}]'.encode("utf-8", "surrogatepass")


def first(session_id: str) -> bytes:
    """Return what the first link of a session's chain follows from."""
    return hashlib.sha256(_json(["ib chain 1", session_id])).digest()


def link(previous: bytes, row: bytes) -> bytes:
    """Return the link of a row (its canonical bytes) after the link before it."""
    return hashlib.sha256(previous + row).digest()


_quoted = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def _json(values: list[Any]) -> bytes:
    return _encode(values).encode("utf-8", "surrogatepass")
