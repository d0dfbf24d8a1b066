"""What a setting's value may be: one parser for each kind.

A parser takes what a person or a file gave and returns the value, or raises one of `REFUSED`; its
docstring says what is allowed, in the words that the error message uses.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.secrets import Secret, scrub

if TYPE_CHECKING:
    from decimal import Decimal

REFUSED = (ValueError, TypeError, KeyError, OverflowError, RuntimeError)
"""What a parser raises for a value that cannot be used (RuntimeError: the home of an unknown user)."""

URL_PARAMETERS = frozenset({"api-version"})
"""Parameters that `base_url` may have; any other might be somebody's key (Azure OpenAI's REST reference, read
2026-11)."""

MAX_INT = 2**53
"""The largest whole number a setting takes: exact in every ledger, JSON and JavaScript."""


def parse_whole(low: int) -> Callable[[Any], int]:
    """Return the parser of whole numbers; it takes 20000, 20_000 and 20,000.

    Args:
        low: The least number that is allowed.
    """

    def parse(value: Any) -> int:
        digits = str(value).strip()
        if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+|[0-9]+(_[0-9]+)*", digits):  # "1,5" is not fifteen
            raise ValueError
        number = int(re.sub("[,_]", "", digits))
        if not low <= number <= MAX_INT:
            raise ValueError
        return number

    parse.__doc__ = f"a whole number from {low} to {MAX_INT:,}"
    return parse


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def parse_seconds(value: Any) -> float:
    """a number of seconds, 0 or more"""
    number = _number(value)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def parse_duration(value: Any) -> float:
    """a number of seconds above 0"""
    number = parse_seconds(value)
    if number == 0:
        raise ValueError
    return number


def parse_usd(value: Any) -> Decimal:
    """US dollars above 0, such as 0.50, with at most nine decimals"""
    from decimal import Decimal, InvalidOperation

    if isinstance(value, bool):
        raise TypeError
    try:
        number = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        raise ValueError from None
    if not (number.is_finite() and 0 < number <= 1_000_000) or number != round(number, 9):
        raise ValueError
    return number


def parse_temperature(value: Any) -> float:
    """a number from 0 to 2"""
    number = _number(value)
    if not 0 <= number <= 2:
        raise ValueError
    return number


def parse_flag(value: Any) -> bool:
    """true or false"""
    if isinstance(value, bool):
        return value
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }[str(value).strip().lower()]


def parse_one_of(*allowed: str) -> Callable[[Any], str]:
    """Return the parser of one word among several, in any case.

    Args:
        allowed: The words.
    """

    def parse(value: Any) -> str:
        choice = str(value).strip().lower()
        if choice not in allowed:
            raise ValueError
        return choice

    parse.__doc__ = "one of " + ", ".join(allowed)
    return parse


def parse_text(value: Any) -> str:
    """some text"""
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise ValueError
    return str(value).strip()


def parse_persona(value: Any) -> str:
    """interviewer, assistant, a plugin's persona or a .md file"""
    text = parse_text(value)
    if scrub(text) != text:
        raise ValueError
    if text.lower().endswith((".md", ".markdown", ".txt")) or "/" in text or os.sep in text:
        return text
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", text.lower()):
        raise ValueError
    return text.lower()


def parse_path(value: Any) -> Path:
    """a folder's path"""
    return Path(parse_text(value)).expanduser().absolute()


def parse_folders(value: Any) -> tuple[Path, ...]:
    """a list of folders; in a variable, separated as in PATH"""
    if isinstance(value, os.PathLike):
        value = [value]
    folders = [part for part in value.split(os.pathsep) if part.strip()] if isinstance(value, str) else value
    if not isinstance(folders, (list, tuple)):
        raise TypeError
    return tuple(dict.fromkeys(parse_path(folder) for folder in folders))


def parse_levels(value: Any) -> tuple[float, ...]:
    """fractions between 0 and 1 separated by commas, such as 0.75,0.9"""
    parts = value.split(",") if isinstance(value, str) else value
    fractions = tuple(sorted({float(part) for part in parts}))
    if not all(0 < fraction < 1 for fraction in fractions):
        raise ValueError
    return fractions


def parse_table(value: Any) -> Mapping[str, Any]:
    """a table, in config.toml or as a dict"""
    if not isinstance(value, Mapping):
        raise ValueError
    return copy.deepcopy(dict(value))


def parse_url(value: Any) -> str:
    """an address such as http://localhost:8080/v1, without a key or password in it or after it"""
    from urllib.parse import parse_qsl, urlsplit

    address = parse_text(value)
    if not re.fullmatch(r"https?://[^/?#\s]+\S*", address) or scrub(address) != address:
        raise ValueError
    parts = urlsplit(address)
    if parts.fragment or dict(parse_qsl(parts.query, keep_blank_values=True)).keys() - URL_PARAMETERS:
        raise ValueError
    return address


def parse_secret(value: Any) -> Secret:
    """a key of visible ASCII characters, without spaces"""
    key = value.reveal() if isinstance(value, Secret) else parse_text(value)
    if not re.fullmatch(r"[!-~]+", key):  # as a header it would fail late, in an error with the key in it
        raise ValueError
    return Secret(key)
