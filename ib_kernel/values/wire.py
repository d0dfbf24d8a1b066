"""Frozen values as JSON and back: what a host and a notebook hand each other.

Reading trusts nobody: unknown names are passed over, so that a newer side may say more; a value of another
type, a number that is none, or a text that is too long is refused with one line.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union, cast

from ib_kernel.errors import StoreError
from ib_kernel.text import well_formed
from ib_kernel.values.ledger import LedgerEvent, Reservation
from ib_kernel.values.session import Session

V = TypeVar("V")

MAX_TEXT = 4_000_000
"""Characters of one text at most."""

MAX_ITEMS = 100_000
"""Items of one list at most."""

SESSION_FIELDS = (
    "session_id", "candidate", "token_budget", "model", "role", "level", "challenge", "persona", "client",
    "prompt_version", "time_limit_s", "budget_nano_usd", "status", "created_at", "started_at", "ended_at",
    "active_s", "time_left_s", "charge", "billed_ceiling",
)  # fmt: skip
"""What a candidate may know of their session: neither `meta` nor an accommodation is among it."""

EVENT_KINDS: Mapping[str, tuple[str, ...]] = {
    "opened": (),
    "status": ("from", "to"),
    "budget": ("from", "to", "unit"),
    "time_limit": ("from", "to"),
    "budget_warning": ("level", "used", "token_budget"),
    "warned": ("about", "turns_left", "time_left_s", "level", "used", "token_budget"),
    "refused": ("reason", "needed", "left", "status"),
    "withheld": ("turn",),
    "notice": ("version",),
    "clock_stopped": ("seconds", "reason"),
    "joined": (),
    "hint": ("rung", "of"),
    "check": ("suite", "passed", "total"),
    "attached": ("turn", "items"),
    "recording": ("on",),
    "phase": ("phase",),
}
"""The events that a candidate may see, and the details of each."""


def session_value(session: Session) -> dict[str, Any]:
    """Return what a candidate may know of *session*."""
    return {name: getattr(session, name) for name in SESSION_FIELDS if hasattr(session, name)}


def event_value(event: LedgerEvent) -> dict[str, Any] | None:
    """Return what a candidate may know of *event*, without who made it; None for what is not theirs."""
    names = EVENT_KINDS.get(event.kind)
    if names is None:
        return None
    detail = {name: event.detail[name] for name in names if name in event.detail}
    return {"kind": event.kind, "created_at": event.created_at, "detail": detail}


def doubt_value(reservation: Reservation) -> dict[str, Any]:
    """Return what a candidate may know of a reservation in doubt."""
    return {"tokens": reservation.tokens, "turn": reservation.turn, "reason": reservation.doubt_reason}


def to_value(value: Any) -> Any:
    """Return a frozen dataclass, or a mapping or list of such, as JSON-able values."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_value(item) for item in value]
    return value


def read(kind: type[V], value: Any) -> V:
    """Return *value*, which somebody else has sent, as the frozen dataclass *kind*.

    Args:
        kind: The dataclass.
        value: What JSON gave.

    Raises:
        StoreError: Something is missing or of another type.
    """
    if not isinstance(value, Mapping):
        raise _odd(kind.__name__)
    given = {}
    for name, hint, has_default in _fields(cast("Any", kind)):
        if name in value:
            given[name] = _typed(hint, value[name], f"{kind.__name__}.{name}")
        elif not has_default:
            raise _odd(f"{kind.__name__}.{name}")
    return kind(**given)


def read_list(kind: type[V], value: Any) -> list[V]:
    """Return a list of values that somebody else has sent (see `read`)."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_ITEMS:
        raise _odd(f"a list of {kind.__name__}")
    return [read(kind, item) for item in value]


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return tuple(
        (f.name, hints[f.name], f.default is not missing or f.default_factory is not missing)
        for f in dataclasses.fields(kind)
        if f.init
    )


def _typed(hint: Any, value: Any, what: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        return _typed(next(a for a in typing.get_args(hint) if a is not type(None)), value, what)
    if origin is typing.Literal:
        if value in typing.get_args(hint):
            return value
        raise _odd(what)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            raise _odd(what) from None
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint is str and isinstance(value, str) and len(value) <= MAX_TEXT:
        return well_formed(value)
    if hint is Any:
        return value
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        of = typing.get_args(hint)[1]
        return {str(key): _typed(of, item, what) for key, item in value.items()}
    if origin in (tuple, Sequence) and isinstance(value, list) and len(value) <= MAX_ITEMS:
        of = typing.get_args(hint)
        if origin is tuple and of[-1] is not Ellipsis and len(of) != len(value):
            raise _odd(what)
        items = [_typed(of[0], item, what) for item in value]
        return tuple(items) if origin is tuple else items
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read(hint, value)
    raise _odd(what)


def _odd(what: str) -> StoreError:
    return StoreError(f"the host's answer cannot be used: {what} is missing or is none")
