"""Presets: what a session is opened with, by one name, from ``[presets.NAME]`` in config.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ib_kernel.errors import ConfigError, UnknownName, did_you_mean
from ib_kernel.settings import Settings
from ib_kernel.settings.parsing import (
    parse_duration,
    parse_one_of,
    parse_temperature,
    parse_text,
    parse_usd,
    parse_whole,
)
from ib_kernel.settings.sources import parse_value

KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "role": ("role", parse_text),
    "level": ("level", parse_text),
    "challenge": ("challenge", parse_text),
    "as": ("persona", parse_text),
    "budget": ("token_budget", parse_whole(1)),
    "budget_usd": ("budget_usd", parse_usd),
    "charge": ("charge", parse_one_of("billed", "new")),
    "minutes": ("time_limit_s", parse_duration),
    "model": ("model", parse_text),
    "client": ("client", parse_text),
    "api": ("api", parse_one_of("chat", "responses")),
    "temperature": ("temperature", parse_temperature),
    "keep_days": ("keep_days", parse_whole(1)),
}
"""By key of a preset, the argument of `Interview.start` that it gives, and its parser."""


def read_preset(settings: Settings, name: str) -> dict[str, Any]:
    """Return what a preset gives, as arguments of `Interview.start`.

    Args:
        settings: What has the presets.
        name: Which.

    Raises:
        UnknownName: There is no such preset; the line says which there are.
        ConfigError: A key is unknown, or a value cannot be used.
    """
    found = settings.presets.get(name)
    if found is None:
        known = ", ".join(sorted(settings.presets)) or "none; write [presets.NAME] into config.toml"
        raise UnknownName(
            f"no preset called {name[:80]!r}; known: {known}{did_you_mean(name, settings.presets)}"
        )
    if not isinstance(found, Mapping):
        raise ConfigError(f"the preset {name} is no table: write [presets.{name}] and its keys below it")
    given: dict[str, Any] = {}
    for key, raw in found.items():
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"; known: {', '.join(KEYS)}"
            raise ConfigError(f"the preset {name} has an unknown {key!r}{hint}")
        argument, parse = KEYS[key]
        given[argument] = parse_value(f"presets.{name}.{key}", parse, raw, settings.origins["presets"])
    if "time_limit_s" in given:
        given["time_limit_s"] *= 60.0
    return given


def with_preset(settings: Settings, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return *given*, completed by a preset: what was said for this session comes first.

    Args:
        settings: What has the presets.
        name: Which preset.
        given: Arguments of `Interview.start`; None and "" are not said.
    """
    said = {key: value for key, value in given.items() if value not in (None, "")}
    meta = {**given.get("meta", {}), "preset": name}
    return {**given, **read_preset(settings, name), **said, "meta": meta}
