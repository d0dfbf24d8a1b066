"""`%interview doctor`: every setting and where it came from, plugins, versions, and the ledger's health.

It never raises for what it is there to report: a broken part becomes a line. The API key is "set" or
"not set", never shown.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from htpy import div, strong

from ib_kernel.errors import BuddyError, did_you_mean
from ib_kernel.notebook.output.show import Output
from ib_kernel.settings import FIELD_NAMES
from ib_kernel.settings.sources import env_name
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.models.rows import ModelInfo
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.settings import Settings
    from ib_kernel.settings.plugins import PluginValue

PACKAGES = (
    "interview-buddy-kernel",
    "ipython",
    "ipykernel",
    "jupyterlab",
    "ipywidgets",
    "anywidget",
    "openai",
    "tiktoken",
    "duckdb",
    "apsw",
    "genai-prices",
    "markdown-it-py",
    "nh3",
)
"""Packages whose versions matter to a report."""

_ALWAYS = ("client", "model", "api_key", "data_dir")
"""Settings that a reader looks for whether they were set or not."""

Section = tuple[str, list[str], list[list[str]]]


def report(engine: Engine, *, everything: bool = False) -> Output:
    """Return the report; *everything*: settings at their defaults too."""
    try:
        settings = engine.settings()
    except BuddyError as error:  # a bad value in a file or variable: say so, and what can still be said
        return _output([("Settings", ["problem"], [[str(error)]]), _plugins(engine, None), _versions()])
    sections = [
        _settings(settings, everything),
        _plugin_settings(engine, settings),
        _plugins(engine, settings),
        _versions(),
        _limits(engine),
        _ledger(engine),
        _sandbox(),
    ]
    return _output([section for section in sections if section[2]])


def _settings(settings: Settings, everything: bool) -> Section:
    from ib_kernel.settings import config_path, settings_fields

    rows = [
        [spec.name, _shown(spec.name, getattr(settings, spec.name)), settings.origins.get(spec.name, "")]
        for spec in settings_fields()
        if everything or spec.name in _ALWAYS or settings.origins.get(spec.name, "default") != "default"
    ]
    path = config_path()
    rows.append(["config.toml", str(path), "found" if path.exists() else "not there"])
    return ("Settings", ["setting", "value", "from"], rows)


def _plugin_settings(engine: Engine, settings: Settings) -> Section:
    """What plugins declare, as it is now; a table that no plugin reads is named, not refused."""
    from ib_kernel.settings.plugins import plugin_values

    rows = []
    engine.plugins.load()
    declared = engine.plugins.catalog.settings.entries()
    for name, kind in declared.items():
        try:
            values = plugin_values(settings.plugins, name, kind)
        except BuddyError as error:
            rows.append([f"plugins.{name}", str(error), "problem"])
            continue
        rows += [[f"plugins.{name}.{found.key}", _plugin_value(found), found.origin] for found in values]
    for name in settings.plugins.names():
        if name not in declared:
            hint = did_you_mean(name, declared)
            rows.append([f"plugins.{name}", f"no plugin that is installed reads this table{hint}", "unused"])
    for name, hint in _unread_variables(declared).items():
        rows.append([name, f"nothing reads this variable{hint}", "unused"])
    return ("Settings of plugins", ["setting", "value", "from"], rows)


def _unread_variables(declared: Mapping[str, type[Any]]) -> dict[str, str]:
    """Return the variables that look like ours and are nobody's, each with what it may have meant."""
    known = {"IB_CONFIG", *map(env_name, FIELD_NAMES)}
    known |= {env_name(name, field.name) for name, kind in declared.items() for field in fields(kind)}
    unread = sorted(name for name in os.environ if name.startswith("IB_") and name not in known)
    return {name: did_you_mean(name, known) for name in unread}


def _plugin_value(found: PluginValue) -> str:
    return ("set" if found.value else "not set") if found.secret else _shown(found.key, found.value)


def _shown(name: str, value: Any) -> str:
    if name == "api_key":
        return "set" if value else "not set"
    if value is None or value == {}:
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, dict)) else str(value)


def _plugins(engine: Engine, settings: Settings | None) -> Section:
    plugins = engine.plugins
    plugins.load()
    rows: list[list[str]] = []
    chosen = {}
    if settings is not None:
        chosen = {"client": settings.client_name, "counter": settings.counter, "store": settings.store}
    for kind in ("client", "counter", "store"):
        offered = getattr(plugins.catalog, f"{kind}s").names()
        for name, plugin in offered.items():
            state = _chosen(engine, settings, kind) if chosen.get(kind) == name else "installed"
            rows.append([kind, name, plugin, state])
        if kind in chosen and chosen[kind] not in offered:
            rows.append([kind, chosen[kind], "", "chosen, but no plugin offers it"])
    rows += _offers(engine)
    for info in plugins.infos.values():
        rows.append(
            ["plugin", info.name, info.source, f"BROKEN: {info.problem}" if info.problem else "works"]
        )
    return ("Plugins", ["kind", "name", "from", "state"], rows)


def _chosen(engine: Engine, settings: Settings | None, kind: str) -> str:
    """Say that a plugin is chosen, and why it cannot be used if so; the ledger has its own section."""
    build = {"client": engine.plugins.client, "counter": engine.plugins.counter}.get(kind)
    try:
        if build is not None and settings is not None:
            build(settings)
    except BuddyError as error:
        return f"chosen, but: {error}"
    return "chosen"


def _offers(engine: Engine) -> list[list[str]]:
    """What plugins add besides: commands, models, challenges, and challenges that cannot be used."""
    from ib_kernel.interview.challenges import offered_challenges

    catalog = engine.plugins.catalog
    rows = [["command", f"%interview {name}", who, "works"] for name, who in catalog.commands.names().items()]
    for name, who in catalog.models.names().items():
        rows.append(["model", name, who, _limits_and_price(catalog.models.get(name))])
    try:
        folders = engine.settings().challenges
    except BuddyError:  # a row of the settings says it
        folders = ()
    usable, problems = offered_challenges(engine.plugins, folders)
    rows += [["challenge", c.name, c.origin, c.title] for c in usable.values()]
    return rows + [["challenge", name, "", f"BROKEN: {error}"] for name, error in problems.items()]


def _limits_and_price(model: ModelInfo) -> str:
    said = f"{model.context_window:,} tokens, replies of {model.max_output:,}"
    if model.rates is not None:
        price = f"${model.rates.input} in, ${model.rates.output} out for a million tokens"
        return f"{said}; {price} ({model.rates.source})"
    return f"{said}; price of {model.provider}" if model.provider else f"{said}; no price"


def _versions() -> Section:
    rows = [["Python", f"{platform.python_version()} on {platform.system()}"]]
    for name in PACKAGES:
        try:
            rows.append([name, importlib.metadata.version(name)])
        except importlib.metadata.PackageNotFoundError:
            rows.append([name, "not installed"])
    return ("Versions", ["package", "version"], rows)


def _limits(engine: Engine) -> Section:
    """What services have said about their rate limits since the interview was opened."""
    rows = []
    for model, limits in engine.rate_limits().items():
        age = max(0.0, time.time() - limits.seen_at)
        for what, left, most, reset in (
            ("requests", limits.remaining_requests, limits.limit_requests, limits.reset_requests_s),
            ("tokens", limits.remaining_tokens, limits.limit_tokens, limits.reset_tokens_s),
        ):
            if (left, most, reset) != (None, None, None):
                share = f"{_number(left)} of {_number(most)} left"
                full = "" if reset is None else f"all back {max(0.0, reset - age):.0f} s from now"
                rows.append([model, what, share, full, f"told {age:.0f} s ago"])
    return ("Rate limits", ["model", "of", "remaining", "reset", "as of"], rows)


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _sandbox() -> Section:
    """Whether hidden checks can be run on this machine: the line that runs them is tried."""
    from ib_kernel.evidence.sandbox import Sandbox

    return ("Hidden checks", ["part", "state"], [["sandbox", Sandbox().state()]])


def _ledger(engine: Engine) -> Section:
    def try_to(look: Callable[[], str]) -> str:
        try:
            return look()
        except Exception as error:  # noqa: BLE001 - a report is most needed when something is broken
            return f"{type(error).__name__}: {error}"

    def audit() -> str:
        problems = engine.service.store.check()
        return "it adds up" if not problems else "; ".join(problems)

    def doubts() -> str:
        found = [r for r in engine.service.store.reservations() if r.in_doubt]
        if not found:
            return "none"
        return (
            "; ".join(
                f"{r.tokens:,} tokens of session {r.session_id}, {r.reservation_id} ({r.doubt_reason})"
                for r in found
            )
            + ". %budget resolve ID decides"
        )

    def held() -> str:
        found = [r for r in engine.service.store.reservations() if not r.in_doubt]
        return f"{len(found)} ({sum(r.tokens for r in found):,} tokens)" if found else "none"

    rows = [
        ["where", try_to(lambda: engine.service.store.location())],
        ["audit", try_to(audit)],
        ["held now", try_to(held)],
        ["in doubt", try_to(doubts)],
        ["session in use", engine.session_id or "none"],
    ]
    return ("Ledger", ["", ""], rows)


def _output(sections: list[Section]) -> Output:
    blocks = [
        div[strong[title], table_html(headers, rows, stacks=len(headers) > 2)]
        for title, headers, rows in sections
    ]
    text = "\n\n".join(f"{title}\n{table_text(headers, rows)}" for title, headers, rows in sections)
    return Output(div[blocks], text)
