"""Which constructs of a request are known well enough to claim an exact count: ``constructs.toml``.

A construct is anything that a rule turns into tokens: a kind of message, a field, a keyword of a schema, a
model. The table says in how many recorded requests of how many repositories each was counted exactly, for
each API and family, and how many wrong counts nothing else explains. A claim needs enough of the first and
few of the second for *every* construct of a request.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ib_kernel.counting.profile import Profile, rules

Api = Literal["chat", "responses"]


@functools.cache
def table() -> Mapping[str, Any]:
    """Return the parsed ``constructs.toml``."""
    return tomllib.loads(Path(__file__).with_name("constructs.toml").read_text(encoding="utf-8"))


def is_supported(right: int, repositories: int, wrong: int) -> bool:
    """Return True if the evidence suffices for a claim of exactness.

    Args:
        right: Recorded requests with the construct that were counted exactly.
        repositories: How many repositories these come from.
        wrong: Recorded requests with it that were not, for no other known reason.

    Returns:
        Whether the thresholds of ``[evidence]`` in ``rules.toml`` are met.
    """
    claim = rules()["evidence"]
    enough: bool = right >= claim["records"] and repositories >= claim["repositories"]
    return enough and wrong <= claim["wrong_share"] * (right + wrong)


def column(construct: str, api: str, family: str) -> str:
    """Return the column of the table that speaks for *construct* in a request of *api* and *family*.

    What a tool or a schema reads like is the same text for every model; a few constructs follow one rule
    in both APIs, or in both families of an API; all others are looked at for each API and family on its own.
    """
    shared = rules()["evidence"]
    if construct.startswith(tuple(shared["everywhere"])):
        return "everywhere"
    if construct in shared["both_apis"]:
        return family
    return api if f"{api} {construct}" in shared["both_families"] else f"{api} {family}"


def supported(api: Api, profile: Profile) -> frozenset[str]:
    """Return the constructs that may be used in a request of *api* that is claimed to be exact."""
    return _supported(api, "reasoning" if profile.reasoning else "standard")


@functools.cache
def _supported(api: str, family: str) -> frozenset[str]:
    found = set()
    for name, row in table()["construct"].items():
        where = column(name, api, family)
        if is_supported(*row.get(where, (0, 0, 0))) and not is_open(name, where):
            found.add(name)
    return frozenset(found)


def is_open(construct: str, where: str) -> bool:
    """Return True if *construct* is known to differ in ways that no rule explains, in that column."""
    return f"{where} {construct}" in rules()["evidence"]["open"]


def shortfalls(api: Api, profile: Profile) -> Mapping[str, int]:
    """Return by how many tokens counts with a construct fell short although nothing explains it."""
    return _shortfalls(api, "reasoning" if profile.reasoning else "standard")


@functools.cache
def _shortfalls(api: str, family: str) -> Mapping[str, int]:
    found = {}
    for name, columns in table()["short"].items():
        tokens = columns.get(column(name, api, family))
        if tokens:
            found[name] = tokens
    return found
