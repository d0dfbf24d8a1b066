"""What is known about a model's counting: its encoding, its framing constants, its image table, its doubts.

Everything comes from ``rules.toml`` beside this file; this module only reads and matches it.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """How one model counts. All figures are tokens; ``rules.toml`` says what each means and its source.

    `model` is the normalised name, `known` whether any rule names it, `construct` its row in the table of
    evidence ("" for an unknown one). `message_slack` widens the bound per message. `doubts` are (scope,
    reason) pairs that forbid claiming an exact count, and `share` widens the bound by that part of it
    (above 0 the encoding is a guess). `tile` is (base, per tile) and `patch` the factor per 32x32 patch;
    both None when the model's image cost is not known.
    """

    model: str
    encoding: str
    known: bool
    construct: str
    message_slack: int
    fine_tuned: bool
    doubts: tuple[tuple[str, str], ...]
    share: float
    tile: tuple[int, int] | None
    patch: float | None
    reasoning: bool
    per_message: int
    per_request: int
    per_assistant: int
    per_name: int
    call_result_header: int
    parallel_wrapper: int
    chat_tools: int
    chat_forced_choice: int
    chat_parallel_off: int
    chat_choice_none: int
    responses_forced_choice: int
    responses_parallel_off: int
    responses_call: int
    responses_call_with_id: int
    chat_required_one: int
    parallel_escapes: bool
    early_tools: bool
    schema_per_assistant: int
    responses_schema: int
    responses_schema_per_assistant: int
    keeps_reasoning: bool

    def doubt(self, scope: str) -> str:
        """Return why a count is not exact for *scope* ("all", "tools", "parts"), or ""."""
        return next((why for where, why in self.doubts if where == scope), "")


@functools.cache
def rules() -> Mapping[str, Any]:
    """Return the parsed ``rules.toml``."""
    return tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))


def matches(name: str, prefix: str) -> bool:
    """Return True if *name* matches *prefix*; "=name" matches the whole name only."""
    return name == prefix[1:] if prefix.startswith("=") else name.startswith(prefix)


def best(name: str, prefixes: Iterable[str]) -> str | None:
    """Return the longest of *prefixes* that matches *name*, or None."""
    return max((prefix for prefix in prefixes if matches(name, prefix)), key=len, default=None)


def normalise(model: str) -> tuple[str, bool]:
    """Return *model* without provider prefix and fine-tuning dressing, and whether it was fine-tuned.

    ``openai/gpt-4o`` → gpt-4o; ``ft:gpt-4.1-mini:org:name:id`` → gpt-4.1-mini. Dates are kept.
    """
    name = model.strip().rsplit("/", 1)[-1]
    if name.startswith("ft:"):
        return name.split(":")[1], True
    return name, False


def encoding_of(name: str) -> str | None:
    """Return the encoding of a normalised model name, or None when no rule names it."""
    table = rules()["encoding"]
    found = {prefix: encoding for encoding in ("cl100k_base", "o200k_base") for prefix in table[encoding]}
    prefix = best(name, found)
    return found[prefix] if prefix else None


@functools.lru_cache(maxsize=512)
def profile(model: str) -> Profile:
    """Return the profile of *model*; an unknown one gets o200k_base, standard framing and a doubt."""
    name, fine_tuned = normalise(model)
    encoding = encoding_of(name)
    doubts: list[tuple[str, str]] = []
    if encoding is None and (encoding := encoding_of(name.lower())) is not None:
        name = name.lower()
        doubts.append(("all", "the model's name is spelt in capitals"))
    known = encoding is not None
    if not known:
        doubts.append(("all", f"unknown model {name[:60]!r}, counted as a current chat model"))
    if fine_tuned:
        doubts.append(("all", "fine-tuned models have not been measured"))
    table = rules()
    measured = _measured(name) if known else None
    if known and measured is None:
        doubts.append(("all", table["measured"]["why"]))
    entries = [entry for entry in table["doubt"] if best(name, entry["prefixes"]) is not None]
    doubts += [(entry["scope"], entry["why"]) for entry in entries]
    tiles, patches = table["image"]["tile"], table["image"]["patch"]
    image = best(name, [*tiles, *patches])
    tile = tiles.get(image) if image else None
    return Profile(
        model=name,
        encoding=encoding or table["encoding"]["fallback"],
        known=known,
        construct=f"model {measured}" if measured else "",
        message_slack=sum(entry.get("per_message", 0) for entry in entries),
        fine_tuned=fine_tuned,
        doubts=tuple(doubts),
        share=sum(entry.get("share", 0.0) for entry in entries),
        tile=(tile[0], tile[1]) if tile else None,
        patch=patches.get(image) if image else None,
        **_constants(name),
    )


def _measured(name: str) -> str | None:
    """Return the measured model that *name* is or is a snapshot of, or None."""
    found = {
        prefix: model for model, prefixes in rules()["measured"]["models"].items() for prefix in prefixes
    }
    prefix = best(name, found)
    return found[prefix] if prefix else None


def _constants(name: str) -> dict[str, Any]:
    table = rules()
    families = {prefix: key for key, family in table["family"].items() for prefix in family["prefixes"]}
    prefix = best(name, families)
    constants = dict(table["family"][families[prefix] if prefix else "standard"])
    for variant in table["variant"]:
        if best(name, variant["prefixes"]) is not None:
            constants.update(variant)
    return {key: value for key, value in constants.items() if key not in {"prefixes", "source", "date"}}
