"""The one scrubber: every key in a text or a value becomes ``[redacted]``."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from ib_kernel.secrets import known
from ib_kernel.secrets.known import SHORTEST, learn_environment
from ib_kernel.secrets.shapes import KEYS, LABELLED, MARK, is_hinted, shapes_in

T = TypeVar("T")


def scrub(text: str, *more: str | None) -> str:
    """Return *text* with every key and everything that may be one replaced by ``[redacted]``.

    For what we say ourselves or pass on from a service: errors, logs, addresses.

    Args:
        text: Any text.
        more: Further secrets, of any length, that are hidden in this text only.

    Returns:
        The text without keys (see `scrub_keys`), bearer tokens, passwords in addresses and other values that
        a label such as ``api_key=`` announces.
    """
    for secret in sorted(filter(None, more), key=len, reverse=True):  # one may begin with another
        text = text.replace(secret, MARK)
    text = scrub_keys(text)
    for pattern in shapes_in(text, LABELLED):
        text = pattern.sub(_hidden, text)
    return text


def scrub_keys(text: str) -> str:
    """Return *text* with every key replaced by ``[redacted]``, and every other word kept.

    For what other people have written: questions, replies, names, code.

    Returns:
        The text without known secrets (in any case, and as JSON, an address or base64 spells them) and
        without what has the shape of a provider's key.
    """
    if not known.registry.environment_read:
        learn_environment()
    pattern = known.registry.pattern()
    if pattern is not None and known.registry.may_be_in(text):
        text = pattern.sub(MARK, text)
    if is_hinted(text):
        for shape in shapes_in(text, KEYS):
            text = shape.sub(MARK, text)
    return text


def scrub_value(value: T) -> T:
    """Return *value* with the keys in every text of it hidden; what holds none is returned as it is.

    Args:
        value: A text, a frozen dataclass, a mapping, list or tuple of such, or anything else (kept).
    """
    clean: Any = value
    if isinstance(value, str):
        if len(value) < SHORTEST // 2:
            return value
        clean = scrub_keys(value)
        return value if clean == value else clean
    if value is None or isinstance(value, (int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for name in _field_names(type(value)):
            old = getattr(value, name)
            new = scrub_value(old)
            if new is not old:
                changed[name] = new
        return replace(value, **changed) if changed else value
    if isinstance(value, dict):
        clean = {scrub_value(key): scrub_value(item) for key, item in value.items()}
        return value if clean == value else clean
    if isinstance(value, (list, tuple)):
        clean = [scrub_value(item) for item in value]
        if all(new is old for new, old in zip(clean, value, strict=True)):
            return value
        return clean if isinstance(value, list) else tuple(clean)  # type: ignore[return-value]
    return value


def holds_no_key(value: object, *, repeats: bool = False) -> bool:
    """Return True if nothing in *value* can be a key, at a fifth of what `scrub_value` takes to find out.

    Args:
        value: What `scrub_value` takes. False only says that it has to be looked at closely.
        repeats: Whether the same texts come again and again, so that the answer is worth remembering.
    """
    texts: list[str] = []
    _add_all((value,), texts)
    text = "\n".join(texts)
    if not known.registry.environment_read:
        learn_environment()
    return _clean_before(text, known.registry.state) if repeats else _is_clean(text)


@functools.lru_cache(maxsize=1024)
def _clean_before(text: str, state: object) -> bool:
    """Return the same while *state* is that of the registry: the cache asks once for each text and state."""
    return _is_clean(text)


def _is_clean(text: str) -> bool:
    if known.registry.pattern() is not None and known.registry.may_be_in(text):
        return False
    return not is_hinted(text)


_NO_TEXT = frozenset({int, float, bool, bytes, type(None)})
"""Types of values that hold no text; most values of a row are of one of them."""


def _add_texts(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        _add_all(value, texts)
        _add_all(value.values(), texts)
    elif isinstance(value, (list, tuple)):
        _add_all(value, texts)
    elif is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        _READERS[kind] = _reader(kind)
        _add_all(_READERS[kind](value), texts)


def _add_all(values: Iterable[Any], texts: list[str]) -> None:
    for value in values:
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif kind in _NO_TEXT:
            continue
        elif kind in _READERS:
            _add_all(_READERS[kind](value), texts)
        elif kind is tuple or kind is list:
            _add_all(value, texts)
        else:
            _add_texts(value, texts)


_READERS: dict[type, Callable[[Any], Iterable[Any]]] = {}
"""By dataclass that was seen before, what gives the values of all its fields at once."""


def _reader(kind: type) -> Callable[[Any], Iterable[Any]]:
    names = _field_names(kind)
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: [getattr(value, name) for name in names]


@functools.cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _hidden(found: re.Match[str]) -> str:
    return f"{found.groupdict().get('label') or ''}{MARK}"
